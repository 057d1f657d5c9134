package plugin

import (
	"encoding/xml"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheExitCodeOfTestSaysWhatHappened(t *testing.T) {
	dir := newProject(t, "wat", "tested")
	fixtures := filepath.Join(dir, "tests", "tested.yaml")
	if out := fails(t, exitUsage, "test", dir); !strings.Contains(out, "tested.wasm is not there: build it first: sluice plugin build "+dir) {
		t.Errorf("before it is built: %q", out)
	}
	must(t, "build", dir)
	must(t, "test", dir)
	must(t, "test", fixtures)
	must(t, "test", "--run", "^", "-v", dir)
	for _, args := range [][]string{
		{"test", "--run", "no test has this name", dir},
		{"test", "--run", "(", dir},
		{"test", "--nonsense", dir},
		{"test", filepath.Join(dir, "absent.yaml")},
		{"test", filepath.Join(dir, "tested.wasm")}, // which carries none
		{"test", "--plugin", "builtin:size", t.TempDir()},
	} {
		fails(t, exitUsage, args...)
	}
	change(t, fixtures, "that word is not welcome here", "welcome")
	junit := filepath.Join(t.TempDir(), "results.xml")
	if out := fails(t, exitFailed, "test", "--junit", junit, dir); !strings.Contains(out, "welcome") || !strings.Contains(out, "tested.yaml:") {
		t.Errorf("a test that fails: %q", out)
	}
	text, err := os.ReadFile(junit)
	if err != nil {
		t.Fatal(err)
	}
	var suites struct {
		Failures int `xml:"failures,attr"`
	}
	if err := xml.Unmarshal(text, &suites); err != nil || suites.Failures != 1 {
		t.Errorf("%d failures, %v:\n%s", suites.Failures, err, text)
	}
	must(t, "test", "--update", dir)
	must(t, "test", dir)
	change(t, fixtures, "tests:", "tests: [")
	if out := fails(t, exitUsage, "test", dir); !strings.Contains(out, "tested.yaml:") {
		t.Errorf("fixtures that cannot be read: %q", out)
	}
}

func TestAModuleCarriesItsFixtures(t *testing.T) {
	dir := newProject(t, "wat", "carrying")
	change(t, filepath.Join(dir, manifestName), "fixtures:", "embed_fixtures: true\nfixtures:")
	must(t, "build", dir)
	wasm, err := os.ReadFile(filepath.Join(dir, "carrying.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	alone := filepath.Join(t.TempDir(), "alone.wasm")
	if err := os.WriteFile(alone, wasm, 0o644); err != nil {
		t.Fatal(err)
	}
	out := newOutput()
	if code := command(t.Context(), out, nil, "test", alone); code != 0 || !strings.HasPrefix(out.String(), "ok ") {
		t.Errorf("exit %d: %s", code, out)
	}
}

func TestFuzzFindsWhereAFilterTrapsAndNothingInOneThatDoesNot(t *testing.T) {
	fixtures := filepath.Join(t.TempDir(), "size.yaml")
	text := "plugin: builtin:size\nfilter: { config: { max_bytes: 100 } }\ntests:\n  - name: passes\n    events: [{ message: hi }]\n"
	if err := os.WriteFile(fixtures, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	must(t, "fuzz", "--time", "300ms", "--seed", "1", fixtures)
	if out := must(t, "fuzz", "--time", "100ms", "--json", fixtures); !strings.Contains(out, `"Runs"`) {
		t.Errorf("it prints %s", out)
	}
	dir := newProject(t, "wat", "fuzzed")
	// A filter that traps where it should not.
	change(t, filepath.Join(dir, "fuzzed.wat"), `(func (export "on_message")`, `(func (export "on_join") (param i32) (result i32) unreachable)
  (func (export "on_message")`)
	must(t, "build", dir)
	change(t, filepath.Join(dir, "tests", "fuzzed.yaml"), "tests:", "tests:\n  - name: joins\n    events:\n      - { join: a, expect: { verdict: failure } }\n")
	if out := fails(t, exitFailed, "fuzz", "--time", "2s", "--seed", "1", dir); !strings.Contains(out, "trap") {
		t.Errorf("it prints %s", out)
	}
}

func TestInspectExplainsAndFails(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "a.wasm")
	if err := os.WriteFile(file, []byte("(module)"), 0o644); err != nil {
		t.Fatal(err)
	}
	out := fails(t, 1, "inspect", file)
	for _, want := range []string{"a node would not load it", "not a wasm module", "wat2wasm"} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q:\n%s", want, out)
		}
	}
	if out := fails(t, 1, "inspect", "--json", file); !strings.Contains(out, `"cause"`) {
		t.Errorf("as JSON: %s", out)
	}
	if out := fails(t, 1, "inspect", filepath.Join(dir, "absent.wasm")); !strings.Contains(out, "no such file") {
		t.Errorf("no file: %s", out)
	}
	if out := fails(t, 1, "inspect", dir); !strings.Contains(out, "is not a file") {
		t.Errorf("a folder: %s", out)
	}
}

func TestInspectShowsNoControlCharacters(t *testing.T) {
	if got := printable("a\x1b[2Jb\nc\u009bd"); got != "a [2Jb c d" {
		t.Errorf("got %q", got)
	}
}
