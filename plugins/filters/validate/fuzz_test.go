package validate_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"sluice/router"
)

// maker makes schemas and values out of a fuzzer's bytes.
type maker struct {
	bytes []byte
	draft int // 7 or 2020
	size  int // of what was made: it ends growth
}

func (m *maker) pick(n int) int {
	if len(m.bytes) == 0 {
		return 0
	}
	b := m.bytes[0]
	m.bytes = m.bytes[1:]
	return int(b) % n
}

func choose[T any](m *maker, of []T) T { return of[m.pick(len(of))] }

var (
	someNumbers = []string{
		"0", "1", "-1", "2", "3", "1.0", "1.5", "-1.50", "0.1", "0.3", "1e2", "100", "1E-2", "0.01", "-0", "0e5", "9007199254740993",
		"9007199254740992", "18446744073709551616", "123456789012345678901234567890", "12345678901234567890123456789e1", "1e40", "1.0e+40",
		"0.00000000000000000000000000000001", "4.35", "19.99", "3.14159265358979323846264338327950288", "-3.0e0", "999999999999999999", "1e18",
	}
	someDivisors = []string{"1", "2", "3", "0.01", "0.1", "1.5", "7", "1e2", "0.5", "1e-3", "123456789", "0.25", "1e20", "3e-10"}
	someStrings  = []string{
		`""`, `"a"`, `"b"`, `"ab"`, `"abc"`, `"foo"`, `"1"`, `"\u00e9"`, `"é"`, `"\ud83d\ude00"`, `"😀a"`, `"\n"`, `"a\"b\\"`, `"~/"`, `"aaaaaaaaaa"`,
		`"a1"`, `"A-1"`, `"x y"`,
	}
	// What Go's regular expressions and ECMA-262 read alike, over the strings above.
	somePatterns = []string{
		"^a", "b$", "^$", "a+b*", "^[a-c]{2,3}$", `^\\d`, `\\w\\W`, "[^a]", "^(a|bc)*$", "^.$", "a{2}", "^(?:ab?)+$", "é", "^[é-😀]$", `\\p{L}`, `^\\S+$`,
		"(a|b){1,3}c?$", `\\.`, "^a{0,2}$", `\\bb`, "x*",
	}
)

func (m *maker) value(depth int) string {
	m.size++
	kinds := 8
	if depth <= 0 || m.size > 60 {
		kinds = 5
	}
	switch m.pick(kinds) {
	case 0:
		return choose(m, []string{"null", "true", "false"})
	case 1, 2:
		return choose(m, someNumbers)
	case 3, 4:
		return choose(m, someStrings)
	case 5:
		items := make([]string, m.pick(5))
		for i := range items {
			items[i] = m.value(depth - 1)
		}
		return "[" + strings.Join(items, ",") + "]"
	}
	return m.object(m.pick(5), func() string { return m.value(depth - 1) })
}

// object has up to n members with different keys.
func (m *maker) object(n int, value func() string) string {
	seen := make(map[string]bool)
	var members []string
	for range n {
		key := choose(m, someStrings)
		var decoded string
		if json.Unmarshal([]byte(key), &decoded) != nil || seen[decoded] {
			continue
		}
		seen[decoded] = true
		members = append(members, key+":"+value())
	}
	return "{" + strings.Join(members, ", ") + "}"
}

func (m *maker) list(n int, item func() string) string {
	items := make([]string, n)
	for i := range items {
		items[i] = item()
	}
	return "[" + strings.Join(items, ",") + "]"
}

// names is an array of different strings.
func (m *maker) names() string {
	object := m.object(m.pick(4), func() string { return "0" })
	var decoded map[string]int
	if json.Unmarshal([]byte(object), &decoded) != nil {
		return "[]"
	}
	names := make([]string, 0, len(decoded))
	for name := range decoded {
		names = append(names, name)
	}
	text, err := json.Marshal(names)
	if err != nil {
		return "[]"
	}
	return string(text)
}

func (m *maker) patterns(value func() string) string {
	return `{"` + choose(m, somePatterns) + `":` + value() + `}`
}

func (m *maker) falseOr(sub func() string) string {
	if m.pick(2) == 0 {
		return "false"
	}
	return sub()
}

// schema is at most depth deep. References are to $defs of the root.
func (m *maker) schema(depth int) string {
	m.size++
	if depth <= 0 || m.size > 60 {
		return choose(m, []string{"true", "false", `{"type":"string"}`, `{"type":["integer","null"]}`, `{"minimum":2}`, `{"$ref":"#/definitions/b"}`, "{}"})
	}
	sub := func() string { return m.schema(depth - 1) }
	count := func() string { return choose(m, []string{"0", "1", "2", "3", "2.0"}) }
	keywords := make(map[string]string)
	for range 1 + m.pick(4) {
		m.keyword(keywords, sub, count)
	}
	if ref, ok := keywords["$ref"]; ok && m.draft == 7 {
		// It hides what is beside it, which the library has not for the keywords that are newer than draft-04.
		return `{"$ref":` + ref + `}`
	}
	members := make([]string, 0, len(keywords))
	for _, k := range keywordOrder {
		if v, ok := keywords[k]; ok {
			members = append(members, `"`+k+`":`+v)
		}
	}
	return "{" + strings.Join(members, ",") + "}"
}

// keywordOrder makes the schema that some bytes stand for the same each time.
var keywordOrder = []string{
	"$ref", "type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength", "minLength", "pattern",
	"maxItems", "minItems", "uniqueItems", "contains", "minContains", "maxContains", "prefixItems", "items", "additionalItems", "maxProperties",
	"minProperties", "required", "properties", "patternProperties", "additionalProperties", "propertyNames", "dependencies", "dependentRequired",
	"dependentSchemas", "allOf", "anyOf", "oneOf", "not", "if", "then", "else", "unevaluatedItems", "unevaluatedProperties",
}

func (m *maker) keyword(to map[string]string, sub, count func() string) {
	newer := m.draft == 2020
	switch k := choose(m, keywordOrder); k {
	case "$ref":
		to[k] = choose(m, []string{`"#/definitions/a"`, `"#/definitions/b"`, `"#/definitions/c"`})
	case "type":
		to[k] = choose(m, []string{`"null"`, `"boolean"`, `"integer"`, `"number"`, `"string"`, `"array"`, `"object"`, `["integer","string"]`, `["array","object"]`})
	case "enum":
		to[k] = m.list(1+m.pick(12), func() string { return m.value(1) })
	case "const":
		to[k] = m.value(2)
	case "multipleOf":
		to[k] = choose(m, someDivisors)
	case "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum":
		to[k] = choose(m, someNumbers)
	case "maxLength", "minLength", "maxItems", "minItems", "maxProperties", "minProperties":
		to[k] = count()
	case "pattern":
		to[k] = `"` + choose(m, somePatterns) + `"`
	case "uniqueItems":
		to[k] = "true"
	case "contains", "items", "propertyNames", "not":
		to[k] = sub()
	case "additionalProperties":
		to[k] = m.falseOr(sub)
	case "if", "then", "else":
		to["if"], to[k] = sub(), sub()
	case "additionalItems":
		if !newer {
			to["items"], to[k] = m.list(1+m.pick(3), sub), sub()
		}
	case "minContains", "maxContains":
		if newer {
			to["contains"], to[k] = sub(), count()
		}
	case "prefixItems":
		if newer {
			to[k] = m.list(1+m.pick(3), sub)
		}
	case "unevaluatedItems", "unevaluatedProperties":
		if newer {
			to[k] = m.falseOr(sub)
			m.keyword(to, sub, count) // something for it to see
		}
	case "dependentRequired":
		if newer {
			to[k] = m.object(1+m.pick(2), m.names)
		}
	case "dependentSchemas":
		if newer {
			to[k] = m.object(1+m.pick(2), sub)
		}
	case "dependencies":
		if !newer {
			to[k] = m.object(1+m.pick(2), sub)
		}
	case "required":
		to[k] = m.names()
	case "properties":
		to[k] = m.object(1+m.pick(3), sub)
	case "patternProperties":
		to[k] = m.patterns(sub)
	case "allOf", "anyOf", "oneOf":
		to[k] = m.list(1+m.pick(3), sub)
	}
}

// document is a schema with definitions that its references find.
func (m *maker) document() string {
	m.draft = choose(m, []int{2020, 7})
	uri := map[int]string{2020: "https://json-schema.org/draft/2020-12/schema", 7: "http://json-schema.org/draft-07/schema#"}[m.draft]
	definitions := `{"a":` + m.schema(1) + `,"b":{"type":"object","additionalProperties":{"$ref":"#/definitions/c"}},"c":{"items":{"$ref":"#/definitions/c"},"minItems":1}}`
	return `{"$schema":"` + uri + `","definitions":` + definitions + `,"allOf":[` + m.schema(3) + `]}`
}

func compileByLibrary(t *testing.T, text string) (*jsonschema.Schema, error) {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("schema.json", document); err != nil {
		return nil, err
	}
	return compiler.Compile("schema.json")
}

func FuzzTheFilterAgreesWithTheLibrary(f *testing.F) {
	for i := range 200 {
		seed := make([]byte, 120)
		for k := range seed {
			seed[k] = byte((i*7919 + k*(k+i)*31) >> 2)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, bytes []byte) {
		m := &maker{bytes: bytes}
		schema := m.document()
		library, err := compileByLibrary(t, schema)
		chain, ownErr := build(t, `{"schema":`+schema+`}`)
		if err != nil {
			// The library holds schemas against their metaschema, which wants more:
			// that the values of an enum differ, for one.
			t.Skipf("%s: %v", schema, err)
		}
		if ownErr != nil {
			if strings.Contains(ownErr.Error(), "refers to itself") {
				t.Skip("a cycle")
			}
			t.Fatalf("%s: %v", schema, ownErr)
		}
		defer chain.Retire()
		for range 6 {
			m.size = 0
			content := m.value(3)
			value, err := jsonschema.UnmarshalJSON(strings.NewReader(content))
			if err != nil {
				t.Fatalf("%s: %v", content, err)
			}
			want := library.Validate(value)
			got := judge(t, chain, content)
			if got.Failure != "" || (got.Action == router.Continue) != (want == nil) {
				t.Fatalf("schema %s\ncontent %s\nlibrary: %v\nfilter: action %d, %q, failure %q", schema, content, want, got.Action, got.Reason, got.Failure)
			}
		}
	})
}

func FuzzNoConfigurationFailsTheFilter(f *testing.F) {
	for _, seed := range []string{
		`{"schema":{"pattern":"^(a|b)*[^c-d]{2,9}\\p{Lu}$"}}`, `{"schema":{"$ref":"#/a/0/b","a":[{"b":{"$id":"x","$anchor":"y"}}]}}`, `{"schema":{"items":[{}]}}`,
		`{"rules":[{"rooms":["a:*"],"kinds":["room"],"schema":{"enum":[1,2,{"a":[]}]}}],"otherwise":"deny"}`, `{"schema":{"multipleOf":1e-300,"maximum":1E+5}}`,
		`{"schema":{"$schema":"http://json-schema.org/draft-07/schema#","items":[1,2],"additionalItems":false}}`, `{"schema":{"$id":"http://a/b/c","$ref":"../d"}}`,
	} {
		f.Add(seed, `{"a":[1,"2",null]}`)
	}
	f.Fuzz(func(t *testing.T, config, content string) {
		chain, err := build(t, config)
		if err != nil {
			for _, cause := range []string{"trap", "did not get ready", "internal", "pointer", "bad_"} {
				if strings.Contains(err.Error(), cause) && !strings.Contains(err.Error(), "it refuses its configuration") {
					t.Fatalf("%q: %v", config, err)
				}
			}
			return
		}
		defer chain.Retire()
		if v := judge(t, chain, content); v.Failure != "" {
			t.Fatalf("%q, %q: failure %s", config, content, v.Failure)
		}
	})
}

func FuzzNoContentFailsTheFilter(f *testing.F) {
	for _, seed := range []string{
		``, ` `, `"`, `"\`, `"\u`, `"\u12`, `"\ud83d\u`, `[`, `]`, `{`, `}`, `[}`, `{]`, `{"a"`, `{"a":`, `{"a":1,`, `nul`, `-`, `1e`, `1.`, "\xff\xfe", `"` + "\xf0\x9f",
		`{"a":1,"a":2}`, `{"a":{"b":[1,2,2]}}`, `"\ud800"`, `"\ude00\ud83d"`, `1e99999999999999999`, `00000000000000000000000`, `[1,1.0,{"a":1e0},{"a":1}]`,
	} {
		f.Add(seed)
	}
	chain := forSchema(f, `{"uniqueItems":true,"pattern":"^(\\p{L}|\\b[^x]){1,20}$","multipleOf":0.01,"minLength":2,"unevaluatedProperties":false,
		"anyOf":[{"properties":{"a":{"$ref":"#"}}},{"enum":[1,"a",{"b":[1]}]},{"items":{"$ref":"#"},"contains":true}]}`)
	f.Fuzz(func(t *testing.T, content string) {
		if v := judge(t, chain, content); v.Failure != "" {
			t.Fatalf("%q: failure %s", content, v.Failure)
		}
	})
}
