package plugintest_test

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/jstemmer/go-junit-report/v2/junit"
	"go.yaml.in/yaml/v3"

	"sluice/plugins"
	"sluice/plugins/filters"
	"sluice/plugins/plugintest"
)

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, text string) *plugintest.File {
	t.Helper()
	f, err := plugintest.Load(write(t, "fixtures.yaml", text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func run(t *testing.T, o plugintest.Options, text string) *plugintest.Report {
	t.Helper()
	r, err := plugintest.Run(t.Context(), []*plugintest.File{load(t, text)}, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// pass runs fixtures that have to hold.
func pass(t *testing.T, wasm, text string) *plugintest.Report {
	t.Helper()
	r := run(t, plugintest.Options{Wasm: wasm, Builtins: filters.FS}, text)
	if !r.OK() {
		t.Errorf("%s", reportText(t, r))
	}
	return r
}

func TestFixturesThatHoldPassAsSubtests(t *testing.T) {
	plugintest.Test(t, "testdata/hello.yaml")
}

func TestWhatANodeKeepsIsOfOneTestAlone(t *testing.T) {
	pass(t, "../../sdk/conformance/testdata/probe.wasm", `
filter: { capabilities: [log, now, random, metric_add, counter_add, bucket_take, kv_get, kv_set] }
tests:
  - { name: one, events: [{ message: counter, expect: { raw: "1" } }, { message: set, expect: { raw: "0" } }] }
  - { name: two, events: [{ message: counter, expect: { raw: "1" } }, { message: get, expect: { raw: "null" } }] }
  - { name: refused, filter: { capabilities: [] }, refused: capabilities }
  - { name: three, given: { counters: { c: 41 } }, events: [{ message: counter, expect: { raw: "42" } }, { message: get, expect: { raw: "null" } }] }
  - { name: four, events: [{ message: counter, expect: { raw: "1" } }] }
`)
}

func TestRandomBytesAreThoseOfTheSeed(t *testing.T) {
	state := func(seed string) string {
		r := run(t, plugintest.Options{Wasm: "../testdata/capable.wasm"}, `
now: 2026-01-02T03:04:05Z
filter: { capabilities: [log, now, random] }
tests: [{ name: x, seed: `+seed+`, events: [{ message: a }, { message: b }] }]`)
		o := r.Files[0].Tests[0].Outcomes
		if len(o) != 2 || len(o[0].State) != 24 || string(o[0].State) == string(o[1].State) {
			t.Fatalf("got %+v", o)
		}
		return string(o[0].State) + string(o[1].State)
	}
	if a, b, c := state("1"), state("1"), state("2"); a != b || a == c {
		t.Errorf("seed 1: %x, again %x, seed 2: %x", a, b, c)
	}
}

func TestABundledFilterIsTestedByItsName(t *testing.T) {
	pass(t, "", `
plugin: builtin:size
filter: { config: { max_bytes: 10 } }
tests:
  - name: refuses what is long
    events:
      - { message: short, expect: {verdict: continue} }
      - { message: longer than ten bytes, expect: { verdict: deny, code: 413 } }
`)
}

func TestKeysOfAProjectStandBelowThoseOfTheFile(t *testing.T) {
	var below yaml.Node
	if err := yaml.Unmarshal([]byte("capabilities: [log]\nconfig: {word: ham}\n"), &below); err != nil {
		t.Fatal(err)
	}
	r := run(t, plugintest.Options{Wasm: "../../sdk/c/examples/hello/hello.wasm", Filter: below.Content[0]}, `
tests:
  - { name: of the project, events: [{ message: ham, expect: { verdict: deny } }] }
  - { name: of the test, filter: { config: { word: eggs } }, events: [{ message: eggs, expect: { verdict: deny } }] }
`)
	if !r.OK() {
		t.Errorf("%s", reportText(t, r))
	}
}

func TestOnlyTheTestsThatAreAskedForRun(t *testing.T) {
	o := plugintest.Options{Wasm: "../testdata/noop.wasm", Match: regexp.MustCompile("^b")}
	r := run(t, o, `
tests:
  - { name: a, events: [{ message: x, expect: { verdict: deny } }] }
  - { name: b, events: [{ message: x }] }
`)
	if n, failed := r.Tests(); n != 1 || failed != 0 {
		t.Errorf("%d tests ran, %d failed", n, failed)
	}
	o.Match = regexp.MustCompile("^c")
	if r := run(t, o, "tests: [{ name: a, events: [{ message: x }] }]"); r.OK() {
		t.Error("a report without tests is ok")
	}
}

func TestFixturesAreReadFromTheModuleThatTheyTest(t *testing.T) {
	wasm, err := os.ReadFile("../testdata/count.wasm")
	if err != nil {
		t.Fatal(err)
	}
	fixtures := `tests: [{ name: in the module, events: [{ message: a }, { message: a }, { message: a, expect: { verdict: deny, code: 429, retry_ms: 1500 } }] }]`
	body := append([]byte{byte(len(plugintest.Section))}, plugintest.Section+fixtures...)
	section := []byte{0, byte(len(body)&0x7f | 0x80), byte(len(body) >> 7)}
	path := write(t, "count.wasm", string(wasm)+string(section)+string(body))
	f, err := plugintest.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	r, err := plugintest.Run(t.Context(), []*plugintest.File{f}, plugintest.Options{})
	if err != nil || !r.OK() {
		t.Errorf("%v: %s", err, reportText(t, r))
	}
	if f, err := plugintest.LoadModule("../testdata/count.wasm"); f != nil || err != nil {
		t.Errorf("a module without fixtures: %v, %v", f, err)
	}
	if _, err := plugintest.Load("../testdata/count.wasm"); err == nil || !strings.Contains(err.Error(), "carries no fixtures") {
		t.Errorf("the error is %v", err)
	}
	if _, err := plugintest.Load(write(t, "cut.wasm", string(wasm)+"\x00\x7f\x01")); err == nil || !strings.Contains(err.Error(), "in the middle of a section") {
		t.Errorf("the error is %v", err)
	}
}

func TestOfAModulesOwnFixturesNothingIsKeptButTheFirstFailure(t *testing.T) {
	noop, err := os.ReadFile("../../sdk/wat/examples/noop/noop.wasm")
	if err != nil {
		t.Fatal(err)
	}
	wasm, err := plugins.ReplaceSections(noop, plugins.CustomSection{Name: plugintest.Section, Content: []byte(
		`tests: [{ name: a, events: [{ message: a }, { message: b, expect: { verdict: drop } }, { message: c, expect: { verdict: deny, code: 403 } }] }]`)})
	if err != nil {
		t.Fatal(err)
	}
	r, err := plugintest.RunModule(t.Context(), "own.wasm", wasm, plugintest.ModuleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	one := r.Files[0].Tests[0]
	if len(one.Outcomes) != 0 || len(one.Failures) != 1 || !strings.Contains(one.Failures[0].Text, "event 2") {
		t.Errorf("%d outcomes, failures %v", len(one.Outcomes), one.Failures)
	}
}

func TestNothingInAReportSteersATerminal(t *testing.T) {
	r := run(t, plugintest.Options{Wasm: "../../sdk/wat/examples/noop/noop.wasm"}, `
tests:
  - name: "a \e[31m name"
    events: [{message: x, expect: {log: ["a \e]0;title\a line"]}}]
  - name: "one \e[5m that passes"
    events: [{message: x}]
`)
	var out strings.Builder
	if err := r.WriteText(&out, true); err != nil {
		t.Fatal(err)
	}
	text := out.String()
	if !strings.Contains(text, "[31m name") || !strings.Contains(text, "]0;title") || !strings.Contains(text, "[5m that passes") || strings.ContainsAny(text, "\x1b\a") {
		t.Errorf("%q", text)
	}
}

func TestJUnitTellsFailuresFromWhatCouldNotBeRun(t *testing.T) {
	r := run(t, plugintest.Options{Wasm: "../testdata/noop.wasm"}, `
tests:
  - { name: passes, events: [{ message: x }] }
  - { name: fails, events: [{ message: x, expect: { verdict: deny, reason: "\x01<&]]>" } }] }
  - { name: cannot be run, events: [{ join: x }] }
`)
	var out strings.Builder
	if err := r.WriteJUnit(&out); err != nil {
		t.Fatal(err)
	}
	var got junit.Testsuites
	if err := xml.Unmarshal([]byte(out.String()), &got); err != nil {
		t.Fatalf("%v:\n%s", err, &out)
	}
	if got.Tests != 3 || got.Failures != 1 || got.Errors != 1 || len(got.Suites) != 1 {
		t.Fatalf("got %+v", got)
	}
	cases := got.Suites[0].Testcases
	if cases[0].Failure != nil || cases[0].Error != nil || cases[1].Failure == nil || cases[2].Error == nil ||
		!strings.Contains(cases[1].Failure.Message, "the verdict is continue, want deny") {
		t.Errorf("got\n%s", &out)
	}
}

func TestAFilterSpecIsReadAsANodeReadsIt(t *testing.T) {
	var n yaml.Node
	if err := yaml.Unmarshal([]byte(`
name: x
rooms: ["a:*"]
config: { b: 1, a: [2.50, 2026-01-02, null] }
keys: [{ alg: HS256, secret: not-to-be-printed }, { jwk: { kty: oct, k: not-to-be-printed } }]
may: { allow: true, reroute: [b] }
limits: { memory: 1MiB, time: 3ms, state: 2KiB, counters: 5, values: 1KiB, series: 2 }
lookup: { http: { url: "https://example.org/${user}", headers: { A: b } }, on: [join], ttl: 10s, max_bytes: 4KiB, on_miss: skip, on_failure: pass }
on_failure: continue
`), &n); err != nil {
		t.Fatal(err)
	}
	s, err := plugintest.FilterSpec(n.Content[0])
	if err != nil {
		t.Fatal(err)
	}
	if string(s.Config) != `{"b":1,"a":[2.50,"2026-01-02",null]}` || s.Memory != 1<<20 || s.Time.Milliseconds() != 3 || s.StateBytes != 2048 ||
		s.Quota.Counters != 5 || s.Quota.Values != 1024 || s.Quota.Series != 2 || len(s.Keys) != 2 || !s.May.Allow || s.OnFailure != "continue" {
		t.Errorf("got %+v", s)
	}
	l := s.Lookup
	if l == nil || l.HTTP == nil || l.HTTP.Headers["A"] != "b" || l.TTL.Seconds() != 10 || l.MaxBytes != 4096 || l.OnMiss != "skip" || l.OnFailure != "pass" || l.Hooks[0] != "join" {
		t.Errorf("got %+v", l)
	}
	bad := yaml.Node{Kind: yaml.MappingNode, Line: 3, Content: []*yaml.Node{{Kind: yaml.ScalarNode, Tag: "!!str", Value: "room", Line: 3}, {Kind: yaml.SequenceNode}}}
	if _, err := plugintest.FilterSpec(&bad); err == nil || !strings.HasPrefix(err.Error(), "line 3: filter: unknown key room; did you mean rooms?") {
		t.Errorf("the error is %v", err)
	}
}
