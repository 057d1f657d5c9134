package router_test

import (
	"strings"
	"testing"

	"sluice/router"
)

func TestGrantsThatAreNotWellFormedAreRefusedWithTheRemedy(t *testing.T) {
	many := "[" + strings.Repeat(`{"allow":[]},`, router.MaxGrantRules) + `{"allow":[]}]`
	for _, c := range []struct{ grants, says string }{
		{`{"rooms":"a"}`, "grants are a list like"},
		{`[{"room":"a","allow":["join"]}]`, `unknown field "room"`},
		{`[{"rooms":"a","allow":["jion"]}]`, `grants[0]: allow: "jion" is unknown; rooms have join, send, presence and history`},
		{`[{"allow":["direct"]},{"rooms":"a","allow":["broadcast"]}]`, `grants[1]: allow: "broadcast" is not about rooms`},
		{`[{"allow":["join"]}]`, `add "rooms":"<pattern>"`},
		{`[{"allow":["everything"]}]`, "there are broadcast and direct"},
		{`[{"rooms":"a***","allow":["join"]}]`, "three stars"},
		{`[{"rooms":"","allow":["join"]}]`, "write ** to match every room"},
		{`[{"rooms":"a"}]`, "allow is missing"},
		{`[] []`, "something follows it"},
		{`[{"rooms":"a","allow":["join"]}`, "unexpected EOF"},
		{`[{"rooms":"` + strings.Repeat("a", router.MaxGrants) + `","allow":["join"]}]`, "at most 16384"},
		{many, "at most 256"},
	} {
		if _, err := router.ParseGrants([]byte(c.grants), "ann"); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.60s: got %v, want %q", c.grants, err, c.says)
		}
	}
}

// grantsCase connects as a user with grants to a node with filters.
func grantsCase(t *testing.T, user, grants string) *client {
	t.Helper()
	g, err := router.ParseGrants([]byte(grants), user)
	if err != nil {
		t.Fatal(err)
	}
	f := newFilters()
	f.on(router.HookConnect, func(e *router.Event) { e.Verdict.Identity = &router.Identity{User: user, Grants: g} })
	return startNode(t, withFilters(f), withPresence("**")).connect(t, "")
}

func TestGrantsAreEnforcedForEachAction(t *testing.T) {
	for _, c := range []struct {
		name, grants string
		allowed      []string // of join, send, presence, history, broadcast, direct
	}{
		{"nothing", `[]`, nil},
		{"join alone", `[{"rooms":"r","allow":["join"]}]`, []string{"join"}},
		{"join and send", `[{"rooms":"r","allow":["join","send"]}]`, []string{"join", "send"}},
		{"all of a room", `[{"rooms":"*","allow":["join"]},{"rooms":"r","allow":["presence","send","history"]}]`, []string{"join", "send", "presence", "history"}},
		{"history", `[{"rooms":"r","allow":["join","history"]}]`, []string{"join", "history"}},
		{"no words", `[{"rooms":"r","allow":[]},{"allow":[]}]`, nil},
		{"null", `null`, nil},
		{"another room", `[{"rooms":"q","allow":["join","send","presence"]}]`, nil},
		{"broadcast", `[{"allow":["broadcast"]}]`, []string{"broadcast"}},
		{"direct", `[{"allow":["direct"]}]`, []string{"direct"}},
		{"both", `[{"allow":["direct","broadcast"]}]`, []string{"broadcast", "direct"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			u := grantsCase(t, "ann", c.grants)
			may := " " + strings.Join(c.allowed, " ") + " "
			for _, try := range []struct{ action, command, answer string }{
				{"join", `{"id":1,"type":"join_room","room":"r"}`, "joined"},
				{"send", `{"id":1,"type":"room_message","room":"r","content":1}`, "ack"},
				{"presence", `{"id":1,"type":"presence","room":"r"}`, "presence"},
				{"send", `{"id":1,"type":"chat","room":"r","content":1}`, "ack"},
				{"history", `{"id":1,"type":"history","room":"r"}`, "error"},
				{"broadcast", `{"id":1,"type":"chat","content":1}`, "ack"},
				{"broadcast", `{"id":1,"type":"chat","room":null,"content":1}`, "ack"},
				{"direct", `{"id":1,"type":"direct_message","target_user":"bob","content":1}`, "ack"},
			} {
				u.send(try.command)
				e := u.next()
				for e.name() == "user_joined" || e.name() == "chat" {
					e = u.next()
				}
				if strings.Contains(may, " "+try.action+" ") {
					if e.name() != try.answer || e.str("code") == "forbidden" {
						t.Errorf("%s: got %v, want %s", try.action, e, try.answer)
					}
				} else if e.str("code") != "forbidden" {
					t.Errorf("%s: got %v, want forbidden", try.action, e)
				}
			}
		})
	}
}

func TestAUserNameInAGrantIsTakenLiterally(t *testing.T) {
	const grants = `[{"rooms":"inbox:${user}","allow":["join"]},{"rooms":"**:${user}:*","allow":["join"]}]`
	for _, c := range []struct {
		user, room string
		joins      bool
	}{
		{"ann", "inbox:ann", true},
		{"ann", "inbox:bob", false},
		{"ann", "x:y:ann:z", true},
		{"*", "inbox:*", true},
		{"*", "inbox:ann", false},
		{"**", "inbox:ann", false},
		{"a:b", "inbox:a:b", true},
		{"${user}", "inbox:${user}", true},
	} {
		u := grantsCase(t, c.user, grants)
		e := u.ask(`{"type":"join_room","room":"` + c.room + `"}`)
		if got := e.name() == "joined"; got != c.joins {
			t.Errorf("user %q and room %q: got %v", c.user, c.room, e)
		}
	}
}

func TestConfiguredDefaultGrantsApplyToEachUserUnderHisName(t *testing.T) {
	g, err := router.ParseGrants([]byte(`[{"rooms":"inbox:${user}","allow":["join"]}]`), "")
	if err != nil {
		t.Fatal(err)
	}
	n := startNode(t, func(_ *router.Options, gen *router.Generation) { gen.DefaultGrants = g })
	ann := n.as(t, "ann")
	ann.join("inbox:ann")
	ann.refusedWith("forbidden", `{"type":"join_room","room":"inbox:bob"}`)
}

func TestByDefaultAnIdentityMayDoEverythingButBroadcast(t *testing.T) {
	f := newFilters()
	f.on(router.HookConnect, func(e *router.Event) { e.Verdict.Identity = &router.Identity{User: "ann"} })
	u := startNode(t, withFilters(f)).connect(t, "")
	u.join("any:room:at:all")
	if e := u.ask(`{"id":1,"type":"direct_message","target_user":"bob","content":1}`); e.name() != "ack" {
		t.Errorf("direct: got %v", e)
	}
	u.refusedWith("forbidden", `{"id":1,"type":"chat","content":1}`)
}
