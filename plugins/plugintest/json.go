package plugintest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"sluice/router/wire"
)

// json is the JSON that a YAML value stands for, compact and in the order of
// the file. Dates are the text that is written.
func (d *decoder) json(n *yaml.Node, what string) []byte {
	var out bytes.Buffer
	if !d.appendJSON(&out, n, what, 0) {
		return nil
	}
	return out.Bytes()
}

func (d *decoder) appendJSON(out *bytes.Buffer, n *yaml.Node, what string, depth int) bool {
	at := n
	if n = d.enter(n); n == nil {
		return false
	}
	if depth > maxDepth {
		d.fail(at, "%s: nested more than %d deep", what, maxDepth)
		return false
	}
	ok := true
	switch n.Kind {
	case yaml.MappingNode:
		out.WriteByte('{')
		first := true
		d.pairs(n, what, func(key, v *yaml.Node) {
			if !first {
				out.WriteByte(',')
			}
			first = false
			appendJSONString(out, key.Value)
			out.WriteByte(':')
			ok = ok && d.appendJSON(out, v, what, depth+1)
		})
		out.WriteByte('}')
	case yaml.SequenceNode:
		out.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				out.WriteByte(',')
			}
			ok = ok && d.appendJSON(out, item, what, depth+1)
		}
		out.WriteByte(']')
	default:
		ok = d.appendScalar(out, n, what)
	}
	return ok
}

func (d *decoder) appendScalar(out *bytes.Buffer, n *yaml.Node, what string) bool {
	switch n.Tag {
	case "!!str", "!!timestamp":
		appendJSONString(out, n.Value)
	case "!!null":
		out.WriteString("null")
	case "!!bool":
		out.WriteString(strings.ToLower(n.Value))
	case "!!int", "!!float":
		if wire.CheckJSON([]byte(n.Value)) == "" {
			out.WriteString(n.Value) // as it is written
			return true
		}
		var v any
		if err := n.Decode(&v); err != nil {
			d.fail(n, "%s: %s is no number of JSON", what, n.Value)
			return false
		}
		b, err := json.Marshal(v)
		if err != nil {
			d.fail(n, "%s: %s is no number of JSON", what, n.Value)
			return false
		}
		out.Write(b)
	default:
		d.fail(n, "%s: a value of type %s has no form in JSON", what, n.Tag)
		return false
	}
	return true
}

func appendJSONString(out *bytes.Buffer, s string) {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	_ = e.Encode(s)             // text always encodes
	out.Truncate(out.Len() - 1) // the newline
}

// parseJSON reads one JSON value, numbers as they are written.
func parseJSON(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the value")
	}
	return v, nil
}

// sameJSON compares JSON values: the order of keys, white space, escapes and
// the notation of numbers do not matter.
func sameJSON(a, b []byte) bool {
	if bytes.Equal(a, b) {
		return true
	}
	x, errX := parseJSON(a)
	y, errY := parseJSON(b)
	return errX == nil && errY == nil && equal(x, y)
}

func equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for k, v := range a {
			if w, ok := b[k]; !ok || !equal(v, w) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		for i := range a {
			if !equal(a[i], b[i]) {
				return false
			}
		}
		return true
	case json.Number:
		b, ok := b.(json.Number)
		return ok && sameNumber(a.String(), b.String())
	}
	return a == b
}

// sameNumber compares exactly where that is cheap: an exponent may be enormous.
func sameNumber(a, b string) bool {
	if a == b {
		return true
	}
	for _, s := range []string{a, b} {
		if i := strings.IndexAny(s, "eE"); i >= 0 {
			if e, err := strconv.Atoi(s[i+1:]); err != nil || e < -400 || e > 400 {
				return false
			}
		}
	}
	x, okX := new(big.Rat).SetString(a)
	y, okY := new(big.Rat).SetString(b)
	return okX && okY && x.Cmp(y) == 0
}

// indented is JSON with sorted keys, a value a line, for comparisons by eye.
func indented(b []byte) []byte {
	v, err := parseJSON(b)
	if err != nil {
		return append(bytes.Clone(b), '\n')
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if e.Encode(v) != nil {
		return append(bytes.Clone(b), '\n')
	}
	return out.Bytes()
}
