package plugins

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// properties are the keys of a configuration at its top level, the required ones
// first. text is the schema as it stands in the module.
func (c *configSchema) properties(text []byte) []Property {
	if c == nil {
		return nil
	}
	s := follow(c.root)
	var written struct {
		Properties map[string]struct {
			Default     json.RawMessage `json:"default"`
			Description string          `json:"description"`
		} `json:"properties"`
	}
	_ = json.Unmarshal(text, &written) // what is not an object there has no default either
	var out []Property
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		property := s.Properties[name]
		one := Property{
			Name: name, Type: schemaType(property, 0), Required: slices.Contains(s.Required, name),
			Default: written.Properties[name].Default, Description: written.Properties[name].Description,
		}
		if one.Description == "" {
			one.Description = follow(property).Description
		}
		out = append(out, one)
	}
	slices.SortStableFunc(out, func(a, b Property) int {
		switch {
		case a.Required == b.Required:
			return 0
		case a.Required:
			return -1
		}
		return 1
	})
	return out
}

// follow goes along references that stand alone in a schema.
func follow(s *jsonschema.Schema) *jsonschema.Schema {
	for range 8 {
		if s.Ref == nil || s.Types != nil || len(s.Properties) > 0 {
			return s
		}
		s = s.Ref
	}
	return s
}

// schemaType says in words what a schema asks for.
func schemaType(s *jsonschema.Schema, depth int) string {
	s = follow(s)
	if s.Enum != nil {
		return "one of " + quotedList(s.Enum.Values)
	}
	if s.Const != nil {
		return quotedList([]any{*s.Const})
	}
	if s.Types != nil && !s.Types.IsEmpty() {
		words := typeNames(s.Types.ToStrings())
		if items, ok := s.Items2020, s.Items2020 != nil; ok && depth < 2 && len(words) == 1 && words[0] == "a list" {
			return "a list, each " + schemaType(items, depth+1)
		}
		return orList(words)
	}
	if depth >= 2 { // a schema may refer to itself, or have 2^60 ways through it
		return "anything"
	}
	var words []string
	for _, alternative := range slices.Concat(s.AnyOf, s.OneOf) {
		if word := schemaType(alternative, depth+1); !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	if len(words) > 0 {
		return strings.Join(words, ", or ")
	}
	return "anything"
}
