package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sluice/router/redisbroker"
)

// fencedBlocks are the blocks of a document that are marked as of a language.
func fencedBlocks(t *testing.T, path, language string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range regexp.MustCompile("(?ms)^```"+language+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, m[1])
	}
	if len(blocks) == 0 {
		t.Fatalf("%s has no block of %s", path, language)
	}
	return blocks
}

func TestTheConfigurationsOfTheDocumentsAreRight(t *testing.T) {
	env := []string{"REDIS_PASSWORD=a", "SENTINEL_PASSWORD=b"}
	whole := 0
	for _, doc := range []string{"../../docs/operations.md", "../../docs/configuration.md"} {
		for _, block := range fencedBlocks(t, doc, "yaml") {
			if !strings.HasPrefix(block, "broker:") {
				continue // a part of a configuration
			}
			whole++
			path := filepath.Join(t.TempDir(), "config.yaml")
			writeFile(t, path, block)
			var out, errOut bytes.Buffer
			if code := Main(t.Context(), []string{"check", "--config", path, "--cache", "off"}, env, nil, &out, &errOut); code != 0 {
				t.Errorf("%s:\n%s\n%s", doc, block, &errOut)
			}
		}
	}
	if whole < 6 {
		t.Errorf("only %d blocks are whole configurations", whole)
	}
}

func TestTheConfigurationsOfDeployAreRight(t *testing.T) {
	check := func(env []string, args ...string) {
		t.Helper()
		var out, errOut bytes.Buffer
		if code := Main(t.Context(), append([]string{"check", "--cache", "off"}, args...), env, nil, &out, &errOut); code != 0 {
			t.Errorf("%s", &errOut)
		}
	}
	check(nil, "--config", "../../deploy/node.yaml", "--redis-addresses", "127.0.0.1:1")
	// The variables that compose.yaml sets are keys, with values of the right form.
	env := []string{"SLUICE_NODE_ID=a"}
	for _, m := range regexp.MustCompile(`(?m)^  (SLUICE_[A-Z_]+): "([^"]*)"`).FindAllStringSubmatch(readText(t, "../../deploy/compose.yaml"), -1) {
		env = append(env, m[1]+"="+m[2])
	}
	if len(env) < 7 {
		t.Fatalf("compose.yaml sets %v", env)
	}
	check(env, "--config", "../../deploy/node.yaml")
}

func readText(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTheEventsThatTheDocumentsNameAreCounted(t *testing.T) {
	b, err := redisbroker.New(redisbroker.Options{NodeID: "n", Shards: []redisbroker.Shard{{Addresses: []string{"127.0.0.1:1"}}}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	counted := b.Counters()
	_, table, ok := strings.Cut(readText(t, "../../docs/operations.md"), "| Metric | Watch for |")
	if !ok {
		t.Fatal("there is no table of metrics")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	names := 0
	for _, m := range regexp.MustCompile("`(?:sluice_broker_events_total\\{event=\")?([a-z_]+)(?:\"\\})?`").FindAllStringSubmatch(table, -1) {
		names++
		if _, ok := counted[m[1]]; !ok {
			t.Errorf("%s is documented, and not counted", m[1])
		}
	}
	if names < 15 {
		t.Errorf("only %d events are in the table", names)
	}
}
