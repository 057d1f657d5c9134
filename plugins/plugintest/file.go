package plugintest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"sluice/router/wire"
)

// Section is the custom section of a module that holds fixtures.
const Section = "sluice.fixtures"

// File is a file of fixtures.
type File struct {
	Path   string // as it was given to Load
	Plugin string // the .wasm as the file names it: relative to the file's folder, or builtin:NAME; "": it names none
	Tests  []*Case

	filter *yaml.Node // keys of a filter's entry; nil: none
	now    time.Time  // zero: when Run begins
	root   *yaml.Node
	text   []byte
	module bool // it is a custom section of the .wasm at Path
}

// Case is one test of a file.
type Case struct {
	Name string
	Line int

	file    *File
	plugin  string     // instead of the file's
	filter  *yaml.Node // over the file's
	now     time.Time  // zero: the file's
	seed    uint64     // of random bytes
	given   given
	steps   []*step
	refused *string // what the error has to say
	node    *yaml.Node
}

// given is what the node has kept for the filter before the test begins.
type given struct {
	counters []keptCounter
	values   []keptValue
}

type keptCounter struct {
	key   string
	count int64
}

type keptValue struct {
	key   string
	value []byte
}

// Load reads a file of fixtures, or those in a .wasm's custom section. Errors
// in it are of type Errors.
func Load(path string) (*File, error) {
	text, err := readAtMost(path, maxModule)
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(text, []byte(wasmMagic)) {
		return parse(path, text)
	}
	f, err := fixturesOf(path, text)
	if f == nil && err == nil {
		return nil, Errors{{File: path, Text: "it carries no fixtures (custom section " + Section + "); name a file of fixtures"}}
	}
	return f, err
}

// LoadModule reads the fixtures in a .wasm's custom section; nil if it has none.
func LoadModule(path string) (*File, error) {
	wasm, err := readAtMost(path, maxModule)
	if err != nil {
		return nil, err
	}
	return fixturesOf(path, wasm)
}

func fixturesOf(path string, wasm []byte) (*File, error) {
	text, err := Custom(wasm, Section)
	if err != nil {
		return nil, Errors{{File: path, Text: err.Error()}}
	}
	if text == nil {
		return nil, nil
	}
	f, err := parse(path+"("+Section+")", text)
	if err != nil {
		return nil, err
	}
	f.Path, f.module = path, true
	return f, nil
}

func readAtMost(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, Errors{{File: path, Text: "the file does not exist"}}
	case err != nil:
		return nil, Errors{{File: path, Text: "the file cannot be read: " + err.Error()}}
	case !info.Mode().IsRegular():
		return nil, Errors{{File: path, Text: "it is not a regular file"}}
	case info.Size() > most:
		return nil, Errors{{File: path, Text: fmt.Sprintf("it has more than %d MiB", most>>20)}}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, Errors{{File: path, Text: "the file cannot be read: " + err.Error()}}
	}
	return text, nil
}

// parse reads the text of a file.
func parse(path string, text []byte) (*File, error) {
	d := &decoder{file: path}
	f := &File{Path: path, text: text}
	if f.root = d.document(text); f.root != nil {
		d.fixtures(f)
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return f, nil
}

func (d *decoder) fixtures(f *File) {
	if f.root.Kind != yaml.MappingNode {
		d.fail(f.root, "expected keys, as in tests: [...], found %s", found(f.root))
		return
	}
	var tests *yaml.Node
	d.mapping(f.root, "the file",
		value("plugin", func(n *yaml.Node) { f.Plugin = d.text(n, "plugin") }),
		value("filter", func(n *yaml.Node) { f.filter = d.filter(n) }),
		value("now", func(n *yaml.Node) { f.now = d.moment(n, "now") }),
		value("tests", func(n *yaml.Node) { tests = n }))
	if len(d.errs) == 0 && (tests == nil || isNull(tests)) {
		d.fail(f.root, "it has no tests; add tests: with at least one")
		return
	}
	names := make(map[string]int)
	if tests == nil {
		return
	}
	d.list(tests, "tests", func(i int, n *yaml.Node) {
		c := d.test(n, i)
		if c == nil {
			return
		}
		c.file = f
		if names[c.Name] != 0 {
			d.fail(n, "tests: two are called %q; the first is in line %d", c.Name, names[c.Name])
		}
		names[c.Name] = n.Line
		f.Tests = append(f.Tests, c)
	})
	if len(d.errs) == 0 && len(f.Tests) == 0 {
		d.fail(tests, "tests: it is empty; add at least one")
	}
}

// filter checks the keys of a filter's entry, and keeps them as they are: they
// are put over each other first.
func (d *decoder) filter(n *yaml.Node) *yaml.Node {
	d.spec(n)
	return n
}

func (d *decoder) test(n *yaml.Node, i int) *Case {
	if n = d.enter(n); n == nil {
		return nil
	}
	c := &Case{Line: n.Line, node: n, seed: 1}
	before := len(d.errs)
	d.mapping(n, "test",
		value("name", func(n *yaml.Node) { c.Name = d.text(n, "name") }),
		value("plugin", func(n *yaml.Node) { c.plugin = d.text(n, "plugin") }),
		value("filter", func(n *yaml.Node) { c.filter = d.filter(n) }),
		value("now", func(n *yaml.Node) { c.now = d.moment(n, "now") }),
		value("seed", func(n *yaml.Node) { c.seed = d.unsigned(n, "seed") }),
		value("given", func(n *yaml.Node) { d.given(n, &c.given) }),
		value("events", func(n *yaml.Node) {
			d.list(n, "events", func(_ int, n *yaml.Node) {
				if s := d.step(n); s != nil {
					c.steps = append(c.steps, s)
				}
			})
		}),
		value("refused", func(n *yaml.Node) {
			text := d.text(n, "refused")
			c.refused = &text
		}))
	if len(d.errs) > before {
		return nil
	}
	switch {
	case strings.TrimSpace(c.Name) == "":
		d.fail(n, "tests[%d]: it has no name; add name: and say what it shows", i)
	case c.refused != nil && len(c.steps) > 0:
		d.fail(n, "test %q: it has events and refused; a filter that is refused is asked nothing", c.Name)
	case c.refused == nil && len(c.steps) == 0:
		d.fail(n, "test %q: it has no events; add events:, or refused: with what the error has to say", c.Name)
	}
	return c
}

func (d *decoder) given(n *yaml.Node, g *given) {
	each := func(what string, f func(key string, v *yaml.Node)) field {
		return value(what, func(n *yaml.Node) {
			if n = d.enter(n); n == nil || isNull(n) {
				return
			}
			if n.Kind != yaml.MappingNode {
				d.fail(n, "given.%s: expected keys, found %s", what, found(n))
				return
			}
			d.pairs(n, "given."+what, func(key, v *yaml.Node) {
				if len(key.Value) == 0 || len(key.Value) > wire.MaxName {
					d.fail(key, "given.%s: a key has 1 to %d bytes", what, wire.MaxName)
				}
				f(key.Value, v)
			})
		})
	}
	d.mapping(n, "given",
		each("counters", func(key string, v *yaml.Node) {
			g.counters = append(g.counters, keptCounter{key, d.integer(v, "given.counters."+key, 0, 1<<62)})
		}),
		each("values", func(key string, v *yaml.Node) {
			g.values = append(g.values, keptValue{key, d.raw(v, "given.values."+key)})
		}))
}

// dir is what relative paths in the file are relative to.
func (f *File) dir() string { return filepath.Dir(f.Path) }
