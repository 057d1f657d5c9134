package plugins

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"sluice/router/wire"
)

// Bounds of a filter's schema. A filter is not trusted, and neither is what it
// says of its configuration.
const (
	maxSchema      = 64 << 10 // bytes
	maxSchemaSteps = 1 << 20  // applications of a subschema to a value, and as much other work
	maxDigits      = 400      // of a number, and of its exponent's value
	maxPattern     = 10_000   // parts of a regular expression, with its repetitions written out
)

// schemaURL is the base of a schema's references. Nothing is loaded from it.
const schemaURL = "filter:///sluice.schema"

// configSchema is what a filter says of its configuration.
type configSchema struct {
	root     *jsonschema.Schema
	document any // as it is written
}

// newConfigSchema reads the custom section sluice.schema. JSON Schema 2020-12 is
// taken if the text does not name another draft.
func newConfigSchema(text []byte) (*configSchema, error) {
	if len(text) > maxSchema {
		return nil, refuse("shorten it", "its schema has %d bytes, more than %d", len(text), maxSchema)
	}
	if why := wire.CheckJSON(text); why != "" {
		return nil, refuse("put JSON Schema into the section sluice.schema", "its schema is not JSON: %s", why)
	}
	document, err := decodeExactly(text)
	if err != nil {
		return nil, refuse("write numbers shorter", "its schema has %v", err)
	}
	root, err := compileSchema(document)
	if err != nil {
		return nil, schemaRefusal(err)
	}
	if err := checkReach(root, make(map[*jsonschema.Schema]bool)); err != nil {
		return nil, err
	}
	return &configSchema{root, document}, nil
}

// compileSchema turns a panic of the library into an error: a filter must not be
// able to end the process.
func compileSchema(document any) (s *jsonschema.Schema, err error) {
	defer func() {
		if p := recover(); p != nil {
			s, err = nil, fmt.Errorf("%v", p)
		}
	}()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(noLoader{})
	var large error // the library says of it only that it is no expression
	c.UseRegexpEngine(func(text string) (jsonschema.Regexp, error) {
		p, err := compilePattern(text)
		if errors.As(err, new(*largePattern)) {
			large = err
		}
		return p, err
	})
	if err := c.AddResource(schemaURL, document); err != nil {
		return nil, err
	}
	s, err = c.Compile(schemaURL)
	if large != nil {
		return nil, large
	}
	return s, err
}

// noLoader loads nothing: a filter's schema is all in its section.
type noLoader struct{}

var errNotFetched = errors.New("schemas are not fetched")

func (noLoader) Load(string) (any, error) { return nil, errNotFetched }

// decodeExactly decodes JSON with numbers as they are written, none of which is
// so long or so large that computing with it would be dear.
func decodeExactly(text []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return v, checkNumbers(v)
}

func checkNumbers(v any) error {
	switch v := v.(type) {
	case json.Number:
		digits, exponent, _ := strings.Cut(strings.ToLower(string(v)), "e")
		e, err := strconv.Atoi(strings.TrimPrefix(exponent, "+"))
		if exponent != "" && (err != nil || e > maxDigits || e < -maxDigits) || len(digits) > maxDigits {
			return errors.New("a number that is too large")
		}
	case []any:
		for _, item := range v {
			if err := checkNumbers(item); err != nil {
				return err
			}
		}
	case map[string]any:
		for _, item := range v {
			if err := checkNumbers(item); err != nil {
				return err
			}
		}
	}
	return nil
}

// pattern is a regular expression of a schema, which shows as it was written.
type pattern struct {
	*regexp.Regexp
	written string
	size    int // with its repetitions written out
}

func (p pattern) String() string { return p.written }

// unicodeEscape is how ECMA 262 writes a character, and Go does not.
var unicodeEscape = regexp.MustCompile(`\\\\|(?:\\u[0-9a-fA-F]{4})+`)

// compilePattern reads an expression of ECMA 262 as Go's, which run in linear
// time and have no look-around and no back-references.
func compilePattern(text string) (jsonschema.Regexp, error) {
	translated := unicodeEscape.ReplaceAllStringFunc(text, func(run string) string {
		if run == `\\` {
			return run
		}
		var units []uint16
		for i := 0; i < len(run); i += 6 {
			unit, _ := strconv.ParseUint(run[i+2:i+6], 16, 16)
			units = append(units, uint16(unit))
		}
		var out strings.Builder
		for _, r := range utf16.Decode(units) {
			fmt.Fprintf(&out, `\x{%x}`, r)
		}
		return out.String()
	})
	parsed, err := syntax.Parse(translated, syntax.Perl)
	if err != nil {
		return nil, err
	}
	size := patternSize(parsed)
	if size > maxPattern {
		return nil, &largePattern{text}
	}
	compiled, err := regexp.Compile(translated)
	if err != nil {
		return nil, err
	}
	return pattern{compiled, text, size}, nil
}

// largePattern is a regular expression of more than maxPattern parts.
type largePattern struct{ written string }

func (*largePattern) Error() string { return "the pattern is too large" }

// patternSize is about how many steps an expression takes for each character.
func patternSize(e *syntax.Regexp) int {
	size := 1
	if e.Op == syntax.OpLiteral {
		size = len(e.Rune)
	}
	for _, part := range e.Sub {
		size += patternSize(part)
	}
	if e.Op == syntax.OpRepeat {
		size *= max(e.Min, e.Max, 1)
	}
	return size
}

// schemaRefusal says why a schema cannot be used.
func schemaRefusal(err error) error {
	const correct = "correct its schema and build it anew"
	var load *jsonschema.LoadURLError
	var invalid *jsonschema.SchemaValidationError
	var expression *jsonschema.InvalidRegexError
	var large *largePattern
	switch {
	case errors.As(err, &load):
		return refuse("put what it refers to under $defs", "its schema refers to %.200s, and schemas are not fetched", load.URL)
	case errors.As(err, &large):
		return refuse("repeat less", "its schema has the pattern %.100q, which is too large with its repetitions written out", large.written)
	case errors.As(err, &expression):
		return refuse("use what RE2 has: no look-around, no back-references", "its schema has the pattern %.100q, which cannot be read", expression.Regex)
	case errors.As(err, &invalid):
		if v := violations(invalid.Err); len(v) > 0 {
			return refuse(correct, "its schema is no JSON Schema: at %q, it %s", v[0].pointer, v[0].text)
		}
	}
	return refuse(correct, "its schema is no JSON Schema: %s", shortened(strings.ReplaceAll(err.Error(), schemaURL, ""), 300))
}

// checkReach refuses what the bound on work does not see through: references
// whose target depends on the way to them.
func checkReach(s *jsonschema.Schema, seen map[*jsonschema.Schema]bool) error {
	if s == nil || seen[s] {
		return nil
	}
	seen[s] = true
	if s.DynamicRef != nil || s.RecursiveRef != nil {
		return refuse("use $ref", "its schema uses $dynamicRef or $recursiveRef, which are not supported here")
	}
	var err error
	subschemas(s, func(sub *jsonschema.Schema) {
		if err == nil {
			err = checkReach(sub, seen)
		}
	})
	return err
}

// subschemas calls f for each schema directly within another.
func subschemas(s *jsonschema.Schema, f func(*jsonschema.Schema)) {
	for _, one := range []*jsonschema.Schema{
		s.Ref, s.Not, s.If, s.Then, s.Else, s.PropertyNames, s.UnevaluatedProperties,
		s.Contains, s.Items2020, s.UnevaluatedItems, s.ContentSchema,
	} {
		f(one)
	}
	for _, list := range [][]*jsonschema.Schema{s.AllOf, s.AnyOf, s.OneOf, s.PrefixItems} {
		for _, one := range list {
			f(one)
		}
	}
	for _, either := range []any{s.AdditionalProperties, s.AdditionalItems, s.Items} {
		switch either := either.(type) {
		case *jsonschema.Schema:
			f(either)
		case []*jsonschema.Schema:
			for _, one := range either {
				f(one)
			}
		}
	}
	for _, one := range s.Properties {
		f(one)
	}
	for _, one := range s.PatternProperties {
		f(one)
	}
	for _, one := range s.DependentSchemas {
		f(one)
	}
	for _, one := range s.Dependencies {
		if one, ok := one.(*jsonschema.Schema); ok {
			f(one)
		}
	}
}

// check holds a configuration against the schema. The error is schemaErrors, or
// a refusal if it would take too much work.
func (c *configSchema) check(config json.RawMessage) error {
	value, err := decodeExactly(config)
	if err != nil {
		return refuse("write it shorter", "its configuration has %v", err)
	}
	if b := (budget{steps: maxSchemaSteps}); !b.spend(c.root, value) {
		return refuse("simplify the schema, or shorten the configuration",
			"holding its configuration against its schema takes too many steps (more than %d)", maxSchemaSteps)
	}
	err = validate(c.root, value)
	if err == nil {
		return nil
	}
	var invalid *jsonschema.ValidationError
	if !errors.As(err, &invalid) {
		return refuse("correct its schema", "its schema cannot be held against its configuration: %s", shortened(err.Error(), 200))
	}
	return schemaErrors{violations(invalid), value, c.document}
}

func validate(s *jsonschema.Schema, value any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return s.Validate(value)
}

// shortened cuts a text to about so many bytes, on one line.
func shortened(text string, limit int) string {
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit] + "…"
}
