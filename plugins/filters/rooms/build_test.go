package rooms_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sluice/plugins/plugintest"
)

func TestFixtures(t *testing.T) { plugintest.Test(t, "tests/*.yaml") }

func TestTheCommittedModuleIsWhatItsSourceBuildsTo(t *testing.T) {
	asc, err := filepath.Abs("../../../test/node_modules/.bin/asc")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(asc); err != nil {
		t.Skip("asc is not installed: npm ci --prefix test")
	}
	if _, err := exec.LookPath("node"); err != nil {
		t.Skip("node is not installed")
	}
	for _, pattern := range []string{"*.ts", "asconfig.json", "../../../sdk/assemblyscript/assembly/*.ts"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: no such files (%v)", pattern, err)
		}
		for _, file := range files { // so that the go command knows what a cached result depends on
			if _, err := os.ReadFile(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	out := filepath.Join(t.TempDir(), "rooms.wasm")
	if text, err := exec.Command(asc, "-o", out).CombinedOutput(); err != nil {
		t.Fatalf("asc: %v\n%s", err, text)
	}
	built, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	committed, err := os.ReadFile("rooms.wasm")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(committed, built) { // the sections for tools come behind
		t.Error("rooms.wasm is not what its source builds to: run sluice plugin build plugins/filters/rooms")
	}
}
