package validate_test

import (
	"fmt"
	"strings"
	"testing"
)

const draft7 = `"$schema":"http://json-schema.org/draft-07/schema#"`

// repeated is n things, each made of its number, with commas between.
func repeated(n int, format string) string {
	all := make([]string, n)
	for i := range all {
		all[i] = strings.ReplaceAll(format, "#N", fmt.Sprint(i))
	}
	return strings.Join(all, ",")
}

func TestWhatIsNotSupportedIsRefusedByName(t *testing.T) {
	for _, c := range []struct{ name, schema, reason string }{
		{"$dynamicRef", `{"items":{"$dynamicRef":"#x"}}`, "/schema/items/$dynamicRef: the keyword $dynamicRef is not supported"},
		{"$dynamicAnchor", `{"$dynamicAnchor":"x"}`, "/schema/$dynamicAnchor: the keyword $dynamicAnchor is not supported"},
		{"$recursiveRef", `{"$recursiveRef":"#"}`, "/schema/$recursiveRef: the keyword $recursiveRef is not supported"},
		{"a remote reference", `{"$ref":"other.json#/x"}`, "/schema/$ref: remote references are refused, and other.json is not part of this schema"},
		{"a remote reference, resolved", `{"$id":"https://example.org/a/b","$ref":"../c"}`, "https://example.org/c is not part of this schema"},
		{"the metaschema", `{"$ref":"https://json-schema.org/draft/2020-12/schema"}`, "/schema/$ref: remote references are refused, and https://json-schema.org/draft/2020-12/schema"},
		{"another dialect", `{"$schema":"http://json-schema.org/draft-04/schema#"}`, `/schema/$schema: "http://json-schema.org/draft-04/schema#" is no dialect known here: 2020-12`},
		{"two dialects in one document", `{"$defs":{"a":{` + draft7 + `}}}`, "/schema/$defs/a/$schema: differs from the whole document's"},
		{"a vocabulary", `{"$vocabulary":{"https://example.org/v":true}}`, "/schema/$vocabulary/https:~1~1example.org~1v: this vocabulary is required and not known here"},
		{"items as an array in 2020-12", `{"items":[{}]}`, "/schema/items: is an array: in 2020-12 that keyword is prefixItems"},
		{"a keyword of draft-07 in 2020-12", `{"additionalItems":{}}`, "the keyword additionalItems is not one of 2020-12: set $schema if this is draft-07"},
		{"a keyword of 2020-12 in draft-07", `{` + draft7 + `,"prefixItems":[{}]}`, "/schema/prefixItems: the keyword prefixItems is not one of draft-07"},
		{"dependentRequired in draft-07", `{` + draft7 + `,"dependentRequired":{}}`, "the keyword dependentRequired is not one of draft-07"},
		{"a back-reference", `{"pattern":"(a)\\1"}`, `/schema/pattern: the pattern "(a)\1" is refused: back-references`},
		{"a named back-reference", `{"pattern":"(?<x>a)\\k<x>"}`, "back-references"},
		{"look-ahead", `{"pattern":"^(?!a)b"}`, "look-ahead, (?= or (?!, cannot be matched in linear time"},
		{"look-behind", `{"patternProperties":{"(?<=a)b":{}}}`, "look-behind, (?<= or (?<!, cannot be matched in linear time"},
		{"flags", `{"pattern":"(?i)a"}`, "(?...) with flags is not supported"},
		{"scripts", `{"pattern":"\\p{Script=Greek}"}`, "\\p{...} names no general category"},
		{"a pattern that repeats much", `{"pattern":"a{1001}"}`, "a quantifier repeats more than 1000 times"},
		{"a pattern that multiplies", `{"pattern":"((a{100}){100}){100}"}`, "it expands to more than 4000 states"},
		{"a pattern of nothing that multiplies", `{"pattern":"(((){1000}){1000}){1000}"}`, "its repetitions multiply"},
		{"a pattern with parentheses without end", `{"pattern":"` + strings.Repeat("(", 100) + `"}`, "its parentheses are nested too deep"},
		{"a divisor of many digits", `{"multipleOf":0.1234567890123456789}`, "/schema/multipleOf: has more than 18 significant digits"},
		{"an exponent of many digits", `{"maximum":1e9999999999999999}`, "/schema/maximum: a number has an exponent of more than 15 digits"},
		{"a reference to itself", `{"$ref":"#"}`, "/schema: this schema refers to itself for the same value, without end"},
		{"a reference to itself by others", `{"$ref":"#/$defs/a","$defs":{"a":{"allOf":[{"anyOf":[true,{"$ref":"#/$defs/b"}]}]},"b":{"if":{"not":{"$ref":"#/$defs/a"}}}}}`, "refers to itself for the same value"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := buildBare(t, `{"schema":`+c.schema+`}`)
			if err == nil || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("the error %v does not say %q", err, c.reason)
			}
		})
	}
}

func TestAChainOfMoreThanAHundredReferencesIsRefused(t *testing.T) {
	var links []string
	for i := range 5000 {
		links = append(links, fmt.Sprintf(`"d%d":{"$ref":"#/$defs/d%d"}`, i, i+1))
	}
	_, err := build(t, `{"schema":{"$ref":"#/$defs/d0","$defs":{`+strings.Join(links, ",")+`,"d5000":true}}}`)
	if err == nil || !strings.Contains(err.Error(), "more than 100 references and combinations lie within each other here") {
		t.Errorf("%v", err)
	}
}

func TestSchemasAreReadStrictly(t *testing.T) {
	for _, c := range []struct{ schema, reason string }{
		{`1`, "/schema: a schema has to be an object or a boolean"},
		{`{"properties":{"a":[]}}`, "/schema/properties/a: a schema has to be an object or a boolean"},
		{`{"type":"strin"}`, "/schema/type: has to be null, boolean, integer, number, string, array or object"},
		{`{"type":["string",1]}`, "/schema/type/1: has to be null"},
		{`{"type":[]}`, "/schema/type: must not be empty"},
		{`{"enum":{}}`, "/schema/enum: has to be an array"},
		{`{"minimum":"1"}`, "/schema/minimum: has to be a number"},
		{`{"exclusiveMinimum":true}`, "/schema/exclusiveMinimum: has to be a number"},
		{`{"multipleOf":0}`, "/schema/multipleOf: has to be more than 0"},
		{`{"multipleOf":-1}`, "/schema/multipleOf: has to be more than 0"},
		{`{"maxLength":-1}`, "/schema/maxLength: has to be a whole number from 0 on"},
		{`{"maxLength":1.5}`, "/schema/maxLength: has to be a whole number from 0 on"},
		{`{"maxLength":"1"}`, "/schema/maxLength: has to be a whole number from 0 on"},
		{`{"pattern":1}`, "/schema/pattern: has to be a string"},
		{`{"pattern":"["}`, `the pattern "[" is refused: a [ has no ]`},
		{`{"pattern":"a)"}`, "a ) has no ("},
		{`{"pattern":"(a"}`, "a ( has no )"},
		{`{"pattern":"*a"}`, "a quantifier has nothing to repeat"},
		{`{"pattern":"a**"}`, "a quantifier has nothing to repeat"},
		{`{"pattern":"[b-a]"}`, "a range in a character class is in the wrong order"},
		{`{"pattern":"[\\w-a]"}`, "a class such as \\d cannot be the end of a range"},
		{`{"pattern":"a{2,1}"}`, "a quantifier {n,m} is in the wrong order"},
		{`{"pattern":"a{,2}"}`, "{,n} is no quantifier of ECMA-262: write {0,n}"},
		{`{"pattern":"\\"}`, "it ends with a backslash"},
		{`{"pattern":"\\a"}`, "a letter has a backslash that means nothing in ECMA-262"},
		{`{"pattern":"\\x{41}"}`, "\\x needs two, \\u four hexadecimal digits"},
		{`{"pattern":"\\u12"}`, "\\x needs two, \\u four hexadecimal digits"},
		{`{"pattern":"\\p{Nope}"}`, "\\p{...} names no general category"},
		{`{"uniqueItems":1}`, "/schema/uniqueItems: has to be true or false"},
		{`{"required":"a"}`, "/schema/required: has to be an array of strings"},
		{`{"required":[1]}`, "/schema/required/0: has to be a string"},
		{`{"allOf":[]}`, "/schema/allOf: has to be an array of schemas that is not empty"},
		{`{"anyOf":{}}`, "/schema/anyOf: has to be an array of schemas that is not empty"},
		{`{"properties":[]}`, "/schema/properties: has to be an object"},
		{`{"patternProperties":1}`, "/schema/patternProperties: has to be an object"},
		{`{"dependentRequired":{"a":"b"}}`, "/schema/dependentRequired/a: has to be an array of strings"},
		{`{"$defs":1}`, "/schema/$defs: has to be an object"},
		{`{"$ref":1}`, "/schema/$ref: has to be a string"},
		{`{"$ref":"#/a"}`, "/schema/$ref: nothing is at #/a"},
		{`{"$ref":"#a"}`, "/schema/$ref: nothing is at #a"},
		{`{"$ref":"#/a/01","a":[{},{}]}`, "/schema/$ref: nothing is at #/a/01"},
		{`{"$ref":"` + strings.Repeat("x", 3000) + `"}`, "/schema/$ref: is longer than 2048 bytes"},
		{`{"$id":1}`, "/schema/$id: has to be a string"},
		{`{"$id":"a#b"}`, "/schema/$id: has a fragment, which 2020-12 does not allow: use $anchor"},
		{`{"$defs":{"a":{"$id":"x"},"b":{"$id":"x"}}}`, "/schema/$defs/b/$id: is used twice"},
		{`{"$defs":{"a":{"$anchor":"x"},"b":{"$anchor":"x"}}}`, "/schema/$defs/b/$anchor: the same name is given twice"},
		{`{"minimum":1,"minimum":2}`, "/schema/minimum: this key is there twice in one object"},
	} {
		err := buildBare(t, `{"schema":`+c.schema+`}`)
		if err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%.80s: the error %v does not say %q", c.schema, err, c.reason)
		}
	}
}

func TestConfigurationsAreReadStrictly(t *testing.T) {
	for _, c := range []struct{ config, reason string }{
		{``, "the configuration has no schema: set schema, or rules with one each"},
		{`{}`, "the configuration has no schema"},
		{`{"rules":[]}`, "the configuration has no schema"},
		{`[]`, "the configuration has to be a JSON object"},
		{`{"schemas":{}}`, "/schemas: is not a key of this filter: rules, schema and otherwise are"},
		{`{"rules":{}}`, "/rules: has to be an array of rules"},
		{`{"rules":[1]}`, "/rules/0: has to be an object"},
		{`{"rules":[{"rooms":["a"]}]}`, "/rules/0: has no schema"},
		{`{"rules":[{"room":"a","schema":{}}]}`, "/rules/0/room: is not a key of a rule: rooms, kinds and schema are"},
		{`{"rules":[{"rooms":"a","schema":{}}]}`, "/rules/0/rooms: has to be an array of room patterns"},
		{`{"rules":[{"rooms":[],"schema":{}}]}`, "/rules/0/rooms: has to be an array of room patterns"},
		{`{"rules":[{"rooms":[""],"schema":{}}]}`, "/rules/0/rooms/0: has to be a room pattern"},
		{`{"rules":[{"rooms":["a***"],"schema":{}}]}`, "/rules/0/rooms/0: has three stars in a row"},
		{`{"rules":[{"rooms":["` + strings.Repeat("x", 1025) + `"],"schema":{}}]}`, "/rules/0/rooms/0: has to be a room pattern, a string of 1 to 1024 bytes"},
		{`{"rules":[{"kinds":[],"schema":{}}]}`, "/rules/0/kinds: has to be an array"},
		{`{"rules":[{"kinds":["chat"],"schema":{}}]}`, "/rules/0/kinds/0: has to be room, broadcast or direct"},
		{`{"rules":[{"rooms":["a"],"kinds":["direct"],"schema":{}}]}`, "/rules/0/kinds: lacks room"},
		{`{"rules":[{"schema":{}},{"schema":{"type":1}}]}`, "/rules/1/schema/type: has to be null"},
		{`{"rules":[{"schema":{}}],"otherwise":"allow"}`, "/otherwise: has to be pass or deny"},
		{`{"schema":{},"otherwise":"deny"}`, "/otherwise: does not go with schema"},
		{`{"rules":[` + repeated(129, `{"schema":true}`) + `]}`, "/rules: has more than 128 rules"},
		{`{"schema":true,"schema":true}`, "/schema: this key is there twice in one object"},
	} {
		err := buildBare(t, c.config)
		if err == nil || !strings.Contains(err.Error(), c.reason) {
			t.Errorf("%.80s: the error %v does not say %q", c.config, err, c.reason)
		}
	}
}
