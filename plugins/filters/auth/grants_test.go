package auth_test

import (
	"encoding/json"
	"strings"
	"testing"

	"sluice/router"
)

func TestGrantsAreThoseOfTheToken(t *testing.T) {
	narrow, deep := start(t, `{}`), start(t, `{"deep_grants":true}`)
	with := func(grants string) string { return claimed(t, "grants", json.RawMessage(grants)) }
	for _, c := range []struct {
		on *node
		row
	}{
		{narrow, row{"none at all", with(`[]`), 0, ""}},
		{narrow, row{"rooms", with(`[{"rooms":"chat:*","allow":["join","send","presence","history"]}]`), 0, ""}},
		{narrow, row{"the user's own", with(`[{"rooms":"inbox:${user}","allow":["join"]}]`), 0, ""}},
		{narrow, row{"node-wide", with(`[{"allow":["broadcast","direct"]}]`), 0, ""}},
		{narrow, row{"escaped", with(`[{"r\u006foms":"chat:\u002a","\u0061llow":["jo\u0069n"]}]`), 0, ""}},
		{narrow, row{"as many as may be", with(`[` + repeat(`{"allow":[]},`, 255) + `{"allow":[]}]`), 0, ""}},
		{narrow, row{"more than may be", with(`[` + repeat(`{"allow":[]},`, 256) + `{"allow":[]}]`), 403, badGrants}},
		{narrow, row{"a room in all rooms", with(`[{"rooms":"**","allow":["join"]}]`), 403, badGrants}},
		{narrow, row{"two stars behind a prefix", with(`[{"rooms":"chat:**","allow":["join"]}]`), 403, badGrants}},
		{narrow, row{"two stars, escaped", with(`[{"rooms":"*\u002a","allow":["join"]}]`), 403, badGrants}},
		{narrow, row{"two stars in the last of many", with(`[{"allow":["direct"]},{"rooms":"a","allow":[]},{"rooms":"**","allow":["send"]}]`), 403, badGrants}},
		{deep, row{"two stars where they are allowed", with(`[{"rooms":"**","allow":["join"]}]`), 0, ""}},
		{deep, row{"three stars", with(`[{"rooms":"***","allow":["join"]}]`), 403, badGrants}},
		{narrow, row{"null", with(`null`), 403, badGrants}},
		{narrow, row{"a string", with(`"chat:*"`), 403, badGrants}},
		{narrow, row{"one object", with(`{"rooms":"chat:*","allow":["join"]}`), 403, badGrants}},
		{narrow, row{"a list of strings", with(`["chat:*"]`), 403, badGrants}},
		{narrow, row{"an empty pattern", with(`[{"rooms":"","allow":["join"]}]`), 403, badGrants}},
		{narrow, row{"rooms null", with(`[{"rooms":null,"allow":["broadcast"]}]`), 403, badGrants}},
		{narrow, row{"a list of rooms", with(`[{"rooms":["a"],"allow":["join"]}]`), 403, badGrants}},
		{narrow, row{"no allow", with(`[{"rooms":"a"}]`), 403, badGrants}},
		{narrow, row{"allow null", with(`[{"rooms":"a","allow":null}]`), 403, badGrants}},
		{narrow, row{"allow a string", with(`[{"rooms":"a","allow":"join"}]`), 403, badGrants}},
		{narrow, row{"an unknown action", with(`[{"rooms":"a","allow":["join","admin"]}]`), 403, badGrants}},
		{narrow, row{"an action with a null byte", with(`[{"rooms":"a","allow":["join\u0000"]}]`), 403, badGrants}},
		{narrow, row{"an action in another case", with(`[{"rooms":"a","allow":["Join"]}]`), 403, badGrants}},
		{narrow, row{"broadcast in a room", with(`[{"rooms":"a","allow":["broadcast"]}]`), 403, badGrants}},
		{narrow, row{"join without a room", with(`[{"allow":["join"]}]`), 403, badGrants}},
		{narrow, row{"a key with a null byte", with(`[{"rooms\u0000":"a","allow":["join"]}]`), 403, badGrants}},
		{narrow, row{"a key with more behind a null byte", with(`[{"rooms":"a","allow\u0000x":["join"]}]`), 403, badGrants}},
		{narrow, row{"a key twice, once with a null byte", with(`[{"rooms":"a","rooms\u0000":"**","allow":["join"]}]`), 403, badGrants}},
		{narrow, row{"an unknown key", with(`[{"rooms":"a","allow":["join"],"deny":["send"]}]`), 403, badGrants}},
		{narrow, row{"a key in another case", with(`[{"Rooms":"a","allow":["join"]}]`), 403, badGrants}},
		{narrow, row{"a key twice", with(`[{"rooms":"a","rooms":"b","allow":["join"]}]`), 401, malformed}},
		{narrow, row{"the longest pattern", with(`[{"rooms":"` + repeat("x", 1024) + `","allow":["join"]}]`), 0, ""}},
		{narrow, row{"a longer pattern", with(`[{"rooms":"` + repeat("x", 1025) + `","allow":["join"]}]`), 403, badGrants}},
	} {
		c.check(t, c.on)
	}
	renamed := start(t, `{"claims":{"grants":"rights"}}`)
	token := hs256(t, claims(map[string]any{"grants": "for somebody else", "rights": []any{map[string]any{"allow": []string{"direct"}}}}))
	if id := admitted(t, renamed.ask(t, token)); id.Grants == nil {
		t.Error("the grants of the claim rights are not there")
	}
}

// What the filter lets through the host must take, else the client would be
// told of a failure; and what has two stars must not come through.
func FuzzGrants(f *testing.F) {
	for _, seed := range []string{
		`[]`, `[{"rooms":"chat:*","allow":["join","send"]}]`, `[{"rooms":"**","allow":["join"]},{"allow":["direct"]}]`, `[{"allow":[]}]`,
		`[{"rooms":"a${user}*b*","allow":["history","presence"]}]`, ` [ { "allow" : [ "broadcast" ] , "rooms" : "x" } ] `, `[{"rooms":"\u002a*","allow":[]}]`, `null`, `{}`, `[1]`, `[{"rooms\u0000":"a","allow":["join"]}]`,
	} {
		f.Add(seed)
	}
	narrow, deep := start(f, `{"max_bytes":24576}`), start(f, `{"max_bytes":24576,"deep_grants":true}`)
	f.Fuzz(func(t *testing.T, grants string) {
		token := forge(hs, `{"sub":"ann","exp":4102444800,"grants":`+grants+`}`)
		parsed, err := router.ParseGrants([]byte(grants), "ann")
		v := deep.ask(t, token)
		if v.Failure != "" {
			t.Fatalf("%s: failure %s", grants, v.Failure)
		}
		if (v.Identity != nil) && (err != nil || v.Identity.Grants == nil || parsed == nil) {
			t.Fatalf("%s: admitted, but the router says %v", grants, err)
		}
		if v := narrow.ask(t, token); v.Failure != "" || v.Identity != nil && hasTwoStars(grants) {
			t.Fatalf("%s: got %d %q, failure %q", grants, v.Code, v.Reason, v.Failure)
		}
	})
}

func hasTwoStars(grants string) bool {
	var rules []struct{ Rooms string }
	if json.Unmarshal([]byte(grants), &rules) != nil {
		return true
	}
	for _, rule := range rules {
		if strings.Contains(rule.Rooms, "**") {
			return true
		}
	}
	return false
}
