package plugin

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"sluice/plugins"
)

const (
	manifestName = "plugin.yaml"
	maxManifest  = 1 << 20 // bytes
	maxCarried   = 1 << 20 // bytes of a file that becomes a custom section
)

// manifest is a plugin.yaml. Paths are relative to its folder.
type manifest struct {
	// Name is the filter's; its files are named after it.
	Name string `yaml:"name"`

	// Language is go, rust, c, assemblyscript, zig or wat.
	Language string `yaml:"language"`

	// Source is the main file; "": by the language. C++ is told by .cc, .cpp
	// or .cxx.
	Source string `yaml:"source"`

	// Wasm is what is built; "": <name>.wasm.
	Wasm string `yaml:"wasm"`

	// SDK is the folder of the SDK's files; "": sluice/, or the nearest one
	// above. Cargo, asc and go find theirs by their own files.
	SDK string `yaml:"sdk"`

	// LibC links a C filter with wasi-libc.
	LibC bool `yaml:"libc"`

	// Optimize is what Zig's -O is told; "": small.
	Optimize string `yaml:"optimize"`

	// Schema and Meta become the custom sections sluice.schema and sluice.meta.
	Schema string `yaml:"schema"`
	Meta   string `yaml:"meta"`

	// Fixtures are the files of `sluice plugin test`. With EmbedFixtures the one
	// file becomes the custom section sluice.fixtures, so that the module can be
	// tested without its project.
	Fixtures      []string `yaml:"fixtures"`
	EmbedFixtures bool     `yaml:"embed_fixtures"`

	// Pins are the versions of tools with which the committed .wasm was built,
	// where they are not those of toolchains.go.
	Pins map[string]string `yaml:"pins"`

	// Filter has the keys of the filter's entry in a configuration, for test,
	// bench, fuzz and dev.
	Filter yaml.Node `yaml:"filter"`
}

// project is a folder with a plugin.yaml.
type project struct {
	manifest
	Dir string // as it was named; relative to the working directory
	Abs string
}

var languages = []string{"go", "rust", "c", "assemblyscript", "zig", "wat"}

// openProject reads the plugin.yaml of a folder.
func openProject(dir string) (*project, error) {
	path := filepath.Join(dir, manifestName)
	text, err := readAtMost(path, maxManifest)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s does not exist: name a filter's folder, or make one with: sluice plugin new --lang go NAME", path)
	}
	if err != nil {
		return nil, err
	}
	p := &project{Dir: dir}
	if p.Abs, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&p.manifest); err != nil && !errors.Is(err, io.EOF) {
		return nil, yamlError(path, err)
	}
	if err := p.complete(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

var yamlLine = regexp.MustCompile(`line (\d+): (.*)`)

// yamlError is an error of the decoder as file:line: cause.
func yamlError(path string, err error) error {
	m := yamlLine.FindStringSubmatch(err.Error())
	if m == nil {
		return fmt.Errorf("%s: %s", path, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	cause := m[2]
	if name, ok := strings.CutPrefix(cause, "field "); ok {
		if name, _, ok := strings.Cut(name, " not found in type"); ok {
			cause = "unknown key " + name
		}
	}
	return fmt.Errorf("%s:%s: %s", path, m[1], strings.ReplaceAll(cause, "plugin.manifest", "keys"))
}

// complete fills in the defaults and refuses what makes no sense.
func (p *project) complete() error {
	if err := checkProjectName(p.Name); err != nil {
		return fmt.Errorf("name: %w", err)
	}
	if !slices.Contains(languages, p.Language) {
		return fmt.Errorf("language: %q is none of %s", p.Language, strings.Join(languages, ", "))
	}
	if p.Wasm == "" {
		p.Wasm = p.Name + ".wasm"
	}
	if p.Source == "" {
		p.Source = toolchains[p.Language].source(p.Name)
	}
	if p.EmbedFixtures && len(p.Fixtures) != 1 {
		return fmt.Errorf("embed_fixtures: a module carries one file of fixtures, and fixtures names %d", len(p.Fixtures))
	}
	for key, paths := range map[string][]string{
		"wasm": {p.Wasm}, "source": {p.Source}, "schema": {p.Schema}, "meta": {p.Meta}, "fixtures": p.Fixtures,
	} {
		for _, path := range paths {
			if path != "" && !filepath.IsLocal(path) {
				return fmt.Errorf("%s: %q leaves the project's folder", key, path)
			}
		}
	}
	return nil
}

var projectName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,62}$`)

func checkProjectName(name string) error {
	if name == "" {
		return errors.New("every filter needs one")
	}
	if !projectName.MatchString(name) {
		return fmt.Errorf("%.80q is not a name of 1 to 63 small letters, digits, - and _ that begins with a letter", name)
	}
	return nil
}

// path is where a file of the project is.
func (p *project) path(name string) string { return filepath.Join(p.Dir, name) }

// carried are the custom sections that the project's files become, in a fixed
// order.
func (p *project) carried() ([]plugins.CustomSection, error) {
	var out []plugins.CustomSection
	for _, c := range []struct{ key, file, name string }{
		{"schema", p.Schema, plugins.SectionSchema},
		{"fixtures", p.embedded(), plugins.SectionFixtures},
		{"meta", p.Meta, plugins.SectionMeta},
	} {
		if c.file == "" {
			continue
		}
		text, err := readAtMost(p.path(c.file), maxCarried)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", p.path(manifestName), c.key, err)
		}
		out = append(out, plugins.CustomSection{Name: c.name, Content: text})
	}
	return out, nil
}

func (p *project) embedded() string {
	if !p.EmbedFixtures {
		return ""
	}
	return p.Fixtures[0]
}

// readAtMost reads a regular file. The error names it.
func readAtMost(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path) // before it is opened: opening a pipe would wait
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return text, nil
}
