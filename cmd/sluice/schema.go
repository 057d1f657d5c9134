package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"
)

// kind is the type of a key's value.
type kind string

const (
	kindBool     kind = "bool"
	kindInt      kind = "int"
	kindRate     kind = "number"
	kindString   kind = "string"
	kindEnum     kind = "word"
	kindSize     kind = "size"
	kindPercent  kind = "percentage"
	kindDuration kind = "time"
	kindStrings  kind = "list of strings"
	kindObject   kind = "object"  // free-form, kept as JSON
	kindSection  kind = "section" // keys of its own
	kindList     kind = "list"    // of sections
)

// key is one key of the configuration, read from the tags of Config.
type key struct {
	Name     string // the last part of Path
	Path     string // limits.frame; keys of a list's entries as rooms[].match
	Kind     kind
	Default  string // as in YAML
	Unit     string
	Enum     []string
	Doc      string
	Required bool
	Reload   bool
	Children []*key // of a section, or of each entry of a list
}

// schema is the tree of all keys.
var schema = &key{Kind: kindSection, Children: keysOf(reflect.TypeFor[Config](), "")}

// squashed marks a struct whose keys are those of the struct that it is in.
const squashed = ",squash"

func keysOf(t reflect.Type, prefix string) []*key {
	var keys []*key
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("koanf")
		switch name {
		case "-":
			continue
		case squashed:
			keys = append(keys, keysOf(f.Type, prefix)...)
			continue
		}
		k := &key{
			Name: name, Path: prefix + name,
			Default: f.Tag.Get("default"), Unit: f.Tag.Get("unit"), Doc: f.Tag.Get("doc"),
			Required: f.Tag.Get("required") == "yes", Reload: f.Tag.Get("reload") == "yes",
		}
		k.Kind = kindOf(f.Type)
		switch k.Kind {
		case kindString:
			if enum := f.Tag.Get("enum"); enum != "" {
				k.Kind, k.Enum = kindEnum, strings.Split(enum, ",")
			}
		case kindBool:
			if k.Default == "" {
				k.Default = "false"
			}
		case kindSection:
			k.Children = keysOf(f.Type, k.Path+".")
		case kindList:
			k.Children = keysOf(f.Type.Elem(), k.Path+"[].")
		}
		keys = append(keys, k)
	}
	return keys
}

func kindOf(t reflect.Type) kind {
	switch {
	case t == reflect.TypeFor[Size]():
		return kindSize
	case t == reflect.TypeFor[Percent]():
		return kindPercent
	case t == reflect.TypeFor[time.Duration]():
		return kindDuration
	case t == reflect.TypeFor[json.RawMessage]():
		return kindObject
	case t == reflect.TypeFor[[]string]():
		return kindStrings
	case t.Kind() == reflect.Slice:
		return kindList
	case t.Kind() == reflect.Struct:
		return kindSection
	case t.Kind() == reflect.Bool:
		return kindBool
	case t.Kind() == reflect.Int:
		return kindInt
	case t.Kind() == reflect.Float64:
		return kindRate
	case t.Kind() == reflect.String:
		return kindString
	}
	panic("cmd/sluice: no configuration has type " + t.String())
}

// child is the key of that name in a section or in a list's entries.
func (k *key) child(name string) *key {
	for _, c := range k.Children {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// walk calls f for every key with a value, those of list entries included.
func (k *key) walk(f func(*key)) {
	for _, c := range k.Children {
		if c.Kind != kindSection && c.Kind != kindList {
			f(c)
		}
		c.walk(f)
	}
}

// leaves are the keys that a variable or a flag can set: all with a value that
// are not in a list's entries.
func leaves() []*key {
	var keys []*key
	schema.walk(func(k *key) {
		if !strings.Contains(k.Path, "[]") {
			keys = append(keys, k)
		}
	})
	return keys
}

// fixed are the keys that cannot change while the node runs: those with a value,
// and lists as a whole.
func fixed() []*key {
	var keys []*key
	var visit func(section *key)
	visit = func(section *key) {
		for _, k := range section.Children {
			switch {
			case k.Kind == kindSection:
				visit(k)
			case k.Kind == kindList && !k.changeable(), k.Kind != kindList && !k.Reload:
				keys = append(keys, k)
			}
		}
	}
	visit(schema)
	return keys
}

// changeable reports whether the entries of a list can change.
func (k *key) changeable() bool {
	for _, c := range k.Children {
		if c.Kind == kindSection || c.Kind == kindList {
			if !c.changeable() {
				return false
			}
		} else if !c.Reload {
			return false
		}
	}
	return true
}

// envName is the variable of a key: limits.rooms_per_connection is
// SLUICE_LIMITS_ROOMS_PER_CONNECTION.
func (k *key) envName() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.Path, ".", "_"))
}

// flagName is the flag of a key: limits.rooms_per_connection is
// --limits-rooms-per-connection.
func (k *key) flagName() string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(k.Path)
}

// parse reads a value from text. A list is separated by commas.
func (k *key) parse(text string) (any, error) {
	switch k.Kind {
	case kindBool:
		return parseBool(text)
	case kindInt:
		return parseInt(text)
	case kindRate:
		return parseRate(text)
	case kindSize:
		return parseSize(text)
	case kindPercent:
		return parsePercent(text)
	case kindDuration:
		return parseDuration(text)
	case kindEnum:
		if slices.Contains(k.Enum, text) {
			return text, nil
		}
		return nil, k.wordError(text)
	case kindStrings:
		return splitList(text), nil
	case kindString:
		return text, nil
	}
	panic("cmd/sluice: " + k.Path + " has no text form")
}

func (k *key) wordError(text string) error {
	if near := nearest(text, k.Enum); near != "" {
		return fmt.Errorf("%q is not one of %s; did you mean %s?", text, strings.Join(k.Enum, ", "), near)
	}
	return fmt.Errorf("%q is not one of %s", text, strings.Join(k.Enum, ", "))
}

// defaults are the defaults of a section as a map for koanf. A list is empty;
// its entries take theirs when they are read.
func (k *key) defaults() map[string]any {
	m := make(map[string]any, len(k.Children))
	for _, c := range k.Children {
		switch c.Kind {
		case kindSection:
			m[c.Name] = c.defaults()
		case kindList:
			m[c.Name] = []any{}
		case kindObject:
			m[c.Name] = json.RawMessage(nil)
		default:
			text := c.Default
			if text == "" && (c.Kind == kindInt || c.Kind == kindRate) {
				text = "0"
			}
			v, err := c.parse(text)
			if err != nil {
				panic("cmd/sluice: default of " + c.Path + ": " + err.Error())
			}
			m[c.Name] = v
		}
	}
	return m
}

// splitList reads "a, b" as two items and "" as none.
func splitList(text string) []string {
	items := []string{}
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
