package router_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/router"
	"sluice/router/membroker"
)

// recover joins a room behind a place, and is joined.
func (c *client) recover(room string, behind place) event {
	c.t.Helper()
	c.send(fmt.Sprintf(`{"type":"join_room","room":%q,"recover":%v}`, room, behind))
	return c.expect("joined")
}

// leave leaves a room.
func (c *client) leave(room string) {
	c.t.Helper()
	c.send(`{"type":"leave_room","room":"` + room + `"}`)
	c.until("left")
}

// spoken is a node with a room r in which that many messages were said, and of which the
// speaker is a member.
func spoken(t *testing.T, b *broker, messages int, setups ...setup) (n *node, speaker *client, last place) {
	t.Helper()
	n = startNodeWith(t, b, membroker.New(), append([]setup{silent, keeping("r", 1000)}, setups...)...)
	speaker = n.as(t, "speaker")
	last = speaker.join("r").place()
	if messages > 0 {
		last = speaker.say("r", 1, messages)
	}
	return n, speaker, last
}

func TestWhoComesBackIsGivenWhatItMissedAndThenTheDeliveries(t *testing.T) {
	n, speaker, last := spoken(t, &broker{}, 20)
	u := n.as(t, "ann")
	e := u.recover("r", place{last.Epoch, 5})
	if e["recovered"] != true || e.place() != last {
		t.Fatalf("got %v", e)
	}
	wantNumbers(t, "missed", contents(t, e), 6, 20)
	speaker.say("r", 21, 21)
	if e := u.expect("chat"); e["offset"] != 21.0 {
		t.Errorf("got %v", e)
	}
	if s := n.Stats().Recoveries; s[router.RecoveryDone] != 1 || s[router.RecoveryRefused] != 0 {
		t.Errorf("counted %v", s)
	}
}

func TestWhoMissedNothingIsToldSoWithoutAskingTheBroker(t *testing.T) {
	b := &broker{}
	n, _, last := spoken(t, b, 3)
	e := n.as(t, "ann").recover("r", last)
	if e["recovered"] != true || len(contents(t, e)) != 0 || e.place() != last {
		t.Errorf("got %v", e)
	}
	if calls := b.histories.Load(); calls != 0 {
		t.Errorf("the broker was asked %d times", calls)
	}
}

func TestWhatCannotBeRecoveredWholeIsRefusedAndTheRoomJoined(t *testing.T) {
	const kib = 1 << 10
	for name, c := range map[string]struct {
		rule   func(*router.RoomRule)
		size   int // of a message
		said   int
		behind place
	}{
		"another epoch":        {said: 3, behind: place{"another", 2}},
		"trimmed":              {said: 30, rule: func(r *router.RoomRule) { r.History.Size = 10 }, behind: place{"", 19}},
		"more than is allowed": {said: 8, rule: func(r *router.RoomRule) { r.Recover = 5 }, behind: place{"", 2}},
		"more than 300":        {said: 302, rule: func(r *router.RoomRule) { r.Recover = 5000 }, behind: place{"", 1}},
		"more than 256 KiB":    {said: 6, size: 50 * kib, behind: place{"", 0}},
		"from the future":      {said: 3, behind: place{"", 4}},
		"no history":           {said: 3, rule: func(r *router.RoomRule) { r.History = router.Keep{} }, behind: place{"e", 1}},
	} {
		t.Run(name, func(t *testing.T) {
			n := startNode(t, silent, withRule("r", func(r *router.RoomRule) {
				r.History, r.Announce = router.Keep{Size: 1000, TTL: time.Hour}, router.AnnounceOff
				if c.rule != nil {
					c.rule(r)
				}
			}))
			speaker, u := n.as(t, "speaker"), n.as(t, "ann")
			joined := speaker.join("r")
			for range c.said {
				speaker.send(`{"type":"room_message","room":"r","content":"` + strings.Repeat("x", c.size) + `"}`)
				speaker.expect("chat")
			}
			if c.behind.Epoch == "" {
				c.behind.Epoch = joined.str("epoch")
			}
			e := u.recover("r", c.behind)
			if e["recovered"] != false || e["messages"] != nil || e.number("offset") != c.said && joined["epoch"] != nil {
				t.Errorf("got %.500v", e)
			}
			speaker.send(`{"type":"room_message","room":"r","content":"next"}`)
			if e := u.expect("chat"); e["content"] != "next" {
				t.Errorf("got %v", e)
			}
			if n := n.Stats().Recoveries[router.RecoveryRefused]; n != 1 {
				t.Errorf("%d were counted", n)
			}
		})
	}
}

func TestTheMostThatMayBeRecoveredIs(t *testing.T) {
	n, _, last := spoken(t, &broker{}, 310)
	e := n.as(t, "ann").recover("r", place{last.Epoch, 10})
	if e["recovered"] != true {
		t.Fatalf("got %v", e)
	}
	wantNumbers(t, "missed", contents(t, e), 11, 310)
}

func TestARecoveryThatTheBrokerFailsLeavesNothingOfTheJoin(t *testing.T) {
	var away atomicBool
	b := &broker{}
	b.history = func(string, router.HistoryQuery) error {
		if away.Load() {
			return fmt.Errorf("%w: away", router.ErrUnavailable)
		}
		return nil
	}
	n, speaker, last := spoken(t, b, 3, withPresence("other"))
	subscribed, occupied := b.subscribed.Load(), b.occupations.Load()
	away.Store(true)
	u := n.as(t, "ann")
	u.refusedWith("unavailable", fmt.Sprintf(`{"type":"join_room","room":"r","recover":%v}`, place{last.Epoch, 1}))
	u.refusedWith("forbidden", `{"type":"history","room":"r"}`) // not a member
	speaker.say("r", 4, 4)
	u.quiet()
	if e := u.recover("r", place{last.Epoch, 4}); e["recovered"] != true { // nothing missed: needs no broker
		t.Errorf("got %v", e)
	}
	u.leave("r")
	away.Store(false)
	wantNumbers(t, "missed", contents(t, u.recover("r", last)), 4, 4)
	u.leaveNow()
	eventually(t, "nothing is left", func() bool {
		return b.subscribed.Load() == subscribed && b.occupations.Load() == occupied && n.Stats().Rooms == 1
	})
	if s := n.Stats().Recoveries; s[router.RecoveryUnavailable] != 1 || s[router.RecoveryDone] != 2 {
		t.Errorf("counted %v", s)
	}
}

func TestRecoveringInARoomThatOneIsInAnswersLikewise(t *testing.T) {
	n, speaker, last := spoken(t, &broker{}, 5)
	u := n.as(t, "ann")
	if e := u.join("r"); e.place() != last || e["recovered"] != nil {
		t.Errorf("got %v", e)
	}
	e := u.recover("r", place{last.Epoch, 2})
	wantNumbers(t, "missed", contents(t, e), 3, 5)
	if e := u.recover("r", place{"another", 2}); e["recovered"] != false {
		t.Errorf("got %v", e)
	}
	speaker.say("r", 6, 6)
	if e := u.expect("chat"); e["offset"] != 6.0 {
		t.Errorf("got %v", e)
	}
	if e := u.join("r"); e["offset"] != 6.0 {
		t.Errorf("got %v", e)
	}
}

// slowSink keeps back what a broker delivers to its node, from hold to release.
type slowSink struct {
	router.Sink
	mu   sync.Mutex
	held bool
	kept []*router.Message
}

func (s *slowSink) Deliver(m *router.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held {
		s.kept = append(s.kept, m)
		return
	}
	s.Sink.Deliver(m)
}

func (s *slowSink) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = true
}

func (s *slowSink) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = false
	for _, m := range s.kept {
		s.Sink.Deliver(m)
	}
}

// lagging is a broker whose deliveries the test may hold up.
type lagging struct {
	router.Broker
	sink *slowSink
}

func (b *lagging) Start(s router.Sink) error {
	b.sink.Sink = s
	return b.Broker.Start(b.sink)
}

func TestWhoComesFromANodeThatIsAheadIsGivenNothingTwice(t *testing.T) {
	hub := membroker.NewHub()
	b1, b2 := hub.Node(), hub.Node()
	t.Cleanup(func() { b1.Close(); b2.Close() })
	lag := &lagging{b2, new(slowSink)}
	n1, n2 := startNodeOn(t, b1, silent, keeping("r", 100)), startNodeOn(t, lag, silent, keeping("r", 100))
	speaker, other, u := n1.as(t, "speaker"), n2.as(t, "other"), n2.as(t, "ann")
	speaker.join("r")
	other.join("r")
	last := speaker.say("r", 1, 3)
	for range 3 {
		other.expect("chat")
	}

	lag.sink.hold()
	last = speaker.say("r", 4, 6)
	e := u.recover("r", place{last.Epoch, 6})
	if e["recovered"] != true || len(contents(t, e)) != 0 || e["offset"] != 6.0 {
		t.Fatalf("got %v", e)
	}
	if e := u.recover("r", place{last.Epoch, 5}); e["recovered"] != true || e["offset"] != 6.0 {
		t.Fatalf("in the room already: got %v", e)
	} else {
		wantNumbers(t, "missed", contents(t, e), 6, 6)
	}
	speaker.say("r", 7, 8)
	lag.sink.release()
	for offset := 7; offset <= 8; offset++ {
		if e := u.expect("chat"); e.number("offset") != offset {
			t.Fatalf("got %v, want offset %d", e, offset)
		}
	}
	for offset := 4; offset <= 8; offset++ {
		if e := other.expect("chat"); e.number("offset") != offset {
			t.Fatalf("got %v, want offset %d", e, offset)
		}
	}
}

// renewed is a broker that is in an epoch of which it has told its node nothing yet.
type renewed struct {
	router.Broker
	newest router.Position
}

func (b *renewed) History(context.Context, string, router.HistoryQuery) (router.HistoryPage, error) {
	return router.HistoryPage{Newest: b.newest}, nil
}

func TestWhoComesToANodeThatIsAnEpochBehindIsGivenNothingTwice(t *testing.T) {
	b := &renewed{Broker: membroker.New(), newest: router.Position{Epoch: "next", Offset: 6}}
	t.Cleanup(func() { b.Close() })
	n := startNodeOn(t, b, silent, keeping("r", 100))
	speaker, behind, ahead := n.as(t, "speaker"), n.as(t, "behind"), n.as(t, "ahead")
	speaker.join("r")
	last := speaker.say("r", 1, 3)

	// One had a message more than this node when the epoch ended.
	if e := behind.recover("r", place{last.Epoch, 4}); e["recovered"] != false || e["epoch"] != "next" || e["offset"] != 6.0 {
		t.Fatalf("got %v", e)
	}
	// The other has some of the next epoch.
	if e := ahead.recover("r", place{"next", 5}); e["recovered"] != false || e["epoch"] != "next" || e["offset"] != 6.0 {
		t.Fatalf("got %v", e)
	}
	if e := behind.ask(`{"type":"join_room","room":"r"}`); e["epoch"] != "next" || e["offset"] != 6.0 {
		t.Fatalf("joined again: got %v", e)
	}
	speaker.say("r", 4, 4) // in the epoch that has ended: its offset means nothing to them any more
	n.Deliver(&router.Message{Kind: router.RoomGap, Room: "r", Position: router.Position{Epoch: "next", Offset: 3}})
	for offset := uint64(4); offset <= 7; offset++ {
		n.Deliver(&router.Message{Kind: router.RoomMessage, ID: fmt.Sprint(offset), Room: "r", From: "x", Content: []byte("1"), Position: router.Position{Epoch: "next", Offset: offset}})
	}
	for _, c := range []*client{behind, ahead} {
		if e := c.next(); e["event"] != "chat" || e["offset"] != 7.0 {
			t.Errorf("got %v, want offset 7", e)
		}
	}
}

func TestRecoveriesAtOnceAreBoundedAndThoseOfTheSameMessagesShared(t *testing.T) {
	const distinct, same = 100, 100
	release := make(chan struct{})
	var now, most atomic.Int64
	b := &broker{}
	b.history = func(_ string, q router.HistoryQuery) error {
		for n := now.Add(1); ; {
			if m := most.Load(); n <= m || most.CompareAndSwap(m, n) {
				break
			}
		}
		<-release
		now.Add(-1)
		return nil
	}
	n, _, last := spoken(t, b, 150)
	var all []*client
	begin := func(offset int) {
		u := n.as(t, fmt.Sprint("u", len(all)))
		u.send(fmt.Sprintf(`{"type":"join_room","room":"r","recover":%v}`, place{last.Epoch, offset}))
		all = append(all, u)
	}
	for range same {
		begin(0)
	}
	eventually(t, "all of them wait", func() bool { return n.Stats().Commands["join_room"] == same+1 })
	if calls := b.histories.Load(); calls != 1 {
		t.Errorf("%d reads for the same messages", calls)
	}
	for i := range distinct {
		begin(i + 1)
	}
	eventually(t, "as many read as may", func() bool { return now.Load() == 64 && n.Stats().Commands["join_room"] == same+distinct+1 })
	close(release)
	for i, u := range all {
		behind := 0
		if i >= same {
			behind = i - same + 1
		}
		wantNumbers(t, "missed", contents(t, u.expect("joined")), behind+1, 150)
	}
	if most.Load() > 64 {
		t.Errorf("%d read at once", most.Load())
	}
}

func TestWhoMissesMoreWhileJoiningThanAQueueHoldsIsASlowConsumer(t *testing.T) {
	release := make(chan struct{})
	reading := make(chan struct{})
	b := &broker{}
	b.history = func(string, router.HistoryQuery) error {
		close(reading)
		<-release
		return nil
	}
	n, speaker, last := spoken(t, b, 2, withLimits(func(l *router.Limits) { l.Queue = 64 << 10 }))
	u := n.as(t, "ann")
	u.send(fmt.Sprintf(`{"type":"join_room","room":"r","recover":%v}`, place{last.Epoch, 1}))
	<-reading
	for range 100 {
		speaker.send(`{"type":"room_message","room":"r","content":"` + strings.Repeat("x", 1000) + `"}`)
		speaker.expect("chat")
	}
	close(release)
	u.closedWith(4100)
}
