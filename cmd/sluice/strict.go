package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	maxConfigFile = 1 << 20  // bytes
	maxConfigWork = 16 << 20 // bytes of nodes visited, with their paths: aliases may name one node many times
	maxDepth      = 64       // nested lists and objects
)

// strictReader turns a YAML file into the map that koanf loads. It reads the
// nodes against the schema, so that every error knows its line.
type strictReader struct {
	file    string
	dir     string // base of relative paths
	secrets *secrets
	places  map[string]place // by path: limits.frame, rooms[0].match
	errs    configErrors
	work    int
	stopped bool // the rest is not read: too much work or too many errors, which has been said
}

// read reads the file's text. What is wrong is in errs.
func (r *strictReader) read(text []byte) map[string]any {
	root := r.document(text)
	if root == nil {
		return nil
	}
	plainBroker(root)
	return r.section(root, schema, "", 0)
}

// enter follows an alias and bounds the work; nil: stop here.
func (r *strictReader) enter(n *yaml.Node, path string, depth int) *yaml.Node {
	at := n
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	r.work += 16 + len(n.Value) + len(path)
	switch {
	case r.stopped:
		return nil
	case r.work > maxConfigWork:
		r.stopped = true
		r.fail(at, path, "the file becomes too large once its aliases are filled in")
		return nil
	case depth > maxDepth:
		r.stopped = true
		r.fail(at, path, "nested more than %d deep", maxDepth)
		return nil
	}
	return n
}

func (r *strictReader) fail(n *yaml.Node, path, format string, args ...any) {
	r.errs.add(place{File: r.file, Line: n.Line}, path, format, args...)
	r.stopped = r.stopped || r.errs.full()
}

// section reads a mapping with the keys of k; absent keys stay absent.
func (r *strictReader) section(n *yaml.Node, k *key, path string, depth int) map[string]any {
	if n = r.enter(n, path, depth); n == nil || n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		r.fail(n, path, "expected %s, found %s", keysText(path), found(n))
		return nil
	}
	m := make(map[string]any, len(n.Content)/2)
	r.pairs(n, path, depth, func(name string, keyNode, value *yaml.Node) {
		child := k.child(name)
		if child == nil {
			r.fail(keyNode, join(path, name), "unknown key%s", suggestion(name, k, path))
			return
		}
		r.places[join(path, name)] = place{File: r.file, Line: keyNode.Line}
		if v, ok := r.value(value, child, join(path, name), depth+1); ok {
			m[name] = v
		}
	})
	return m
}

func keysText(path string) string {
	if path == "" {
		return "keys, as in \"listen: 127.0.0.1:8080\""
	}
	return "keys"
}

func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// pairs calls f for each key of a mapping, once.
func (r *strictReader) pairs(n *yaml.Node, path string, depth int, f func(name string, keyNode, value *yaml.Node)) {
	lines := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		keyNode, value := r.enter(n.Content[i], path, depth), n.Content[i+1]
		switch {
		case keyNode == nil:
			return
		case keyNode.Kind != yaml.ScalarNode:
			r.fail(keyNode, path, "a key must be a word, found %s", found(keyNode))
		case keyNode.Tag == "!!merge":
			r.fail(keyNode, path, "<< is not supported; write the keys out")
		case lines[keyNode.Value] != 0:
			r.fail(keyNode, join(path, keyNode.Value), "the key stands twice; it is first in line %d", lines[keyNode.Value])
		default:
			lines[keyNode.Value] = keyNode.Line
			f(keyNode.Value, keyNode, value)
		}
	}
}

// suggestion names the key that was probably meant: one beside it, or one of
// that name elsewhere.
func suggestion(name string, k *key, path string) string {
	var names []string
	for _, c := range k.Children {
		names = append(names, c.Name)
	}
	if near := nearest(name, names); near != "" {
		return "; did you mean " + join(path, near) + "?"
	}
	var elsewhere []string
	schema.walk(func(c *key) {
		if nearest(name, []string{c.Name}) != "" {
			elsewhere = append(elsewhere, c.Path)
		}
	})
	if len(elsewhere) == 1 {
		return "; did you mean " + elsewhere[0] + "?"
	}
	return ""
}

// value reads the value of a key; not ok: it is wrong, which has been said.
func (r *strictReader) value(n *yaml.Node, k *key, path string, depth int) (any, bool) {
	if k.Kind == kindSection {
		m := r.section(n, k, path, depth)
		return m, m != nil
	}
	if n = r.enter(n, path, depth); n == nil {
		return nil, false
	}
	switch k.Kind {
	case kindList:
		return r.list(n, k, path, depth)
	case kindStrings:
		return r.strings(n, path, depth)
	case kindObject:
		return r.object(n, path, depth)
	}
	return r.scalar(n, k, path)
}

// list reads a list of sections. Each entry has its defaults filled in.
func (r *strictReader) list(n *yaml.Node, k *key, path string, depth int) (any, bool) {
	if n.Tag == "!!null" {
		delete(r.places, path) // nothing was written: the default
		return nil, false
	}
	if n.Kind != yaml.SequenceNode {
		r.fail(n, path, "expected a list, found %s", found(n))
		return nil, false
	}
	entries := make([]any, 0, len(n.Content))
	for i, item := range n.Content {
		itemPath := fmt.Sprintf("%s[%d]", path, i)
		r.places[itemPath] = place{File: r.file, Line: item.Line}
		before := len(r.errs)
		m := r.section(item, k, itemPath, depth+1)
		if r.stopped {
			return nil, false
		}
		for _, c := range k.Children {
			if _, ok := m[c.Name]; !ok && c.Required && len(r.errs) == before {
				r.fail(item, itemPath, "%s is missing: %s", c.Name, c.Doc)
			}
		}
		entries = append(entries, fill(k.defaults(), m))
	}
	return entries, true
}

// fill puts the values of m over the defaults.
func fill(defaults, m map[string]any) map[string]any {
	for name, v := range m {
		if sub, ok := v.(map[string]any); ok {
			v = fill(defaults[name].(map[string]any), sub)
		}
		defaults[name] = v
	}
	return defaults
}

func (r *strictReader) strings(n *yaml.Node, path string, depth int) (any, bool) {
	if n.Kind != yaml.SequenceNode {
		r.fail(n, path, "expected a list, as in [\"a\", \"b\"], found %s", found(n))
		return nil, false
	}
	items := make([]string, 0, len(n.Content))
	for i, item := range n.Content {
		itemPath := fmt.Sprintf("%s[%d]", path, i)
		if item = r.enter(item, itemPath, depth+1); item == nil {
			return nil, false
		}
		v, ok := r.scalar(item, &key{Kind: kindString}, itemPath)
		if !ok {
			return nil, false
		}
		items = append(items, v.(string))
	}
	return items, true
}

// tags are the YAML types that a kind is written in.
var tags = map[kind][]string{
	kindBool:     {"!!bool"},
	kindInt:      {"!!int"},
	kindRate:     {"!!int", "!!float"},
	kindSize:     {"!!str", "!!int"},
	kindPercent:  {"!!str", "!!int", "!!float"},
	kindDuration: {"!!str", "!!int"},
	kindString:   {"!!str"},
	kindEnum:     {"!!str"},
}

// expected is what an error says of a kind.
var expected = map[kind]string{
	kindBool:     "true or false",
	kindInt:      "a whole number",
	kindRate:     "a number",
	kindSize:     "a size, as in 64KiB",
	kindPercent:  "a percentage, as in 5%",
	kindDuration: "a time, as in 5s",
	kindString:   "text",
}

// scalar reads one value. A value with ${NAME} may be of any kind.
func (r *strictReader) scalar(n *yaml.Node, k *key, path string) (any, bool) {
	text, resolved := n.Value, false
	if n.Kind == yaml.ScalarNode && n.Tag == "!!str" {
		var err error
		resolve := r.secrets.resolve
		if k.Unit == "template" {
			resolve = r.secrets.resolveTemplate
		}
		if text, resolved, err = resolve(n.Value, r.dir); err != nil {
			if k.Unit == "template" {
				err = templateError(err)
			}
			r.fail(n, path, "%v", err)
			return nil, false
		}
	}
	if n.Kind != yaml.ScalarNode || !resolved && !slices.Contains(tags[k.Kind], n.Tag) {
		want := expected[k.Kind]
		if k.Kind == kindEnum {
			want = "one of " + strings.Join(k.Enum, ", ")
		}
		quote := ""
		if k.Kind == kindString && n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
			quote = "; put it into quotes"
		}
		what := found(n)
		if k.Unit == "secret" && n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
			what = "a value that is not text" // not quoted: it is the secret
		}
		r.fail(n, path, "expected %s, found %s%s", want, what, quote)
		return nil, false
	}
	v, err := k.parse(text)
	if err != nil {
		r.fail(n, path, "%v", hideSecret(err, resolved))
		return nil, false
	}
	return v, true
}

// hideSecret keeps a value that came from a variable or a file out of the
// error about it.
func hideSecret(err error, resolved bool) error {
	if resolved {
		return errors.New("the value filled in does not have the right form")
	}
	return err
}

// found describes a node in an error.
func found(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys"
	case yaml.SequenceNode:
		return "a list"
	}
	value := n.Value
	if len(value) > 40 {
		value = strings.ToValidUTF8(value[:40], "") + "…"
	}
	switch n.Tag {
	case "!!null":
		return "nothing"
	case "!!int", "!!float":
		return "the number " + value
	case "!!timestamp":
		return "the date " + value
	case "!!str", "!!bool":
		return strconv.Quote(value)
	}
	return "a value of type " + n.Tag
}
