package router_test

import (
	"fmt"
	"testing"

	"sluice/router"
	"sluice/router/membroker"
)

func wantGap(t testing.TB, e event, room, reason string, at place) {
	t.Helper()
	if e.name() != "gap" || e.str("room") != room || e.str("reason") != reason || e.place() != at {
		t.Errorf("got %v, want a gap %s of %q at %v", e, reason, room, at)
	}
	if _, there := e["offset"]; there != (at.Epoch != "") {
		t.Errorf("an offset without an epoch, or the reverse: %v", e)
	}
	if _, there := e["room"]; there != (room != "") {
		t.Errorf("room is %v", e["room"])
	}
}

func TestAGapOfTheBrokerIsToldToThoseWhomItConcerns(t *testing.T) {
	n := startNode(t, silent, keeping("r", 10))
	in, out, bob := n.as(t, "ann"), n.as(t, "ann"), n.as(t, "bob")
	in.join("r")
	bob.join("r")
	bob.leave("r")

	n.Deliver(&router.Message{Kind: router.RoomGap, Room: "r", Position: router.Position{Epoch: "new", Offset: 7}})
	wantGap(t, in.next(), "r", "lost", place{"new", 7})
	n.Deliver(&router.Message{Kind: router.RoomGap, Room: "r"})
	wantGap(t, in.next(), "r", "possible_gap", place{})
	n.Deliver(&router.Message{Kind: router.RoomGap, Target: "ann"})
	wantGap(t, in.next(), "", "possible_gap", place{})
	wantGap(t, out.next(), "", "possible_gap", place{})
	n.Deliver(&router.Message{Kind: router.RoomGap})
	for _, u := range []*client{in, out, bob} {
		wantGap(t, u.next(), "", "possible_gap", place{})
	}
	n.Deliver(&router.Message{Kind: router.RoomGap, Room: "empty", Position: router.Position{Epoch: "e"}})
	n.Deliver(&router.Message{Kind: router.RoomGap, Target: "nobody"})
	for _, u := range []*client{in, out, bob} {
		u.quiet()
	}
	s := n.Stats()
	if s.Gaps["lost"] != 1 || s.Gaps["possible_gap"] != 1+2+3 || s.Gaps["slow"] != 0 || s.Received["gap"] != 6 {
		t.Errorf("counted %v, received %v", s.Gaps, s.Received)
	}
}

func TestAfterALossDeliveriesGoOnBehindItsPlace(t *testing.T) {
	b := &renewed{Broker: membroker.New(), newest: router.Position{Epoch: "new", Offset: 1}}
	t.Cleanup(func() { b.Close() })
	n := startNodeOn(t, b, silent, keeping("r", 10))
	u := n.as(t, "ann")
	u.join("r")
	last := u.say("r", 1, 3)
	said := func(epoch string, offset uint64) *router.Message {
		return &router.Message{Kind: router.RoomMessage, ID: "m", Room: "r", From: "bob", Content: []byte("1"), Position: router.Position{Epoch: epoch, Offset: offset}}
	}
	n.Deliver(&router.Message{Kind: router.RoomGap, Room: "r", Position: router.Position{Epoch: "new", Offset: 0}})
	wantGap(t, u.next(), "r", "lost", place{"new", 0})
	if e := n.as(t, "bob").join("r"); e.place() != (place{"new", 0}) {
		t.Errorf("who joins now is told %v", e)
	}
	n.Deliver(said("new", 1))
	if e := u.expect("chat"); e["offset"] != 1.0 {
		t.Errorf("got %v", e)
	}
	if e := n.as(t, "cat").recover("r", last); e["recovered"] != false || e.place() != (place{"new", 1}) {
		t.Errorf("who has the old epoch is told %v", e)
	}
	n.Deliver(said("new", 1)) // of before a subscription anew, which had begun behind it
	u.quiet()
	if s := n.Stats().Dropped[router.DroppedStale]; s != 1 {
		t.Errorf("%d were counted as stale", s)
	}
}

func TestAGapComesInItsPlaceToWhoIsJoining(t *testing.T) {
	reading, release := make(chan struct{}), make(chan struct{})
	b := &broker{}
	b.history = func(string, router.HistoryQuery) error {
		close(reading)
		<-release
		return nil
	}
	n, speaker, last := spoken(t, b, 2)
	u := n.as(t, "ann")
	u.send(fmt.Sprintf(`{"type":"join_room","room":"r","recover":%v}`, place{last.Epoch, 1}))
	<-reading
	speaker.say("r", 3, 3)
	n.Deliver(&router.Message{Kind: router.RoomGap, Room: "r", Position: router.Position{Epoch: last.Epoch, Offset: 5}})
	speaker.expect("gap")
	n.Deliver(&router.Message{Kind: router.RoomMessage, ID: "m", Room: "r", From: "bob", Content: []byte("6"), Position: router.Position{Epoch: last.Epoch, Offset: 6}})
	close(release)
	e := u.expect("joined")
	wantNumbers(t, "missed", contents(t, e), 2, 2)
	if e := u.expect("chat"); e["offset"] != 3.0 {
		t.Errorf("got %v", e)
	}
	wantGap(t, u.next(), "r", "lost", place{last.Epoch, 5})
	if e := u.expect("chat"); e["offset"] != 6.0 {
		t.Errorf("got %v", e)
	}
}
