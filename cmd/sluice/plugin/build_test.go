package plugin

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// projects are the folders with a plugin.yaml of the repository.
func projects(t *testing.T) (dirs []string) {
	t.Helper()
	for _, root := range []string{"../../../plugins/filters", "../../../sdk"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() && entry.Name() == "node_modules" {
				return filepath.SkipDir
			}
			if err == nil && entry.Name() == manifestName {
				dirs = append(dirs, filepath.Dir(path))
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return dirs
}

func TestCommittedModulesAreWhatTheirSourcesBuildTo(t *testing.T) {
	found := projects(t)
	if len(found) < 8 {
		t.Fatalf("only %d projects: %v", len(found), found)
	}
	for _, dir := range found {
		t.Run(strings.TrimPrefix(dir, "../../../"), func(t *testing.T) {
			out := must(t, "build", "--check", dir)
			if strings.HasPrefix(out, "not compared: ") {
				t.Skip(strings.TrimSpace(out))
			}
		})
	}
}

func TestAModuleThatItsSourcesDoNotBuildToIsNamed(t *testing.T) {
	dir := newProject(t, "wat", "changed")
	must(t, "build", dir)
	change(t, filepath.Join(dir, "schema.json"), `"maxLength": 63`, `"maxLength": 62`)
	out := fails(t, 1, "build", "--check", dir)
	if !strings.Contains(out, "differs: "+filepath.Join(dir, "changed.wasm")) || !strings.Contains(out, "run: sluice plugin build "+dir) {
		t.Errorf("it says %q", out)
	}
}

func TestAToolThatIsAbsentOrOfAnotherVersionIsNamedAndNotAnError(t *testing.T) {
	dir := newProject(t, "wat", "pinned")
	must(t, "build", dir)
	change(t, filepath.Join(dir, manifestName), "language: wat", "language: wat\npins: { wat2wasm: 0.0.1 }")
	if out := must(t, "build", "--check", dir); !strings.Contains(out, "not compared: ") || !strings.Contains(out, "was built by wat2wasm 0.0.1") {
		t.Errorf("another version: %q", out)
	}
	t.Setenv("PATH", t.TempDir())
	want := "wat2wasm is missing; install it with: npm install --global wabt, or: apt-get install wabt"
	if out := must(t, "build", "--check", dir); !strings.Contains(out, "not compared: "+dir+": "+want) {
		t.Errorf("an absent tool, compared: %q", out)
	}
	if out := fails(t, 1, "build", dir); !strings.Contains(out, want) {
		t.Errorf("an absent tool: %q", out)
	}
	for _, language := range languages {
		other := filepath.Join(t.TempDir(), "other")
		if out := must(t, "new", "--lang", language, "--dir", other, "other"); language != "zig" && !strings.Contains(out, "missing; install it with: ") && !strings.Contains(out, "next: ") {
			t.Errorf("%s: %q", language, out)
		}
		if _, err := os.Stat(filepath.Join(other, manifestName)); err != nil {
			t.Errorf("%s: without its toolchain, no project is made: %v", language, err)
		}
	}
}

func TestAModuleThatNoNodeWouldLoadIsNotDelivered(t *testing.T) {
	dir := newProject(t, "wat", "broken")
	must(t, "build", dir)
	before, err := os.ReadFile(filepath.Join(dir, "broken.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	change(t, filepath.Join(dir, "broken.wat"), `(export "on_message"`, `(export "on_mesage"`)
	if out := fails(t, 1, "build", dir); !strings.Contains(out, "no node would load it") || !strings.Contains(out, "did you mean on_message?") {
		t.Errorf("it says %q", out)
	}
	if after, err := os.ReadFile(filepath.Join(dir, "broken.wasm")); err != nil || string(after) != string(before) {
		t.Error("the module that was there is not as it was")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".broken") {
			t.Errorf("it left %s", e.Name())
		}
	}
}

func TestAManifestIsReadStrictly(t *testing.T) {
	for _, c := range []struct{ manifest, want string }{
		{"", "name: every filter needs one"},
		{"name: A\nlanguage: c\n", `"A" is not a name of 1 to 63 small letters`},
		{"name: a\nlanguage: cobol\n", `language: "cobol" is none of go, rust, c, assemblyscript, zig, wat`},
		{"name: a\nlanguage: c\nwsam: x\n", "plugin.yaml:3: unknown key wsam"},
		{"name: a\nlanguage: c\nwasm: ../x.wasm\n", `wasm: "../x.wasm" leaves the project's folder`},
		{"name: a\nlanguage: c\nfixtures: x.yaml\n", "plugin.yaml:3: "},
		{"name: a\nlanguage: c\nembed_fixtures: true\n", "a module carries one file of fixtures, and fixtures names 0"},
		{"name: [\n", "plugin.yaml:"},
	} {
		if out := fails(t, 1, "build", writeManifest(t, c.manifest)); !strings.Contains(out, c.want) {
			t.Errorf("%q: it says %q", c.manifest, out)
		}
	}
}
