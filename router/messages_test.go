package router_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"sluice/router"
	"sluice/router/membroker"
)

func TestWelcomeTellsWhoIsConnectedAndHow(t *testing.T) {
	n := startNode(t, func(o *router.Options, g *router.Generation) { o.Version = "1.2.3" })
	a, b := n.as(t, "ann"), n.as(t, "ann")
	w := a.welcome
	if w.str("user_id") != "ann" || w.str("version") != "1.2.3" || w["ping_interval_ms"] != 25000.0 || w["expires_at"] != nil {
		t.Errorf("got %v", w)
	}
	if w.str("connection_id") == "" || w.str("connection_id") == b.welcome.str("connection_id") {
		t.Errorf("connection ids %v and %v", w, b.welcome)
	}
}

func TestANameIsGeneratedForAClientWithoutOne(t *testing.T) {
	n := startNode(t)
	a, b := n.connect(t, ""), n.connect(t, "client_id=")
	if u, v := a.welcome.str("user_id"), b.welcome.str("user_id"); u == "" || v == "" || u == v {
		t.Errorf("got %q and %q", u, v)
	}
}

func TestAnIDIsEchoedVerbatimByEveryAnswer(t *testing.T) {
	n := startNode(t, silent, withRule("r", func(r *router.RoomRule) { r.Presence, r.Announce = true, router.AnnounceOff }))
	u := n.as(t, "ann")
	for _, c := range []struct{ command, answer string }{
		{`"type":"join_room","room":"r"`, "joined"},
		{`"type":"join_room","room":"r"`, "joined"},
		{`"type":"presence","room":"r"`, "presence"},
		{`"type":"direct_message","target_user":"bob","content":1`, "ack"},
		{`"type":"chat","content":1`, "ack"},
		{`"type":"ping"`, "pong"},
		{`"type":"history","room":"r"`, "error"},
		{`"type":"refresh","token":"t"`, "error"},
		{`"type":"leave_room","room":"r"`, "left"},
		{`"type":"leave_room","room":"r"`, "left"},
		{`"type":"nonsense"`, "error"},
	} {
		for _, id := range []any{"x-1", 7.0} {
			e := u.ask(fmt.Sprintf(`{"id":%s,%s}`, map[any]string{"x-1": `"x-1"`, 7.0: "7"}[id], c.command))
			if e.name() != c.answer || e["id"] != id {
				t.Errorf("%s: got %v, want %s with id %v", c.command, e, c.answer, id)
			}
		}
	}
}

func TestAnAckComesOnlyIfAnIDWasSent(t *testing.T) {
	u := startNode(t).as(t, "ann")
	u.join("r")
	u.send(`{"type":"room_message","room":"r","content":1}`)
	u.expect("chat")
	u.quiet()
	u.send(`{"id":"m","type":"room_message","room":"r","content":1}`)
	ids := map[string]string{}
	for range 2 {
		e := u.next()
		ids[e.name()] = e.str("message_id")
		if e.name() == "chat" && e["id"] != nil {
			t.Errorf("a delivery carries an id: %v", e)
		}
	}
	if ids["ack"] == "" || ids["ack"] != ids["chat"] {
		t.Errorf("message ids %v", ids)
	}
}

func TestContentPassesThroughByteForByte(t *testing.T) {
	n := startNode(t)
	u := n.connect(t, "")
	u.join("r")
	ws, _, err := n.dialRaw("", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	const content = `{ "b":1.0e+2,  "a":[ "\u00e9" , null ], "b2":-0 }`
	raw := rawReader(t, ws)
	raw.send(`{"type":"join_room","room":"r"}`)
	raw.until(`"joined"`)
	u.until("user_joined")
	u.send(`{"type":"room_message","room":"r","content":` + content + `}`)
	if got := raw.until(`"chat"`); !strings.Contains(got, `"content":`+content) {
		t.Errorf("got %s", got)
	}
}

func TestARoomMessageReachesTheMembersAlone(t *testing.T) {
	n := startNode(t, silent)
	a, b, other := n.as(t, "ann"), n.as(t, "bob"), n.as(t, "eve")
	a.join("r")
	b.join("r")
	a.expect("user_joined")
	other.join("q")
	for _, kind := range []string{"room_message", "chat"} {
		a.send(`{"type":"` + kind + `","room":"r","content":"x"}`)
		for _, c := range []*client{a, b} {
			if e := c.expect("chat"); e.str("room") != "r" || e.str("from") != "ann" || e["direct"] != nil {
				t.Errorf("%s: got %v", kind, e)
			}
		}
		other.quiet()
	}
}

func TestAChatWithoutARoomReachesEveryoneButTheSendingConnection(t *testing.T) {
	n := startNode(t, silent)
	a, twin, b := n.as(t, "ann"), n.as(t, "ann"), n.as(t, "bob")
	a.send(`{"type":"chat","content":"x"}`)
	for _, c := range []*client{twin, b} {
		if e := c.expect("chat"); e.str("from") != "ann" || e["room"] != nil {
			t.Errorf("got %v", e)
		}
	}
	a.quiet()
}

func TestADirectMessageReachesEveryConnectionOfTheUserOnAnyNode(t *testing.T) {
	hub := membroker.NewHub()
	b1, b2 := hub.Node(), hub.Node()
	t.Cleanup(func() { b1.Close(); b2.Close() })
	n1, n2 := startNodeOn(t, b1, silent), startNodeOn(t, b2, silent)
	from := n1.as(t, "ann")
	phone, laptop := n1.as(t, "bob"), n2.as(t, "bob")
	eve := n2.as(t, "eve")
	from.send(`{"id":1,"type":"direct_message","target_user":"bob","content":"x"}`)
	from.expect("ack")
	for _, c := range []*client{phone, laptop} {
		if e := c.expect("chat"); e["direct"] != true || e.str("from") != "ann" || e["room"] != nil {
			t.Errorf("got %v", e)
		}
	}
	eve.quiet()
	phone.leaveNow()
	laptop.leaveNow()
	eventually(t, "bob is gone", func() bool { return n1.Stats().Users == 1 && n2.Stats().Users == 1 })
	if e := from.ask(`{"id":2,"type":"direct_message","target_user":"bob","content":"x"}`); e.name() != "ack" {
		t.Errorf("to a user who is not there: got %v", e)
	}
}

func TestADirectMessageToOneselfReachesOnesOwnConnections(t *testing.T) {
	n := startNode(t, silent)
	a, twin := n.as(t, "ann"), n.as(t, "ann")
	a.send(`{"type":"direct_message","target_user":"ann","content":"x"}`)
	a.expect("chat")
	twin.expect("chat")
}

func TestMessagesOfOneConnectionArriveInOrderAtEveryMemberOnEveryNode(t *testing.T) {
	hub := membroker.NewHub()
	b1, b2 := hub.Node(), hub.Node()
	t.Cleanup(func() { b1.Close(); b2.Close() })
	n1, n2 := startNodeOn(t, b1, silent), startNodeOn(t, b2, silent)
	members := []*client{n1.as(t, "ann"), n1.as(t, "bob"), n2.as(t, "cat"), n2.as(t, "dan")}
	for _, m := range members {
		m.join("r")
	}
	const each = 200
	for _, m := range members {
		go func() {
			for i := range each {
				m.send(fmt.Sprintf(`{"type":"room_message","room":"r","content":%d}`, i))
			}
		}()
	}
	for _, m := range members {
		next := map[string]float64{}
		for range each * len(members) {
			e := m.until("chat")
			if from := e.str("from"); e["content"] != next[from] {
				t.Fatalf("from %s came %v, not %v", from, e["content"], next[from])
			}
			next[e.str("from")]++
		}
	}
}

func TestSendingNeedsMembershipUnlessTheNodeAsksNobody(t *testing.T) {
	open := startNode(t, silent)
	in, out := open.as(t, "ann"), open.as(t, "bob")
	in.join("r")
	out.send(`{"type":"room_message","room":"r","content":1}`)
	in.expect("chat")

	f := newFilters().on(router.HookConnect, func(e *router.Event) { e.Verdict.Identity = &router.Identity{User: "ann"} })
	u := startNode(t, withFilters(f)).connect(t, "")
	e := u.refusedWith("forbidden", `{"type":"room_message","room":"r","content":1}`)
	if !strings.Contains(e.str("reason"), "join_room") {
		t.Errorf("no remedy in %v", e)
	}
	u.join("r")
	u.send(`{"type":"room_message","room":"r","content":1}`)
	u.expect("chat")
	u.send(`{"type":"leave_room","room":"r"}`)
	u.expect("left")
	u.refusedWith("forbidden", `{"type":"room_message","room":"r","content":1}`)
}

func TestWhatNeedsAnIdentityIsRefusedAsUnsupportedWhereNobodyIsAskedForOne(t *testing.T) {
	startNode(t).as(t, "ann").refusedWith("unsupported", `{"type":"refresh","token":"t"}`)
}

func TestAFailedPublishIsAnsweredAndLosesNothingElse(t *testing.T) {
	b := &broker{}
	var failing atomicBool
	b.publish = func(m *router.Message) error {
		if failing.Load() {
			return fmt.Errorf("%w: out of reach", router.ErrUnavailable)
		}
		return nil
	}
	u := startNodeWith(t, b, membroker.New()).as(t, "ann")
	u.join("r")
	failing.Store(true)
	if e := u.refusedWith("unavailable", `{"id":5,"type":"room_message","room":"r","content":1}`); e["id"] != 5.0 {
		t.Errorf("got %v", e)
	}
	failing.Store(false)
	u.send(`{"type":"room_message","room":"r","content":2}`)
	if e := u.expect("chat"); e["content"] != 2.0 {
		t.Errorf("got %v", e)
	}
}

func TestAnApplicationHeartbeatIsAnswered(t *testing.T) {
	u := startNode(t).as(t, "ann")
	if e := u.ask(`{"type":"ping"}`); e.name() != "pong" || e["id"] != nil {
		t.Errorf("got %v", e)
	}
	u.send(`{"type":"pong"}`)
	u.quiet()
}

var errOut = errors.New("out of reach")
