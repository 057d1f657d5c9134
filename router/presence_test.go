package router_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"sluice/router"
	"sluice/router/membroker"
)

func TestPresenceThatCannotBeKeptRefusesTheJoinAndLeavesNothing(t *testing.T) {
	b := &broker{}
	var failing atomicBool
	b.enter = func(string) error {
		if failing.Load() {
			return errOut
		}
		return nil
	}
	n := startNodeWith(t, b, membroker.New(), silent, withPresence("**"))
	u := n.as(t, "ann")
	before := b.subscribed.Load()
	failing.Store(true)
	u.refusedWith("unavailable", `{"type":"join_room","room":"r"}`)
	if n.Stats().Rooms != 0 || b.subscribed.Load() != before {
		t.Error("something is left")
	}
	failing.Store(false)
	u.join("r")
}

func TestPresenceTellsWhoIsInARoom(t *testing.T) {
	hub := membroker.NewHub()
	b1, b2 := hub.Node(), hub.Node()
	t.Cleanup(func() { b1.Close(); b2.Close() })
	n1, n2 := startNodeOn(t, b1, silent, withPresence("r")), startNodeOn(t, b2, silent, withPresence("r"))
	a := n1.as(t, "ann")
	a.join("r")
	n2.as(t, "bob").join("r")
	again := n2.as(t, "bob")
	again.send(`{"type":"join_room","room":"r"}`) // not announced
	again.expect("joined")
	n2.as(t, "cat").join("r")
	a.until("user_joined")
	a.until("user_joined")

	e := a.ask(`{"type":"presence","room":"r","limit":2}`)
	users := e["users"].([]any)
	if e["total"] != 3.0 || len(users) != 2 || users[1].(map[string]any)["user_id"] != "bob" || users[1].(map[string]any)["connections"] != 2.0 {
		t.Fatalf("got %v", e)
	}
	e = a.ask(`{"type":"presence","room":"r","cursor":"` + e.str("cursor") + `"}`)
	users = e["users"].([]any)
	if len(users) != 1 || users[0].(map[string]any)["user_id"] != "cat" || e["cursor"] != nil {
		t.Fatalf("got %v", e)
	}
}

func TestPresenceNeedsMembershipAndARuleThatKeepsIt(t *testing.T) {
	n := startNode(t, silent, withPresence("p"))
	u := n.as(t, "ann")
	u.refusedWith("forbidden", `{"type":"presence","room":"p"}`)
	u.join("q")
	u.refusedWith("unsupported", `{"type":"presence","room":"q"}`)
	u.join("p")
	if e := u.ask(`{"type":"presence","room":"p"}`); e["total"] != 1.0 {
		t.Errorf("got %v", e)
	}
	u.send(`{"type":"leave_room","room":"p"}`)
	u.expect("left")
	u.refusedWith("forbidden", `{"type":"presence","room":"p"}`)
}

func TestAPageOfPresenceIsShortenedWhereItWouldNotFitAQueue(t *testing.T) {
	info := []byte(`"` + strings.Repeat("i", 12<<10) + `"`)
	var count atomic.Int64
	f := newFilters().on(router.HookConnect, func(e *router.Event) {
		e.Verdict.Identity = &router.Identity{User: fmt.Sprintf("u%03d", count.Add(1)), Info: info}
	})
	b := new(broker)
	n := startNodeWith(t, b, membroker.New(), withFilters(f), withRule("r", func(r *router.RoomRule) { r.Presence, r.Announce = true, router.AnnounceOff }))
	var u *client
	const users = 60
	for range users {
		u = n.connect(t, "")
		u.join("r")
	}
	seen, cursor := 0, ""
	for {
		b.presents.Store(0)
		e := u.ask(`{"type":"presence","room":"r"` + cursor + `}`)
		if n := b.presents.Load(); n > 2 {
			t.Errorf("the broker was asked %d times, want once, and once for a page that fits", n)
		}
		if e.name() != "presence" || e["total"] != float64(users) {
			t.Fatalf("got %.200v", e)
		}
		seen += len(e["users"].([]any))
		if e["cursor"] == nil {
			break
		}
		cursor = `,"cursor":"` + e.str("cursor") + `"`
	}
	if seen != users {
		t.Errorf("saw %d of %d users", seen, users)
	}
}
