package validate_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode"

	"sluice/plugins"
	"sluice/router"
)

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

// pseudorandom is n times a or b.
func pseudorandom(n int) string {
	out := make([]byte, n)
	for i, x := 0, uint32(1); i < n; i++ {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		out[i] = "ab"[x>>9&1]
	}
	return string(out)
}

func TestAPatternThatTakesTooLongOnATextRefusesIt(t *testing.T) {
	chain := forSchema(t, `{"anyOf":[{"pattern":"[ab]*a[ab]{200}c"},{"minLength":1}]}`)
	if v := judge(t, chain, `"`+pseudorandom(60000)+`"`); v.Code != 422 || v.Reason != "content: a pattern of its schema takes more than 250000 steps" {
		t.Errorf("%+v", v)
	}
	if v := judge(t, chain, `"`+pseudorandom(300)+`"`); v.Action != router.Continue {
		t.Errorf("a short one after it: %+v", v)
	}
}

func TestHostileContentGetsAnAnswer(t *testing.T) {
	const code, ok = 422, 0
	for _, c := range []struct {
		name, schema, content string
		code                  uint32
	}{
		{"as deep as the protocol goes", `{"items":{"$ref":"#"},"type":"array"}`, nested(64), ok},
		{"deeper", `true`, nested(65), code},
		{"64 KiB of [", `true`, strings.Repeat("[", 64<<10), code},
		{"64 KiB of a number", `{"multipleOf":7}`, strings.Repeat("9", 64<<10), code},
		{"64 KiB of a fraction", `{"maximum":1}`, "0." + strings.Repeat("9", 64<<10), ok},
		{"numbers with large exponents", `{"items":{"multipleOf":3,"maximum":1}}`, "[" + repeated(5000, "3e-99999999") + "]", code},
		{"an exponent of many digits", `true`, `[1e9999999999999999]`, code},
		{"an exponent of many zeros", `{"maximum":100}`, `1e` + strings.Repeat("0", 1000) + `2`, ok},
		{"many equal items", `{"uniqueItems":true}`, "[" + repeated(30000, "1") + "]", code},
		{"many different items", `{"uniqueItems":true}`, "[" + repeated(9000, "#N") + "]", ok},
		{"two large objects in other order", `{"uniqueItems":true}`, `[{` + repeated(3000, `"a#N":0`) + `,"x":0},{"x":0,` + repeated(3000, `"a#N":0`) + `}]`, code},
		{"a large object against a small schema", `{"properties":{"a":{"type":"string"}}}`, "{" + repeated(6000, `"k#N":0`) + "}", ok},
		{"nested quantifiers", `{"pattern":"(x+x+)+y"}`, `"` + strings.Repeat("x", 60000) + `"`, code},
		{"alternatives that overlap", `{"pattern":"^(a|a|aa)*$"}`, `"` + strings.Repeat("a", 60000) + `b"`, code},
		{"a pattern with many states at once", `{"pattern":"[ab]*a[ab]{200}c"}`, `"` + strings.Repeat("abaabbab", 500) + `"`, code},
		{"a pattern with many states at once, in a long text", `{"not":{"pattern":"[ab]*a[ab]{200}c"}}`, `"` + pseudorandom(60000) + `"`, code},
		{"an automaton that would be exponential", `{"pattern":"(a|b)*a(a|b){18}c"}`, `"` + strings.Repeat("abbaab", 1500) + `"`, code},
		{"a recursive schema that branches", `{"anyOf":[{"$ref":"#/$defs/x"},{"$ref":"#/$defs/x"}],"$defs":{"x":{"items":{"$ref":"#"},"minItems":1}}}`, nested(60), code},
		{"a recursive schema that branches and is unevaluated", `{"oneOf":[{"$ref":"#/$defs/x"},{"allOf":[{"$ref":"#/$defs/x"}]}],"$defs":{"x":{"items":{"$ref":"#"},"unevaluatedItems":false,"minItems":1}}}`, nested(60), code},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := judge(t, forSchema(t, c.schema), c.content)
			if v.Failure != "" || v.Code != c.code || (v.Action == router.Continue) != (c.code == ok) {
				t.Errorf("%d, %d %.100q, failure %q", v.Action, v.Code, v.Reason, v.Failure)
			}
		})
	}
}

func TestContentThatIsNotJSONIsRefusedAsSuch(t *testing.T) {
	chain := forSchema(t, `true`)
	for _, content := range []string{
		``, ` `, `"`, `"\`, `"\u12`, `"\x"`, `[`, `]`, `[}`, `{]`, `{"a"`, `{"a":`, `{"a":1,`, `{1:2}`, `nul`, `[1 2]`, `1 2`, `"a" "b"`,
	} {
		if v := judge(t, chain, content); v.Code != 400 || v.Reason != "content is not valid JSON" {
			t.Errorf("%q: %+v", content, v)
		}
	}
}

// However deep references and combinations are and the content with them, the
// stack suffices, or the message is refused with a reason.
func TestASchemaNeverTakesMoreStackThanThereIs(t *testing.T) {
	objects := strings.Repeat(`{"a":`, 64) + "1" + strings.Repeat("}", 64)
	for _, link := range []string{
		`{"allOf":[{"$ref":"#/$defs/d%d"}]}`, `{"anyOf":[{"$ref":"#/$defs/d%d"}]}`, `{"oneOf":[false,{"$ref":"#/$defs/d%d"}]}`,
		`{"if":true,"then":{"$ref":"#/$defs/d%d"}}`, `{"not":{"not":{"$ref":"#/$defs/d%d"}}}`,
		`{"unevaluatedItems":false,"unevaluatedProperties":false,"anyOf":[{"$ref":"#/$defs/d%d"}]}`,
		`{"dependentSchemas":{"a":{"$ref":"#/$defs/d%d"}},"allOf":[true]}`,
	} {
		for _, n := range []int{1, 2, 4, 8, 45} {
			var links []string
			for i := range n {
				links = append(links, fmt.Sprintf(`"d%d":`+link, i, i+1))
			}
			for i, last := range []string{
				`{"items":{"$ref":"#"},"contains":{"$ref":"#"},"minContains":0}`,
				`{"patternProperties":{"^(a|b)\\b":{"$ref":"#"}},"propertyNames":{"pattern":"a"},"additionalProperties":false}`,
				`{"properties":{"a":{"$ref":"#"}},"pattern":"^(a|b)\\b","const":{"a":1}}`,
			} {
				chain, err := build(t, `{"schema":{"$ref":"#/$defs/d0","$defs":{`+strings.Join(links, ",")+fmt.Sprintf(`,"d%d":%s}}}`, n, last))
				if err != nil && strings.Contains(err.Error(), "more than 100 references") {
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if v := judge(t, chain, []string{nested(64), objects, objects}[i]); v.Failure != "" {
					t.Errorf("%d of %s and %s: failure %s", n, link, last, v.Failure)
				}
				chain.Retire()
			}
		}
	}
}

func TestLargeSchemasAreAcceptedOrRefusedByName(t *testing.T) {
	for _, c := range []struct{ name, schema, content, want string }{
		{"10,000 properties", `{"properties":{` + repeated(10000, `"property#N":{"type":"string","maxLength":#N}`) + `}}`, `{"property77":1}`, "/property77: type"},
		{"10,000 required", `{"required":[` + repeated(10000, `"property#N"`) + `]}`, `{"property0":1}`, `required: "property1" is missing`},
		{"10,000 references", `{"properties":{` + repeated(10000, `"p#N":{"$ref":"#/$defs/d#N"}`) + `},"$defs":{` + repeated(10000, `"d#N":{"const":#N}`) + `}}`, `{"p77":78}`, "/p77: const: has to be 77"},
		{"1,000 patterns", `{"patternProperties":{` + repeated(1000, `"^[a-z]+#N\\p{L}{1,9}$":{"type":"string"}`) + `},"additionalProperties":false}`, `{"a7x":1}`, "/a7x: type"},
		{"50,000 values", `{"enum":[` + repeated(50000, `"value#N"`) + `]}`, `"value50000"`, "none of the 50000 values"},
		{"a schema of about 1 MiB", `{"allOf":[` + repeated(29000, `{"maxLength":3,"minLength":#N}`) + `]}`, `""`, "minLength: 0 characters, at least 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			chain, err := build(t, `{"schema":`+c.schema+`}`)
			if err != nil {
				t.Fatal(err)
			}
			defer chain.Retire()
			if v := judge(t, chain, c.content); !strings.Contains(v.Reason, c.want) || v.Failure != "" {
				t.Errorf("%+v, want %q", v, c.want)
			}
		})
	}
	t.Run("more than the memory holds", func(t *testing.T) {
		_, err := build(t, `{"schema":{"enum":[`+repeated(500_000, "1")+`]}}`)
		if err == nil || !strings.Contains(err.Error(), "raise limits.memory") {
			t.Errorf("%v", err)
		}
	})
}

func TestContentLargerThanTheMemoryIsRefused(t *testing.T) {
	chain, err := shared.Build(t.Context(), []plugins.Spec{{
		Name: "validate", Plugin: "builtin:validate", Config: json.RawMessage(`{"schema":{"uniqueItems":true}}`), Memory: 6 << 20, Time: plugins.MaxTime,
	}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	content := "[" + repeated(300_000, "#N") + "]"
	if v := judge(t, chain, content); v.Code != 413 || v.Failure != "" {
		t.Errorf("%+v", v)
	}
	if v := judge(t, chain, `[1,2]`); v.Action != router.Continue {
		t.Errorf("the next message: %+v", v)
	}
}

func TestMemoryStaysFlat(t *testing.T) {
	chain := forSchema(t, `{"type":"object","properties":{"text":{"pattern":"^(\\p{L}|[0-9 ])*$"},"tags":{"uniqueItems":true}},"unevaluatedProperties":{"enum":[1,2,{"a":1}]},
		"anyOf":[{"required":["text"]},{"required":["tags"]}]}`)
	contents := []string{
		`{"text":"hello wörld 1"}`, `{"tags":["a","b","c","d","e","f"]}`, `{"text":"no!"}`, `{"x":3,"text":""}`, `{"tags":[1,1]}`, `{"a":1,"a":2}`,
		`{"text":"` + strings.Repeat("käse ", 10000) + `"}`, `{"tags":[` + repeated(8000, "#N") + `]}`,
	}
	run := func(n int) uint64 {
		for i := range n {
			content := contents[i%6]
			if i%1000 < 2 {
				content = contents[6+i%2]
			}
			if v := judge(t, chain, content); v.Failure != "" {
				t.Fatal(v.Failure)
			}
		}
		return chain.Stats()[0].Memory
	}
	messages := 1_000_000
	if testing.Short() {
		messages = 20_000
	}
	if first, last := run(2000), run(messages); first != last {
		t.Errorf("%d bytes after 2,000 messages, %d after %d", first, last, messages)
	}
}

func TestGeneralCategoriesAreThoseOfUnicode(t *testing.T) {
	long := map[string]string{"L": "Letter", "Lu": "Uppercase_Letter", "Nd": "Decimal_Number", "P": "Punctuation", "Sc": "Currency_Symbol", "Zs": "Space_Separator", "Cn": "Unassigned"}
	for name, table := range unicode.Categories {
		if strings.HasPrefix(name, "C") && (name == "C" || name == "Cs" || name == "Cn") || name == "LC" {
			continue // Go's tables differ in what they call these, and JSON has no surrogates
		}
		var inside, outside strings.Builder
		for r := rune(0); r <= unicode.MaxRune; r++ {
			if r >= 0xD800 && r < 0xE000 || r%97 != 0 && (r > 0x3400 && r < 0xA000 || r > 0x20000) {
				continue // surrogates, and most of those that come in large blocks
			}
			if unicode.Is(table, r) {
				inside.WriteRune(r)
			} else {
				outside.WriteRune(r)
			}
		}
		names := []string{name, "gc=" + name}
		if long[name] != "" {
			names = append(names, long[name], "General_Category="+long[name])
		}
		for _, n := range names {
			chain, err := build(t, fmt.Sprintf(`{"schema":{"properties":{"in":{"pattern":"^\\p{%s}*$"},"out":{"pattern":"^[\\P{%s}]*$"}}}}`, n, n))
			if err != nil {
				t.Fatal(err)
			}
			content, err := json.Marshal(map[string]string{"in": inside.String(), "out": outside.String()})
			if err != nil {
				t.Fatal(err)
			}
			if v := judge(t, chain, string(content)); v.Action != router.Continue {
				t.Errorf("%s: %+v", n, v)
			}
			chain.Retire()
		}
	}
}

func TestPatternsAreThoseOfECMA262(t *testing.T) {
	for _, c := range []struct {
		pattern, matches, fails string // texts separated by spaces; _ is the empty one, ~ a space
	}{
		{`^a|b$`, "ax xb a b", "xa bx x"},
		{`a{2}`, "aa aaa xaax", "a axa"},
		{`^a{2,3}$`, "aa aaa", "a aaaa"},
		{`^a{2,}$`, "aa aaaaa", "a _"},
		{`^(?:ab)+?$`, "ab abab", "a aba"},
		{`^(?<year>\d{4})-(\d\d)$`, "2026-01", "026-01 2026-1"},
		{`^[^a-c]$`, "d é 😀", "a b aa _"},
		{`^[a\-z]$`, "a - z", "b"},
		{`^[-a]$`, "- a", "b"},
		{`^[a-]$`, "- a", "b"},
		{`^[]a]$`, "", "_ a ]"},
		{`^[^]$`, "a ] 😀", "_ aa"},
		{`^.$`, "a 😀 é", "_ aa"},
		{`^\u00e9\u{1F600}\ud83d\ude00$`, "é😀😀", "é😀"},
		{`^[\u{1F600}-\u{1F64F}]+$`, "😀😃", "🚀"},
		{`\bcat\b`, "cat a~cat~x cat.", "cats bobcat"},
		{`^\Bb|a\B$`, "", "b a ab"},
		{`a\Bb`, "ab", "a~b"},
		{`^\w+\.\w+$`, "a.b", "ab a.é"},
		{`^[\w.-]+@[\w-]+$`, "a.b-c@d", "a@ é@d"},
		{`^\/\@\-\#\"$`, `/@-#"`, "x"},
		{`^{a}$`, "{a}", "a"},
		{`^a{b}$`, "a{b}", "ab"},
		{`^]$`, "]", "["},
		{`^(|a)b$`, "b ab", "aab"},
		{`()`, "_ x", ""},
		{`^(a*)*$`, "_ aaa", "b"},
		{`^(a?){3}$`, "_ a aaa", "aaaa"},
		{`$^`, "_", "a"},
		{`^\cJ?\0?$`, "_", "J"},
		{`^\S+~\S+$`, "a~b", "a a~~b"},
		{`^(Mr|Mrs|Ms)\.~?[A-Z]\w*$`, "Mr.A Mrs.Bee", "Dr.A Mr.a"},
	} {
		pattern, err := json.Marshal(strings.ReplaceAll(c.pattern, "~", " "))
		if err != nil {
			t.Fatal(err)
		}
		chain, err := build(t, `{"schema":{"pattern":`+string(pattern)+`}}`)
		if err != nil {
			t.Errorf("%s: %v", c.pattern, err)
			continue
		}
		for list, want := range map[string]router.Action{c.matches: router.Continue, c.fails: router.Deny} {
			for _, text := range strings.Fields(list) {
				content, err := json.Marshal(strings.ReplaceAll(strings.ReplaceAll(text, "_", ""), "~", " "))
				if err != nil {
					t.Fatal(err)
				}
				if v := judge(t, chain, string(content)); v.Action != want {
					t.Errorf("%s, %q: %+v", c.pattern, text, v)
				}
			}
		}
		chain.Retire()
	}
}

func TestTheModuleIsSmallAndNeedsNoCapability(t *testing.T) {
	wasm, err := os.ReadFile("validate.wasm")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if len(wasm) > 64<<10 {
		t.Errorf("it has %d bytes; it is to stay below 64 KiB", len(wasm))
	}
	info := forSchema(t, `true`).Info()[0] // loads without a capability
	if string(info.Schema) != string(schema) {
		t.Error("the section sluice.schema is not schema.json: run make filters")
	}
	if fmt.Sprint(info.Hooks) != "[message]" {
		t.Errorf("it has the hooks %v", info.Hooks)
	}
}
