package plugin

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// sdkFolder is where a project has the SDK's files.
const sdkFolder = "sluice"

func (t *tool) newCommand() *cobra.Command {
	var language, dir string
	cmd := &cobra.Command{
		Use:   "new --lang LANGUAGE NAME",
		Short: "Make a project for a filter, which builds and whose tests pass",
		Long: "Makes a folder with a filter, its tests and the SDK's files: nothing is fetched.\n" +
			"Languages: " + strings.Join(languages, ", ") + ".",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("give the filter one name, as in: sluice plugin new --lang go hello")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return t.newProject(language, args[0], dir) },
	}
	cmd.Flags().StringVar(&language, "lang", "", "the language: "+strings.Join(languages, ", "))
	cmd.Flags().StringVar(&dir, "dir", "", "the folder to make (default: the name)")
	return cmd
}

func (t *tool) newProject(language, name, dir string) error {
	if language == "" {
		return fmt.Errorf("say which language by --lang: %s", strings.Join(languages, ", "))
	}
	if !slices.Contains(languages, language) {
		return fmt.Errorf("--lang: %q is none of %s", language, strings.Join(languages, ", "))
	}
	if err := checkProjectName(name); err != nil {
		return err
	}
	if name == sdkFolder {
		return fmt.Errorf("the name %s is the SDK's folder: take another one", name)
	}
	if dir == "" {
		dir = name
	}
	if err := checkEmpty(dir); err != nil {
		return err
	}
	files, err := t.projectFiles(language, name)
	if err != nil {
		return err
	}
	for _, f := range files {
		target := filepath.Join(dir, filepath.FromSlash(f.path))
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(target, f.text, 0o644); err != nil {
			return err
		}
	}
	t.say("made %s: a filter in %s, with its tests", dir, languageNames[language])
	return t.tellNext(dir)
}

var languageNames = map[string]string{
	"go": "Go", "rust": "Rust", "c": "C", "assemblyscript": "AssemblyScript", "zig": "Zig", "wat": "WebAssembly text",
}

// tellNext says what to do next; first of all, to install what is missing.
func (t *tool) tellNext(dir string) error {
	p, err := openProject(dir)
	if err != nil {
		return err
	}
	_, clean, err := t.plan(p, filepath.Join(os.TempDir(), "unused.wasm"))
	var missing *missingTool
	switch {
	case err == nil:
		clean()
	case errors.As(err, &missing):
		t.say("%v", missing)
	default:
		return err
	}
	t.say("next: cd %s && sluice plugin build && sluice plugin test", dir)
	return nil
}

func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%s is there, and is not a folder that can be read: take another name", dir)
	case len(entries) > 0:
		return fmt.Errorf("%s is there, and is not empty: take another name, or name another folder by --dir", dir)
	}
	return nil
}

// projectFile is a file of a project to be made.
type projectFile struct {
	path string // with slashes
	text []byte
}

// projectFiles are the example hello under another name, the SDK's files, and
// what a project has besides.
func (t *tool) projectFiles(language, name string) ([]projectFile, error) {
	example := path.Join(language, "examples", "hello")
	var files []projectFile
	err := fs.WalkDir(t.SDK, language, func(at string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || leftOut(at) {
			return err
		}
		text, err := fs.ReadFile(t.SDK, at)
		if err != nil {
			return err
		}
		f := projectFile{"", text}
		if own, ok := strings.CutPrefix(at, example+"/"); ok {
			f.path = renamed(own, name)
			f.text = rewrite(language, f.path, text, name)
		} else if strings.HasPrefix(at, language+"/examples/") {
			return nil
		} else {
			f.path = path.Join(sdkFolder, strings.TrimPrefix(at, language+"/"))
			if language == "go" {
				f.text = rewriteGoImports(text, name)
			}
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if language == "go" {
		files = append(files, projectFile{"go.mod", fmt.Appendf(nil, "module %s\n\ngo 1.26\n", goModule(name))})
	}
	files = append(files,
		projectFile{"README.md", readme(language, name)},
		projectFile{".gitignore", []byte(ignored(language))})
	return files, nil
}

// leftOut are files of the SDK that are not for projects.
func leftOut(at string) bool {
	base := path.Base(at)
	inExample := strings.Contains(at, "/examples/")
	return strings.HasSuffix(base, ".wasm") || base == "README.md" || !inExample && strings.HasSuffix(base, "_test.go") || base == "Cargo.lock" || base == "package-lock.json"
}

// renamed is the name of a file of the example in a project.
func renamed(file, name string) string {
	folder, base := path.Split(file)
	for _, ending := range []string{".", "_test."} {
		if rest, ok := strings.CutPrefix(base, "hello"+ending); ok {
			return folder + name + ending + rest
		}
	}
	return file
}

var (
	helloFile  = regexp.MustCompile(`\bhello((?:_test)?\.(?:c|wasm|wat|zig|yaml|ts|test\.mjs|mjs|debug\.wasm|release\.wasm))\b`)
	helloName  = regexp.MustCompile(`(?m)^(name: |name = "|\s*"name": "|\s*"title": "|// Command |.{0,40}tests of |/\* |//!? |;; )hello\b`)
	helloCrate = regexp.MustCompile(`\bhello::`)
	helloTest  = regexp.MustCompile(`/hello_test\b`)
	sdkLine    = regexp.MustCompile(`(?m)^sdk:.*$`)
	sdkUp      = regexp.MustCompile(`(["'= ])(\.\./\.\.)(/[^"'\s]*)?(["'\s])`)
	goImport   = regexp.MustCompile(`"sluice/sdk/go(/[a-z0-9_/]*)?"`)
)

// rewrite gives a file of the example the project's name, and the SDK's folder
// in the project.
func rewrite(language, file string, text []byte, name string) []byte {
	text = helloFile.ReplaceAll(text, []byte(name+"$1"))
	text = helloTest.ReplaceAll(text, []byte("/"+name+"_test"))
	text = helloName.ReplaceAll(text, []byte("${1}"+name))
	switch {
	case path.Base(file) == manifestName:
		text = sdkLine.ReplaceAll(text, []byte("sdk: "+sdkFolder))
	case language == "go":
		text = rewriteGoImports(text, name)
	case language == "rust":
		text = helloCrate.ReplaceAll(text, []byte(strings.ReplaceAll(name, "-", "_")+"::"))
		text = bytes.ReplaceAll(text, []byte(`path = "../.."`), []byte(`path = "`+sdkFolder+`"`))
	case language == "zig":
		text = bytes.ReplaceAll(text, []byte("=../../"), []byte("="+sdkFolder+"/"))
	case language == "assemblyscript" || language == "c":
		text = sdkUp.ReplaceAll(text, []byte("${1}./"+sdkFolder+"$3$4"))
		text = bytes.ReplaceAll(text, []byte("-I../.."), []byte("-I"+sdkFolder))
	}
	return text
}

// goModule is the path of a project's Go module. The point keeps filters called
// log, sort or time apart from the packages of the standard library.
func goModule(name string) string { return "filters.local/" + name }

// rewriteGoImports makes the SDK's packages the project's own, so that the
// module needs no other.
func rewriteGoImports(text []byte, name string) []byte {
	return goImport.ReplaceAll(text, []byte(`"`+goModule(name)+`/`+sdkFolder+`$1"`))
}

func ignored(language string) string {
	lines := append([]string{}, toolchains[language].generated...)
	slices.Sort(lines)
	var out strings.Builder
	for _, name := range lines {
		if name != "Cargo.lock" && name != "package-lock.json" {
			out.WriteString("/" + name + "\n")
		}
	}
	if language == "go" {
		out.WriteString("# 2 MB, and other bytes with each release of Go\n*.wasm\n")
	}
	out.WriteString(".*.wasm-*\n")
	return out.String()
}

func readme(language, name string) []byte {
	native := map[string]string{
		"go":             "go test .                 # the same without wasm, natively\n",
		"rust":           "cargo test --offline      # the same without wasm, natively\n",
		"c":              "cc -std=c99 -Isluice -o " + name + "_test " + name + "_test.c && ./" + name + "_test   # the same without wasm, natively\n",
		"assemblyscript": "npm install && npm test   # unit tests\n",
		"zig":            "zig test --dep sluice -Mroot=" + name + ".zig -Msluice=sluice/sluice.zig   # the same without wasm, natively\n",
	}[language]
	return fmt.Appendf(nil, `# %[1]s

A filter for Sluice, in %[2]s. It refuses messages with a word, and numbers the others of each connection.

`+"```sh"+`
sluice plugin build       # %[1]s.wasm
sluice plugin test        # tests/, against the .wasm
%[3]ssluice plugin dev         # both, and again whenever a file changes
sluice plugin inspect %[1]s.wasm
sluice plugin bench
`+"```"+`

The compiler: %[4]s.

| | |
|---|---|
| plugin.yaml | what is built of what, and the filter's entry for tests |
| %[5]s | the filter |
| schema.json | what its configuration may be; it becomes part of the module |
| tests/%[1]s.yaml | events, and what is to become of them |
%[6]s
To run it on a node, add to its config.yaml:

`+"```yaml"+`
filters:
  - name: %[1]s
    plugin: %[1]s.wasm
    capabilities: [log]
    config: { word: spam }
`+"```"+`
`, name, languageNames[language], native, toolchains[language].install, filepath.ToSlash(toolchains[language].source(name)), sdkRow(language))
}

func sdkRow(language string) string {
	if language == "wat" {
		return ""
	}
	return "| sluice/ | the SDK; a newer one replaces it |\n"
}
