package plugintest

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// schemaGenerator makes values that a JSON Schema mostly allows, and that lie at
// the edges of what it does.
type schemaGenerator struct {
	g    *generator
	root any
	work int
}

func (s *schemaGenerator) value(schema any, depth int) string {
	o, ok := schema.(map[string]any)
	if s.work++; !ok || depth <= 0 || s.work > 2000 || s.g.chance(4) {
		return s.g.value(2)
	}
	if ref, ok := o["$ref"].(string); ok {
		return s.value(s.resolve(ref), depth-1)
	}
	if v, ok := o["const"]; ok {
		return encoded(v)
	}
	if list, ok := o["enum"].([]any); ok && len(list) > 0 {
		return encoded(pick(s.g, list))
	}
	for _, key := range []string{"anyOf", "oneOf"} {
		if list, ok := o[key].([]any); ok && len(list) > 0 {
			if m, ok := pick(s.g, list).(map[string]any); ok && (m["type"] != nil || m["$ref"] != nil) {
				return s.value(m, depth-1)
			}
		}
	}
	switch s.typeOf(o) {
	case "object":
		return s.object(o, depth)
	case "array":
		var parts []string
		for range s.count(o, "minItems", "maxItems", 4) {
			parts = append(parts, s.value(o["items"], depth-1))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case "string":
		return s.text(o)
	case "integer", "number":
		return s.number(o)
	case "boolean":
		return pick(s.g, []string{"true", "false"})
	case "null":
		return "null"
	}
	return s.g.value(2)
}

func (s *schemaGenerator) typeOf(o map[string]any) string {
	switch t := o["type"].(type) {
	case string:
		return t
	case []any:
		if len(t) > 0 {
			word, _ := pick(s.g, t).(string)
			return word
		}
	}
	switch {
	case o["properties"] != nil:
		return "object"
	case o["items"] != nil:
		return "array"
	}
	return ""
}

func encoded(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return "null"
	}
	return string(b)
}

// resolve follows a reference within the schema.
func (s *schemaGenerator) resolve(ref string) any {
	at := s.root
	path, ok := strings.CutPrefix(ref, "#")
	if !ok {
		return nil
	}
	for _, name := range strings.Split(strings.TrimPrefix(path, "/"), "/") {
		if name == "" {
			continue
		}
		m, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(name)]
	}
	return at
}

func (s *schemaGenerator) object(o map[string]any, depth int) string {
	properties, _ := o["properties"].(map[string]any)
	required, _ := o["required"].([]any)
	names := make([]string, 0, len(properties))
	for name := range properties {
		names = append(names, name)
	}
	slices.Sort(names) // the same for the same seed
	var parts []string
	for _, name := range names {
		share := 50
		if slices.Contains(required, any(name)) {
			share = 95
		}
		if s.g.chance(share) {
			parts = append(parts, encoded(name)+":"+s.value(properties[name], depth-1))
		}
	}
	if extra, ok := o["additionalProperties"].(map[string]any); ok {
		for range s.g.r.IntN(3) {
			parts = append(parts, s.g.quoted()+":"+s.value(extra, depth-1))
		}
	} else if s.g.chance(5) {
		parts = append(parts, s.g.quoted()+":"+s.g.value(2))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// count is a number between two bounds of the schema, often one of them.
func (s *schemaGenerator) count(o map[string]any, least, most string, usual int) int {
	low, high := 0, usual
	if n, err := strconv.Atoi(numberText(o[least])); err == nil {
		low, high = n, max(high, n)
	}
	if n, err := strconv.Atoi(numberText(o[most])); err == nil && (n <= 200 || s.g.chance(10)) {
		high = max(low, min(n, 5000))
	}
	switch s.g.r.IntN(4) {
	case 0:
		return low
	case 1:
		return high
	}
	return low + s.g.r.IntN(high-low+1)
}

func numberText(v any) string {
	n, _ := v.(json.Number)
	return n.String()
}

func (s *schemaGenerator) text(o map[string]any) string {
	n := s.count(o, "minLength", "maxLength", 12)
	text := []rune(s.g.text())
	for len(text) < n {
		text = append(text, 'x')
	}
	if o["maxLength"] != nil && len(text) > n {
		text = text[:n]
	}
	return encoded(string(text))
}

func (s *schemaGenerator) number(o map[string]any) string {
	var edges []string
	for _, key := range []string{"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "default"} {
		if n := numberText(o[key]); n != "" {
			edges = append(edges, n)
		}
	}
	if len(edges) > 0 && s.g.chance(60) {
		return pick(s.g, edges)
	}
	if s.g.chance(50) {
		return strconv.Itoa(1 + s.g.r.IntN(100))
	}
	return pick(s.g, oddNumbers)
}
