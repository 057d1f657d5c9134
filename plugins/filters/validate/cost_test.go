package validate_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/router"
)

// anyJSON allows every JSON value, by way of itself.
const anyJSON = `{"$defs":{"v":{"anyOf":[{"type":"null"},{"type":"number"},{"type":"string","maxLength":100},{"type":"array","items":{"$ref":"#/$defs/v"}},
	{"type":"object","additionalProperties":{"$ref":"#/$defs/v"}}]}},"$ref":"#/$defs/v"}`

// triedAgain asks for each part of a message in three ways.
const triedAgain = `{"$defs":{"t":{"anyOf":[{"type":"array","items":{"$ref":"#/$defs/t"}},{"type":"array","contains":{"$ref":"#/$defs/t"}},
	{"type":"array","unevaluatedItems":{"$ref":"#/$defs/t"}},{"const":5}]}},"$ref":"#/$defs/t"}`

const tree = `{"$defs":{"n":{"oneOf":[{"type":"object","required":["leaf"],"properties":{"leaf":{"type":"string","pattern":"^[a-z]+$"}}},
	{"type":"object","required":["kids"],"properties":{"kids":{"type":"array","items":{"$ref":"#/$defs/n"}}}}]}},"$ref":"#/$defs/n"}`

// doubling refers twice to the next of 25 schemas, which link joins, so that one
// value has 2^25 ways to the last.
func doubling(link, last string) string {
	var defs []string
	for i := range 25 {
		defs = append(defs, fmt.Sprintf(`"a%d":`+link, i, i+1, i+1))
	}
	return `{"$ref":"#/$defs/a0","$defs":{` + strings.Join(defs, ",") + `,"a25":` + last + `}}`
}

// costly are schemas and contents that a validator without limits would spend
// seconds on, or the whole time of a message.
var costly = []struct{ name, schema, content string }{
	{"any JSON of many arrays", anyJSON, "[" + repeated(8000, "[0,[]]") + "]"},
	{"any JSON of many empty arrays", anyJSON, "[" + repeated(21000, "[]") + "]"},
	{"any JSON of many objects", anyJSON, "[" + repeated(6000, `{"a":[0]}`) + "]"},
	{"any JSON of numbers", anyJSON, "[" + repeated(32000, `1`) + "]"},
	{"tried in three ways", triedAgain, "[" + repeated(8000, "[6,6]") + ",5]"},
	{"tried in three ways, deep", triedAgain, strings.Repeat("[", 20) + repeated(3000, "[6,[6,[6,[5]]]]") + strings.Repeat("]", 20)},
	{"a tree", tree, `{"kids":[` + repeated(3500, `{"leaf":"abc"}`) + `]}`},
	{"a tree of many levels", tree, strings.Repeat(`{"kids":[`, 25) + repeated(3000, `{"leaf":"a"}`) + strings.Repeat("]}", 25)},
	{"doubled anyOf", doubling(`{"anyOf":[{"$ref":"#/$defs/a%d"},{"$ref":"#/$defs/a%d"}]}`, `{"const":1}`), `2`},
	{"doubled anyOf of different schemas", doubling(`{"anyOf":[{"$ref":"#/$defs/a%d","minLength":1},{"$ref":"#/$defs/a%d","maxLength":9}]}`, `{"const":1}`), `"a"`},
	{"doubled allOf", doubling(`{"allOf":[{"$ref":"#/$defs/a%d","minLength":1},{"$ref":"#/$defs/a%d","maxLength":9}]}`, `{"type":"string"}`), `"a"`},
	{"doubled oneOf", doubling(`{"oneOf":[{"$ref":"#/$defs/a%d"},{"$ref":"#/$defs/a%d"}]}`, `{"const":1}`), `2`},
	{"doubled with marks", doubling(`{"unevaluatedProperties":true,"anyOf":[{"$ref":"#/$defs/a%d","minLength":1},{"$ref":"#/$defs/a%d","maxLength":9}]}`, `{"minProperties":1}`), `{"a":1}`},
	{"doubled not", doubling(`{"not":{"anyOf":[{"$ref":"#/$defs/a%d","minLength":1},{"$ref":"#/$defs/a%d","maxLength":9}]}}`, `{"const":1}`), `2`},
	{"many patterns over many keys", `{"patternProperties":{` + repeated(1000, `"^x{1,3}#N":{}`) + `}}`, "{" + repeated(6000, `"k#N":0`) + "}"},
	{"many patterns over a long text", `{"allOf":[` + repeated(100, `{"pattern":"^[a-z]*$","maxLength":7#N0000}`) + `]}`, `"` + strings.Repeat("a", 60000) + `"`},
	{"long text counted again and again", `{"allOf":[` + repeated(1000, `{"maxLength":5#N000}`) + `]}`, `"` + strings.Repeat("é", 30000) + `"`},
	{"long numbers again and again", `{"allOf":[` + repeated(1000, `{"multipleOf":7,"title":"#N"}`) + `]}`, strings.Repeat("7", 60000)},
	{"long texts that are compared again and again", `{"allOf":[` + repeated(500, `{"uniqueItems":true,"title":"#N"}`) + `]}`, `["` + strings.Repeat("a", 30000) + `","` + strings.Repeat("a", 29999) + `b"]`},
	{"a list hashed again and again", `{"allOf":[` + repeated(50, `{"uniqueItems":true,"title":"#N"}`) + `]}`, "[" + repeated(9000, "#N") + "]"},
	{"required names of which one is missing", `{"required":[` + repeated(6000, `"k#N"`) + `,"none"]}`, "{" + repeated(6000, `"k#N":0`) + "}"},
	{"many schemas for each item", `{"items":{"anyOf":[` + repeated(1000, `{"const":"#N"}`) + `]}}`, "[" + repeated(30000, "0") + "]"},
	{"marks of a long list", `{"unevaluatedItems":false,"allOf":[` + repeated(1000, `{"anyOf":[{"items":true},{"title":"#N"}]}`) + `]}`, "[" + repeated(30000, "0") + "]"},
}

// beyond are those that take more steps than a message may.
var beyond = map[string]bool{
	"tried in three ways": true, "tried in three ways, deep": true, "doubled with marks": true, "many patterns over many keys": true,
	"many patterns over a long text": true, "long numbers again and again": true, "long texts that are compared again and again": true,
	"a list hashed again and again": true, "required names of which one is missing": true, "marks of a long list": true,
}

// However the schema recurs or doubles, the message gets an answer within the
// filter's own limit, so that no call ends by the host's deadline, which would
// cost every sender the instance.
func TestAMessageThatIsCostlyToCheckIsAnsweredAndTheFilterStays(t *testing.T) {
	for _, c := range costly {
		t.Run(c.name, func(t *testing.T) {
			chain := load(t, `{"rules":[{"rooms":["costly:*"],"schema":`+c.schema+`}],"schema":{"type":"integer"}}`)
			for range 3 {
				e := event(router.KindRoom, "costly:a", c.content)
				from := time.Now()
				if err := chain.Judge(e); err != nil {
					t.Fatal(err)
				}
				v := e.Verdict
				t.Logf("%v: %d bytes, action %d %.90q", time.Since(from).Round(time.Microsecond), len(c.content), v.Action, v.Reason)
				if v.Failure != "" || (v.Action != router.Continue && (v.Code != 422 || v.Reason == "")) {
					t.Fatalf("%+v", v)
				}
				if tooCostly := strings.HasSuffix(v.Reason, " more than 250000 steps"); tooCostly != beyond[c.name] {
					t.Fatalf("it is refused as too costly: %v, want %v", tooCostly, beyond[c.name])
				}
				neighbour := event(router.KindRoom, "quiet:a", "1")
				if err := chain.Judge(neighbour); err != nil {
					t.Fatal(err)
				}
				if v := neighbour.Verdict; v.Action != router.Continue || v.Failure != "" {
					t.Fatalf("the neighbour's message: %+v", v)
				}
			}
		})
	}
}
