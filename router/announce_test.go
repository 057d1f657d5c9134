package router_test

import (
	"fmt"
	"testing"

	"sluice/router"
	"sluice/router/membroker"
)

func TestArrivalsAndDeparturesAreAnnouncedByTheRoomsRule(t *testing.T) {
	n := startNode(t, silent,
		withRule("loud", func(r *router.RoomRule) { r.Announce = router.AnnounceOn }),
		withRule("calm", func(r *router.RoomRule) { r.Announce = router.AnnounceOff }))
	for _, c := range []struct {
		room      string
		announced bool
	}{{"loud", true}, {"calm", false}, {"small", true}} {
		a, b := n.as(t, "ann"), n.as(t, "bob")
		if e := a.join(c.room); e["announced"] != c.announced {
			t.Errorf("%s: got %v", c.room, e)
		}
		b.join(c.room)
		b.leaveNow()
		if c.announced {
			a.expect("user_joined")
			if e := a.expect("user_left"); e.str("user_id") != "bob" || e.str("room") != c.room {
				t.Errorf("%s: got %v", c.room, e)
			}
		} else {
			eventually(t, "bob is gone", func() bool { return n.Stats().Connections == 1 })
			a.quiet()
		}
		a.leaveNow()
		eventually(t, "ann is gone", func() bool { return n.Stats().Connections == 0 })
	}
}

func TestByDefaultRoomsOfUpToAHundredMembersAnnounce(t *testing.T) {
	n := startNode(t, silent)
	first := n.as(t, "u1")
	first.join("r")
	for i := 2; i <= router.AnnounceMax+1; i++ {
		u := n.as(t, fmt.Sprint("u", i))
		e := u.join("r")
		if want := i <= router.AnnounceMax; e["announced"] != want {
			t.Fatalf("member %d: got %v", i, e)
		}
		if i <= router.AnnounceMax {
			first.expect("user_joined")
			continue
		}
		first.quiet()
		u.leaveNow() // from over the maximum: not announced
		eventually(t, "it is gone", func() bool { return n.Stats().Connections == router.AnnounceMax })
		first.quiet()
	}
}

func TestAnnouncementsCarryTheUsersInfo(t *testing.T) {
	f := newFilters().on(router.HookConnect, func(e *router.Event) {
		e.Verdict.Identity = &router.Identity{User: "ann", Info: []byte(`{"name":"Ann"}`)}
	})
	n := startNode(t, withFilters(f), withPresence("r"))
	u := n.connect(t, "")
	u.send(`{"type":"join_room","room":"r"}`)
	u.expect("joined")
	want := func(e event, info any) {
		t.Helper()
		if m, _ := info.(map[string]any); m["name"] != "Ann" {
			t.Errorf("no info in %v", e)
		}
	}
	e := u.expect("user_joined")
	want(e, e["info"])
	u.send(`{"type":"room_message","room":"r","content":1}`)
	e = u.expect("chat")
	want(e, e["info"])
	e = u.ask(`{"type":"presence","room":"r"}`)
	want(e, e["users"].([]any)[0].(map[string]any)["info"])
}

func TestConnectionsAreAnnouncedToEveryoneElse(t *testing.T) {
	n := startNode(t)
	a, b := n.as(t, "ann"), n.as(t, "bob")
	if e := a.expect("user_connected"); e.str("user_id") != "bob" {
		t.Errorf("got %v", e)
	}
	b.quiet() // not told of itself
	b.leaveNow()
	if e := a.expect("user_disconnected"); e.str("user_id") != "bob" {
		t.Errorf("got %v", e)
	}
}

func TestConnectionsAreNotAnnouncedWhereFiltersAuthenticate(t *testing.T) {
	f := newFilters().on(router.HookConnect, func(e *router.Event) { e.Verdict.Identity = &router.Identity{User: "ann"} })
	n := startNode(t, withFilters(f))
	a := n.connect(t, "")
	n.connect(t, "").leaveNow()
	eventually(t, "it is gone", func() bool { return n.Stats().Connections == 1 })
	a.quiet()

	always := startNode(t, withFilters(f), func(o *router.Options, _ *router.Generation) { o.AnnounceConnections = router.AnnounceOn })
	b := always.connect(t, "")
	always.connect(t, "")
	b.expect("user_connected")
}

func TestByDefaultANodeOfUpToAHundredConnectionsAnnouncesThem(t *testing.T) {
	n := startNode(t)
	first := n.as(t, "u1")
	for i := 2; i <= router.AnnounceMax; i++ {
		n.as(t, fmt.Sprint("u", i))
		first.expect("user_connected")
	}
	one := n.as(t, "one-more")
	first.quiet()
	one.leaveNow() // from over the maximum: not announced either
	eventually(t, "it is gone", func() bool { return n.Stats().Closed["1000"] == 1 })
	first.quiet()
}

// announcedIn joins two connections of ann on the given nodes, has both leave, and
// returns what bob, on the first node, is told.
func announcedIn(t *testing.T, first, second *node) (told []string) {
	t.Helper()
	bob := first.as(t, "bob")
	defer func() {
		bob.leave("r")
		bob.leaveNow()
	}()
	bob.join("r")
	var anns []*client
	for _, n := range []*node{first, second} {
		u := n.as(t, "ann")
		u.send(`{"type":"join_room","room":"r"}`)
		u.until("joined")
		u.send(`{"type":"room_message","room":"r","content":"joined","id":1}`)
		u.until("ack")
		anns = append(anns, u)
	}
	for _, u := range anns {
		u.send(`{"type":"leave_room","room":"r"}`)
		u.send(`{"type":"ping"}`)
		u.until("pong") // the announcement was sent before
	}
	bob.send(`{"type":"room_message","room":"r","content":"end"}`)
	for {
		e := bob.next()
		if e["content"] == "end" {
			return told
		}
		told = append(told, e.name())
	}
}

func TestAUserIsAnnouncedOnceForAllHisConnections(t *testing.T) {
	hub := membroker.NewHub()
	b1, b2 := hub.Node(), hub.Node()
	t.Cleanup(func() { b1.Close(); b2.Close() })
	rules := []setup{silent, withRule("r", func(r *router.RoomRule) { r.Presence = true })}
	n1, n2 := startNodeOn(t, b1, rules...), startNodeOn(t, b2, rules...)
	alone := startNode(t, silent)
	for name, nodes := range map[string][2]*node{
		"on one node, without presence": {alone, alone},
		"on one node, with presence":    {n1, n1},
		"on two nodes, with presence":   {n1, n2},
	} {
		if told := fmt.Sprint(announcedIn(t, nodes[0], nodes[1])); told != "[user_joined chat chat user_left]" {
			t.Errorf("%s: %s", name, told)
		}
	}
}

func TestEachConnectionIsAnnouncedWhereTheRuleSaysSo(t *testing.T) {
	n := startNode(t, silent, withRule("r", func(r *router.RoomRule) { r.AnnouncePer = router.AnnouncePerConnection }))
	if told := fmt.Sprint(announcedIn(t, n, n)); told != "[user_joined chat user_joined chat user_left user_left]" {
		t.Error(told)
	}
	p := startNode(t, silent, withRule("r", func(r *router.RoomRule) { r.Presence, r.AnnouncePer = true, router.AnnouncePerConnection }))
	if told := fmt.Sprint(announcedIn(t, p, p)); told != "[user_joined chat user_joined chat user_left user_left]" {
		t.Error(told)
	}
}
