// Package wat_test holds what sdk/wat shows to what it says.
package wat_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"sluice/plugins/plugintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// wat2wasm builds a module.
func wat2wasm(t *testing.T, source string) (wasm string) {
	t.Helper()
	tool, err := exec.LookPath("wat2wasm")
	if err != nil {
		t.Skip("wat2wasm is not installed: npm install --global wabt")
	}
	wasm = filepath.Join(t.TempDir(), "filter.wasm")
	if out, err := exec.Command(tool, "-o", wasm, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return wasm
}

func TestTheExamplesPassTheirOwnTests(t *testing.T) {
	plugintest.Test(t, "examples/*/tests/*.yaml")
}

func TestTheCommittedModulesAreWhatTheirTextBuildsTo(t *testing.T) {
	for _, name := range []string{"hello", "noop"} {
		file := filepath.Join("examples", name, name)
		if _, err := os.ReadFile(file + ".wat"); err != nil { // the go command then knows what this depends on
			t.Fatal(err)
		}
		want, err := os.ReadFile(file + ".wasm")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(wat2wasm(t, file+".wat")); err != nil || !bytes.HasPrefix(want, got) { // the schema follows
			t.Errorf("%s.wasm is out of date: run scripts/filters (%v)", file, err)
		}
	}
}

func TestTheFilterInTheREADMEWorks(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(readme), "\n```wat\n")
	source, _, found := strings.Cut(block, "\n```")
	if !found {
		t.Fatal("README.md has no block of WAT")
	}
	dir := t.TempDir()
	path, fixtures := filepath.Join(dir, "filter.wat"), filepath.Join(dir, "tests.yaml")
	if err := os.WriteFile(path, []byte(source+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := "plugin: " + wat2wasm(t, path) + `
tests:
  - name: content of more than 280 bytes is refused
    events:
      - raw: '"` + strings.Repeat("x", 278) + `"'
      - raw: '"` + strings.Repeat("x", 279) + `"'
        expect: { verdict: deny, code: 413, reason: "at most 280 bytes, please" }
`
	if err := os.WriteFile(fixtures, []byte(tests), 0o600); err != nil {
		t.Fatal(err)
	}
	plugintest.Test(t, fixtures)
}
