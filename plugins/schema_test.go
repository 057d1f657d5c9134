package plugins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// carrying writes a guest of testdata with a schema in it, and returns its entry.
func carrying(t testing.TB, file, schema string) Spec {
	t.Helper()
	wasm, err := os.ReadFile(filepath.Join("testdata", file+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	wasm, err = ReplaceSections(wasm, CustomSection{SectionSchema, []byte(schema)})
	if err != nil {
		t.Fatal(err)
	}
	spec := Spec{Name: file, Plugin: file + ".wasm", Dir: t.TempDir()}
	if err := os.WriteFile(filepath.Join(spec.Dir, spec.Plugin), wasm, 0o644); err != nil {
		t.Fatal(err)
	}
	return spec
}

// refusals builds the filter with a configuration, and returns what is refused.
func refusals(t testing.TB, h *testHost, spec Spec, config string) []*LoadError {
	t.Helper()
	spec.Config = json.RawMessage(config)
	c, err := h.Build(context.Background(), []Spec{spec}, nil)
	if err == nil {
		c.Retire()
		return nil
	}
	var out []*LoadError
	for _, one := range err.(interface{ Unwrap() []error }).Unwrap() {
		var load *LoadError
		if !errors.As(one, &load) {
			t.Fatalf("%v is no LoadError", one)
		}
		out = append(out, load)
	}
	return out
}

func TestWhatASchemaRefusesIsNamedByItsPlace(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	for _, row := range []struct{ schema, config, pointer, cause string }{
		{`{"properties":{"a":{"type":["string","null"]}}}`, `{"a":1}`, "/a", "config.a: it has to be null or a string, and is a number"},
		{`{"properties":{"a":{"type":"integer"}}}`, `{"a":1.5}`, "/a", "config.a: it has to be a whole number, and is a number"},
		{`{"properties":{"a":{"minimum":1,"type":"number"}}}`, `{"a":0.5}`, "/a", "config.a: it has to be at least 1"},
		{`{"properties":{"a":{"exclusiveMaximum":1.5}}}`, `{"a":2}`, "/a", "config.a: it has to be less than 1.5"},
		{`{"properties":{"a":{"multipleOf":5}}}`, `{"a":2}`, "/a", "it has to be a multiple of 5"},
		{`{"properties":{"a":{"maxLength":1}}}`, `{"a":"xy"}`, "/a", "it has to have at most 1 character"},
		{`{"properties":{"a":{"minItems":2}}}`, `{"a":[]}`, "/a", "it has to have at least 2 items"},
		{`{"properties":{"a":{"prefixItems":[true],"items":false}}}`, `{"a":[1,2]}`, "/a/1", "config.a[1]: it must not be there"},
		{`{"properties":{"a":{"uniqueItems":true}}}`, `{"a":[1,2,1]}`, "/a", "it has the same item twice, at 0 and 2"},
		{`{"properties":{"a":{"contains":{"const":1}}}}`, `{"a":[2]}`, "/a", "it has no item of the kind that it needs"},
		{`{"properties":{"a":{"pattern":"^[\\u0061-\\u0063]+$"}}}`, `{"a":"abd"}`, "/a", `it has to match ^[\u0061-\u0063]+$`},
		{`{"properties":{"a":{"const":{"b":1}}}}`, `{"a":2}`, "/a", `it has to be {"b":1}`},
		{`{"additionalProperties":false}`, `{"a/b~":2}`, "/a~1b~0", "config.a/b~: it is an unknown key"},
		{`{"properties":{"words":{},"mode":{}},"additionalProperties":false}`, `{"wrods":2}`, "/wrods", "config.wrods: it is an unknown key; did you mean words?"},
		{`{"properties":{"whole_words":{}},"additionalProperties":false}`, `{"wholeWords":2}`, "/wholeWords", "it is an unknown key; did you mean whole_words?"},
		{`{"properties":{"words":{},"mode":{}},"additionalProperties":false}`, `{"other":2}`, "/other", "it is an unknown key; there are mode, words"},
		{`{"properties":{"a b%":{"items":{"$ref":"#/$defs/rule"}}},"$defs":{"rule":{"properties":{"allow":{}},"additionalProperties":false}}}`, `{"a b%":[{"alow":1}]}`,
			"/a b%/0/alow", "it is an unknown key; did you mean allow?"},
		{`{"properties":{"a b%":{"properties":{"allow":{}},"additionalProperties":false}}}`, `{"a b%":{"alow":1}}`, "/a b%/alow", "it is an unknown key; did you mean allow?"},
		{`{"propertyNames":{"maxLength":1}}`, `{"ab":2}`, "/ab", "it is a key whose name has to have at most 1 character"},
		{`{"dependentRequired":{"a":["b"]}}`, `{"a":2}`, "", "config: it has the key a, and so needs b"},
		{`{"minProperties":1}`, `{}`, "", "it has to have at least 1 key"},
		{`{"properties":{"a":{"anyOf":[{"type":"string"},{"type":"array","items":{"type":"string"}}]}}}`, `{"a":["x",1]}`, "/a/1", "config.a[1]: it has to be a string, and is a number"},
		{`{"properties":{"a":{"anyOf":[{"type":"string"},{"type":"array"}]}}}`, `{"a":1}`, "/a", "it has to be a string or a list"},
		{`{"properties":{"a":{"oneOf":[{"$ref":"#/$defs/s"},{"minimum":5}]}},"$defs":{"s":{"type":"string"}}}`, `{"a":1}`, "/a", "it has to be a string, and is a number; or it has to be at least 5"},
		{`{"properties":{"a":{"oneOf":[true,true]}}}`, `{"a":1}`, "/a", "it fits more than one of the alternatives"},
		{`{"not":{"required":["a"]}}`, `{"a":1}`, "", "it is what the schema excludes"},
		{`{"if":{"required":["a"]},"then":{"required":["b"]}}`, `{"a":1}`, "", "it lacks the key b"},
		{`{"unevaluatedProperties":false,"properties":{"a":true}}`, `{"b":1}`, "/b", "config.b: it must not be there"},
		{`{"$schema":"http://json-schema.org/draft-07/schema#","items":[true],"properties":{"a":{"items":[true],"additionalItems":false}}}`, `{"a":[1,2]}`, "/a", "it has 1 item too many"},
		{`false`, `{}`, "", "config: it must not be there"},
		{`{"type":"object","properties":{"a":{"type":"object","properties":{"b":{"type":"array","items":{"type":"object","required":["c"]}}}}}}`, `{"a":{"b":[{"c":1},{}]}}`, "/a/b/1", "config.a.b[1]: it lacks the key c"},
	} {
		found := refusals(t, h, carrying(t, "noop", row.schema), row.config)
		if len(found) != 1 || found[0].Pointer != row.pointer || !strings.HasPrefix(found[0].Cause, RefusedBySchema) || !strings.Contains(found[0].Cause, row.cause) {
			t.Errorf("%s of %s:", row.config, row.schema)
			for _, e := range found {
				t.Errorf("    at %q: %s", e.Pointer, e.Cause)
			}
		}
	}
}

func TestAConfigurationThatFitsItsSchemaLoads(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	for _, row := range [][2]string{
		{`true`, `{"a":1}`}, {`{}`, ``}, {`{"type":"object"}`, `{}`},
		{`{"properties":{"a":{"$ref":"#/$defs/list"}},"$defs":{"list":{"items":{"$ref":"#/$defs/list"}}}}`, `{"a":[[],[[[]]]]}`},
		{`{"properties":{"a":{"pattern":"^\\\\u0061$"}}}`, `{"a":"\\u0061"}`}, // a backslash, and then u0061
		{`{"properties":{"a":{"pattern":"\\uD83D\\uDE00"}}}`, `{"a":"x😀"}`},
		{`{"properties":{"a":{"minimum":9007199254740993}}}`, `{"a":9007199254740993}`},
	} {
		if found := refusals(t, h, carrying(t, "noop", row[0]), row[1]); found != nil {
			t.Errorf("%s of %s: %v", row[1], row[0], found[0])
		}
	}
}

func TestASchemaRefusesBeforeTheFilterIsAsked(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	spec := carrying(t, "moody", `{"required":["x"]}`)
	if found := refusals(t, h, spec, `{}`); len(found) != 1 || found[0].Cause != "its schema refuses config: it lacks the key x" {
		t.Errorf("got %v", found)
	}
}

func TestASchemaThatCannotBeUsedRefusesTheModule(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	deep := strings.Repeat(`{"not":`, 100) + `{}` + strings.Repeat(`}`, 100)
	for _, row := range []struct{ name, schema, cause, remedy string }{
		{"no JSON", `{"type":`, "its schema is not JSON", "put JSON Schema into the section sluice.schema"},
		{"nothing", ``, "its schema is not JSON", ""},
		{"not UTF-8", "{\"title\":\"\xff\"}", "its schema is not JSON", ""},
		{"a number", `7`, "its schema is no JSON Schema", "correct its schema"},
		{"an unknown type", `{"properties":{"a":{"type":"text"}}}`, `its schema is no JSON Schema: at "/properties/a/type"`, "correct its schema"},
		{"a negative length", `{"minLength":-1}`, `at "/minLength", it has to be at least 0`, ""},
		{"a remote reference", `{"$ref":"https://schemas.example/a.json"}`, "its schema refers to https://schemas.example/a.json, and schemas are not fetched", "$defs"},
		{"a file", `{"$ref":"file:///etc/passwd"}`, "file:///etc/passwd, and schemas are not fetched", "$defs"},
		{"a relative reference", `{"$ref":"other.json"}`, "other.json, and schemas are not fetched", "$defs"},
		{"a dialect that nobody has", `{"$schema":"https://schemas.example/draft"}`, "https://schemas.example/draft, and schemas are not fetched", ""},
		{"a reference to nowhere", `{"$ref":"#/$defs/none"}`, "its schema is no JSON Schema", ""},
		{"look-ahead", `{"pattern":"(?=a)"}`, "its schema ", ""},
		{"a pattern that cannot be read", `{"patternProperties":{"(a":{}}}`, "its schema ", ""},
		{"a pattern that explodes", `{"pattern":"((a{1000}){1000}){1000}"}`, "its schema ", ""},
		{"a pattern that is long when written out", `{"pattern":"` + strings.Repeat("(.?x?){900}", 20) + `y$"}`, "is too large with its repetitions written out", "repeat less"},
		{"a dynamic reference", `{"$dynamicAnchor":"x","items":{"$dynamicRef":"#x"}}`, "$dynamicRef or $recursiveRef", "use $ref"},
		{"too deep", deep, "its schema is not JSON: ", ""},
		{"too long", `{"title":"` + strings.Repeat("x", maxSchema) + `"}`, "more than 65536", "shorten it"},
		{"a number that is too large", `{"maximum":1e999999999}`, "its schema has a number that is too large", "shorter"},
	} {
		t.Run(row.name, func(t *testing.T) {
			found := refusals(t, h, carrying(t, "noop", row.schema), `{}`)
			if len(found) != 1 || !strings.Contains(found[0].Cause, row.cause) || !strings.Contains(found[0].Remedy, row.remedy) || len(found[0].Cause) > 700 {
				t.Errorf("got %v", found)
			}
		})
	}
}

// hostileSchemas ask for far more steps than they have bytes.
func hostileSchemas() map[string][2]string {
	var doubling strings.Builder
	doubling.WriteString(`{"$ref":"#/$defs/d0","$defs":{`)
	for i := range 60 {
		fmt.Fprintf(&doubling, `"d%d":{"allOf":[{"$ref":"#/$defs/d%d"},{"$ref":"#/$defs/d%d"}]},`, i, i+1, i+1)
	}
	doubling.WriteString(`"d60":true}}`)
	nested := strings.Repeat(`{"a":`, 50) + `1` + strings.Repeat(`}`, 50)
	items := `{"a":[` + strings.TrimSuffix(strings.Repeat("0,", 300_000), ",") + `]}`
	return map[string][2]string{
		"2^60 applications":       {doubling.String(), `{}`},
		"2^50 ways into a value":  {`{"allOf":[{"properties":{"a":{"$ref":"#"}}},{"properties":{"a":{"$ref":"#"}}}]}`, nested},
		"a reference to itself":   {`{"anyOf":[{"$ref":"#"},{"$ref":"#"}]}`, `{}`},
		"a long list, many times": {`{"properties":{"a":{"items":{"allOf":[true,true,true,true,true]}}}}`, items},
		"a pattern that is slow":  {`{"properties":{"a":{"pattern":"` + strings.Repeat("(.?x?){900}", 1) + `y$"}}}`, `{"a":"` + strings.Repeat("x", 20_000) + `"}`},
		"an enum of lists":        {`{"properties":{"a":{"enum":[` + strings.TrimSuffix(strings.Repeat("[1],", 10_000), ",") + `]}}}`, items},
	}
}

func TestASchemaThatAsksForTooMuchWorkIsRefusedSoon(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	for name, row := range hostileSchemas() {
		t.Run(name, func(t *testing.T) {
			found := refusals(t, h, carrying(t, "noop", row[0]), row[1])
			if len(found) != 1 || !strings.Contains(found[0].Cause, "too many steps") || !strings.Contains(found[0].Remedy, "simplify the schema") {
				t.Errorf("got %v", found)
			}
		})
	}
}

func TestOnlySoManyPlacesAreReported(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	spec := carrying(t, "noop", `{"properties":{"a":{"items":{"type":"string"}}}}`)
	found := refusals(t, h, spec, `{"a":[`+strings.TrimSuffix(strings.Repeat("1,", 500), ",")+`]}`)
	if len(found) != maxViolations || found[9].Pointer != "/a/9" || !strings.HasSuffix(found[9].Cause, "(and 490 more)") {
		t.Errorf("%d errors, the last %v", len(found), found[len(found)-1])
	}
}

func TestAListOfTenThousandWordsIsHeldAgainstItsSchema(t *testing.T) {
	s, err := newConfigSchema([]byte(`{"properties":{"words":{"type":"array","uniqueItems":true,"items":{"type":"string","pattern":"^\\S+$","minLength":1,"maxLength":64}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for i := range 50_000 {
		words = append(words, fmt.Sprintf("word-%d", i))
	}
	config, err := json.Marshal(map[string]any{"words": words})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.check(config); err != nil {
		t.Error(err)
	}
}

// FuzzSchema gives the host schemas and configurations of strangers: none may
// end the process, take for ever, or quote a value.
func FuzzSchema(f *testing.F) {
	f.Add(`{"properties":{"a":{"type":"string"}}}`, `{"a":1}`)
	f.Add(`{"$ref":"#/$defs/a","$defs":{"a":{"allOf":[{"$ref":"#"}]}}}`, `{"a":[1,{"b":null}]}`)
	f.Add(`{"$id":"http://x/y","$anchor":"z","items":{"$ref":"#z"},"unevaluatedItems":false}`, `{}`)
	f.Add(`{"$schema":"http://json-schema.org/draft-04/schema#","id":"a","dependencies":{"a":["b"]}}`, `{"a":1}`)
	f.Add(`{"pattern":"(\\ud83d|\\p{L}+)*$","multipleOf":1e-300,"const":1E400}`, `{"a":1e400}`)
	f.Add(`{"patternProperties":{"^a":{"enum":[1,"x",null]}},"additionalProperties":{"not":{}}}`, `{"ab":"x","c":[]}`)
	for _, row := range hostileSchemas() {
		if len(row[1]) < 1000 {
			f.Add(row[0], row[1])
		}
	}
	f.Fuzz(func(t *testing.T, schema, config string) {
		if len(schema) > 4<<10 || len(config) > 4<<10 {
			return
		}
		s, err := newConfigSchema([]byte(schema))
		if err != nil {
			if r := new(refusal); !errors.As(err, &r) || r.cause == "" {
				t.Fatalf("%T %v", err, err)
			}
			return
		}
		s.properties([]byte(schema))
		if checked := (&settings{Spec: Spec{Config: json.RawMessage(config)}}); checked.checkConfig() != nil {
			return
		}
		if err := s.check(json.RawMessage(config)); err != nil {
			var refused schemaErrors
			if errors.As(err, &refused) && (len(refused.all) == 0 || refused.loadErrors(Spec{}) == nil) {
				t.Fatal("it refuses, and says nothing")
			}
		}
	})
}

func TestCheckingSchemasTakesNoMemoryOfTheirBlowUp(t *testing.T) {
	var before, after runtime.MemStats
	for name, row := range hostileSchemas() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		begin := time.Now()
		s, err := newConfigSchema([]byte(row[0]))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_ = s.check(json.RawMessage(row[1]))
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 256<<20 {
			t.Errorf("%s: %d MiB in %s", name, grown>>20, time.Since(begin))
		}
	}
}
