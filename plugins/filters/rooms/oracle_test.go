package rooms_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"sluice/plugins"
	"sluice/router"
)

// The same rules, written plainly and with the router's own patterns.

type rule struct {
	Allow   []string `json:"allow,omitempty"`
	Deny    []string `json:"deny,omitempty"`
	Rooms   []string `json:"rooms,omitempty"`
	Targets []string `json:"targets,omitempty"`
	When    *when    `json:"when,omitempty"`
	Code    uint32   `json:"code,omitempty"`
}

type when struct {
	Claims map[string][]any `json:"claims,omitempty"`
	Users  []string         `json:"users,omitempty"`
}

type policy struct {
	Rules   []rule `json:"rules"`
	Default string `json:"default"`
}

// act is what somebody does.
type act struct{ action, name, user, claims string }

// judge returns 0 if the act is allowed, or the code of the denial.
func (p policy) judge(a act) uint32 {
	var claims map[string]json.RawMessage
	if json.Unmarshal([]byte(a.claims), &claims) != nil {
		claims = nil
	}
	for _, r := range p.Rules {
		if !slices.Contains(append(r.Allow, r.Deny...), a.action) || !r.When.holds(a.user, claims) {
			continue
		}
		patterns := r.Rooms
		switch a.action {
		case "direct":
			patterns = r.Targets
		case "broadcast":
			patterns = nil
		}
		if len(patterns) > 0 && !slices.ContainsFunc(patterns, func(p string) bool { return patternFits(p, a.name, a.user, claims) }) {
			continue
		}
		switch {
		case len(r.Allow) > 0:
			return 0
		case r.Code != 0:
			return r.Code
		}
		return 403
	}
	if p.Default == "allow" {
		return 0
	}
	return 403
}

func (w *when) holds(user string, claims map[string]json.RawMessage) bool {
	if w == nil {
		return true
	}
	if len(w.Users) > 0 && !slices.Contains(w.Users, user) {
		return false
	}
	for name, values := range w.Claims {
		if !slices.ContainsFunc(values, func(value any) bool { return claimHas(claims[name], value) }) {
			return false
		}
	}
	return true
}

func claimHas(claim json.RawMessage, value any) bool {
	var list []json.RawMessage
	if json.Unmarshal(claim, &list) != nil {
		list = []json.RawMessage{claim}
	}
	return slices.ContainsFunc(list, func(element json.RawMessage) bool {
		if text, ok := value.(string); ok {
			var s string
			return len(element) > 0 && element[0] == '"' && json.Unmarshal(element, &s) == nil && s == text
		}
		return string(element) == fmt.Sprint(value)
	})
}

// patternFits replaces one placeholder after the other by each of its values. A
// star in a value or a name becomes a byte that no name has, so that it is no
// wildcard.
func patternFits(pattern, name, user string, claims map[string]json.RawMessage) bool {
	literal := strings.NewReplacer("*", "\x01", "$", "\x02")
	start := strings.Index(pattern, "${")
	if start < 0 {
		p, err := router.ParsePattern(strings.ReplaceAll(pattern, "$", "\x02"))
		return err == nil && p.Match(literal.Replace(name))
	}
	end := start + strings.Index(pattern[start:], "}") + 1
	placeholder := pattern[start:end]
	values := []string{user}
	if placeholder != "${user}" {
		values = stringsOf(claims[strings.TrimSuffix(strings.TrimPrefix(placeholder, "${claims."), "}")])
	}
	return slices.ContainsFunc(values, func(v string) bool {
		return v != "" && patternFits(strings.ReplaceAll(pattern, placeholder, literal.Replace(v)), name, user, claims)
	})
}

func stringsOf(claim json.RawMessage) []string {
	var list []json.RawMessage
	if json.Unmarshal(claim, &list) != nil {
		list = []json.RawMessage{claim}
	}
	var out []string
	for _, element := range list {
		var s string
		if len(element) > 0 && element[0] == '"' && json.Unmarshal(element, &s) == nil {
			out = append(out, s)
		}
	}
	return out
}

func hold(t *testing.T, chain *plugins.Chain, p policy, a act) {
	t.Helper()
	v := try(t, chain, a.action, a.name, a.user, a.claims)
	if want := p.judge(a); v.Failure != "" || v.Code != want || (v.Action == router.Deny) != (want != 0) {
		text, _ := json.Marshal(p)
		t.Fatalf("%s\n%+v: got %d %d, failure %q; want %d", text, a, v.Action, v.Code, v.Failure, want)
	}
}

// FuzzTheFilterDecidesAsItsRulesSay makes up policies, and people to try them on.
func FuzzTheFilterDecidesAsItsRulesSay(f *testing.F) {
	for seed := range uint64(40) {
		f.Add(seed)
	}
	host := newHost(f)
	if _, err := build(f, host, `{"rules":[{"allow":["join"]}]}`); err != nil { // keeps the compiled module in the host
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 7))
		p := randomPolicy(r)
		config, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		chain, err := build(t, host, string(config))
		if err != nil {
			t.Fatalf("%s: %v", config, err)
		}
		defer chain.Retire()
		for range 100 {
			hold(t, chain, p, randomAct(r))
		}
	})
}

// FuzzPatternsAreFilledInLiterally tries one pattern with whatever names and claims.
func FuzzPatternsAreFilledInLiterally(f *testing.F) {
	for _, seed := range [][4]string{
		{"team:${claims.a}:*", "team:red:x", "ann", `{"a":"red"}`}, {"${user}", "*", "*", ``}, {"**${user}*", "a:a:b", "a", ``},
		{"${claims.a}${claims.b}${claims.a}", "xyx", "u", `{"a":["x","y"],"b":["y","x"]}`}, {"a:${claims.a", "a", "", ``},
		{"*${claims.a}**:${user}", "x**:y", "y", `{"a":"*\u002a","b":[null,1,"",{}]}`}, {"$${user}$", "$ä$", "ä", `{"a":"\ud83d\ude00"}`},
	} {
		f.Add(seed[0], seed[1], seed[2], seed[3])
	}
	host := newHost(f)
	if _, err := build(f, host, `{"rules":[{"allow":["join"]}]}`); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, pattern, room, user, claims string) {
		if !utf8.ValidString(pattern) || !isName(room) || (user != "" && !isName(user)) || strings.ContainsAny(pattern, "\x01\x02") {
			t.Skip("not what a node hands over")
		}
		var object map[string]json.RawMessage
		if claims != "" && (!utf8.ValidString(claims) || json.Unmarshal([]byte(claims), &object) != nil || object == nil || strings.Contains(claims, `\u`) ||
			strings.Count(claims, `"`) > 40) {
			t.Skip("not claims, or lone surrogates, or too many combinations")
		}
		p := policy{Rules: []rule{{Deny: []string{"join"}, When: &when{Claims: map[string][]any{"b": {"x", 1, true}}}, Code: 1000}, {Allow: []string{"join"}, Rooms: []string{pattern}}}}
		p.Default = "deny"
		config, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		chain, err := build(t, host, string(config))
		if err != nil {
			if wellFormed(pattern) {
				t.Fatalf("pattern %q: %v", pattern, err)
			}
			t.Skip("no pattern")
		}
		defer chain.Retire()
		hold(t, chain, p, act{"join", room, user, claims})
	})
}

func isName(s string) bool {
	return s != "" && len(s) <= 255 && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' })
}

// wellFormed reports whether there can be nothing wrong with a pattern.
func wellFormed(pattern string) bool {
	return pattern != "" && len(pattern) <= 1024 && !strings.Contains(pattern, "***") && !strings.Contains(pattern, "${")
}

func pick(r *rand.Rand, from ...string) string { return from[r.IntN(len(from))] }

func several(r *rand.Rand, most int, one func() string) []string {
	var out []string
	for range 1 + r.IntN(most) {
		out = append(out, one())
	}
	return out
}

var pieces = []string{"a", "b", ":", "*", "**", "${user}", "${claims.team}", "${claims.x y}", "${claims.role}", "$", "ä"}

func randomPattern(r *rand.Rand) string {
	for {
		s := strings.Join(several(r, 5, func() string { return pick(r, pieces...) }), "")
		if !strings.Contains(s, "***") && strings.Count(s, "${") <= 8 {
			return s
		}
	}
}

func randomName(r *rand.Rand) string {
	return strings.Join(several(r, 5, func() string { return pick(r, "a", "b", ":", "*", "$", "ä") }), "")
}

func randomPolicy(r *rand.Rand) policy {
	p := policy{Default: pick(r, "allow", "deny")}
	values := []any{"a", "b", "*", 1, true, false, -7}
	for range 1 + r.IntN(5) {
		actions := several(r, 3, func() string { return pick(r, "join", "send", "broadcast", "direct") })
		var one rule
		if r.IntN(2) == 0 {
			one.Allow = actions
		} else {
			one.Deny, one.Code = actions, uint32(1000+r.IntN(5))
		}
		patterns := func() []string { return several(r, 3, func() string { return randomPattern(r) }) }
		if r.IntN(4) > 0 && (slices.Contains(actions, "join") || slices.Contains(actions, "send")) {
			one.Rooms = patterns()
		}
		if r.IntN(2) == 0 && slices.Contains(actions, "direct") {
			one.Targets = patterns()
		}
		if r.IntN(3) == 0 {
			one.When = &when{Claims: map[string][]any{pick(r, "team", "x y", "role"): {values[r.IntN(len(values))], values[r.IntN(len(values))]}}}
			if r.IntN(3) == 0 {
				one.When.Users = several(r, 2, func() string { return randomName(r) })
			}
		}
		p.Rules = append(p.Rules, one)
	}
	return p
}

func randomAct(r *rand.Rand) act {
	a := act{action: pick(r, "join", "send", "broadcast", "direct"), name: randomName(r), user: pick(r, "a", "b", "*", "**", "a:b", "ä", "${user}", "")}
	if a.user != "" && r.IntN(3) == 0 {
		a.user = randomName(r)
	}
	claims := maps.Clone(map[string]any{"other": []any{"team", map[string]any{"team": "a"}}})
	for _, name := range []string{"team", "x y", "role"} {
		switch r.IntN(4) {
		case 0:
			claims[name] = pick(r, "a", "b", "*", "a:b", "", "${user}", "ä")
		case 1:
			claims[name] = []any{randomName(r), 1, pick(r, "a", "*"), nil, true}
		case 2:
			claims[name] = []any{1, true, -7, map[string]any{"a": "b"}, 1.5}[r.IntN(5)]
		}
	}
	if text, _ := json.Marshal(claims); r.IntN(5) > 0 {
		a.claims = string(text)
	}
	return a
}
