package router_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"sluice/router"
	"sluice/router/membroker"
)

func TestARefreshReplacesTheWholeIdentity(t *testing.T) {
	var messages recorded
	is := newIssuer()
	is.on(router.HookMessage, messages.hook)
	n := startNode(t, withFilters(is), quietRooms)
	first, second := time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
	is.issue("one", router.Identity{User: "ann", Claims: []byte(`{"v":1}`), Info: []byte(`{"name":"Ann"}`), Expires: first})
	is.issue("two", router.Identity{User: "ann", Claims: []byte(`{"v":2}`), Info: []byte(`{"name":"Ann B."}`), Expires: second,
		Grants: grantsOf(t, `[{"rooms":"r","allow":["join","send","presence"]}]`, "ann")})
	is.issue("none", router.Identity{User: "ann"})
	u := n.connect(t, "token=one")
	u.join("r")
	const say = `{"type":"room_message","room":"r","content":1}`
	if e := u.ask(say); fmt.Sprint(e["info"]) != "map[name:Ann]" {
		t.Errorf("before: got %v", e)
	}
	u.send(`{"type":"direct_message","target_user":"bob","content":1}`)

	if e := u.refresh("two"); e["expires_at"] != float64(second.Unix()) {
		t.Errorf("got %v", e)
	}
	if e := u.ask(say); fmt.Sprint(e["info"]) != "map[name:Ann B.]" {
		t.Errorf("info: got %v", e)
	}
	u.refusedWith("forbidden", `{"type":"direct_message","target_user":"bob","content":1}`)
	if e := u.ask(`{"type":"presence","room":"r"}`); !strings.Contains(fmt.Sprint(e["users"]), "name:Ann B.") {
		t.Errorf("presence: got %v", e)
	}
	seen := messages.all()
	if last := seen[len(seen)-1]; string(last.Claims) != `{"v":2}` || last.Expires != second.UnixMilli() || last.User != "ann" {
		t.Errorf("a message filter saw %+v", last)
	}
	if e := u.refresh("none"); e["expires_at"] != nil {
		t.Errorf("got %v", e)
	}
	u.send(`{"type":"direct_message","target_user":"ann","content":1}`) // by the default grants
	if e := u.expect("chat"); e["info"] != nil {
		t.Errorf("got %v", e)
	}
	if s := n.Stats(); s.Refreshes[router.RefreshRenewed] != 2 || s.Commands["refresh"] != 2 {
		t.Errorf("counted %v", s.Refreshes)
	}
}

func TestARefreshIsJudgedAsAConnectOfItsOwnKind(t *testing.T) {
	is := newIssuer()
	requests := make(chan bool, 2)
	is.before = func(e *router.Event) { requests <- e.Request != nil }
	n := startNode(t, withFilters(is))
	id := router.Identity{User: "ann", Claims: []byte(`{"v":1}`), Expires: time.Now().Add(time.Hour)}
	is.issue("one", id)
	is.issue("tw\u00f6", id)
	u := n.connect(t, "token=one")
	u.refresh(`tw\u00f6`)
	connect, refresh := is.seen.all()[0], is.seen.all()[1]
	if refresh.Hook != router.HookConnect || refresh.Kind != router.KindRefresh || string(refresh.Payload) != "twö" || refresh.User != "ann" ||
		refresh.Conn != connect.Conn || refresh.Seq != 2 || refresh.Remote != "127.0.0.1" || refresh.Time < connect.Time {
		t.Errorf("got %+v", refresh)
	}
	// What the old token said must not become part of the new identity.
	if refresh.Claims != nil || refresh.Expires != 0 {
		t.Errorf("claims %s, expiry %d", refresh.Claims, refresh.Expires)
	}
	if !<-requests || <-requests {
		t.Error("a connect has a request, and a refresh has none")
	}
}

func TestARefusedRefreshChangesNothing(t *testing.T) {
	var messages recorded
	is := newIssuer()
	is.on(router.HookMessage, messages.hook)
	old := router.Identity{User: "ann", Claims: []byte(`{"v":1}`)}
	is.issue("one", old)
	is.issue("bob", router.Identity{User: "bob"})
	is.issue("nobody", router.Identity{})
	is.issue("reserved", router.Identity{User: "anonymous-ann"})
	is.issue("bad", router.Identity{User: "a\x00"})
	is.issue("late", router.Identity{User: "ann", Expires: time.Now().Add(-time.Millisecond)})
	is.issue("revoked", router.Identity{User: "ann", Claims: []byte(`{"jti":"r1"}`)})
	is.tokens["silence"] = nil
	for _, c := range []struct{ token, code, cause string }{
		{"unknown", "unauthorized", router.RefusedFilter},
		{"bob", "forbidden", router.RefreshOtherUser},
		{"nobody", "unauthorized", router.RefusedNoIdentity},
		{"silence", "unauthorized", router.RefusedNoIdentity},
		{"bad", "unauthorized", router.RefusedNoIdentity},
		{"reserved", "unauthorized", router.RefusedReserved},
		{"late", "unauthorized", router.RefusedExpired},
		{"revoked", "unauthorized", router.RefusedRevoked},
	} {
		t.Run(c.token, func(t *testing.T) {
			// A node that admits anonymous clients does not make one of ann.
			n := startNode(t, withFilters(is), quietRooms, func(o *router.Options, _ *router.Generation) { o.Anonymous = true })
			if _, err := n.Revoke(router.Revocation{TokenID: "r1", Until: time.Now().Add(time.Hour)}); err != nil {
				t.Fatal(err)
			}
			u := n.connect(t, "token=one")
			u.join("r")
			if e := u.refusedWith(c.code, refreshCommand(c.token)); e["id"] != "f" || e.str("reason") == "" {
				t.Errorf("got %v", e)
			}
			if e := u.ask(`{"type":"room_message","room":"r","content":1}`); e.str("from") != "ann" {
				t.Errorf("got %v", e)
			}
			seen := messages.all()
			if last := seen[len(seen)-1]; string(last.Claims) != `{"v":1}` || last.User != "ann" {
				t.Errorf("a message filter saw %+v", last)
			}
			if s := n.Stats(); s.Refreshes[c.cause] != 1 || s.Refreshes[router.RefreshRenewed] != 0 || s.Users != 1 {
				t.Errorf("counted %v", s.Refreshes)
			}
		})
	}
}

func TestAFilterMayDisconnectOnARefresh(t *testing.T) {
	is := newIssuer()
	is.issue("one", router.Identity{User: "ann"})
	n := startNode(t, withFilters(is))
	u := n.connect(t, "token=one")
	is.before = nil
	is.hooks[router.HookConnect] = verdict(router.Verdict{Action: router.Disconnect, Code: 4055, Reason: "stolen"})
	u.send(refreshCommand("one"))
	u.closedWith(4055)
	if s := n.Stats(); s.Refreshes[router.RefusedFilter] != 1 || s.Verdicts["connect/disconnect"] != 1 {
		t.Errorf("counted %v %v", s.Refreshes, s.Verdicts)
	}
}

func TestThereIsNothingToRefreshWithoutAnIdentity(t *testing.T) {
	n := startNode(t, silent)
	u := n.as(t, "ann")
	u.refusedWith("unsupported", refreshCommand("one"))
	if s := n.Stats(); s.Refreshes[router.RefreshUnsupported] != 1 {
		t.Errorf("counted %v", s.Refreshes)
	}

	is := newIssuer()
	is.tokens[""] = nil
	is.issue("one", router.Identity{User: "ann"})
	n = startNode(t, withFilters(is), func(o *router.Options, _ *router.Generation) { o.Anonymous = true })
	u = n.connect(t, "")
	u.refusedWith("forbidden", refreshCommand("one"))
	if judged := is.judged.Load(); judged != 1 {
		t.Errorf("%d events were judged, not the connect alone", judged)
	}
}

func TestRoomsThatTheNewIdentityMayNotJoinAreLeft(t *testing.T) {
	var leaves recorded
	is := newIssuer()
	is.on(router.HookLeave, leaves.hook)
	b := &broker{}
	n := startNodeWith(t, b, membroker.New(), withFilters(is), withRule("**", func(r *router.RoomRule) { r.Presence, r.Announce = true, router.AnnounceOn }))
	is.issue("all", router.Identity{User: "ann", Claims: []byte(`{"v":1}`)})
	is.issue("few", router.Identity{User: "ann", Claims: []byte(`{"v":2}`), Grants: grantsOf(t, `[{"rooms":"keep*","allow":["join"]},{"rooms":"**","allow":["send"]}]`, "ann")})
	is.issue("bob", router.Identity{User: "bob"})
	bob := n.connect(t, "token=bob")
	bob.join("lose0")
	u := n.connect(t, "token=all")
	var rooms []string
	for i := range 20 { // more than memberships keeps without a map
		rooms = append(rooms, fmt.Sprint("lose", i))
	}
	rooms = append(rooms, "keep1", "keep2")
	for _, room := range rooms {
		u.join(room)
	}
	bob.expect("user_joined")

	u.refresh("few")
	left := map[string]bool{}
	for range 20 {
		e := u.expect("left")
		if e["id"] != nil || e.str("reason") == "" || !strings.HasPrefix(e.str("room"), "lose") || left[e.str("room")] {
			t.Errorf("got %v", e)
		}
		left[e.str("room")] = true
	}
	u.quiet()
	if e := bob.expect("user_left"); e.str("user_id") != "ann" || e.str("room") != "lose0" {
		t.Errorf("got %v", e)
	}
	bob.send(`{"type":"room_message","room":"lose0","content":1}`)
	bob.expect("chat")
	u.quiet()
	u.refusedWith("forbidden", `{"type":"room_message","room":"lose0","content":1}`)
	u.refusedWith("forbidden", `{"type":"join_room","room":"lose0"}`)
	if e := bob.ask(`{"type":"presence","room":"lose0"}`); e["total"] != 1.0 {
		t.Errorf("got %v", e)
	}
	seen := leaves.all()
	for _, e := range seen {
		if e.Cause != router.CauseRemoved || string(e.Claims) != `{"v":2}` {
			t.Errorf("a leave filter saw %+v", e)
		}
	}
	if s := n.Stats(); len(seen) != 20 || s.Removed != 20 || s.Rooms != 3 || b.occupations.Load() != 3 {
		t.Errorf("%d leaves, %d removed, %d rooms, %d occupations", len(seen), s.Removed, s.Rooms, b.occupations.Load())
	}
	u.send(`{"type":"room_message","room":"keep1","content":1}`)
	u.expect("chat")
}

func TestRefreshesAreLimited(t *testing.T) {
	is := newIssuer()
	is.issue("one", router.Identity{User: "ann"})
	n := startNode(t, withFilters(is))
	u := n.connect(t, "token=one")
	for range 5 {
		u.refresh("one")
	}
	e := u.ask(refreshCommand("one"))
	for range 100 {
		if e.name() == "error" {
			break
		}
		e = u.ask(refreshCommand("one")) // a slow machine gave it time
	}
	if wait, _ := e["retry_after_ms"].(float64); e.str("code") != "rate_limited" || wait <= 0 || wait > 1000 {
		t.Errorf("got %v", e)
	}
	if s := n.Stats(); s.Refreshes[router.RefusedRate] != 1 || is.judged.Load() != int64(s.Refreshes[router.RefreshRenewed])+1 {
		t.Errorf("counted %v, judged %d", s.Refreshes, is.judged.Load())
	}
}

func TestARefreshIsJudgedByTheNextFiltersIfItsOwnAreRetired(t *testing.T) {
	old, next := newIssuer(), newIssuer()
	old.issue("one", router.Identity{User: "ann"})
	next.issue("two", router.Identity{User: "ann"})
	n := startNode(t, withFilters(old))
	u := n.connect(t, "token=one")
	old.retired.Store(true) // before it is replaced: the refresh meets it
	swapped := make(chan struct{})
	go func() {
		defer close(swapped)
		eventually(t, "the old filters are asked", func() bool { return n.Stats().Retired > 0 })
		n.Swap(&router.Generation{Number: 2, Filters: next})
	}()
	e := u.ask(refreshCommand("two"))
	<-swapped
	if e.str("code") == "unavailable" { // it asked the old ones as often as it may
		e = u.ask(refreshCommand("two"))
	}
	if e.name() != "refreshed" {
		t.Errorf("got %v", e)
	}
}
