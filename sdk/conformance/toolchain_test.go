package conformance

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sluice/router"
)

// tool skips a test where a compiler is not installed.
func tool(t *testing.T, name string) string {
	t.Helper()
	dependOn(t, "../c/*.h", "../c/examples/*/*.c", "testdata/*.c")
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

func run(t *testing.T, folder, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = folder
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

var strict = []string{"-Wall", "-Wextra", "-Werror", "-pedantic"}

func TestTheNativeTestsOfHelloPass(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "hello_test")
	run(t, "../c/examples/hello", tool(t, "cc"), append(strict, "-std=c99", "-I../..", "-o", binary, "hello_test.c")...)
	if out := run(t, ".", binary); strings.Count(out, "ok  ") < 10 || strings.Contains(out, "FAIL") {
		t.Errorf("it prints:\n%s", out)
	}
}

func TestTheNativeTestsOfTheHeaderPass(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "header_test")
	run(t, "testdata", tool(t, "cc"), append(strict, "-std=c99", "-fsanitize=undefined", "-fno-sanitize-recover", "-I../../c", "-o", binary, "header_test.c")...)
	if out := run(t, ".", binary); strings.Count(out, "ok  ") < 30 || strings.Contains(out, "FAIL") {
		t.Errorf("it prints:\n%s", out)
	}
}

func TestFiltersInCCompileAsCPlusPlus(t *testing.T) {
	for _, source := range []string{"../c/examples/hello/hello.c", "../c/examples/noop/noop.c", "testdata/probe.c", "testdata/header_test.c"} {
		t.Run(filepath.Base(source)+" natively", func(t *testing.T) {
			run(t, ".", tool(t, "c++"), append(strict, "-std=c++11", "-x", "c++", "-fsyntax-only", "-I../c", source)...)
		})
		if strings.HasSuffix(source, "_test.c") {
			continue
		}
		t.Run(filepath.Base(source)+" for wasm", func(t *testing.T) {
			run(t, ".", tool(t, "clang++-19"), append(strict, "--target=wasm32", "-std=c++11", "-ffreestanding", "-x", "c++", "-fsyntax-only",
				"-I../c", source)...)
		})
	}
}

// compile builds hello for wasm with the flags given beside the documented
// ones, and loads it.
func compile(t *testing.T, compiler string, flags ...string) guest {
	t.Helper()
	path := filepath.Join(t.TempDir(), "hello.wasm")
	args := append([]string{"--target=wasm32", "-nostdlib", "-ffreestanding", "-I../c", "-Wl,--no-entry", "-Wl,-z,stack-size=16384", "-o", path},
		append(strict, flags...)...)
	run(t, ".", tool(t, compiler), append(args, "../c/examples/hello/hello.c")...)
	spec := pluginAt(path)
	spec.Config = config(`{"word":"spam"}`)
	return load(t, spec)
}

func TestTheHeaderWorksHoweverItIsCompiled(t *testing.T) {
	for _, c := range []struct {
		name, compiler string
		flags          []string
	}{
		{"unoptimised, with debug information", "clang-19", []string{"-O0", "-g"}},
		{"for size", "clang-19", []string{"-Oz", "-Wl,--strip-all"}},
		{"with bulk memory and SIMD", "clang-19", []string{"-O3", "-mbulk-memory", "-msimd128"}},
		{"as C++", "clang++-19", []string{"-O2", "-x", "c++", "-std=c++11", "-fno-exceptions", "-fno-rtti"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := compile(t, c.compiler, c.flags...)
			if v := g.judge(t, message(`"hi"`)); string(v.Payload) != `{"n":1,"content":"hi"}` {
				t.Errorf("got %+v, %s", v, v.Payload)
			}
			if v := g.judge(t, message(`"`+strings.Repeat("x", 200_000)+`spam"`)); v.Code != 422 {
				t.Errorf("got %+v", v)
			}
		})
	}
}

func TestAFixedBufferRefusesWhatDoesNotFit(t *testing.T) {
	g := compile(t, "clang-19", "-O2", "-DSLUICE_BUFFER_SIZE=8192")
	for _, c := range []struct {
		bytes   int
		failure string
	}{{100, ""}, {7000, ""}, {9000, "too_big"}, {100, ""}} {
		if v := g.judge(t, message(`"`+strings.Repeat("x", c.bytes)+`"`)); v.Failure != c.failure {
			t.Errorf("%d bytes: failure %q, want %q", c.bytes, v.Failure, c.failure)
		}
	}
}

func TestTheHeaderGetsAlongWithALibC(t *testing.T) {
	if _, err := os.Stat("/usr/include/wasm32-wasi"); err != nil {
		t.Skip("wasi-libc is not installed")
	}
	path := filepath.Join(t.TempDir(), "libc.wasm")
	run(t, ".", tool(t, "clang-19"), append(strict, "--target=wasm32-wasi", "-mexec-model=reactor", "-O2", "-I../c", "-o", path, "testdata/libc.c")...)
	g := load(t, pluginAt(path))
	for _, n := range []int{10, 70_000, 300_000, 10, 1_000_000} {
		if v := g.judge(t, message(`"`+strings.Repeat("y", n)+`"`)); v.Action != router.Continue || v.Failure != "" {
			t.Errorf("%d bytes: got %+v", n, v)
		}
	}
}
