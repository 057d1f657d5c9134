package plugins

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	schemakind "github.com/santhosh-tekuri/jsonschema/v6/kind"
)

// RefusedBySchema stands in LoadError.Cause before the place in the filter's
// configuration that its schema refuses. What follows never quotes a value of
// the configuration, which may be a secret.
const RefusedBySchema = "its schema refuses "

const (
	maxViolations   = 10  // reported of one configuration
	maxAlternatives = 3   // named of an anyOf
	maxQuoted       = 200 // bytes quoted of a schema
)

// violation is one thing that a schema refuses.
type violation struct {
	pointer string // JSON pointer into the configuration
	text    string // what follows "it"

	key, schemaAt string // of an unknown key: its name, and the URL of the schema that does not have it
}

// schemaErrors is why a schema refuses a configuration.
type schemaErrors struct {
	all    []violation
	value  any // the configuration
	schema any // the schema's document
}

func (e schemaErrors) Error() string {
	return e.cause(e.all[0])
}

func (e schemaErrors) cause(v violation) string {
	cause := RefusedBySchema + configPath(e.value, v.pointer) + ": it " + v.text
	if v.schemaAt != "" {
		cause += meant(e.schema, v.schemaAt, v.key)
	}
	return cause
}

// loadErrors are the errors of one filter, one for each place.
func (e schemaErrors) loadErrors(spec Spec) []error {
	var errs []error
	for i, v := range e.all {
		cause := e.cause(v)
		if i == maxViolations-1 && len(e.all) > maxViolations {
			cause += fmt.Sprintf(" (and %d more)", len(e.all)-maxViolations)
		}
		if i == maxViolations {
			break
		}
		errs = append(errs, &LoadError{Filter: spec.Name, File: spec.file(), Cause: cause, Pointer: v.pointer})
	}
	return errs
}

// ConfigPath writes a JSON pointer into a filter's configuration as it is
// written in YAML: /words/3 is config.words[3].
func ConfigPath(config json.RawMessage, pointer string) string {
	value, err := decodeExactly(config)
	if err != nil {
		value = nil
	}
	return configPath(value, pointer)
}

func configPath(value any, pointer string) string {
	path := "config"
	if pointer == "" {
		return path
	}
	for _, token := range strings.Split(pointer, "/")[1:] {
		token = unescapePointer.Replace(token)
		switch v := value.(type) {
		case []any:
			path += "[" + token + "]"
			value = nil
			if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(v) {
				value = v[i]
			}
		case map[string]any:
			path += "." + token
			value = v[token]
		default:
			path += "." + token
			value = nil
		}
	}
	return path
}

var (
	escapePointer   = strings.NewReplacer("~", "~0", "/", "~1")
	unescapePointer = strings.NewReplacer("~1", "/", "~0", "~")
)

func pointerOf(location []string, more ...string) string {
	var out strings.Builder
	for _, token := range slices.Concat(location, more) {
		out.WriteByte('/')
		out.WriteString(escapePointer.Replace(token))
	}
	return out.String()
}

// violations takes an error of the library apart, in the order of the places.
func violations(err error) []violation {
	var found []violation
	if e, ok := err.(*jsonschema.ValidationError); ok {
		found = collect(nil, e)
	}
	slices.SortStableFunc(found, func(a, b violation) int {
		return cmp.Or(comparePointers(a.pointer, b.pointer), strings.Compare(a.text, b.text))
	})
	return slices.Compact(found)
}

// comparePointers orders places: items of a list by their number.
func comparePointers(a, b string) int {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	return slices.CompareFunc(as, bs, func(x, y string) int {
		i, xErr := strconv.Atoi(x)
		j, yErr := strconv.Atoi(y)
		if xErr == nil && yErr == nil {
			return cmp.Compare(i, j)
		}
		return strings.Compare(x, y)
	})
}

// collect appends what an error is about, without the way that led to it.
func collect(found []violation, e *jsonschema.ValidationError) []violation {
	if len(found) > 100*maxViolations {
		return found
	}
	at := pointerOf(e.InstanceLocation)
	switch k := e.ErrorKind.(type) {
	case nil:
		return append(found, violation{pointer: at, text: "is not as the schema has it"})
	case *schemakind.AnyOf:
		return append(found, alternatives(e)...)
	case *schemakind.OneOf:
		if k.Subschemas == nil {
			return append(found, alternatives(e)...)
		}
		return append(found, violation{pointer: at, text: "fits more than one of the alternatives, of which it has to fit one"})
	case *schemakind.AdditionalProperties:
		for _, name := range k.Properties {
			found = append(found, violation{pointerOf(e.InstanceLocation, name), "is an unknown key", name, e.SchemaURL})
		}
		return found
	case *schemakind.PropertyNames:
		text := "is not a name that a key here may have"
		if causes := violationsOf(e.Causes); len(causes) > 0 {
			text = "is a key whose name " + causes[0].text
		}
		return append(found, violation{pointer: pointerOf(e.InstanceLocation, k.Property), text: text})
	case *schemakind.Contains, *schemakind.MinContains:
		return append(found, violation{pointer: at, text: describe(k)})
	}
	if len(e.Causes) == 0 {
		return append(found, violation{pointer: at, text: describe(e.ErrorKind)})
	}
	for _, cause := range e.Causes {
		found = collect(found, cause)
	}
	return found
}

func violationsOf(errs []*jsonschema.ValidationError) []violation {
	var found []violation
	for _, e := range errs {
		found = collect(found, e)
	}
	return found
}

// alternatives says why none of the alternatives fits: by the one that comes
// furthest into the value, as that is the one which was meant, or else by all.
func alternatives(e *jsonschema.ValidationError) []violation {
	at := pointerOf(e.InstanceLocation)
	var deepest []violation
	depth, tie := strings.Count(at, "/"), true
	var texts, types []string
	for _, cause := range e.Causes {
		found := collect(nil, cause)
		if len(found) == 0 {
			continue
		}
		texts = append(texts, found[0].text)
		if t, ok := cause.ErrorKind.(*schemakind.Type); ok {
			types = append(types, t.Want...)
		} else if t := onlyType(cause); t != nil {
			types = append(types, t...)
		}
		d := strings.Count(found[0].pointer, "/")
		switch {
		case d > depth:
			deepest, depth, tie = found, d, false
		case d == depth:
			tie = true
		}
	}
	switch {
	case deepest != nil && !tie:
		return deepest
	case len(types) >= len(texts) && len(types) > 0:
		return []violation{{pointer: at, text: "has to be " + orList(typeNames(types))}}
	}
	texts = slices.Compact(texts)
	text := strings.Join(texts[:min(len(texts), maxAlternatives)], "; or it ")
	if len(texts) > maxAlternatives {
		text += "; or …"
	}
	return []violation{{pointer: at, text: text}}
}

// onlyType follows references to an error that is about the type.
func onlyType(e *jsonschema.ValidationError) []string {
	for {
		if t, ok := e.ErrorKind.(*schemakind.Type); ok {
			return t.Want
		}
		if _, ok := e.ErrorKind.(*schemakind.Reference); !ok || len(e.Causes) != 1 {
			return nil
		}
		e = e.Causes[0]
	}
}

// describe says what a value has to be, without the value.
func describe(k jsonschema.ErrorKind) string {
	switch k := k.(type) {
	case *schemakind.Type:
		return "has to be " + orList(typeNames(k.Want)) + ", and is " + typeNames([]string{k.Got})[0]
	case *schemakind.Enum:
		return "has to be one of " + quotedList(k.Want)
	case *schemakind.Const:
		return "has to be " + quotedList([]any{k.Want})
	case *schemakind.Required:
		return "lacks the key " + strings.Join(k.Missing, ", ")
	case *schemakind.Dependency:
		return "has the key " + k.Prop + ", and so needs " + strings.Join(k.Missing, ", ")
	case *schemakind.DependentRequired:
		return "has the key " + k.Prop + ", and so needs " + strings.Join(k.Missing, ", ")
	case *schemakind.FalseSchema:
		return "must not be there"
	case *schemakind.Not:
		return "is what the schema excludes"
	case *schemakind.RefCycle:
		return "is held against a schema that refers to itself"
	case *schemakind.Pattern:
		return "has to match " + shortened(k.Want, maxQuoted)
	case *schemakind.Format:
		return "has to have the format " + shortened(k.Want, maxQuoted)
	case *schemakind.UniqueItems:
		return fmt.Sprintf("has the same item twice, at %d and %d", k.Duplicates[0], k.Duplicates[1])
	case *schemakind.Contains:
		return "has no item of the kind that it needs"
	case *schemakind.MinContains:
		return fmt.Sprintf("has too few items of the kind of which it needs %d", k.Want)
	case *schemakind.MaxContains:
		return fmt.Sprintf("has too many items of the kind of which it may have %d", k.Want)
	}
	return describeSize(k)
}

func describeSize(k jsonschema.ErrorKind) string {
	atLeast := func(n int, what string) string { return fmt.Sprintf("has to have at least %s", plural(n, what)) }
	atMost := func(n int, what string) string { return fmt.Sprintf("has to have at most %s", plural(n, what)) }
	switch k := k.(type) {
	case *schemakind.MinLength:
		return atLeast(k.Want, "character")
	case *schemakind.MaxLength:
		return atMost(k.Want, "character")
	case *schemakind.MinItems:
		return atLeast(k.Want, "item")
	case *schemakind.MaxItems:
		return atMost(k.Want, "item")
	case *schemakind.AdditionalItems:
		return fmt.Sprintf("has %s too many", plural(k.Count, "item"))
	case *schemakind.MinProperties:
		return atLeast(k.Want, "key")
	case *schemakind.MaxProperties:
		return atMost(k.Want, "key")
	case *schemakind.Minimum:
		return "has to be at least " + number(k.Want)
	case *schemakind.Maximum:
		return "has to be at most " + number(k.Want)
	case *schemakind.ExclusiveMinimum:
		return "has to be more than " + number(k.Want)
	case *schemakind.ExclusiveMaximum:
		return "has to be less than " + number(k.Want)
	case *schemakind.MultipleOf:
		return "has to be a multiple of " + number(k.Want)
	}
	return "is not as the schema has it"
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func number(r *big.Rat) string {
	if r.IsInt() {
		return shortened(r.Num().String(), 40)
	}
	f, _ := r.Float64()
	return strconv.FormatFloat(f, 'g', -1, 64)
}

var typeWords = map[string]string{
	"array": "a list", "object": "an object", "string": "a string", "number": "a number",
	"integer": "a whole number", "boolean": "true or false", "null": "null",
}

func typeNames(types []string) []string {
	var out []string
	for _, t := range types {
		word := typeWords[t]
		if word == "" {
			word = t
		}
		if !slices.Contains(out, word) {
			out = append(out, word)
		}
	}
	return out
}

func orList(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// quotedList writes values of a schema, as JSON.
func quotedList(values []any) string {
	var out []string
	for _, v := range values {
		text, err := json.Marshal(v)
		if err != nil {
			text = []byte("…")
		}
		out = append(out, string(text))
	}
	return shortened(strings.Join(out, ", "), maxQuoted)
}
