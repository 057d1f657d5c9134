package validate_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"sluice/router"
)

func TestARefusalNamesThePlaceTheKeywordAndWhatWasExpected(t *testing.T) {
	for _, c := range []struct{ name, schema, content, reason string }{
		{"a place within", `{"properties":{"user":{"properties":{"age":{"maximum":130}}}}}`, `{"user":{"age":151}}`, "/user/age: maximum: 151 is more than 130"},
		{"the content itself", `{"minimum":3}`, `2`, "content: minimum: 2 is less than 3"},
		{"an item", `{"items":{"type":"string"}}`, `["a",1]`, "/1: type: has to be a string, and is a number"},
		{"steps are escaped as in JSON pointers", `{"additionalProperties":false}`, `{"a/b~c":1}`, "/a~1b~0c: additionalProperties: this property is not allowed"},
		{"several types", `{"type":["integer","null","string"]}`, `[]`, "content: type: has to be null, an integer or a string, and is an array"},
		{"an integer", `{"type":"integer"}`, `1.5`, "content: type: has to be an integer, and is a number"},
		{"few values", `{"enum":["a","b",3,null]}`, `1`, `content: enum: has to be "a", "b", 3 or null`},
		{"many values", `{"enum":["` + strings.Repeat("x", 200) + `",2]}`, `1`, "content: enum: this is none of the 2 values allowed"},
		{"one value", `{"const":"a"}`, `"b"`, `content: const: has to be "a"`},
		{"one large value", `{"const":{"a":[]}}`, `1`, "content: const: this is not the one value allowed"},
		{"exclusive limits", `{"exclusiveMaximum":3}`, `3.0`, "content: exclusiveMaximum: 3.0 is not less than 3"},
		{"exclusive limits below", `{"exclusiveMinimum":3}`, `3`, "content: exclusiveMinimum: 3 is not more than 3"},
		{"multiples", `{"multipleOf":0.01}`, `1.005`, "content: multipleOf: 1.005 is no multiple of 0.01"},
		{"lengths", `{"maxLength":2}`, `"äöü"`, "content: maxLength: 3 characters, at most 2 are allowed"},
		{"lengths below", `{"minLength":2}`, `"ä"`, "content: minLength: 1 character, at least 2 are needed"},
		{"patterns", `{"pattern":"^[a-z]+$"}`, `"A"`, `content: pattern: does not match "^[a-z]+$"`},
		{"numbers of items", `{"maxItems":1}`, `[1,2]`, "content: maxItems: 2 items, at most 1 are allowed"},
		{"numbers of items below", `{"minItems":2}`, `[1]`, "content: minItems: 1 item, at least 2 are needed"},
		{"items beyond the prefix", `{"prefixItems":[true],"items":false}`, `[1,2,3]`, "content: items: 3 items, at most 1 are allowed"},
		{"repeated items", `{"uniqueItems":true}`, `[1,2,1.0]`, "/2: uniqueItems: an earlier item is the same"},
		{"what has to be contained", `{"contains":{"const":1},"minContains":2}`, `[1]`, "content: minContains: 1 items are as contains says, at least 2 are needed"},
		{"what may be contained", `{"contains":{"const":1},"maxContains":1}`, `[1,1]`, "content: maxContains: 2 items are as contains says, at most 1 are allowed"},
		{"a missing property, the first of them", `{"required":["a","text","to"]}`, `{"a":1}`, `content: required: "text" is missing`},
		{"numbers of properties", `{"maxProperties":1}`, `{"a":1,"b":1}`, "content: maxProperties: 2 properties, at most 1 are allowed"},
		{"names of properties", `{"propertyNames":{"maxLength":2}}`, `{"abc":1}`, "/abc: propertyNames: maxLength: 3 characters, at most 2 are allowed"},
		{"dependents", `{"dependentRequired":{"a":["b"]}}`, `{"a":1}`, `content: dependentRequired: "b" has to be there if "a" is`},
		{"forbidden dependents", `{"dependentSchemas":{"a":false}}`, `{"a":1}`, `content: dependentSchemas: "a" is not allowed`},
		{"unevaluated properties", `{"unevaluatedProperties":false}`, `{"a":1}`, "/a: unevaluatedProperties: this property is not allowed"},
		{"unevaluated items", `{"unevaluatedItems":false}`, `[1]`, "/0: unevaluatedItems: this item is not allowed"},
		{"no branch", `{"anyOf":[{"type":"string"},{"minimum":3}]}`, `1`, "content: anyOf: matches none of the 2 schemas"},
		{"two branches", `{"oneOf":[{"type":"string"},{"minimum":0},{"maximum":3}]}`, `1`, "content: oneOf: matches more than one of the 3 schemas: those at 1 and 2"},
		{"not", `{"not":{"type":"number"}}`, `1`, "content: not: is as it must not be"},
		{"false", `{"properties":{"a":false}}`, `{"a":1}`, "/a: false: nothing is allowed here"},
		{"a reference leads to the keyword", `{"$ref":"#/$defs/n","$defs":{"n":{"maximum":1}}}`, `2`, "content: maximum: 2 is more than 1"},
		{"the first mistake counts", `{"properties":{"a":{"type":"string"},"b":{"type":"string"}}}`, `{"b":1,"a":1}`, "/b: type: has to be a string, and is a number"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := judge(t, forSchema(t, c.schema), c.content)
			if v.Action != router.Deny || v.Code != 422 || v.Reason != c.reason || v.Failure != "" {
				t.Errorf("got %d, %d %q, failure %q; want %q", v.Action, v.Code, v.Reason, v.Failure, c.reason)
			}
		})
	}
}

func TestAReasonNeverRepeatsMuchOfTheContent(t *testing.T) {
	long := strings.Repeat("k", 5000)
	nested := strings.Repeat(`{"`+strings.Repeat("ö", 50)+`":`, 60) + "1" + strings.Repeat("}", 60)
	for _, c := range []struct{ name, schema, content string }{
		{"a long key", `{"additionalProperties":false}`, `{"` + long + `":1}`},
		{"a long number", `{"maximum":1}`, strings.Repeat("9", 5000)},
		{"a long path", `{"$ref":"#/$defs/o","$defs":{"o":{"type":"object","additionalProperties":{"$ref":"#/$defs/o"}}}}`, nested},
		{"a long pattern", `{"pattern":"^` + long[:900] + `$"}`, `"` + long + `"`},
		{"a key that is no text", `{"additionalProperties":false}`, `{"\u0000\ud800\u001b[31m\n":1}`},
		{"a key twice", `true`, `{"` + long + `":1,"` + long + `":1}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := judge(t, forSchema(t, c.schema), c.content)
			if v.Action != router.Deny || v.Failure != "" || len(v.Reason) > 512 || strings.ContainsAny(v.Reason, "\x00\x1b\n") {
				t.Errorf("%+v", v)
			}
		})
	}
}

func TestTheFirstRuleThatMatchesCounts(t *testing.T) {
	const config = `{"rules":[
		{"rooms":["chat:*","talk"],"schema":{"const":1}},
		{"rooms":["chat:**"],"kinds":["room","direct"],"schema":{"const":2}},
		{"kinds":["broadcast"],"schema":{"const":3}}]`
	for _, c := range []struct {
		name, rest string
		kind       uint32
		room       string
		passes     string // of 1 to 4 as content, those that pass
	}{
		{"the first", "}", router.KindRoom, "chat:a", "1"},
		{"a second pattern", "}", router.KindRoom, "talk", "1"},
		{"the second", "}", router.KindRoom, "chat:a:b", "2"},
		{"rooms restrict room messages alone", "}", router.KindDirect, "", "2"},
		{"a kind", "}", router.KindBroadcast, "", "3"},
		{"none", "}", router.KindRoom, "other", "1234"},
		{"none, and others pass", `,"otherwise":"pass"}`, router.KindRoom, "other", "1234"},
		{"none, and others are denied", `,"otherwise":"deny"}`, router.KindRoom, "other", ""},
		{"none, and a schema for them", `,"schema":{"const":4}}`, router.KindRoom, "other", "4"},
	} {
		t.Run(c.name, func(t *testing.T) {
			chain := load(t, config+c.rest)
			got := ""
			for _, content := range []string{"1", "2", "3", "4"} {
				e := event(c.kind, c.room, content)
				if err := chain.Judge(e); err != nil || e.Verdict.Failure != "" {
					t.Fatal(err, e.Verdict.Failure)
				}
				if e.Verdict.Action == router.Continue {
					got += content
				}
			}
			if got != c.passes {
				t.Errorf("%q pass, want %q", got, c.passes)
			}
		})
	}
}

func TestWhatNoRuleAllowsIsDenied(t *testing.T) {
	v := judge(t, load(t, `{"rules":[{"rooms":["a"],"schema":true}],"otherwise":"deny"}`), "1")
	if v.Action != router.Deny || v.Code != 422 || v.Reason != "no schema allows messages here" {
		t.Errorf("%+v", v)
	}
}

func TestNumbersAreComparedExactly(t *testing.T) {
	for _, c := range []struct {
		schema, content string
		valid           bool
	}{
		{`{"maximum":9007199254740992}`, `9007199254740993`, false},
		{`{"maximum":9007199254740993}`, `9007199254740993`, true},
		{`{"const":9007199254740993}`, `9007199254740992`, false},
		{`{"maximum":1e400}`, `1e399`, true},
		{`{"maximum":1e400}`, `1.0000000001e400`, false},
		{`{"minimum":-1e-400}`, `-1e-399`, false},
		{`{"maximum":0.1}`, `0.10000000000000000000000000000000000001`, false},
		{`{"maximum":0.1}`, `0.1000000000000000000000000000000000000`, true},
		{`{"exclusiveMinimum":0}`, `0.0000e-5`, false},
		{`{"exclusiveMinimum":0}`, `1e-999999999999999`, true},
		{`{"const":0}`, `-0.0`, true},
		{`{"const":100}`, `1E+2`, true},
		{`{"const":0.001}`, `100e-5`, true},
		{`{"const":123.456}`, `0.000123456e6`, true},
		{`{"enum":[1,2,3,4,5,6,7,8,9,100]}`, `1.00e2`, true},
		{`{"enum":[1,2,3,4,5,6,7,8,9,100]}`, `1.01e2`, false},
		{`{"type":"integer"}`, `1e308`, true},
		{`{"type":"integer"}`, `12.50e1`, true},
		{`{"type":"integer"}`, `12.5e0`, false},
		{`{"type":"integer"}`, `0.0`, true},
		{`{"multipleOf":0.01}`, `4.35`, true},
		{`{"multipleOf":0.01}`, `1e300`, true},
		{`{"multipleOf":0.01}`, `4.351`, false},
		{`{"multipleOf":3}`, `1e300`, false},
		{`{"multipleOf":3}`, `3e300`, true},
		{`{"multipleOf":1024}`, `1e10`, true},
		{`{"multipleOf":1024}`, `1e9`, false},
		{`{"multipleOf":7}`, strings.Repeat("7", 5000), true},
		{`{"multipleOf":7}`, strings.Repeat("7", 5000) + "1", false},
		{`{"multipleOf":999999999999999999}`, `999999999999999999000`, true},
		{`{"multipleOf":1e20}`, `3e20`, true},
		{`{"multipleOf":1e20}`, `150000000000000000000`, false},
		{`{"uniqueItems":true}`, `[1,2,3,4,5,6,10e-1]`, false},
		{`{"maxLength":2.0,"minLength":1e0}`, `"abc"`, false},
		{`{"maxItems":1e30}`, `[1]`, true},
	} {
		if v := judge(t, forSchema(t, c.schema), c.content); (v.Action == router.Continue) != c.valid || v.Failure != "" {
			t.Errorf("%s, %.60s: %+v", c.schema, c.content, v)
		}
	}
}

func TestStringsAreComparedUnescaped(t *testing.T) {
	for _, c := range []struct {
		schema, content string
		valid           bool
	}{
		{`{"const":"é😀"}`, `"\u00e9\ud83d\ude00"`, true},
		{`{"const":"\u00e9"}`, `"é"`, true},
		{`{"const":"a\nb\"\\\/"}`, `"a\u000ab\u0022\u005c/"`, true},
		{`{"const":"\ud800"}`, `"\uD800"`, true},
		{`{"const":"\ud800"}`, `"\ufffd"`, false},
		{`{"maxLength":1}`, `"\ud83d\ude00"`, true},
		{`{"minLength":2,"maxLength":2}`, `"\ude00\ud83d"`, true},
		{`{"maxLength":1}`, `"\ud83dx"`, false},
		{`{"maxLength":3}`, `"abcd"`, false},
		{`{"minLength":9,"maxLength":9}`, `"äöüßéàèùâ"`, true},
		{`{"properties":{"\u0061":{"type":"string"}}}`, `{"a":1}`, false},
		{`{"properties":{"a":{"type":"string"}}}`, `{"\u0061":1}`, false},
		{`{"required":["é"]}`, `{"\u00e9":1}`, true},
	} {
		if v := judge(t, forSchema(t, c.schema), c.content); (v.Action == router.Continue) != c.valid || v.Failure != "" {
			t.Errorf("%s, %s: %+v", c.schema, c.content, v)
		}
	}
}

func TestAKeyTwiceInOneObjectIsRefusedWhateverTheSchemaSays(t *testing.T) {
	chain := forSchema(t, `true`)
	var many []string
	for i := range 5000 {
		many = append(many, fmt.Sprintf(`"key%d":%d`, i, i))
	}
	large := "{" + strings.Join(many, ",")
	for _, c := range []struct{ content, reason string }{
		{`{"a":1,"a":1}`, "/a: this key is there twice in one object"},
		{`{"a":1,"\u0061":1}`, "/a: this key is there twice in one object"},
		{`[0,{"b":{"x":1,"c":{},"x":2}},3]`, "/1/b/x: this key is there twice in one object"},
		{large + `,"key77":1}`, "/key77: this key is there twice in one object"},
		{large + `}`, ""},
		{`[{"a":1},{"a":1},{"b":{"a":1},"a":{"b":2}}]`, ""},
	} {
		if v := judge(t, chain, c.content); v.Reason != c.reason || (v.Action == router.Deny) != (c.reason != "") {
			t.Errorf("%.60s: %+v", c.content, v)
		}
	}
}

func TestAMessageIsJudgedWithoutAllocatingInTheHost(t *testing.T) {
	chain := forSchema(t, fiveFields)
	e := event(router.KindBroadcast, "", benchContent(1<<10, false))
	if n := testing.AllocsPerRun(200, func() {
		if err := chain.Judge(e); err != nil || e.Verdict.Action != router.Continue {
			t.Fatal(err, e.Verdict)
		}
	}); n > 0 {
		t.Errorf("%v allocations a message", n)
	}
}

func TestTheReadmesExampleWorks(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(readme), "\n\n    filters:")
	block, rest, _ := strings.Cut("    filters:"+block, "\n\n")
	var example struct {
		Filters []struct{ Config map[string]any }
	}
	if err := yaml.Unmarshal([]byte(block), &example); err != nil || len(example.Filters) != 1 {
		t.Fatal(err, example)
	}
	config, err := json.Marshal(example.Filters[0].Config)
	if err != nil {
		t.Fatal(err)
	}
	chain := load(t, string(config))
	for _, content := range []string{`{"text":"a","reply_to":0}`, `{"reply_to":1}`, `{"text":"a","txt":1}`} {
		e := event(router.KindRoom, "chat:a", content)
		if err := chain.Judge(e); err != nil || e.Verdict.Reason == "" || !strings.Contains(rest, "\n    "+e.Verdict.Reason+"\n") {
			t.Errorf("%s: %v %+v", content, err, e.Verdict)
		}
	}
}

func TestServerMessagesAreHeldToTheSchemaToo(t *testing.T) {
	chain := forSchema(t, `{"type":"object"}`)
	e := event(router.KindBroadcast, "", "1")
	e.FromServer = true
	if err := chain.Judge(e); err != nil || e.Verdict.Action != router.Deny {
		t.Errorf("%v %+v", err, e.Verdict)
	}
}
