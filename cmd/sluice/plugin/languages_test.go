package plugin

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sluice/plugins"
)

// In each language a new project builds, its tests pass, and the other commands
// work on it. Its name is not the example's.

func TestAProjectInGoWorksFromNewToBench(t *testing.T) {
	dir := worksFromNewToBench(t, "go", "log") // which is the name of a package of the standard library, too
	// Nothing but the toolchain: no other module, and so no network.
	native(t, dir, []string{"GOPROXY=off", "GOFLAGS=-mod=mod", "GOWORK=off"}, "go", "test", "./...")
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil || string(mod) != "module filters.local/log\n\ngo 1.26\n" {
		t.Errorf("go.mod is %q, %v", mod, err)
	}
}

func TestAProjectInRustWorksFromNewToBench(t *testing.T) {
	dir := worksFromNewToBench(t, "rust", "my-filter")
	if _, err := exec.LookPath("cargo"); err == nil {
		native(t, dir, []string{"CARGO_TARGET_DIR=" + t.TempDir()}, "cargo", "test", "--offline", "--quiet")
	}
}

func TestAProjectInCWorksFromNewToBench(t *testing.T) {
	dir := worksFromNewToBench(t, "c", "my-filter")
	if _, err := exec.LookPath("cc"); err == nil {
		native(t, dir, nil, "cc", "-std=c99", "-Isluice", "-o", "unit", "my-filter_test.c")
		native(t, dir, nil, "./unit")
	}
}

func TestAProjectInAssemblyScriptWorksFromNewToBench(t *testing.T) {
	worksFromNewToBench(t, "assemblyscript", "my-filter")
}

func TestAProjectInZigWorksFromNewToBench(t *testing.T) {
	worksFromNewToBench(t, "zig", "my-filter")
}

func TestAProjectInWebAssemblyTextWorksFromNewToBench(t *testing.T) {
	worksFromNewToBench(t, "wat", "my-filter")
}

func worksFromNewToBench(t *testing.T, language, name string) (dir string) {
	t.Helper()
	dir = newProject(t, language, name)
	wasm := filepath.Join(dir, name+".wasm")
	noTraceOfTheExample(t, dir)

	if out := must(t, "build", dir); !strings.HasPrefix(out, "built "+wasm+": ") || !strings.Contains(out, "sha256 ") {
		t.Errorf("build prints %q", out)
	}
	if out := must(t, "build", "--check", dir); !strings.HasPrefix(out, "same: ") && !strings.HasPrefix(out, "not compared: ") {
		t.Errorf("what was built is not the same again: %q", out)
	}
	if out := must(t, "test", dir); !strings.HasPrefix(out, "ok ") {
		t.Errorf("test prints %q", out)
	}

	var in plugins.Inspection
	if err := json.Unmarshal([]byte(must(t, "inspect", "--json", wasm)), &in); err != nil {
		t.Fatal(err)
	}
	if in.ABI != 1 || !slices.Equal(in.Hooks, []string{"on_configure", "on_message"}) || !slices.Equal(in.Capabilities, []string{"log"}) ||
		len(in.Properties) != 1 || in.Properties[0].Name != "word" || !in.Properties[0].Required {
		t.Errorf("inspect finds %+v", in)
	}
	text := must(t, "inspect", wasm)
	for _, want := range []string{"capabilities: [log]", "on_configure, on_message", in.Digest, "sluice.schema", "word: a string, required"} {
		if !strings.Contains(text, want) {
			t.Errorf("inspect does not say %q:\n%s", want, text)
		}
	}
	benchmarked(t, dir)
	return dir
}

// benchmarked measures the filter briefly, and checks what cannot vary.
func benchmarked(t *testing.T, dir string) {
	t.Helper()
	var r struct {
		Filter string
		Events int
		Mean   float64
		Fuel   float64
		Growth struct{ Leaks bool }
		Memory struct{ PerGiB int }
	}
	out := must(t, "bench", "--json", "--time", "20ms", "--events", "2000", "--instances", "4", dir)
	if err := json.Unmarshal([]byte(out), &r); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if r.Events < 1 || r.Mean <= 0 || r.Fuel <= 0 || r.Growth.Leaks || r.Memory.PerGiB < 1 {
		t.Errorf("bench finds %+v", r)
	}
	if out := must(t, "bench", "--time", "5ms", "--events", "100", "--instances", "2", dir); !strings.Contains(out, "p99") {
		t.Errorf("bench prints\n%s", out)
	}
}

// noTraceOfTheExample makes sure that a project does not refer to the example
// that it was made from, nor to the repository.
func noTraceOfTheExample(t *testing.T, dir string) {
	t.Helper()
	for _, file := range []string{"README.md", ".gitignore", "plugin.yaml", "schema.json"} {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Error(err)
		}
	}
	err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if strings.Contains(entry.Name(), "hello") {
			t.Errorf("%s is named after the example", path)
		}
		text, err := os.ReadFile(path)
		for _, trace := range []string{"../../", "sluice/sdk", "hello.wasm", `name: hello`, `"hello"`} {
			inSDK := strings.Contains(path, "/sluice/")
			if strings.Contains(string(text), trace) && !inSDK {
				t.Errorf("%s has %q in it", path, trace)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
