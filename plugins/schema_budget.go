package plugins

import (
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// budget bounds the work of a validation before it is done: the library has no
// bound of its own, and a schema of a few lines can ask for 2^60 steps. It walks
// the way that the validation will at most take, and gives up in time.
type budget struct {
	steps int
}

func (b *budget) take(n int) bool {
	b.steps -= n
	return b.steps >= 0
}

// spend takes what applying a schema to a value may cost. false: too much.
func (b *budget) spend(s *jsonschema.Schema, value any) bool {
	return s == nil || b.apply(s, value, 0)
}

// maxApplied is how many schemas may apply to one value within each other. A
// longer way is a cycle of references, on which the library stops by itself, or
// close to one.
const maxApplied = 256

func (b *budget) apply(s *jsonschema.Schema, value any, applied int) bool {
	if s == nil {
		return true
	}
	n := 1
	switch value := value.(type) { // some applications look through all of it
	case []any:
		n += len(value) / 8
	case map[string]any:
		n += len(value) / 8
	}
	if applied > maxApplied || !b.take(n) {
		return false
	}
	if s.Const != nil || s.Enum != nil {
		n := 1
		if s.Enum != nil {
			n = len(s.Enum.Values)
		}
		if !b.take(n * (1 + weight(value)/16)) {
			return false
		}
	}
	ok := true
	here := func(sub *jsonschema.Schema) { ok = ok && b.apply(sub, value, applied+1) }
	for _, sub := range []*jsonschema.Schema{s.Ref, s.Not, s.If, s.Then, s.Else} {
		here(sub)
	}
	for _, list := range [][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf} {
		for _, sub := range list {
			here(sub)
		}
	}
	for _, sub := range s.DependentSchemas {
		here(sub)
	}
	for _, sub := range s.Dependencies {
		if sub, is := sub.(*jsonschema.Schema); is {
			here(sub)
		}
	}
	if !ok {
		return false
	}
	switch value := value.(type) {
	case string:
		return b.match(s.Pattern, value)
	case []any:
		return b.items(s, value)
	case map[string]any:
		return b.properties(s, value)
	}
	return true
}

// match takes what a pattern may cost: Go's are linear in text and expression.
func (b *budget) match(p jsonschema.Regexp, text string) bool {
	own, ok := p.(pattern)
	return !ok || b.take(1+len(text)*(16+own.size)/64)
}

func (b *budget) items(s *jsonschema.Schema, list []any) bool {
	if s.UniqueItems && !b.take(4*weight(list)) {
		return false
	}
	for i, item := range list {
		ok := b.apply(s.Contains, item, 0) && b.apply(s.UnevaluatedItems, item, 0)
		if i < len(s.PrefixItems) {
			ok = ok && b.apply(s.PrefixItems[i], item, 0)
		} else {
			ok = ok && b.apply(s.Items2020, item, 0)
		}
		switch items := s.Items.(type) { // of drafts before 2020-12
		case *jsonschema.Schema:
			ok = ok && b.apply(items, item, 0)
		case []*jsonschema.Schema:
			if i < len(items) {
				ok = ok && b.apply(items[i], item, 0)
			}
		}
		if additional, is := s.AdditionalItems.(*jsonschema.Schema); is {
			ok = ok && b.apply(additional, item, 0)
		}
		if !ok {
			return false
		}
	}
	return true
}

func (b *budget) properties(s *jsonschema.Schema, object map[string]any) bool {
	if !b.take(len(s.Required) + len(s.DependentRequired) + len(s.DependentSchemas)) {
		return false
	}
	for name, item := range object {
		ok := b.take(1) && b.apply(s.PropertyNames, name, 0) && b.apply(s.UnevaluatedProperties, item, 0) && b.apply(s.Properties[name], item, 0)
		for p, sub := range s.PatternProperties {
			ok = ok && b.match(p, name) && b.apply(sub, item, 0)
		}
		if additional, is := s.AdditionalProperties.(*jsonschema.Schema); is {
			ok = ok && b.apply(additional, item, 0)
		}
		if !ok {
			return false
		}
	}
	return true
}

// weight is about how many values and bytes there are in a value.
func weight(value any) int {
	switch value := value.(type) {
	case string:
		return 1 + len(value)/16
	case []any:
		n := 1
		for _, item := range value {
			n += weight(item)
		}
		return n
	case map[string]any:
		n := 1
		for name, item := range value {
			n += 1 + len(name)/16 + weight(item)
		}
		return n
	}
	return 1
}
