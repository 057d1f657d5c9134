package router_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sluice/router"
	"sluice/router/membroker"
)

// chatter is a node with filters and two members of room r; ann sends.
func chatter(t *testing.T, f *filters, setups ...setup) (n *node, ann, bob *client) {
	t.Helper()
	n = startNode(t, append([]setup{withFilters(f), silent, withRule("**", func(r *router.RoomRule) { r.Announce = router.AnnounceOff })}, setups...)...)
	ann, bob = n.as(t, "ann"), n.as(t, "bob")
	for _, c := range []*client{ann, bob} {
		c.send(`{"type":"join_room","room":"r"}`)
		c.expect("joined")
	}
	return n, ann, bob
}

func TestADeniedMessageIsAnsweredWithTheFiltersReason(t *testing.T) {
	f := newFilters().on(router.HookMessage, verdict(router.Verdict{
		Action: router.Deny, Code: 1042, Reason: "too rude", Filter: "manners", RetryAfter: 2500 * time.Millisecond,
	}))
	n, ann, bob := chatter(t, f)
	for _, command := range []string{
		`{"id":1,"type":"room_message","room":"r","content":1}`,
		`{"id":1,"type":"chat","content":1}`,
		`{"id":1,"type":"direct_message","target_user":"bob","content":1}`,
	} {
		e := ann.refusedWith("filter_1042", command)
		if e.str("reason") != "too rude" || e.str("filter") != "manners" || e["retry_after_ms"] != 2500.0 || e["id"] != 1.0 {
			t.Errorf("got %v", e)
		}
	}
	bob.quiet()
	if s := n.Stats(); s.Verdicts["message/deny"] != 3 || s.Errors["filter"] != 3 {
		t.Errorf("got %v %v", s.Verdicts, s.Errors)
	}
}

func TestADroppedMessageLooksAcceptedToItsSender(t *testing.T) {
	n, ann, bob := chatter(t, newFilters().on(router.HookMessage, verdict(router.Verdict{Action: router.Drop, Filter: "shadow"})))
	e := ann.ask(`{"id":"x","type":"room_message","room":"r","content":1}`)
	if e.name() != "ack" || e.str("message_id") == "" {
		t.Errorf("got %v", e)
	}
	ann.quiet()
	bob.quiet()
	if s := n.Stats(); s.Dropped[router.DroppedFilter] != 1 || s.Published["room"] != 0 {
		t.Errorf("got %v %v", s.Dropped, s.Published)
	}
}

func TestADisconnectVerdictClosesTheConnection(t *testing.T) {
	for _, c := range []struct {
		code uint32
		want int
	}{{4321, 4321}, {0, 4008}, {1000, 4008}, {5000, 4008}} {
		f := newFilters().on(router.HookMessage, verdict(router.Verdict{Action: router.Disconnect, Code: c.code, Reason: "enough"}))
		_, ann, bob := chatter(t, f)
		ann.send(`{"type":"room_message","room":"r","content":1}`)
		ann.ws.Write(t.Context(), websocket.MessageText, []byte(`{"type":"room_message","room":"r","content":2}`)) // not executed any more
		ann.closedWith(c.want)
		if !strings.Contains(ann.ended.Error(), "enough") {
			t.Errorf("no reason in %v", ann.ended)
		}
		bob.quiet()
		if f.judged.Load() != 1 {
			t.Errorf("%d messages were judged", f.judged.Load())
		}
	}
}

func TestAFilterRewritesTheContent(t *testing.T) {
	f := newFilters().on(router.HookMessage, func(e *router.Event) {
		e.Scratch = append(e.Scratch[:0], `{"was":`...)
		e.Scratch = append(e.Scratch, e.Payload...)
		e.Scratch = append(e.Scratch, '}')
		e.Verdict.Payload = e.Scratch // valid until the next event only
	})
	_, ann, bob := chatter(t, f)
	ann.send(`{"type":"room_message","room":"r","content":"one"}`)
	ann.send(`{"type":"room_message","room":"r","content":"two"}`)
	for _, want := range []string{"one", "two"} {
		if e := bob.expect("chat"); e["content"].(map[string]any)["was"] != want {
			t.Errorf("got %v, want %s", e, want)
		}
	}
}

func TestAFilterReroutesAMessageToAnotherRoom(t *testing.T) {
	f := newFilters().on(router.HookMessage, func(e *router.Event) { e.Verdict.Room = "quarantine" })
	n, ann, bob := chatter(t, f)
	mod := n.as(t, "mod")
	mod.join("quarantine")
	e := ann.ask(`{"id":1,"type":"room_message","room":"r","content":1}`)
	if e.name() != "ack" {
		t.Fatalf("got %v", e)
	}
	if e := mod.expect("chat"); e.str("room") != "quarantine" || e.str("from") != "ann" {
		t.Errorf("got %v", e)
	}
	bob.quiet()
	// Neither broadcasts nor direct messages have a room to change.
	ann.send(`{"type":"chat","content":1}`)
	ann.send(`{"type":"direct_message","target_user":"bob","content":1}`)
	if e := bob.expect("chat"); e["room"] != nil {
		t.Errorf("got %v", e)
	}
	if e := bob.expect("chat"); e["direct"] != true {
		t.Errorf("got %v", e)
	}
}

func TestAReroutedMessageNeedsTheSendersGrantForTheNewRoom(t *testing.T) {
	grants, err := router.ParseGrants([]byte(`[{"rooms":"r","allow":["join","send"]}]`), "ann")
	if err != nil {
		t.Fatal(err)
	}
	room := "secret"
	f := newFilters().
		on(router.HookConnect, func(e *router.Event) { e.Verdict.Identity = &router.Identity{User: "ann", Grants: grants} }).
		on(router.HookMessage, func(e *router.Event) { e.Verdict.Room = room })
	u := startNode(t, withFilters(f)).connect(t, "")
	u.join("r")
	u.refusedWith("forbidden", `{"type":"room_message","room":"r","content":1}`)
	room = "r"
	u.send(`{"type":"room_message","room":"r","content":1}`)
	u.expect("chat")
	room = "bad\x01name"
	u.refusedWith("forbidden", `{"type":"room_message","room":"r","content":1}`)
}

func TestADeniedJoinLeavesTheClientOutside(t *testing.T) {
	f := newFilters().on(router.HookJoin, func(e *router.Event) {
		if e.Room == "closed" {
			e.Verdict = router.Verdict{Action: router.Deny, Code: 404, Reason: "no such room", Filter: "doors"}
		}
	})
	n := startNode(t, silent, withFilters(f))
	u := n.as(t, "ann")
	e := u.refusedWith("not_found", `{"id":9,"type":"join_room","room":"closed"}`)
	if e["id"] != 9.0 || e.str("filter") != "doors" {
		t.Errorf("got %v", e)
	}
	u.refusedWith("forbidden", `{"type":"presence","room":"closed"}`)
	u.join("open")
	if s := n.Stats(); s.Rooms != 1 || s.Verdicts["join/deny"] != 1 {
		t.Errorf("got %+v", s)
	}
}

func TestEachHookSeesItsEvent(t *testing.T) {
	var seen recorded
	identity := &router.Identity{User: "ann", Claims: []byte(`{"role":"x"}`), Expires: time.Now().Add(time.Hour)}
	f := newFilters()
	for _, h := range []router.Hook{router.HookConnect, router.HookJoin, router.HookMessage, router.HookLeave, router.HookDisconnect} {
		f.on(h, func(e *router.Event) {
			seen.hook(e)
			if e.Hook == router.HookConnect {
				e.Verdict.Identity = identity
			}
		})
	}
	b := &broker{}
	n := startNodeWith(t, b, membroker.New(), withFilters(f), func(_ *router.Options, g *router.Generation) {
		g.DefaultGrants, _ = router.ParseGrants([]byte(`[{"rooms":"**","allow":["join","send"]},{"allow":["broadcast","direct"]}]`), "")
	})
	u := n.connect(t, "")
	u.join("r")
	u.send(`{"type":"room_message","room":"r","content":{"a":1}}`)
	u.send(`{"type":"chat","content":2}`)
	u.send(`{"type":"direct_message","target_user":"bob","content":3}`)
	u.send(`{"type":"join_room","room":"r"}`) // again: not an event
	u.send(`{"type":"leave_room","room":"r"}`)
	u.until("left")
	u.join("s")
	u.ws.Close(4999, "bye")
	eventually(t, "the end was seen", func() bool { return len(seen.all()) == 9 })

	want := []router.Event{
		{Hook: router.HookConnect, Kind: router.KindNew},
		{Hook: router.HookJoin, Room: "r"},
		{Hook: router.HookMessage, Kind: router.KindRoom, Room: "r", Payload: []byte(`{"a":1}`)},
		{Hook: router.HookMessage, Kind: router.KindBroadcast, Payload: []byte("2")},
		{Hook: router.HookMessage, Kind: router.KindDirect, Target: "bob", Payload: []byte("3")},
		{Hook: router.HookLeave, Room: "r", Cause: router.CauseLeft},
		{Hook: router.HookJoin, Room: "s"},
		{Hook: router.HookLeave, Room: "s", Cause: router.CauseDisconnected},
		{Hook: router.HookDisconnect, Cause: 4999},
	}
	got := seen.all()
	for i, w := range want {
		e := got[i]
		if e.Hook != w.Hook || e.Kind != w.Kind || e.Room != w.Room || e.Target != w.Target || string(e.Payload) != string(w.Payload) || e.Cause != w.Cause {
			t.Errorf("event %d: got %+v, want %+v", i, e, w)
		}
		if e.Conn != got[0].Conn || e.Seq != uint64(i+1) || e.Remote != "127.0.0.1" || e.FromServer {
			t.Errorf("event %d: got %+v", i, e)
		}
		if i > 0 && (e.User != "ann" || string(e.Claims) != `{"role":"x"}` || e.Expires != identity.Expires.UnixMilli()) {
			t.Errorf("event %d: got %+v", i, e)
		}
	}
}

func TestFiltersKeepStateOfAConnectionFromConnectToDisconnect(t *testing.T) {
	last := make(chan string, 1)
	count := func(e *router.Event) {
		if len(*e.States) == 0 {
			*e.States = append(*e.States, router.State{Filter: "counter"})
		}
		s := &(*e.States)[0]
		s.Data = append(s.Data, byte('0'+e.Hook))
		if e.Hook == router.HookDisconnect {
			last <- string(s.Data)
		}
		if e.Hook == router.HookConnect {
			e.Verdict.Identity = &router.Identity{User: "ann"}
		}
	}
	f := newFilters()
	for h := router.HookConnect; h <= router.HookDisconnect; h++ {
		f.on(h, count)
	}
	n := startNode(t, withFilters(f))
	other := n.connect(t, "")
	u := n.connect(t, "")
	u.join("r")
	u.send(`{"type":"room_message","room":"r","content":1}`)
	u.expect("chat")
	u.leaveNow()
	if got := <-last; got != "23456" {
		t.Errorf("got hooks %s", got)
	}
	other.leaveNow()
	if got := <-last; got != "26" {
		t.Errorf("got hooks %s: the connections share their state", got)
	}
}

func TestNothingIsJudgedForAHookThatNoFilterHas(t *testing.T) {
	f := newFilters().on(router.HookJoin, func(*router.Event) {})
	_, ann, bob := chatter(t, f)
	ann.send(`{"type":"room_message","room":"r","content":1}`)
	bob.expect("chat")
	if got := f.judged.Load(); got != 2 {
		t.Errorf("%d events were judged, not the two joins", got)
	}
}

func TestAPanicClosesOnlyTheConnectionThatMetIt(t *testing.T) {
	f := newFilters().on(router.HookMessage, func(e *router.Event) {
		if string(e.Payload) == `"boom"` {
			panic("boom")
		}
	})
	n, ann, bob := chatter(t, f)
	ann.send(`{"type":"room_message","room":"r","content":"boom"}`)
	ann.closedWith(1011)
	bob.send(`{"type":"room_message","room":"r","content":"fine"}`)
	bob.expect("chat")
	eventually(t, "it is given back", func() bool { return n.Stats().Connections == 1 })
	if n.Stats().Panics != 1 || !strings.Contains(n.logs.String(), "boom") {
		t.Errorf("%d panics, log %s", n.Stats().Panics, n.logs)
	}
}

func TestAPanicWhileEndingStillGivesEverythingBack(t *testing.T) {
	f := newFilters().
		on(router.HookLeave, func(*router.Event) { panic("leave") }).
		on(router.HookDisconnect, func(*router.Event) { panic("disconnect") })
	b := &broker{}
	n := startNodeWith(t, b, membroker.New(), silent, withFilters(f), withPresence("**"))
	u := n.as(t, "ann")
	u.join("r")
	u.join("s")
	u.leaveNow()
	eventually(t, "all is given back", func() bool {
		s := n.Stats()
		return s.Connections+s.Rooms+s.Users == 0 && s.Panics == 3 && b.subscribed.Load() == 0 && b.occupations.Load() == 0
	})
}

func TestAPanicInAHandshakeIsCountedAndHarmsNobody(t *testing.T) {
	f := newFilters().on(router.HookConnect, func(*router.Event) { panic("connect") })
	n := startNode(t, withFilters(f), withLimits(func(l *router.Limits) { l.Connections = 1 }))
	for range 3 { // its place is given back each time
		if ws, resp, err := n.dialRaw("", nil); err == nil || resp == nil || resp.StatusCode != 500 {
			t.Errorf("got %v %v %v", ws, resp, err)
		}
	}
	if s := n.Stats(); s.Panics != 3 || s.Refused[router.RefusedPanic] != 3 {
		t.Errorf("got %+v", s)
	}
}

func TestContentSeenByFiltersIsValidJSON(t *testing.T) {
	f := newFilters().on(router.HookMessage, func(e *router.Event) {
		if !json.Valid(e.Payload) {
			e.Verdict = router.Verdict{Action: router.Deny, Code: 400, Reason: fmt.Sprintf("%q", e.Payload)}
		}
	})
	_, ann, bob := chatter(t, f)
	for _, content := range []string{`null`, ` {"a" : [1, 2] } `, `"é\ud83d\ude00"`, `-0.5e-7`, `[]`} {
		ann.send(`{"type":"room_message","room":"r","content":` + content + `}`)
		bob.expect("chat")
	}
}
