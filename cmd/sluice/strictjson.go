package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"go.yaml.in/yaml/v3"
)

// object reads a free-form mapping as JSON, its keys in their order.
func (r *strictReader) object(n *yaml.Node, path string, depth int) (any, bool) {
	if n.Tag == "!!null" {
		return json.RawMessage(nil), true
	}
	if n.Kind != yaml.MappingNode {
		r.fail(n, path, "expected keys, found %s", found(n))
		return nil, false
	}
	var out bytes.Buffer
	before := len(r.errs)
	r.json(&out, n, path, depth)
	return json.RawMessage(out.Bytes()), len(r.errs) == before
}

// json appends a node, already entered, as JSON.
func (r *strictReader) json(out *bytes.Buffer, n *yaml.Node, path string, depth int) {
	switch n.Kind {
	case yaml.MappingNode:
		out.WriteByte('{')
		separator := ""
		r.pairs(n, path, depth, func(name string, keyNode, value *yaml.Node) {
			r.places[join(path, name)] = place{File: r.file, Line: keyNode.Line}
			out.WriteString(separator)
			separator = ","
			writeJSON(out, name)
			out.WriteByte(':')
			if value = r.enter(value, join(path, name), depth+1); value != nil {
				r.json(out, value, join(path, name), depth+1)
			}
		})
		out.WriteByte('}')
	case yaml.SequenceNode:
		out.WriteByte('[')
		for i, item := range n.Content {
			if i > 0 {
				out.WriteByte(',')
			}
			itemPath := fmt.Sprintf("%s[%d]", path, i)
			r.places[itemPath] = place{File: r.file, Line: item.Line}
			if item = r.enter(item, itemPath, depth+1); item == nil {
				return
			}
			r.json(out, item, itemPath, depth+1)
		}
		out.WriteByte(']')
	default:
		r.jsonScalar(out, n, path)
	}
}

func (r *strictReader) jsonScalar(out *bytes.Buffer, n *yaml.Node, path string) {
	switch n.Tag {
	case "!!null":
		out.WriteString("null")
	case "!!bool":
		writeJSON(out, strings.EqualFold(n.Value, "true"))
	case "!!int":
		var i int64
		var u uint64
		if n.Decode(&i) == nil {
			writeJSON(out, i)
		} else if n.Decode(&u) == nil {
			writeJSON(out, u)
		} else {
			r.fail(n, path, "%.40s does not fit into 64 bits", n.Value)
		}
	case "!!float":
		var f float64
		if err := n.Decode(&f); err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			r.fail(n, path, "%.40s is not a number that JSON has", n.Value)
			return
		}
		writeJSON(out, f)
	case "!!str", "!!timestamp":
		text, resolved, err := r.secrets.resolveConfig(n.Value, r.dir)
		if err != nil {
			r.fail(n, path, "%v", err)
			return
		}
		if resolved {
			r.secrets.filled = append(r.secrets.filled, path)
		}
		if r.work += len(text); r.work > maxConfigWork {
			r.enter(n, path, 0)
			return
		}
		writeJSON(out, text)
	default:
		r.fail(n, path, "expected text, a number, true, false, a list or keys, found %s", found(n))
	}
}

// writeJSON appends a value that always has a JSON form.
func writeJSON(out *bytes.Buffer, v any) {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic("cmd/sluice: " + err.Error())
	}
	out.Truncate(out.Len() - 1) // the encoder's newline
}
