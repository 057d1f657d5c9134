package size_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"sluice/router"
)

func text(bytes int) string { return `"` + strings.Repeat("x", bytes-2) + `"` }

func nested(depth int) string { return strings.Repeat("[", depth) + strings.Repeat("]", depth) }

func array(items int) string { return "[" + strings.TrimSuffix(strings.Repeat("0,", items), ",") + "]" }

func TestContentIsHeldToItsLimits(t *testing.T) {
	const bytes, depth, items, str = `{"max_bytes":10}`, `{"max_depth":3}`, `{"max_items":3}`, `{"max_string":4}`
	for _, c := range []struct {
		name, config, content string
		code                  uint32 // 0: passes
		reason                string
	}{
		{"one byte below", bytes, text(9), 0, ""},
		{"as many bytes", bytes, text(10), 0, ""},
		{"one byte above", bytes, text(11), 413, "content has 11 bytes, the limit here is 10"},
		{"bytes are counted, not characters", bytes, `"äöüß"`, 0, ""},
		{"bytes are counted, not characters, above", bytes, `"äöüßé"`, 413, "content has 12 bytes, the limit here is 10"},
		{"white space counts as it was sent", bytes, `[ 1,   2  ]`, 413, "content has 11 bytes, the limit here is 10"},
		{"content over the frame limit of 64 KiB", `{"max_bytes":65536}`, text(70000), 413, "content has 70000 bytes, the limit here is 65536"},

		{"one level below", depth, nested(2), 0, ""},
		{"as many levels", depth, nested(3), 0, ""},
		{"one level above", depth, nested(4), 422, "content is nested more than 3 deep, the limit here"},
		{"objects are levels", depth, `{"a":{"b":[{}]}}`, 422, "content is nested more than 3 deep, the limit here"},
		{"brackets in strings are no levels", depth, `"[[[[[[{{{{{{"`, 0, ""},
		{"brackets behind an escaped quote are no levels", depth, `"\"[[[[[["`, 0, ""},
		{"an escaped backslash ends no string", depth, `["\\",[[[]]]]`, 422, "content is nested more than 3 deep, the limit here"},
		{"neighbours are not deeper", depth, `[[[]],[[]],{"a":{}}]`, 0, ""},
		{"no nesting allowed: a number", `{"max_depth":0}`, `1`, 0, ""},
		{"no nesting allowed: an array", `{"max_depth":0}`, `[]`, 422, "content is nested more than 0 deep, the limit here"},
		{"the deepest limit", `{"max_depth":64}`, nested(64), 0, ""},
		{"as deep as the protocol goes", items, nested(64), 0, ""},

		{"one item below", items, array(2), 0, ""},
		{"as many items", items, array(3), 0, ""},
		{"one item above", items, array(4), 422, "content has an array of more than 3 items, the limit here"},
		{"items of all kinds", items, `["a",{"b":1},[],null]`, 422, "content has an array of more than 3 items, the limit here"},
		{"members of an object are no items", items, `{"a":1,"b":2,"c":3,"d":4}`, 0, ""},
		{"an inner array", items, `{"a":[[1,2,3],[1,2,3,4]]}`, 422, "content has an array of more than 3 items, the limit here"},
		{"many arrays with few items", items, `[[1,2,3],[1,2,3],[1,2,3]]`, 0, ""},
		{"commas in strings separate nothing", items, `["a,b,c,d,e"]`, 0, ""},
		{"no items allowed: none", `{"max_items":0}`, `[ ]`, 0, ""},
		{"no items allowed: one", `{"max_items":0}`, `[1]`, 422, "content has an array of more than 0 items, the limit here"},

		{"a string one byte below", str, `"abc"`, 0, ""},
		{"a string of as many bytes", str, `"abcd"`, 0, ""},
		{"a string one byte above", str, `"abcde"`, 422, "content has a string of more than 4 bytes, the limit here"},
		{"two characters of two bytes", str, `"éé"`, 0, ""},
		{"an escape counts decoded", str, `"\n\t\"\\"`, 0, ""},
		{"a fifth escape", str, `"\n\t\"\\\/"`, 422, "content has a string of more than 4 bytes, the limit here"},
		{"a code unit counts as UTF-8: one byte each", str, `"\u0041\u0041\u0041\u0041"`, 0, ""},
		{"a code unit counts as UTF-8: two bytes", str, `"\u00e9\u00E9x"`, 422, "content has a string of more than 4 bytes, the limit here"},
		{"a code unit counts as UTF-8: three bytes", str, `"\u20acx"`, 0, ""},
		{"a surrogate pair counts four bytes", str, `"\ud83d\ude00"`, 0, ""},
		{"a surrogate pair and one more", str, `"\ud83d\ude00x"`, 422, "content has a string of more than 4 bytes, the limit here"},
		{"a lone surrogate counts three bytes", str, `"\ud83dx"`, 0, ""},
		{"two lone surrogates", str, `"\ud83d\ud83d"`, 422, "content has a string of more than 4 bytes, the limit here"},
		{"an object's key is a string", str, `{"abcde":1}`, 422, "content has a string of more than 4 bytes, the limit here"},
		{"a long number is no string", str, `[123456789.5e+10,true,false,null]`, 0, ""},

		{"bytes are looked at first", `{"max_bytes":5,"max_depth":0}`, `[[[]]]`, 413, "content has 6 bytes, the limit here is 5"},
		{"then whatever comes first", `{"max_items":1,"max_string":1}`, `["xx",1]`, 422, "content has a string of more than 1 bytes, the limit here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := message(t, load(t, c.config), "", c.content)
			wantAction := router.Continue
			if c.code != 0 {
				wantAction = router.Deny
			}
			if v.Action != wantAction || v.Code != c.code || v.Reason != c.reason || v.Failure != "" {
				t.Errorf("got %d, %d %q, failure %q; want %d, %d %q", v.Action, v.Code, v.Reason, v.Failure, wantAction, c.code, c.reason)
			}
		})
	}
}

func TestTheFirstRoomThatMatchesSetsTheLimits(t *testing.T) {
	chain := load(t, `{"max_bytes":10,"max_depth":1,"rooms":[
		{"match":"chat:*","max_bytes":20},
		{"match":"chat:**","max_bytes":30,"max_depth":2},
		{"match":"\u0064ocs","max_depth":0},
		{"match":"*:log","max_bytes":5}]}`)
	for _, c := range []struct {
		room         string
		bytes, depth int
	}{
		{"", 10, 1}, {"lobby", 10, 1}, {"chat", 10, 1},
		{"chat:a", 20, 1}, {"chat:", 20, 1}, {"chat:log", 20, 1},
		{"chat:a:b", 30, 2}, {"docs", 10, 0}, {"a:log", 5, 1}, {"a:b:log", 10, 1},
	} {
		for above := range 2 {
			if got, want := message(t, chain, c.room, text(c.bytes+above)).Action == router.Deny, above == 1; got != want {
				t.Errorf("room %q, %d bytes: refused is %v", c.room, c.bytes+above, got)
			}
			if c.depth+above > 0 {
				if got, want := message(t, chain, c.room, nested(c.depth+above)).Action == router.Deny, above == 1; got != want {
					t.Errorf("room %q, %d deep: refused is %v", c.room, c.depth+above, got)
				}
			}
		}
	}
}

func TestRoomsAloneLimitOnlyThem(t *testing.T) {
	chain := load(t, `{"rooms":[{"match":"chat:*","max_bytes":5}]}`)
	if v := message(t, chain, "chat:a", text(6)); v.Action != router.Deny {
		t.Errorf("a room that matches: %+v", v)
	}
	for _, room := range []string{"", "other"} {
		if v := message(t, chain, room, text(60000)); v.Action != router.Continue {
			t.Errorf("room %q: %+v", room, v)
		}
	}
}

func TestDirectMessagesHaveTheGeneralLimits(t *testing.T) {
	chain := load(t, `{"max_bytes":10,"rooms":[{"match":"**","max_bytes":100}]}`)
	e := &router.Event{Hook: router.HookMessage, Kind: router.KindDirect, Target: "bob", Payload: []byte(text(11)), States: new([]router.State)}
	if err := chain.Judge(e); err != nil || e.Verdict.Code != 413 {
		t.Errorf("%v, %+v", err, e.Verdict)
	}
}

func TestContentThatIsNotJSONNeverFailsTheFilter(t *testing.T) {
	chain := load(t, `{"max_bytes":1000,"max_depth":5,"max_items":5,"max_string":5}`)
	for _, content := range []string{
		``, ` `, `"`, `"\`, `"\u`, `"\u12`, `"\u123x"`, `"\ud83d\u`, `"\ud83d\u12"`, `[`, `]`, `{`, `}`, `[}`, `{]`, `[[[[[[[[`, `]]]]`,
		`,,,,`, `::`, "\x00", "\xff\xfe", `nul`, `[1`, `"a`, `{"a"`, `"a" "b"`, strings.Repeat("[", 900), strings.Repeat(`"`, 901),
	} {
		if v := message(t, chain, "a", content); v.Failure != "" {
			t.Errorf("%.40q: failure %s", content, v.Failure)
		}
	}
	for _, content := range []string{`"`, `"\`, `"\u123x"`, `[`, `]`, `[}`, `{]`} {
		if v := message(t, chain, "a", content); v.Code != 400 || v.Reason != "content is not valid JSON" {
			t.Errorf("%q: %d %q, want it refused as 400", content, v.Code, v.Reason)
		}
	}
}

func TestNestingBeyondTheProtocolIsRefusedWithoutADepthLimit(t *testing.T) {
	v := message(t, load(t, `{"max_string":100}`), "", nested(65))
	if v.Code != 422 || v.Reason != "content is nested more than 64 deep, the limit here" {
		t.Errorf("got %d %q", v.Code, v.Reason)
	}
}

func TestConfigurationsAreReadStrictly(t *testing.T) {
	const known = "max_bytes, max_depth, max_items, max_string"
	for _, c := range []struct{ name, config, reason string }{
		{"nothing", `{}`, "no limit is set: set max_bytes, max_depth, max_items or max_string, or rooms"},
		{"no configuration", ``, "no limit is set"},
		{"rooms without rules", `{"rooms":[]}`, "no limit is set"},
		{"not an object", `[]`, "the configuration has to be a JSON object"},
		{"null", `null`, "the configuration has to be a JSON object"},
		{"an unknown key", `{"max_byte":1}`, "unknown key max_byte: known are rooms, " + known},
		{"an unknown key in a rule", `{"rooms":[{"match":"a","max_bytes":1},{"match":"a","x":1}]}`, "unknown key rooms[1].x: known are match, " + known},
		{"a very long key", `{"` + strings.Repeat("x", 300) + `":1}`, "keys of up to 63 bytes"},
		{"a string for a number", `{"max_bytes":"1"}`, "max_bytes has to be a whole number from 1 to 67108864"},
		{"a fraction", `{"max_bytes":1.5}`, "max_bytes has to be a whole number from 1 to 67108864"},
		{"an exponent", `{"max_bytes":1e3}`, "max_bytes has to be a whole number"},
		{"null for a number", `{"max_items":null}`, "max_items has to be a whole number from 0 to 1000000"},
		{"a negative number", `{"max_bytes":-5}`, "max_bytes is -5, and has to be from 1 to 67108864"},
		{"no bytes at all", `{"max_bytes":0}`, "max_bytes is 0, and has to be from 1 to 67108864"},
		{"too many bytes", `{"max_bytes":67108865}`, "max_bytes is 67108865, and has to be from 1 to 67108864"},
		{"an absurd number", `{"max_bytes":123456789012345678901234567890}`, "max_bytes has to be a whole number"},
		{"too deep", `{"max_depth":65}`, "max_depth is 65, and has to be from 0 to 64"},
		{"too many items", `{"max_items":1000001}`, "max_items is 1000001, and has to be from 0 to 1000000"},
		{"no string at all", `{"max_string":0}`, "max_string is 0, and has to be from 1 to 67108864"},
		{"twice", `{"max_bytes":1,"max_bytes":1}`, "max_bytes is given twice"},
		{"rooms twice", `{"rooms":[{"match":"a","max_bytes":1}],"rooms":[]}`, "rooms is given twice"},
		{"rooms not an array", `{"rooms":{}}`, "rooms has to be an array"},
		{"a rule that is no object", `{"rooms":[1]}`, "rooms[0] has to be an object"},
		{"a rule without a pattern", `{"rooms":[{"max_bytes":1}]}`, "rooms[0].match is missing"},
		{"a rule without a limit", `{"rooms":[{"match":"a"}]}`, "rooms[0].match stands alone: the rule sets no limit"},
		{"a pattern that is no string", `{"rooms":[{"match":1}]}`, "rooms[0].match has to be a room pattern"},
		{"an empty pattern", `{"rooms":[{"match":""}]}`, "rooms[0].match has to be a room pattern"},
		{"a pattern too long", `{"rooms":[{"match":"` + strings.Repeat("x", 1025) + `"}]}`, "rooms[0].match has to be a room pattern, a string of 1 to 1024 bytes"},
		{"three stars", `{"rooms":[{"match":"a***"}]}`, "rooms[0].match has three stars in a row"},
		{"two patterns", `{"rooms":[{"match":"a","match":"b"}]}`, "rooms[0].match is given twice"},
		{"a limit of a rule", `{"rooms":[{"match":"a","max_bytes":-1}]}`, "rooms[0].max_bytes is -1, and has to be from 1 to 67108864"},
		{"too many rules", `{"rooms":[` + rules(129, 1) + `]}`, "rooms has more than 128 rules"},
		{"too long patterns", `{"rooms":[` + rules(100, 250) + `]}`, "the patterns take more than 16384 bytes together"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := build(t, newBareHost(t), c.config)
			if err == nil {
				t.Fatal("it was accepted")
			}
			if !strings.Contains(err.Error(), c.reason) {
				t.Errorf("the error %q does not say %q", err, c.reason)
			}
		})
	}
}

func rules(n, length int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(`{"match":%q,"max_bytes":1}`, strings.Repeat("x", length))
	}
	return strings.Join(all, ",")
}

func TestAsManyRulesAsAllowedAreAccepted(t *testing.T) {
	chain := load(t, `{"rooms":[`+rules(127, 100)+`,{"match":"last","max_bytes":3}]}`)
	if v := message(t, chain, "last", text(4)); v.Code != 413 {
		t.Errorf("got %+v", v)
	}
}

func TestTheModuleCarriesItsSchemaAndNoImports(t *testing.T) {
	wasm, err := os.ReadFile("size.wasm")
	if err != nil {
		t.Fatal(err)
	}
	schema, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	sections := sections(t, wasm)
	if _, ok := sections["2"]; ok {
		t.Error("it has an import section, and so needs capabilities")
	}
	if string(sections["sluice.schema"]) != string(schema) {
		t.Error("the section sluice.schema is not schema.json: run make filters")
	}
	if len(wasm) > 12<<10 {
		t.Errorf("it has %d bytes; it is to stay small", len(wasm))
	}
}

// sections splits a module: custom sections by name, others by number.
func sections(t *testing.T, wasm []byte) map[string][]byte {
	t.Helper()
	out := make(map[string][]byte)
	uleb := func(b []byte) (n, size int) {
		for shift := 0; ; shift += 7 {
			n |= int(b[size]&0x7f) << shift
			size++
			if b[size-1] < 0x80 {
				return n, size
			}
		}
	}
	for rest := wasm[8:]; len(rest) > 0; {
		n, used := uleb(rest[1:])
		id, body := rest[0], rest[1+used:1+used+n]
		rest = rest[1+used+n:]
		if id != 0 {
			out[fmt.Sprint(id)] = body
			continue
		}
		length, at := uleb(body)
		out[string(body[at:at+length])] = body[at+length:]
	}
	return out
}
