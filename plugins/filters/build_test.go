package filters

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheBundledFiltersAreNamedAsTheHostLooksForThem(t *testing.T) {
	found := 0
	err := fs.WalkDir(FS, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		found++
		if name := filepath.Dir(path); path != name+"/"+name+".wasm" {
			t.Errorf("%s is not <name>/<name>.wasm", path)
		}
		return nil
	})
	if err != nil || found == 0 {
		t.Errorf("%d filters, %v", found, err)
	}
}

func TestCommittedModulesAreWhatTheirSourcesBuildTo(t *testing.T) {
	if _, err := exec.LookPath("wasm-ld-19"); err != nil {
		t.Skip("wasm-ld-19 is not installed")
	}
	if _, err := exec.LookPath("clang-19"); err != nil {
		t.Skip("clang-19 is not installed")
	}
	for _, pattern := range []string{"*/*.c", "*/*.h", "*/*.json", "*/*.wasm", "../../sdk/c/*.h", "../../sdk/*/examples/*/*.c", "../../sdk/conformance/testdata/*.c", "build.sh"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files { // so that the go command knows what a cached result depends on
			if _, err := os.ReadFile(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	out, err := exec.Command("./build.sh", "--check").CombinedOutput()
	if err != nil {
		t.Fatalf("build.sh --check: %v\n%s", err, out)
	}
	if !strings.Contains(string(out), "same: plugins/filters/size/size.wasm") {
		t.Errorf("it says nothing of size.wasm:\n%s", out)
	}
}

func TestTheBuildScriptNamesAMissingTool(t *testing.T) {
	cmd := exec.Command("/bin/sh", "build.sh", "--check")
	cmd.Env = append(os.Environ(), "SLUICE_WASM_CC=no-such-compiler")
	out, err := cmd.CombinedOutput()
	exit, ok := err.(*exec.ExitError)
	if !ok || exit.ExitCode() != 2 || !strings.Contains(string(out), "no-such-compiler is missing; install it with: apt-get install clang-19 lld-19") {
		t.Errorf("%v\n%s", err, out)
	}
}
