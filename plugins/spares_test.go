package plugins

import (
	"testing"
	"time"

	"sluice/router"
)

// dear is a chain of slow_start.wat, which takes milliseconds to be made anew.
func (h *testHost) dear(more ...Spec) (*Chain, *pool) {
	h.t.Helper()
	c := h.chain(nil, append([]Spec{guest("slow_start")}, more...)...)
	p := c.filters[0].pool
	if p.cheap || p.spares.want == 0 {
		h.t.Fatal("the guest is not dear")
	}
	return c, p
}

func (s *spares) look(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// full waits until there are as many spares as may be.
func (s *spares) full(t testing.TB) {
	t.Helper()
	within(t, "making the spares", func() {
		for filling := true; filling; {
			var arrived chan struct{}
			s.look(func() { filling, arrived = s.filling && len(s.ready) < s.want, s.arrived })
			if filling {
				<-arrived
			}
		}
	})
}

// The one who causes the time-outs is slower than instances are made, so his
// neighbours, who may not wait for one here, never miss one; and it does not
// get worse the longer he goes on.
func TestWhoMakesADearFilterTimeOutTakesNoInstanceFromHisNeighbours(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 2})
	h.spareWait = 0
	c, p := h.dear()
	const rounds = 30
	within(t, "thirty time-outs and what they cost", func() {
		for range rounds {
			if v := say(t, c, `loop`); v.Failure != "timeout" {
				t.Errorf("%+v", *v)
			}
			for range 4 {
				if v := say(t, c, `1`); v.Action != router.Continue || v.Failure != "" {
					t.Errorf("a neighbour's message was answered %+v", *v)
				}
			}
			p.spares.full(t)
		}
	})
	if s := stats(c); s.Failures["timeout"] != rounds || s.Failures["unavailable"] != 0 || s.Verdicts["continue"] != 4*rounds {
		t.Errorf("failures %v, verdicts %v", s.Failures, s.Verdicts)
	}
}

func TestADearFilterHasASpareForEachLaneWhileTheyAreFewAndSmall(t *testing.T) {
	for _, row := range []struct{ lanes, pages, want int }{
		{1, 2, 1}, {2, 2, 2}, {4, 2, 4}, {16, 2, maxSpares}, {4, maxSparePages / 2, 2}, {4, maxSparePages, 1}, {4, 10 * maxSparePages, 1},
	} {
		h := newTestHost(t, HostOptions{})
		_, p := h.dear()
		sized := &pool{host: h.Host, key: p.key, module: p.module, done: make(chan struct{}), slots: make([]slot, row.lanes)}
		sized.spares.fillFirst(sized, uint32(row.pages))
		if n := len(sized.spares.ready); n != row.want {
			t.Errorf("%d lanes, %d pages: %d spares, want %d", row.lanes, row.pages, n, row.want)
		}
		sized.retire()
	}
}

// starve leaves neither the lanes nor the spares an instance, and says when the
// next one may be made.
func starve(p *pool, wait time.Duration) {
	p.spares.look(func() {
		for _, in := range p.spares.ready {
			in.close()
		}
		p.spares.ready = nil
		p.spares.backoff = wait
	})
	for i := range p.slots {
		p.closeSlot(i)
	}
}

func TestAnEventWaitsForTheInstanceThatIsBeingMadeAndHoldsNoLane(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 1})
	h.spareWait = 2 * hang
	c, p := h.dear()
	other := h.chain(c, guest("slow_start"), guest("noop")).filters[1:]
	neighbour := &Chain{host: h.Host, filters: other, hooks: other[0].pool.module.hooks}
	p.holdSlow(nanotime()) // so that it passes the gate
	in, f := p.create(StartTime)
	if f != nil {
		t.Fatal(f)
	}
	starve(p, hang)
	answered := make(chan *router.Verdict)
	go func() { answered <- say(t, c, `1`) }()
	within(t, "looking for a spare", func() {
		for filling := false; !filling; time.Sleep(time.Millisecond) {
			p.spares.look(func() { filling = p.spares.filling })
		}
	})
	within(t, "a neighbour's message", func() {
		if v := say(t, neighbour, `1`); v.Failure != "" {
			t.Errorf("%+v", *v)
		}
		if !h.slow.enter(hang) {
			t.Error("the gate is held")
			return
		}
		h.slow.leave()
	})
	select {
	case v := <-answered:
		t.Errorf("it was answered %+v without an instance", *v)
	default:
		p.spares.put(in, 0)
		if v := <-answered; v.Failure != "" || v.Action != router.Continue {
			t.Errorf("%+v", *v)
		}
	}
}

func TestAnEventDoesNotWaitForAnInstanceThatComesTooLate(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 1})
	h.spareWait = hang
	c, p := h.dear()
	starve(p, time.Hour)
	within(t, "an event without an instance", func() {
		if v := say(t, c, `1`); v.Failure != "unavailable" {
			t.Errorf("%+v", *v)
		}
	})
}

// Traps that follow each other at once would keep a processor busy.
func TestInstancesThatAreUsedUpAtOnceAreMadeWithinTheirShare(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 1})
	c, p := h.dear()
	within(t, "using up the share", func() {
		for delayed := false; !delayed; {
			say(t, c, `trap`)
			p.spares.look(func() { delayed = p.spares.nextAt > nanotime() && p.spares.backoff == 0 })
		}
	})
	within(t, "the next instance", func() {
		for say(t, c, `1`).Failure != "" {
			time.Sleep(time.Millisecond)
		}
	})
}

func TestTheShareOfCreationsIsAQuarterOfTheTime(t *testing.T) {
	const cost = 5 * time.Millisecond
	var s share
	now, made := int64(time.Hour), 0
	for end := now + int64(time.Minute); now < end; made++ {
		now += int64(s.wait(now))
		s.charge(cost)
		now += int64(cost)
	}
	got := time.Duration(made) * cost
	if least, most := time.Minute/shareOf, time.Minute/shareOf+shareSpan; got < least || got > most {
		t.Errorf("creations took %s of a minute, want %s to %s", got, least, most)
	}
	s = share{}
	for range 1000 { // two a second
		if wait := s.wait(now); wait != 0 {
			t.Fatalf("a creation of %s waits %s", cost, wait)
		}
		s.charge(cost)
		now += int64(time.Second / 2)
	}
}

func TestTheWaitGrowsWhileCreationsFail(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 1})
	_, p := h.dear()
	s := &p.spares
	for _, want := range []time.Duration{10, 20, 40, 80, 160, 320, 640, 1000, 1000} {
		s.put(nil, 0)
		s.look(func() {
			if wait := s.scheduleLocked(); wait != want*time.Millisecond {
				t.Errorf("the wait is %s, want %d ms", wait, want)
			}
		})
	}
	in, f := p.create(StartTime)
	if f != nil {
		t.Fatal(f)
	}
	s.put(in, 0)
	s.look(func() {
		if wait := s.scheduleLocked(); wait != 0 {
			t.Errorf("after a success the wait is %s", wait)
		}
	})
}
