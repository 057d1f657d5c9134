package plugintest_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"sluice/plugins/plugintest"
)

func TestTheFixturesInTheReferenceLoadAndHold(t *testing.T) {
	text, err := os.ReadFile("../../docs/fixtures.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := strings.Split(string(text), "\n```yaml\n")[1:]
	if len(blocks) == 0 {
		t.Fatal("the reference shows no fixtures")
	}
	for _, block := range blocks {
		block, _, _ = strings.Cut(block, "\n```")
		pass(t, "../../sdk/c/examples/hello/hello.wasm", block+"\n")
	}
}

// known takes the keys out of the error about one that does not exist.
var known = regexp.MustCompile(`there are ([a-z_, ]+)$`)

func TestTheReferenceNamesEveryKey(t *testing.T) {
	reference, err := os.ReadFile("../../docs/fixtures.md")
	if err != nil {
		t.Fatal(err)
	}
	keys := 0
	for _, text := range []string{
		"qqqqqqqq: 1",
		"filter: { qqqqqqqq: 1 }",
		"tests: [{ qqqqqqqq: 1 }]",
		"tests: [{ name: x, given: { qqqqqqqq: 1 } }]",
		"tests: [{ name: x, events: [{ qqqqqqqq: 1 }] }]",
		"tests: [{ name: x, events: [{ connect: { qqqqqqqq: 1 } }] }]",
		"tests: [{ name: x, events: [{ raw: { qqqqqqqq: 1 } }] }]",
		"tests: [{ name: x, events: [{ message: 1, state: { qqqqqqqq: 1 } }] }]",
		"tests: [{ name: x, events: [{ message: 1, lookup: { qqqqqqqq: 1 } }] }]",
		"tests: [{ name: x, events: [{ message: 1, expect: { qqqqqqqq: 1 } }] }]",
		"tests: [{ name: x, events: [{ message: 1, expect: { log: [{ qqqqqqqq: 1 }] } }] }]",
	} {
		_, err := plugintest.Load(write(t, "keys.yaml", text))
		if err == nil {
			t.Fatalf("%s loads", text)
		}
		line, _, _ := strings.Cut(err.Error(), "\n")
		m := known.FindStringSubmatch(line)
		if m == nil {
			t.Fatalf("%s: the error names no keys: %s", text, line)
		}
		for _, key := range strings.Split(m[1], ", ") {
			keys++
			if !regexp.MustCompile("`" + key + "`|[{ `]" + key + ":").Match(reference) {
				t.Errorf("docs/fixtures.md does not name %s", key)
			}
		}
	}
	if keys < 60 {
		t.Errorf("only %d keys were looked for", keys)
	}
}
