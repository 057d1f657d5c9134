package auth_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheNativeTestsPassUnderSanitizers(t *testing.T) {
	cc, err := exec.LookPath("cc")
	if err != nil {
		t.Skip("no C compiler is installed")
	}
	for _, pattern := range []string{"*.c", "*.h", "../../../sdk/c/*.h"} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, file := range files { // so that the go command knows what a cached result depends on
			if _, err := os.ReadFile(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	binary := filepath.Join(t.TempDir(), "auth_test")
	build := exec.Command(cc, "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic", "-g", "-O1", "-fsanitize=address,undefined",
		"-fno-sanitize-recover=all", "-I../../../sdk/c", "-o", binary, "auth_test.c")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(binary).CombinedOutput()
	if err != nil || strings.Count(string(out), "ok  ") < 20 {
		t.Errorf("%v\n%s", err, out)
	}
}
