package plugintest

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

const (
	maxFile  = 1 << 20  // bytes of a file of fixtures; as of the custom section
	maxWork  = 16 << 20 // bytes of nodes visited: aliases may name one node many times
	maxDepth = 128      // nested lists and objects

	maxRaw  = 8 << 20  // bytes of one text that is written as a repetition
	maxRaws = 32 << 20 // and of all in a file: a module that carries fixtures is not trusted
)

// decoder reads YAML nodes and remembers what is wrong with them, so that one
// look at a file shows all its faults. It stops at maxErrors.
type decoder struct {
	file string
	errs Errors
	work int
	raws int64 // bytes of repetitions
}

func (d *decoder) fail(n *yaml.Node, format string, args ...any) {
	if len(d.errs) < maxErrors {
		d.errs = append(d.errs, &Error{File: d.file, Line: n.Line, Text: fmt.Sprintf(format, args...)})
	}
}

// err is nil if nothing is wrong.
func (d *decoder) err() error {
	if len(d.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(d.errs, func(a, b *Error) int { return a.Line - b.Line })
	return d.errs
}

// enter follows an alias and bounds the work; nil: stop here.
func (d *decoder) enter(n *yaml.Node) *yaml.Node {
	at := n
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	before := d.work
	d.work += 16 + len(n.Value)
	if d.work > maxWork {
		if before <= maxWork {
			d.fail(at, "the file becomes too large once its aliases are filled in")
		}
		return nil
	}
	return n
}

// document parses text into its one document's value; nil: it has none, or
// something is wrong.
func (d *decoder) document(text []byte) *yaml.Node {
	top := &yaml.Node{Line: 0}
	switch {
	case len(text) > maxFile:
		d.fail(top, "it has more than 1 MiB; split it")
		return nil
	case !utf8.Valid(text):
		d.fail(top, "it is not UTF-8 text")
		return nil
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	if err := decoder.Decode(&doc); errors.Is(err, io.EOF) || err == nil && len(doc.Content) == 0 {
		d.fail(top, "it is empty; write at least plugin: and tests:")
		return nil
	} else if err != nil {
		d.syntax(text, err)
		return nil
	}
	if err := decoder.Decode(&second); err == nil {
		d.fail(&second, "a second document starts here; remove the line ---")
		return nil
	} else if !errors.Is(err, io.EOF) {
		d.syntax(text, err)
		return nil
	}
	return doc.Content[0]
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

// syntax takes the line out of the parser's message, and names the most common
// mistake.
func (d *decoder) syntax(text []byte, err error) {
	m := yamlLine.FindStringSubmatch(err.Error())
	line, _ := strconv.Atoi(m[1])
	lines := bytes.Split(text, []byte("\n"))
	for _, n := range []int{line, line + 1} { // the parser counts some errors from the line before
		if n < 1 || n > len(lines) {
			continue
		}
		indent := lines[n-1][:len(lines[n-1])-len(bytes.TrimLeft(lines[n-1], " \t-"))]
		if bytes.ContainsRune(indent, '\t') {
			d.fail(&yaml.Node{Line: n}, "the line is indented with a tab; YAML wants spaces")
			return
		}
	}
	d.fail(&yaml.Node{Line: line}, "not valid YAML: %s", strings.TrimPrefix(err.Error(), m[0]))
}

// field is one key of a mapping.
type field struct {
	name string
	read func(key, value *yaml.Node)
}

// value is a field whose key's place does not matter.
func value(name string, read func(n *yaml.Node)) field {
	return field{name, func(_, n *yaml.Node) { read(n) }}
}

// mapping reads a mapping with the given keys, each at most once. Nothing in
// place of it is an empty one.
func (d *decoder) mapping(n *yaml.Node, what string, fields ...field) {
	if n = d.enter(n); n == nil || isNull(n) {
		return
	}
	if n.Kind != yaml.MappingNode {
		d.fail(n, "%s: expected keys, found %s", what, found(n))
		return
	}
	d.pairs(n, what, func(key, v *yaml.Node) {
		for _, f := range fields {
			if f.name == key.Value {
				f.read(key, v)
				return
			}
		}
		names := make([]string, len(fields))
		for i := range fields {
			names[i] = fields[i].name
		}
		if near := nearest(key.Value, names); near != "" {
			d.fail(key, "%s: unknown key %s; did you mean %s?", what, key.Value, near)
			return
		}
		d.fail(key, "%s: unknown key %s; there are %s", what, key.Value, strings.Join(names, ", "))
	})
}

// pairs calls f for each key of a mapping, once.
func (d *decoder) pairs(n *yaml.Node, what string, f func(key, value *yaml.Node)) {
	lines := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := d.enter(n.Content[i])
		switch {
		case key == nil:
			return
		case key.Kind != yaml.ScalarNode:
			d.fail(n.Content[i], "%s: a key must be a word, found %s", what, found(key))
		case key.Tag == "!!merge":
			d.fail(key, "%s: << is not supported; write the keys out", what)
		case lines[key.Value] != 0:
			d.fail(key, "%s: the key %s stands twice; it is first in line %d", what, key.Value, lines[key.Value])
		default:
			lines[key.Value] = key.Line
			f(key, n.Content[i+1])
		}
	}
}

// list calls f for each entry of a list.
func (d *decoder) list(n *yaml.Node, what string, f func(i int, n *yaml.Node)) {
	if n = d.enter(n); n == nil || isNull(n) {
		return
	}
	if n.Kind != yaml.SequenceNode {
		d.fail(n, "%s: expected a list, found %s", what, found(n))
		return
	}
	for i, item := range n.Content {
		f(i, item)
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// scalar is the text of a node of one of the YAML types.
func (d *decoder) scalar(n *yaml.Node, what, want string, tags ...string) (string, bool) {
	if n = d.enter(n); n == nil {
		return "", false
	}
	if n.Kind == yaml.ScalarNode && slices.Contains(tags, n.Tag) {
		return n.Value, true
	}
	hint := ""
	if n.Kind == yaml.ScalarNode && !isNull(n) && slices.Equal(tags, textTags) {
		hint = "; put it into quotes"
	}
	d.fail(n, "%s: expected %s, found %s%s", what, want, found(n), hint)
	return "", false
}

var textTags = []string{"!!str"}

func (d *decoder) text(n *yaml.Node, what string) string {
	s, _ := d.scalar(n, what, "text", textTags...)
	return s
}

func (d *decoder) texts(n *yaml.Node, what string) []string {
	out := []string{}
	d.list(n, what, func(_ int, n *yaml.Node) { out = append(out, d.text(n, what)) })
	return out
}

func (d *decoder) word(n *yaml.Node, what string, words ...string) string {
	s, ok := d.scalar(n, what, "one of "+strings.Join(words, ", "), textTags...)
	if !ok || slices.Contains(words, s) {
		return s
	}
	if near := nearest(s, words); near != "" {
		d.fail(n, "%s: %q does not exist; did you mean %s?", what, s, near)
		return ""
	}
	d.fail(n, "%s: %q does not exist; there are %s", what, s, strings.Join(words, ", "))
	return ""
}

func (d *decoder) boolean(n *yaml.Node, what string) bool {
	s, _ := d.scalar(n, what, "true or false", "!!bool")
	return strings.EqualFold(s, "true")
}

// integer reads a whole number of the range.
func (d *decoder) integer(n *yaml.Node, what string, least, most int64) int64 {
	s, ok := d.scalar(n, what, "a whole number", "!!int")
	if !ok {
		return 0
	}
	v, err := strconv.ParseInt(s, 0, 64)
	if err != nil || v < least || v > most {
		d.fail(n, "%s: %s is out of range; it can be from %d to %d", what, s, least, most)
		return 0
	}
	return v
}

// unsigned reads a number of 64 bits.
func (d *decoder) unsigned(n *yaml.Node, what string) uint64 {
	s, ok := d.scalar(n, what, "a whole number", "!!int")
	if !ok {
		return 0
	}
	v, err := strconv.ParseUint(s, 0, 64)
	if err != nil {
		d.fail(n, "%s: %s is out of range; it can be from 0 to %d", what, s, uint64(math.MaxUint64))
	}
	return v
}

// size reads a number of bytes: a whole number with B, KiB, MiB or GiB, or
// without a unit.
func (d *decoder) size(n *yaml.Node, what string) int64 {
	s, ok := d.scalar(n, what, "a size, as in 64KiB", "!!str", "!!int")
	if !ok {
		return 0
	}
	digits, factor := s, int64(1)
	for _, u := range []struct {
		suffix string
		bytes  int64
	}{{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"B", 1}} {
		if rest, ok := strings.CutSuffix(s, u.suffix); ok {
			digits, factor = strings.TrimSpace(rest), u.bytes
			break
		}
	}
	v, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || int64(v) > math.MaxInt64/factor {
		d.fail(n, "%s: %q is not a size; write a whole number with B, KiB, MiB or GiB, as in 64KiB", what, s)
		return 0
	}
	return int64(v) * factor
}

// duration reads a time as Go writes it, without a sign.
func (d *decoder) duration(n *yaml.Node, what string) time.Duration {
	s, ok := d.scalar(n, what, "a time, as in 5s", "!!str", "!!int")
	if !ok {
		return 0
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		d.fail(n, "%s: %q is not a time; write a number with ms, s, m or h, as in 5ms", what, s)
		return 0
	}
	return v
}

// moment reads a time of day, as in 2026-01-02T03:04:05Z.
func (d *decoder) moment(n *yaml.Node, what string) time.Time {
	s, ok := d.scalar(n, what, "a time, as in 2026-01-02T03:04:05Z", "!!timestamp", "!!str")
	if !ok {
		return time.Time{}
	}
	v, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || v.UnixNano() < 0 || v.Year() > 2200 {
		d.fail(n, "%s: %q is not a time between 1970 and 2200; write it as in 2026-01-02T03:04:05Z", what, s)
		return time.Time{}
	}
	return v
}

// raw reads exact bytes: text, !!binary with base64, or a mapping
// {before, repeat, times, after}, for long ones.
func (d *decoder) raw(n *yaml.Node, what string) []byte {
	if n = d.enter(n); n == nil {
		return nil
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!binary" {
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(n.Value), ""))
		if err != nil {
			d.fail(n, "%s: what stands after !!binary is not base64", what)
		}
		return b
	}
	if n.Kind != yaml.MappingNode {
		return []byte(d.text(n, what))
	}
	var before, repeat, after string
	var times int64
	d.mapping(n, what,
		value("before", func(n *yaml.Node) { before = d.text(n, what+".before") }),
		value("repeat", func(n *yaml.Node) { repeat = d.text(n, what+".repeat") }),
		value("times", func(n *yaml.Node) { times = d.integer(n, what+".times", 0, 8<<20) }),
		value("after", func(n *yaml.Node) { after = d.text(n, what+".after") }))
	if int64(len(repeat))*times > maxRaw {
		d.fail(n, "%s: %d times %d bytes are more than 8 MiB", what, times, len(repeat))
		return nil
	}
	if d.raws += int64(len(repeat)) * times; d.raws > maxRaws {
		d.fail(n, "%s: all repetitions of the file are together more than 32 MiB; split the file", what)
		return nil
	}
	return []byte(before + strings.Repeat(repeat, int(times)) + after)
}

// found describes a node in an error.
func found(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys"
	case yaml.SequenceNode:
		return "a list"
	}
	v := n.Value
	if len(v) > 40 {
		v = strings.ToValidUTF8(v[:40], "") + "…"
	}
	switch n.Tag {
	case "!!null":
		return "nothing"
	case "!!int", "!!float":
		return "the number " + v
	case "!!timestamp":
		return "the date " + v
	case "!!str", "!!bool":
		return strconv.Quote(v)
	}
	return "a value of type " + n.Tag
}
