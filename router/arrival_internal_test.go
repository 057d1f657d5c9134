package router

import (
	"runtime"
	"testing"
	"time"

	"sluice/router/socket"
)

func TestAMemberThatIsAheadOfTheNodeIsGivenWhatComesBehindItsPlace(t *testing.T) {
	at := func(offset uint64) Position { return Position{"e", offset} }
	frame := socket.NewFrame(0, func(b []byte) []byte { return b })
	arrive := func() (*group, *member, *[]uint64) {
		g := &group{name: "r"}
		g.begin(at(3))
		m := &member{group: g}
		g.enter(m, &boundRule{RoomRule: RoomRule{Announce: AnnounceOff}})
		var sent []uint64
		g.divert(m, &delivery{item: socket.Item{Frame: frame, Tag: uint64(4)}, at: at(4)}, 1<<20) // while it joins
		g.divert(m, &delivery{item: socket.Item{Frame: frame, Tag: uint64(0)}}, 1<<20)
		g.activate(m, standing{Position: at(5)}, func(i socket.Item) { sent = append(sent, i.Tag.(uint64)) })
		return g, m, &sent
	}
	g, m, sent := arrive()
	if len(*sent) != 1 || (*sent)[0] != 0 || m.state.Load() != ahead {
		t.Fatalf("sent %v, state %d", *sent, m.state.Load())
	}
	for _, c := range []struct {
		at   Position
		want diversion
	}{{at(5), withheld}, {Position{}, passed}, {at(4), withheld}, {at(6), passed}} {
		if got := g.divert(m, &delivery{item: socket.Item{Frame: frame}, at: c.at}, 1<<20); got != c.want {
			t.Errorf("%v: got %d, want %d", c.at, got, c.want)
		}
	}
	if m.state.Load() != active || len(g.waiting) != 0 {
		t.Error("it is not an ordinary member now")
	}
	g, m, _ = arrive()
	if g.divert(m, &delivery{item: socket.Item{Frame: frame}, at: Position{"new", 1}}, 1<<20) != passed || m.state.Load() != active {
		t.Error("its place in an old epoch keeps the new one from it")
	}
	g, m, _ = arrive()
	g.remove(m)
	if len(g.waiting) != 0 || g.divert(m, &delivery{item: socket.Item{Frame: frame}, at: at(9)}, 1<<20) != withheld {
		t.Error("something is left of it, or delivered to it")
	}
}

func TestAGroupKnowsThePlaceOfItsDeliveries(t *testing.T) {
	at := func(offset uint64) Position { return Position{"e", offset} }
	g := &group{}
	first := delivery{at: at(4)}
	if g.take(&first, nil).way == stale { // as the broker is being subscribed
		t.Error("a first delivery is refused")
	}
	g.begin(at(3)) // the answer comes later
	if g.taken != at(4) {
		t.Errorf("after an answer that came late the place is %v", g.taken)
	}
	g.begin(at(9)) // an old delivery was under way
	g.give(&first)
	if g.taken != at(9) || g.given != at(9) {
		t.Errorf("the places are %v and %v", g.taken, g.given)
	}
	if g.take(&delivery{at: at(9)}, nil).way != stale {
		t.Error("what the members have is delivered again")
	}
	gap := delivery{at: Position{"new", 0}, skips: true}
	g.take(&gap, nil)
	if g.taken.Epoch != "new" || g.given != at(9) || gap.before != at(9) {
		t.Errorf("during a gap behind %v the places are %v and %v", gap.before, g.taken, g.given)
	}
	g.give(&gap)
	next := delivery{at: Position{"new", 1}}
	if g.take(&next, nil).way == stale || g.given != (Position{"new", 0}) || next.before != g.given {
		t.Errorf("the places are %v and %v", g.taken, g.given)
	}
	g.give(&next)
	g.take(&delivery{skips: true}, nil) // possible_gap
	if g.taken != (Position{"new", 1}) || g.given != g.taken {
		t.Errorf("the places are %v and %v", g.taken, g.given)
	}
}

// A room is delivered to without a pause while members come and go: each has to be
// given exactly what comes behind the place that it is told.
func TestWhoEntersARoomIsGivenExactlyWhatComesBehindThePlaceThatHeIsTold(t *testing.T) {
	r, c := crowd(t, 1, RoomRule{Announce: AnnounceOff, Slow: SlowDropOldest})
	g := r.rooms.lookup("r")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for offset := uint64(1); ; offset++ {
			select {
			case <-stop:
				return
			default:
				r.Deliver(&Message{Kind: RoomMessage, ID: "m", Room: "r", From: "u", Content: []byte("1"), Position: Position{"e", offset}})
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	begin := time.Now()
	wait := func(what string, done func() bool) {
		for ; !done(); runtime.Gosched() {
			if time.Since(begin) > 20*time.Second {
				t.Fatal(what)
			}
		}
	}
	wait("nothing was delivered", func() bool { return g.place() != (Position{}) })
	for n := 0; n < 3000 && time.Since(begin) < 3*time.Second; n++ {
		m := &member{conn: c, group: g}
		_, at := g.enter(m, r.rule(g))
		var first Position
		wait("nothing is delivered any more", func() (there bool) {
			first, there = g.firstHeld(m)
			return there
		})
		g.remove(m)
		if first != (Position{"e", at.Offset + 1}) {
			t.Fatalf("told %v, and first given %v", at, first)
		}
	}
}

// firstHeld is the place of the first delivery that waits for m.
func (g *group) firstHeld(m *member) (at Position, there bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	a := g.waiting[m]
	if a == nil {
		return at, false
	}
	return a.items[0].at, true
}

// place is that of the latest delivery.
func (g *group) place() Position {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.taken
}

// As of a large group, whose deliveries overlap: without an end, if need be.
func TestWhoLeavesWaitsForTheDeliveriesThatHaveBegun(t *testing.T) {
	g := &group{}
	g.settle() // none is
	deliveries := make([]delivery, 4)
	g.take(&deliveries[0], nil)
	g.take(&deliveries[1], nil)
	settled := make(chan struct{})
	go func() {
		defer close(settled)
		g.settle()
	}()
	for waits := false; !waits; runtime.Gosched() {
		g.mu.Lock()
		waits = g.settling != nil
		g.mu.Unlock()
	}
	g.take(&deliveries[2], nil) // it does not wait for this one
	for _, i := range []int{2, 0} {
		g.give(&deliveries[i])
		select {
		case <-settled:
			t.Fatal("it did not wait")
		default:
		}
	}
	g.take(&deliveries[3], nil)
	g.give(&deliveries[1])
	<-settled
	g.give(&deliveries[3])
	g.settle()
	if g.underway != 0 || g.settling != nil {
		t.Errorf("%d are under way", g.underway)
	}
}
