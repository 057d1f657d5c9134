package plugins

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"sluice/router"
)

func TestNoTwoHoldALaneAtOneTime(t *testing.T) {
	l := newLanes(3)
	l.wait = hang
	owned := make([]int, 3) // the race detector watches it
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 2000 {
				ln := l.acquire()
				if ln == nil {
					t.Error("no lane")
					return
				}
				owned[ln.index]++
				l.release(ln)
			}
		})
	}
	wg.Go(func() {
		for range 200 {
			l.visit(func(i int) { owned[i]++ })
		}
	})
	wg.Wait()
	if sum := owned[0] + owned[1] + owned[2]; sum != 8*2000+200*3 {
		t.Errorf("%d turns, want %d", sum, 8*2000+200*3)
	}
}

func TestAnEventThatFindsNoLaneFailsAsOverloaded(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 2})
	h.lanes.wait = time.Millisecond
	lenient := guest("noop")
	lenient.OnFailure = FailContinue
	c := h.chain(nil, lenient, captureSpec())
	for _, ln := range h.lanes.all {
		ln.mu.Lock()
	}
	v := say(t, c, `1`)
	if v.Action != router.Deny || v.Code != 503 || v.Failure != "overloaded" || v.Filter != "capture" {
		t.Errorf("verdict %+v, want a denial by the first filter that must not fail", *v)
	}
	e := message(`1`)
	e.Hook = router.HookLeave
	if v := judge(t, c, e); v.Action != router.Continue || v.Failure != "" {
		t.Errorf("what has already happened was denied: %+v", *v)
	}
	for _, ln := range h.lanes.all {
		h.lanes.release(ln)
	}
	s := c.Stats()
	if s[0].Failures["overloaded"] != 1 || s[1].Failures["overloaded"] != 2 {
		t.Errorf("counted %v and %v", s[0].Failures["overloaded"], s[1].Failures["overloaded"])
	}
	if v := say(t, c, `1`); v.Failure != "" {
		t.Errorf("with free lanes: %+v", *v)
	}
}

func TestWhoeverWaitsGetsTheLaneThatIsReleased(t *testing.T) {
	l := newLanes(1)
	l.wait = hang
	ln := l.acquire()
	got := make(chan *lane)
	go func() { got <- l.acquire() }()
	for l.waiting.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	l.release(ln)
	l.release(<-got)
	if l.waiting.Load() != 0 || l.probe() == nil {
		t.Error("the lane is not free again")
	}
}

func TestAVisitorIsNotKeptOutByThoseWhoWait(t *testing.T) {
	l := newLanes(1)
	l.wait = hang
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if ln := l.acquire(); ln != nil {
						runtime.Gosched() // lets the others begin to wait
						l.release(ln)
					}
				}
			}
		})
	}
	within(t, "a thousand visits", func() {
		for range 1000 {
			l.visit(func(int) {})
		}
	})
	close(stop)
	wg.Wait()
}

// A slow filter may hold half the lanes; quick ones pass it by on the others.
func TestASlowFilterLeavesLanesToTheQuickOnes(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 2})
	spec := guest("busy")
	spec.Time, spec.Rooms = MaxTime, []string{"slow"}
	c := h.chain(nil, spec, guest("noop"))
	slow := func() *router.Event {
		e := message(`1`)
		e.Room = "slow"
		return e
	}
	p := c.filters[0].pool
	for range 20 * sampleEvery { // until enough calls have been timed on either lane
		if judge(t, c, slow()); p.slow.Load() {
			break
		}
	}
	if !p.slow.Load() {
		t.Fatalf("a filter that takes %s is not called slow", stats(c).Average)
	}
	h.slow <- struct{}{} // half of two lanes is one
	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		judge(t, c, slow())
	}()
	for range 100 {
		if v := say(t, c, `1`); v.Action != router.Continue {
			t.Errorf("a quick event: %+v", *v)
		}
	}
	select {
	case <-waiting:
		t.Error("a slow event passed a gate that is full")
	default:
	}
	h.slow.leave()
	<-waiting
}

func TestAnEventThatNoFilterAppliesToNeedsNoLane(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 2})
	h.lanes.wait = 300 * time.Millisecond
	spec := guest("noop")
	spec.Rooms = []string{"watched:*"}
	c := h.chain(nil, spec)
	for _, ln := range h.lanes.all {
		ln.mu.Lock()
	}
	judged := make(chan struct{})
	go func() {
		defer close(judged)
		if v := say(t, c, `1`); v.Action != router.Continue || v.Failure != "" {
			t.Errorf("an event of another room: %+v", *v)
		}
	}()
	for done := false; !done; time.Sleep(time.Millisecond) {
		select {
		case <-judged:
			done = true
		default:
			if done = h.lanes.waiting.Load() > 0; done {
				t.Error("an event of another room waits for a lane")
			}
		}
	}
	<-judged
	watched := message(`1`)
	watched.Room = "watched:1"
	if v := judge(t, c, watched); v.Failure != "overloaded" {
		t.Errorf("an event of the filter's room: %+v", *v)
	}
	for _, ln := range h.lanes.all {
		h.lanes.release(ln)
	}
	c.Retire()
	if err := c.Judge(message(`1`)); err != router.ErrRetired {
		t.Errorf("once the chain is retired: %v", err)
	}
}

func TestThereAreTwoLanesOnOneProcessor(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if l := newLanes(0); len(l.all) != 2 || cap(newGate(len(l.all))) != 1 {
		t.Errorf("%d lanes, of which slow filters may hold %d", len(l.all), cap(newGate(len(l.all))))
	}
}

func TestAFilterThatTimesOutIsSlowAtOnceAndForAWhile(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	c := h.chain(nil, guest("loop_message"))
	p := c.filters[0].pool
	p.slow.Store(false)
	f := &failure{cause: CauseTimeout}
	q := question{event: message(`1`)}
	c.filters[0].failed(&p.slots[0], p.slots[0].in, &q, f)
	if !p.slow.Load() {
		t.Fatal("it is not")
	}
	for range 20 {
		p.observe(&p.slots[0], time.Microsecond)
	}
	if !p.slow.Load() {
		t.Error("a few quick calls later it is not any more")
	}
	p.slowUntil.Store(nanotime())
	p.observe(&p.slots[0], time.Microsecond)
	if p.slow.Load() {
		t.Error("it stays slow for ever")
	}
}

func TestAFilterIsSlowWhileItLoops(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 2})
	spec := guest("loop_message")
	spec.Time = MaxTime
	c := h.chain(nil, spec)
	p := c.filters[0].pool
	begin := nanotime()
	done := make(chan struct{})
	go func() {
		defer close(done)
		say(t, c, `1`)
	}()
	for !p.slow.Load() {
		time.Sleep(time.Millisecond)
	}
	if after := time.Duration(p.slowUntil.Load()-begin) - slowHold; after >= MaxTime {
		t.Errorf("it was slow after %s, when it had timed out", after)
	}
	<-done
}

// Events that wait for a lane when their filter turns out to be slow do not take
// it: else a burst of them would hold one lane after the other.
func TestAnEventWhoseFilterTurnsOutToBeSlowPassesTheGate(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 2})
	spec := guest("busy")
	spec.Time, spec.Rooms = MaxTime, []string{"slow"}
	c := h.chain(nil, spec, guest("noop"))
	first, second := h.lanes.acquire(), h.lanes.acquire()
	waiting := make(chan struct{})
	go func() {
		defer close(waiting)
		e := message(`1`)
		e.Room = "slow"
		judge(t, c, e)
	}()
	for h.lanes.waiting.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	h.slow <- struct{}{}
	c.filters[0].pool.holdSlow(nanotime())
	h.lanes.release(first)
	within(t, "a hundred quick events", func() {
		for range 100 {
			if v := say(t, c, `1`); v.Failure != "" {
				t.Errorf("a quick event: %+v", *v)
			}
		}
	})
	h.lanes.release(second)
	if n := stats(c).Calls; n != 0 {
		t.Errorf("the slow filter was called %d times past a full gate", n)
	}
	h.slow.leave()
	<-waiting
	if n := stats(c).Calls; n != 1 {
		t.Errorf("the slow filter was called %d times", n)
	}
}
