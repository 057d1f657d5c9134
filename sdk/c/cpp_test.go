// Package c_test holds sluice.hpp to the conformance vectors: what is built from
// it has to do what the header in C does. The header itself is tested in
// sdk/conformance.
package c_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"sluice/plugins/plugintest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// compile builds a filter in C++ with the documented flags and others.
func compile(t *testing.T, source string, flags ...string) (wasm string) {
	t.Helper()
	compiler, err := exec.LookPath("clang++-19")
	if err != nil {
		t.Skip("clang++-19 is not installed: apt-get install clang-19 lld-19")
	}
	headers, err := filepath.Glob("*.h*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(headers, source) { // so that the go command knows what a cached result depends on
		if _, err := os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	wasm = filepath.Join(t.TempDir(), "filter.wasm")
	args := append([]string{
		"--target=wasm32", "-nostdlib", "-ffreestanding", "-fno-exceptions", "-fno-rtti", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I.",
		"-Wl,--no-entry", "-Wl,-z,stack-size=16384", "-o", wasm,
	}, flags...)
	if out, err := exec.Command(compiler, append(args, source)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return wasm
}

func TestHelloInCPlusPlusDoesWhatEveryHelloDoes(t *testing.T) {
	const source, vectors = "examples/hello_cpp/hello_cpp.cpp", "../conformance/vectors/hello.yaml"
	plugintest.Test(t, "examples/hello_cpp/tests/*.yaml")
	for name, wasm := range map[string]string{
		"unoptimised, C++11":  compile(t, source, "-std=c++11", "-O0", "-g"),
		"for size, C++20":     compile(t, source, "-std=c++20", "-Oz", "-Wl,--strip-all"),
		"for speed, with LTO": compile(t, source, "-std=c++17", "-O3", "-flto"),
	} {
		t.Run(name, func(t *testing.T) { plugintest.TestWith(t, plugintest.Options{Wasm: wasm}, vectors) })
	}
}

func TestNoConstructorIsLeftToRun(t *testing.T) {
	wasm, err := os.ReadFile(compile(t, "examples/hello_cpp/hello_cpp.cpp", "-std=c++11", "-O0", "-Wl,--export-all"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"_GLOBAL__sub_I", "__cxx_global_var_init", "__cxa_guard"} {
		if strings.Contains(string(wasm), name) {
			t.Errorf("it has %s, which nothing would call", name)
		}
	}
	if !strings.Contains(string(wasm), "on_message") {
		t.Error("it does not even have names")
	}
}

func TestTheFilterInTheREADMEWorks(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(readme), "\n```cpp\n")
	source, _, found := strings.Cut(block, "\n```")
	if !found {
		t.Fatal("README.md has no block of C++")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "filter.cpp")
	if err := os.WriteFile(path, []byte(source+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	fixtures := filepath.Join(dir, "tests.yaml")
	if err := os.WriteFile(fixtures, []byte(fixturesOf(compile(t, path, "-std=c++11", "-O2"))), 0o600); err != nil {
		t.Fatal(err)
	}
	plugintest.Test(t, fixtures)
}

func fixturesOf(wasm string) string {
	return "plugin: " + wasm + `
tests:
  - name: content of more than 280 bytes is refused
    events:
      - raw: '"` + strings.Repeat("x", 278) + `"'
      - raw: '"` + strings.Repeat("x", 279) + `"'
        expect: { verdict: deny, code: 413, reason: "at most 280 bytes, please" }
`
}
