package rooms_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"sluice/router"
)

// team is a policy such as a product has.
const team = `{
	"rules": [
		{"deny":["send","broadcast","direct"],"when":{"claims":{"muted":true}},"code":1001,"reason":"you are muted"},
		{"allow":["join","send","broadcast","direct"],"when":{"claims":{"role":["admin","mod"]}}},
		{"allow":["join","send"],"rooms":["team:${claims.team}:*","inbox:${user}"]},
		{"allow":["join"],"rooms":["news:**"],"when":{"claims":{"plan":"pro","level":3}}},
		{"deny":["join","send"],"rooms":["news:**"],"code":404},
		{"allow":["join","send"],"when":{"users":["root","süß"]}},
		{"allow":["direct"],"targets":["support","bot:*"]}
	],
	"code": 403, "reason": "not here"
}`

func TestTheFirstRuleThatFitsDecides(t *testing.T) {
	chain := load(t, team)
	const allowed = "allowed"
	for _, c := range []struct{ name, action, where, user, claims, want string }{
		{"a room of the user's team", "join", "team:red:general", "ann", `{"team":"red"}`, allowed},
		{"and sending to it", "send", "team:red:general", "ann", `{"team":"red"}`, allowed},
		{"a room of another team", "join", "team:blue:general", "ann", `{"team":"red"}`, "403 not here"},
		{"a star does not cross a colon", "join", "team:red:a:b", "ann", `{"team":"red"}`, "403 not here"},
		{"a list of teams, the second", "join", "team:blue:general", "ann", `{"team":["red","blue"]}`, allowed},
		{"a list of teams, none of them", "join", "team:green:general", "ann", `{"team":["red","blue"]}`, "403 not here"},
		{"a list with other things in it", "join", "team:blue:x", "ann", `{"team":[1,null,{"a":["blue"]},["blue"],"blue"]}`, allowed},
		{"only strings stand for something", "join", "team:1:x", "ann", `{"team":1}`, "403 not here"},
		{"strings deeper down do not", "join", "team:blue:x", "ann", `{"team":[["blue"],{"a":"blue"}]}`, "403 not here"},
		{"an empty claim stands for nothing", "join", "team::x", "ann", `{"team":""}`, "403 not here"},
		{"no claims", "join", "team:red:x", "ann", ``, "403 not here"},
		{"a claim of the name deeper down", "join", "team:red:x", "ann", `{"a":{"team":"red"}}`, "403 not here"},
		{"a claim with escapes", "join", "team:réd\"s:x", "ann", `{"te\u0061m":"r\u00e9d\"s"}`, allowed},
		{"a claim that is a star", "join", "team:red:x", "ann", `{"team":"*"}`, "403 not here"},
		{"a claim that is a star in a room of that name", "join", "team:*:x", "ann", `{"team":"*"}`, allowed},
		{"a claim that is two stars", "join", "team:red:a:x", "ann", `{"team":"**"}`, "403 not here"},
		{"a claim that is a placeholder", "join", "inbox:bob", "ann", `{"team":"${user}"}`, "403 not here"},
		{"a claim with a colon in its own room", "join", "team:a:b:x", "ann", `{"team":"a:b"}`, allowed},
		{"a claim with a colon in the room of its first part", "join", "team:a:x", "ann", `{"team":"a:b"}`, "403 not here"},

		{"the user's inbox", "join", "inbox:ann", "ann", ``, allowed},
		{"another's inbox", "join", "inbox:bob", "ann", ``, "403 not here"},
		{"a user who is a star", "join", "inbox:bob", "*", ``, "403 not here"},
		{"a user who is two stars", "join", "inbox:bob:x", "**", ``, "403 not here"},
		{"a user with a colon in their inbox", "join", "inbox:a:b", "a:b", ``, allowed},
		{"a user with a colon elsewhere", "join", "inbox:a", "a:b", ``, "403 not here"},
		{"nobody", "join", "inbox:", "", ``, "403 not here"},

		{"claims that hold", "join", "news:a:b", "ann", `{"plan":"pro","level":3}`, allowed},
		{"one that does not hold", "join", "news:a:b", "ann", `{"plan":"free","level":3}`, "404 not here"},
		{"one of another type", "join", "news:a:b", "ann", `{"plan":"pro","level":"3"}`, "404 not here"},
		{"one written in another way", "join", "news:a:b", "ann", `{"plan":"pro","level":3.0}`, "404 not here"},
		{"one that is absent", "join", "news:a:b", "ann", `{"plan":"pro"}`, "404 not here"},
		{"a rule that is about joining", "send", "news:a:b", "ann", `{"plan":"pro","level":3}`, "404 not here"},

		{"one of several values", "join", "any", "ann", `{"role":"mod"}`, allowed},
		{"one of several values in a list", "broadcast", "", "ann", `{"role":["user","admin"]}`, allowed},
		{"an earlier rule", "broadcast", "", "ann", `{"role":"admin","muted":true}`, "1001 you are muted"},
		{"an earlier rule about other actions", "join", "any", "ann", `{"role":"admin","muted":true}`, allowed},
		{"a boolean that is a string", "direct", "support", "ann", `{"muted":"true"}`, allowed},
		{"a boolean that is false", "direct", "support", "ann", `{"muted":false}`, allowed},

		{"a user who is named", "join", "any", "root", ``, allowed},
		{"another who is", "send", "any", "süß", ``, allowed},
		{"a user who is nearly named", "join", "any", "roo", ``, "403 not here"},
		{"a target", "direct", "support", "ann", ``, allowed},
		{"a target by pattern", "direct", "bot:1", "ann", ``, allowed},
		{"another target", "direct", "bob", "ann", ``, "403 not here"},
		{"what no rule is about", "broadcast", "", "ann", ``, "403 not here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := try(t, chain, c.action, c.where, c.user, c.claims)
			got := allowed
			if v.Action == router.Deny {
				got = fmt.Sprintf("%d %s", v.Code, v.Reason)
			}
			if got != c.want || v.Failure != "" {
				t.Errorf("got %s, failure %q; want %s", got, v.Failure, c.want)
			}
		})
	}
}

func TestWhatNoRuleFitsIsUpToTheDefault(t *testing.T) {
	const rule = `"rules":[{"deny":["send"],"rooms":["read:*"]}]`
	for _, c := range []struct {
		config string
		action router.Action
	}{
		{`{` + rule + `}`, router.Deny},
		{`{` + rule + `,"default":"deny"}`, router.Deny},
		{`{` + rule + `,"default":"allow"}`, router.Continue},
	} {
		chain := load(t, c.config)
		for _, action := range []string{"join", "send", "broadcast", "direct"} {
			v := try(t, chain, action, "other", "ann", "")
			if v.Action != c.action || (v.Action == router.Deny && (v.Code != 403 || v.Reason != "this is not allowed here")) {
				t.Errorf("%s: %s: got %+v", c.config, action, v)
			}
		}
		if v := try(t, chain, "send", "read:x", "ann", ""); v.Action != router.Deny {
			t.Errorf("%s: the rule: got %+v", c.config, v)
		}
	}
}

func TestTheServerIsNotJudged(t *testing.T) {
	chain := load(t, `{"rules":[{"deny":["send","broadcast","direct"]}]}`)
	for _, action := range []string{"send", "broadcast", "direct"} {
		e := event(action, "any", "", "")
		e.FromServer = true
		if err := chain.Judge(e); err != nil || e.Verdict.Action != router.Continue {
			t.Errorf("%s: %v, %+v", action, err, e.Verdict)
		}
	}
}

func TestListsInSeveralPlacesStandForEveryCombination(t *testing.T) {
	chain := load(t, `{"rules":[{"allow":["join"],"rooms":["${claims.a}-${claims.b}-${claims.c}-${claims.a}-${user}"]}]}`)
	const claims = `{"a":["1","22"],"b":["x","y","zz"],"c":["p","q"]}`
	for _, a := range []string{"1", "22", "x"} {
		for _, b := range []string{"x", "y", "zz", "1"} {
			for _, c := range []string{"p", "q", "1", "x"} {
				for _, again := range []string{"1", "22"} {
					room := a + "-" + b + "-" + c + "-" + again + "-ann"
					want := a == again && b != "1" && (c == "p" || c == "q")
					if v := try(t, chain, "join", room, "ann", claims); (v.Action == router.Continue) != want || v.Failure != "" {
						t.Errorf("%s: got %+v", room, v)
					}
				}
			}
		}
	}
}

func TestAnEventWithTooManyCombinationsFailsAlone(t *testing.T) {
	chain := load(t, `{"rules":[{"allow":["join"],"rooms":["${claims.a}:${claims.b}"]}]}`)
	list := func(n int) string { return `["` + strings.Repeat(`x","`, n-1) + `y"]` }
	for _, c := range []struct {
		a, b    int
		failure string
	}{{32, 32, ""}, {33, 32, "guest_error"}, {1025, 1, "guest_error"}, {3000, 3000, "guest_error"}, {32, 32, ""}} {
		claims := `{"a":` + list(c.a) + `,"b":` + list(c.b) + `}`
		if v := try(t, chain, "join", "y:y", "ann", claims); v.Failure != c.failure || (v.Action == router.Continue) != (c.failure == "") {
			t.Errorf("%d and %d values: got %+v", c.a, c.b, v)
		}
	}
}

func TestClaimsThatAreNotJSONNeverFailTheFilter(t *testing.T) {
	chain := load(t, team)
	for _, claims := range []string{`{`, `{"team"`, `{"team":`, `{"team":"red"`, `[`, `"x"`, `{"team":"\`, `{"team":"\ud800"}`, "\x00", `{"team":[}`, `{"team":]}`, `}{`, `{"team":"red"}}`} {
		if v := try(t, chain, "join", "team:red:x", "ann", claims); v.Failure != "" || v.Action != router.Deny {
			t.Errorf("%s: got %+v", claims, v)
		}
	}
}

// encoding/json and the node take half of a surrogate pair for JSON.
func TestADenialIsNotPassedOverBecauseClaimsCannotBeRead(t *testing.T) {
	chain := load(t, `{"rules":[
		{"deny":["send"],"when":{"claims":{"muted":true}}},
		{"deny":["send"],"when":{"claims":{"groups":"banned"}}},
		{"deny":["send"],"rooms":["not:${claims.not}"]},
		{"allow":["send"]}],"default":"allow"}`)
	for claims, want := range map[string]router.Action{
		`{"muted":true,"\ud800":1}`:        router.Deny,
		`{"\ud800":1,"muted":true}`:        router.Deny,
		`{"groups":["\ud800","banned"]}`:   router.Deny,
		`{"groups":"\ud800"}`:              router.Deny,
		`{"not":["\udc00","here"]}`:        router.Deny,
		`{"other":"\ud800","muted":false}`: router.Continue,
		`{"groups":["a","b"],"not":"x"}`:   router.Continue,
	} {
		if v := try(t, chain, "send", "not:here", "ann", claims); v.Action != want || v.Failure != "" {
			t.Errorf("%s: got %+v", claims, v)
		}
	}
}

func TestConfigurationsAreReadStrictly(t *testing.T) {
	rule := func(more string) string { return `{"rules":[{"allow":["join"]},{` + more + `}]}` }
	many := func(n int, item string) string {
		return "[" + strings.TrimSuffix(strings.Repeat(item+",", n), ",") + "]"
	}
	var names []string
	for i := range 33 {
		names = append(names, fmt.Sprintf(`"c%d":1`, i))
	}
	host, bare := newHost(t), withoutSchema(t)
	for _, c := range []struct{ name, config, reason string }{
		{"nothing", `{}`, "rules is missing: name at least one rule"},
		{"no object", `[]`, "the configuration has to be an object"},
		{"an unknown key", `{"rule":[]}`, `unknown key "rule": there are rules, default, code and reason`},
		{"rules that are no list", `{"rules":{}}`, "rules has to be a list"},
		{"no rules", `{"rules":[]}`, "rules is empty: name at least one rule"},
		{"too many rules", `{"rules":` + many(257, `{"allow":["join"]}`) + `}`, "rules has more than 256 rules"},
		{"a default", `{"rules":[{"allow":["join"]}],"default":"drop"}`, "default has to be allow or deny"},
		{"a code", `{"rules":[{"allow":["join"]}],"code":402}`, "code has to be 400, 401, 403, 404, 409, 413, 422, 429, 503, or 1000 to 3999"},
		{"a reason", `{"rules":[{"allow":["join"]}],"reason":""}`, "reason has to be a string of 1 to 512 bytes"},

		{"a rule that is no object", `{"rules":[{"allow":["join"]},7]}`, "rules[1] has to be an object"},
		{"an unknown key of a rule", rule(`"room":["a"]`), `rules[1]: unknown key "room": there are allow, deny, rooms, targets, when, code and reason`},
		{"neither", rule(`"rooms":["a"]`), "rules[1] has neither allow nor deny: say what it decides, such as allow: [join, send]"},
		{"both", rule(`"allow":["join"],"deny":["send"]`), "rules[1] has both allow and deny: make two rules of it"},
		{"no actions", rule(`"deny":[]`), "rules[1].deny is empty: name join, send, broadcast or direct"},
		{"actions that are no list", rule(`"deny":"join"`), "rules[1].deny has to be a list of join, send, broadcast and direct"},
		{"an unknown action", rule(`"deny":["join","leave"]`), "rules[1].deny[1] has to be join, send, broadcast or direct"},
		{"an allowing rule with a reason", rule(`"allow":["join"],"reason":"x"`), "rules[1] allows: code and reason are for rules that deny"},
		{"a code of a rule", rule(`"deny":["join"],"code":4000`), "rules[1].code has to be 400,"},
		{"a reason of a rule", rule(`"deny":["join"],"reason":7`), "rules[1].reason has to be a string of 1 to 512 bytes"},

		{"rooms that are no list", rule(`"allow":["join"],"rooms":"a"`), "rules[1].rooms has to be a list of patterns"},
		{"no rooms", rule(`"allow":["join"],"rooms":[]`), "rules[1].rooms is empty: leave it out for all"},
		{"rooms of no action", rule(`"allow":["broadcast"],"rooms":["a"]`), "rules[1].rooms: only join and send are about a room"},
		{"targets of no action", rule(`"allow":["send"],"targets":["a"]`), "rules[1].targets: only direct has a target"},
		{"an empty pattern", rule(`"allow":["join"],"rooms":["a",""]`), "rules[1].rooms[1] has to be a pattern, a string of 1 to 1024 bytes"},
		{"a pattern that is no string", rule(`"allow":["join"],"rooms":[7]`), "rules[1].rooms[0] has to be a pattern, a string of 1 to 1024 bytes"},
		{"a long pattern", rule(`"allow":["join"],"rooms":["` + strings.Repeat("x", 1025) + `"]`), "rules[1].rooms[0] has to be a pattern, a string of 1 to 1024 bytes"},
		{"three stars", rule(`"allow":["direct"],"targets":["a***"]`), "rules[1].targets[0] has three stars in a row: * is any run without a colon, ** any run"},
		{"an unknown placeholder", rule(`"allow":["join"],"rooms":["${usr}"]`), "rules[1].rooms[0] has a placeholder that does not exist: there are ${user} and ${claims.NAME}"},
		{"an open placeholder", rule(`"allow":["join"],"rooms":["a:${user"]`), "rules[1].rooms[0] has a placeholder that does not exist"},
		{"a placeholder without a claim", rule(`"allow":["join"],"rooms":["a:${claims.}"]`), "rules[1].rooms[0] has a placeholder that does not exist"},
		{"nine placeholders", rule(`"allow":["join"],"rooms":["` + strings.Repeat("${user}", 9) + `"]`), "rules[1].rooms[0] has more than 8 placeholders"},
		{"too many patterns", rule(`"allow":["join"],"rooms":` + many(257, `"a"`)), "rules[1].rooms has more than 256 patterns"},

		{"a when that is no object", rule(`"allow":["join"],"when":[]`), "rules[1].when has to be an object of claims and users"},
		{"an empty when", rule(`"allow":["join"],"when":{}`), "rules[1].when is empty: name claims or users, or leave it out"},
		{"an unknown key of when", rule(`"allow":["join"],"when":{"claim":{}}`), `rules[1]: unknown key "claim": when has claims and users`},
		{"no users", rule(`"allow":["join"],"when":{"users":[]}`), "rules[1].when.users is empty: it would fit nobody"},
		{"an empty user", rule(`"allow":["join"],"when":{"users":["a",""]}`), "rules[1].when.users[1] has to be a user, a string of 1 to 255 bytes"},
		{"no claims", rule(`"allow":["join"],"when":{"claims":{}}`), "rules[1].when.claims is empty: name a claim, or leave it out"},
		{"a claim that is null", rule(`"allow":["join"],"when":{"claims":{"a":null}}`), "rules[1].when.claims has a claim whose value is not a string"},
		{"a claim without values", rule(`"allow":["join"],"when":{"claims":{"a":[]}}`), "rules[1].when.claims has a claim whose value is not a string"},
		{"a claim with a fraction", rule(`"allow":["join"],"when":{"claims":{"a":[1.5]}}`), "rules[1].when.claims has a claim whose value is not a string"},
		{"too many claims", rule(`"allow":["join"],"when":{"claims":{` + strings.Join(names, ",") + `}}`), "rules[1].when.claims names one claim too many: a configuration may name 32"},
		{"a long key", `{"` + strings.Repeat("ä", 100) + `":1}`, `unknown key "` + strings.Repeat("ä", 32) + `": there are`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := loadFile(t, host, bare, c.config); err == nil || !strings.Contains(err.Error(), c.reason) {
				t.Errorf("got %v, want %s", err, c.reason)
			}
			if _, err := build(t, host, c.config); err == nil {
				t.Error("with its schema it is accepted")
			}
		})
	}
}

func TestTheModuleCarriesItsSchema(t *testing.T) {
	file, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var want, got any
	if err := json.Unmarshal(file, &want); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(load(t, team).Info()[0].Schema, &got); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%v: the module has another schema than schema.json", err)
	}
}
