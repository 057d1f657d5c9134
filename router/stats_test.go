package router_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"sluice/router"
	"sluice/router/membroker"
)

func TestStatsCountWhatHappens(t *testing.T) {
	n := startNode(t, withRule("**", func(r *router.RoomRule) { r.Announce = router.AnnounceOn }))
	a, b := n.as(t, "ann"), n.as(t, "bob")
	a.expect("user_connected")
	a.join("r")
	b.join("r")
	a.expect("user_joined")
	a.send(`{"type":"room_message","room":"r","content":1}`)
	a.expect("chat")
	b.expect("chat")
	b.send(`{"type":"chat","content":1}`)
	a.expect("chat")
	a.send(`{"type":"direct_message","target_user":"bob","content":1}`)
	b.expect("chat")
	a.refusedWith("unsupported", `{"type":"history","room":"r"}`)
	b.leaveNow()
	a.expect("user_left")
	a.expect("user_disconnected")
	eventually(t, "bob is gone", func() bool { return n.Stats().Closed["1000"] == 1 })

	s := n.Stats()
	if s.Connections != 1 || s.Users != 1 || s.Rooms != 1 || s.Accepted != 2 || s.Generation != 1 {
		t.Errorf("got %+v", s)
	}
	for name, c := range map[string]struct{ got, want uint64 }{
		"join_room":         {s.Commands["join_room"], 2},
		"chat":              {s.Commands["chat"], 1},
		"room":              {s.Published["room"], 1},
		"broadcast":         {s.Received["broadcast"], 1},
		"direct":            {s.Received["direct"], 1},
		"user_joined":       {s.Published["user_joined"], 2},
		"user_left":         {s.Published["user_left"], 1},
		"user_connected":    {s.Published["user_connected"], 2},
		"user_disconnected": {s.Published["user_disconnected"], 1},
		"unsupported":       {s.Errors["unsupported"], 1},
		// user_connected 1 (bob to ann), user_joined 1+2, room 2, broadcast 1,
		// direct 1, user_left 1, user_disconnected 1
		"delivered": {s.Delivered, 10},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %d, want %d", name, c.got, c.want)
		}
	}
}

func TestEveryCounterIsThereFromTheStart(t *testing.T) {
	s := startNode(t).Stats()
	for name, m := range map[string]map[string]uint64{
		"refused": s.Refused, "closed": s.Closed, "commands": s.Commands, "malformed": s.Malformed, "errors": s.Errors,
		"published": s.Published, "received": s.Received, "dropped": s.Dropped, "lost": s.Lost, "slow": s.Slow, "verdicts": s.Verdicts,
		"recoveries": s.Recoveries, "gaps": s.Gaps,
	} {
		if len(m) == 0 {
			t.Errorf("%s is empty", name)
		}
		for key, n := range m {
			if n != 0 {
				t.Errorf("%s %s begins with %d", name, key, n)
			}
		}
	}
}

func TestACloseCodeWithoutACounterIsCountedAsOther(t *testing.T) {
	n := startNode(t)
	n.as(t, "ann").ws.Close(4777, "")
	eventually(t, "it is counted", func() bool { return n.Stats().Closed["other"] == 1 })
}

func TestAClientThatTakesNothingIsCountedWithWhatItLost(t *testing.T) {
	n := startNode(t, silent, withLimits(func(l *router.Limits) { l.Queue = 256 << 10; l.WriteTimeout = 500 * time.Millisecond }),
		withRule("r", func(r *router.RoomRule) { r.Slow, r.Announce = router.SlowDropOldest, router.AnnounceOff }))
	u := n.as(t, "ann")
	u.join("r")
	stuck(t, n, "r")
	flood(t, u, "r", func() bool { return n.Stats().Lost[router.LostWriteTimeout] == 1 })
	eventually(t, "its connection has ended", func() bool { return n.Stats().Connections == 1 })
	if s := n.Stats(); s.Blocked == 0 || s.Dropped[router.DroppedDiscarded] == 0 || s.Gaps["slow"] == 0 {
		t.Errorf("blocked %d, dropped %v, gaps %v", s.Blocked, s.Dropped, s.Gaps)
	}
}

// counting is a broker that counts what happens to it.
type counting struct{ router.Broker }

func (counting) Counters() map[string]uint64 { return map[string]uint64{"redis_away": 3} }

func TestTheBrokersOwnCountersAreShown(t *testing.T) {
	if events := startNodeWith(t, &broker{}, membroker.New()).Stats().BrokerEvents; events != nil {
		t.Errorf("a broker without counters has %v", events)
	}
	inner := membroker.New()
	t.Cleanup(func() { inner.Close() })
	if events := startNodeOn(t, counting{inner}).Stats().BrokerEvents; events["redis_away"] != 3 {
		t.Errorf("got %v", events)
	}
}

type digested struct{ *filters }

func (digested) Digest() string { return "d1" }

func TestANodeTellsTheOthersWhichFiltersItHas(t *testing.T) {
	n := startNode(t, withFilters(digested{newFilters()}), func(_ *router.Options, g *router.Generation) { g.Number = 7 })
	if d := n.Describe(); d.Filters != "d1" || d.Generation != 7 || d.ID == "" {
		t.Errorf("got %+v", d)
	}
	if d := startNode(t, withFilters(newFilters())).Describe(); d.Filters != "" {
		t.Errorf("got %+v", d)
	}
}

func TestAFloodOfPingsIsCounted(t *testing.T) {
	n := startNode(t)
	nc, err := net.Dial("tcp", n.server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	fmt.Fprint(nc, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	ping := "\x89\x80\x00\x00\x00\x00"
	fmt.Fprint(nc, strings.Repeat(ping, 1000))
	eventually(t, "the flood is slowed", func() bool { return n.Stats().Floods > 0 })
}
