package router_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sluice/router"
)

func TestNamesAreLimitedAtTheirEdges(t *testing.T) {
	u := startNode(t, silent, withRule("**", func(r *router.RoomRule) { r.Announce = router.AnnounceOff })).as(t, "ann")
	u.join(strings.Repeat("r", 255))
	u.join(strings.Repeat("é", 127))
	for _, room := range []string{strings.Repeat("r", 256), strings.Repeat("é", 128), "", `a\u0000b`, `a\nb`, `\u0085`} {
		e := u.refusedWith("bad_request", `{"type":"join_room","room":"`+room+`"}`)
		if !strings.HasPrefix(e.str("reason"), "room") {
			t.Errorf("%.10q: the field is not named in %v", room, e)
		}
	}
}

func TestAFrameOfTheLimitPassesAndOneByteMoreCloses(t *testing.T) {
	n := startNode(t, withLimits(func(l *router.Limits) { l.Frame = 1000 }))
	u := n.as(t, "ann")
	u.join("r")
	frame := func(size int) string {
		const head, tail = `{"type":"room_message","room":"r","content":"`, `"}`
		return head + strings.Repeat("x", size-len(head)-len(tail)) + tail
	}
	u.send(frame(1000))
	u.expect("chat")
	u.send(frame(1001))
	u.closedWith(1009)
	eventually(t, "it is counted", func() bool {
		s := n.Stats()
		return s.Malformed[router.MalformedTooBig] == 1 && s.Closed["1009"] == 1
	})
}

func TestMalformedFramesAreAnsweredUntilThereAreTooMany(t *testing.T) {
	n := startNode(t, withLimits(func(l *router.Limits) { l.MalformedFrames = 3 }))
	u := n.as(t, "ann")
	u.refusedWith("bad_request", `nonsense`)
	u.refusedWith("bad_request", `{}`)
	u.quiet()
	u.refusedWith("bad_request", `[]`)
	u.closedWith(4008)
}

func TestAClientOverItsRateIsSlowedAndLosesNothing(t *testing.T) {
	n := startNode(t, silent, withLimits(func(l *router.Limits) { l.CommandsPerSecond = 20 }))
	u := n.as(t, "ann")
	begun := time.Now()
	const commands = 40 // the first 20 at once, the others in a second
	for i := range commands {
		u.send(fmt.Sprintf(`{"id":%d,"type":"ping"}`, i))
	}
	for i := range commands {
		if e := u.expect("pong"); e["id"] != float64(i) {
			t.Fatalf("got %v, want id %d", e, i)
		}
	}
	if d := time.Since(begun); d < 900*time.Millisecond {
		t.Errorf("%d commands were executed in %v", commands, d)
	}
	if n.Stats().Slowed == 0 {
		t.Error("it is not counted")
	}
}

func TestASlowedConnectionCanBeClosed(t *testing.T) {
	n := startNode(t, silent, withLimits(func(l *router.Limits) { l.CommandsPerSecond = 0.1 }))
	u := n.as(t, "ann")
	for range 100 {
		u.send(`{"type":"pong"}`)
	}
	eventually(t, "it is slowed", func() bool { return n.Stats().Slowed > 0 })
	closed := make(chan struct{})
	go func() {
		n.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(patience):
		t.Fatal("Close waits for the slowed connection")
	}
}

// stuck connects a client that joins the room and then reads nothing.
func stuck(t *testing.T, n *node, room string) *websocket.Conn {
	t.Helper()
	ws, _, err := n.dialRaw("client_id=stuck", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.CloseNow() })
	rooms := n.Stats().Commands["join_room"]
	if err := ws.Write(context.Background(), websocket.MessageText, []byte(`{"type":"join_room","room":"`+room+`"}`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has joined", func() bool { return n.Stats().Commands["join_room"] > rooms })
	return ws
}

// flood publishes numbered messages of 16 KiB until the condition holds, and
// checks that the publisher, a member too, gets each.
func flood(t *testing.T, u *client, room string, until func() bool) (sent int) {
	t.Helper()
	padding := strings.Repeat("x", 16<<10)
	for deadline := time.Now().Add(patience); !until(); sent++ {
		if time.Now().After(deadline) {
			t.Fatal("the queue never filled")
		}
		u.send(fmt.Sprintf(`{"type":"room_message","room":"%s","content":{"n":%d,"p":"%s"}}`, room, sent, padding))
		if e := u.expect("chat"); e["content"].(map[string]any)["n"] != float64(sent) {
			t.Fatalf("message %d: got %.100v", sent, e)
		}
	}
	return sent
}

func slowNode(t *testing.T, policy router.SlowPolicy) *node {
	return startNode(t, silent, withLimits(func(l *router.Limits) { l.Queue = 256 << 10; l.WriteTimeout = 5 * time.Minute }),
		withRule("r", func(r *router.RoomRule) { r.Slow, r.Announce = policy, router.AnnounceOff }))
}

func TestAConsumerThatIsTooSlowIsDisconnected(t *testing.T) {
	n := slowNode(t, router.SlowDisconnect)
	u := n.as(t, "ann")
	u.join("r")
	stuck(t, n, "r")
	flood(t, u, "r", func() bool { return n.Stats().Slow["disconnect"] > 0 })
	s := n.Stats()
	if s.Slow["disconnect"] != 1 || s.Dropped[router.DroppedOverflow] != 1 {
		t.Errorf("got %v %v", s.Slow, s.Dropped)
	}
}

func TestAConsumerThatIsTooSlowLosesTheOldestAndLearnsOfIt(t *testing.T) {
	n := slowNode(t, router.SlowDropOldest)
	u := n.as(t, "ann")
	u.join("r")
	ws := stuck(t, n, "r")
	sent := flood(t, u, "r", func() bool { return n.Stats().Dropped[router.DroppedOldest] > 20 })
	slow := newClient(t, ws)
	slow.until("joined")
	gaps, last := 0, -1.0
	for last != float64(sent-1) {
		switch e := slow.next(); e.name() {
		case "gap":
			gaps++
			if e.str("room") != "r" {
				t.Errorf("got %v", e)
			}
		case "chat":
			n := e["content"].(map[string]any)["n"].(float64)
			if n <= last || n > last+1 && gaps == 0 {
				t.Fatalf("%v came after %v and %d gaps", n, last, gaps)
			}
			last = n
		}
	}
	if gaps == 0 {
		t.Error("it was told of no gap")
	}
	slow.quiet() // and is a member like any other
}

func TestAConsumerThatIsTooSlowGetsTheLatest(t *testing.T) {
	n := slowNode(t, router.SlowKeepLatest)
	u := n.as(t, "ann")
	u.join("r")
	ws := stuck(t, n, "r")
	sent := flood(t, u, "r", func() bool { return n.Stats().Slow["keep_latest"] > 1 })
	slow := newClient(t, ws)
	slow.until("gap")
	for {
		if e := slow.until("chat"); e["content"].(map[string]any)["n"] == float64(sent-1) {
			break
		}
	}
	if n.Stats().Dropped[router.DroppedKeepLatest] < 10 {
		t.Errorf("got %v", n.Stats().Dropped)
	}
}

func TestAMessageThatFindsNoRoomIsDroppedAndNotDelivered(t *testing.T) {
	n := startNode(t, silent, withLimits(func(l *router.Limits) { l.Queue = 256 << 10; l.WriteTimeout = 5 * time.Minute }),
		withRule("*", func(r *router.RoomRule) { r.Slow, r.Announce = router.SlowDropOldest, router.AnnounceOff }))
	u := n.as(t, "ann")
	u.join("r")
	u.join("s")
	ws := stuck(t, n, "r")
	if err := ws.Write(t.Context(), websocket.MessageText, []byte(`{"type":"join_room","room":"s"}`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it has joined both", func() bool { return n.Stats().Commands["join_room"] == 4 })
	flood(t, u, "r", func() bool { return n.Stats().Dropped[router.DroppedOldest] > 20 })
	before := n.Stats()
	// The queue is full of messages to the other room, which do not make room.
	u.send(`{"type":"room_message","room":"s","content":"` + strings.Repeat("x", 60<<10) + `"}`)
	u.expect("chat")
	eventually(t, "it is counted", func() bool { return n.Stats().Dropped[router.DroppedOldest] == before.Dropped[router.DroppedOldest]+1 })
	if got := n.Stats().Delivered - before.Delivered; got != 1 {
		t.Errorf("%d are counted as delivered, not the sender's alone", got)
	}
}

func TestDirectMessagesToAConsumerThatIsTooSlowDisconnectIt(t *testing.T) {
	n := slowNode(t, router.SlowDropOldest)
	u := n.as(t, "ann")
	stuck(t, n, "other")
	padding := strings.Repeat("x", 16<<10)
	for deadline := time.Now().Add(patience); n.Stats().Slow["disconnect"] == 0; {
		if time.Now().After(deadline) {
			t.Fatal("the queue never filled")
		}
		if e := u.ask(`{"id":1,"type":"direct_message","target_user":"stuck","content":"` + padding + `"}`); e.name() != "ack" {
			t.Fatalf("got %.100v", e)
		}
	}
}

func TestZeroLimitsTakeTheirDefaults(t *testing.T) {
	n := startNode(t, silent, withLimits(func(l *router.Limits) { *l = router.Limits{} }))
	u := n.as(t, "ann")
	if u.welcome["ping_interval_ms"] != 25000.0 {
		t.Errorf("got %v", u.welcome)
	}
	u.join("r")
	u.refusedWith("bad_request", "nonsense")
	u.quiet()
}
