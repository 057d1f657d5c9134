package main

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

// traffic is a node's counters on a clock that a test moves.
type traffic struct {
	t   *testing.T
	g   *guard
	now time.Time
	is  reading
}

var active, canaryPart = part{"f", false}, part{"f", true}

func newTraffic(t *testing.T, on RollbackConfig) *traffic {
	if on.Window == 0 {
		on.Window = time.Minute
	}
	if on.MinEvents == 0 {
		on.MinEvents = 100
	}
	tr := &traffic{t: t, now: time.Unix(1e9, 0), is: reading{active: {id: "1"}}}
	tr.g = newGuard(func() time.Time { return tr.now })
	tr.g.begin(tr.now, on, tr.reading())
	return tr
}

func (tr *traffic) reading() reading {
	r := make(reading)
	for p, c := range tr.is {
		r[p] = c
	}
	return r
}

// does lets a version do so much within a second, and looks.
func (tr *traffic) does(p part, did tally) (b *breach, stood bool) {
	c := tr.is[p]
	c.tally = c.plus(did)
	tr.is[p] = c
	return tr.looks()
}

func (tr *traffic) looks() (b *breach, stood bool) {
	tr.now = tr.now.Add(time.Second)
	breaches, stood := tr.g.look(tr.now, tr.reading())
	if len(breaches) > 0 {
		b = breaches[0]
	}
	return b, stood
}

func (tr *traffic) fine(seconds int, p part, did tally) {
	tr.t.Helper()
	for range seconds {
		if b, _ := tr.does(p, did); b != nil {
			tr.t.Fatal("it goes back: ", b.why)
		}
	}
}

// reload puts another version of the filter into force.
func (tr *traffic) reload(id string) {
	old := tr.reading()
	tr.is[active] = counted{id: id}
	tr.g.swap(tr.now, tr.g.on, old, tr.reading(), false)
}

func (tr *traffic) breaks(p part, did tally, cause string) *breach {
	tr.t.Helper()
	b, _ := tr.does(p, did)
	if b == nil || b.cause != cause {
		tr.t.Fatalf("got %+v, want %s", b, cause)
	}
	return b
}

func TestRatesAreComparedWithThoseOfTheGenerationBefore(t *testing.T) {
	tr := newTraffic(t, RollbackConfig{Refusals: 0.05, Failures: 0.01})
	tr.fine(100, active, tally{events: 100, refusals: 20, failures: 2})
	tr.reload("2")
	tr.fine(10, active, tally{events: 100, refusals: 22, failures: 2})
	tr.fine(1, active, tally{events: 100, refusals: 25, failures: 2})
	tr.reload("3")
	b := tr.breaks(active, tally{events: 1000, refusals: 320, failures: 20}, "refusals")
	if b.why != "filter f refused 320 of 1000 events; 1200 of 6000 before" {
		t.Error(b.why) // of the window, though generation 2 has judged a part of it: it had not stood its own
	}
}

func TestAGenerationThatHasNotStoodItsWindowIsNoBaseline(t *testing.T) {
	tr := newTraffic(t, RollbackConfig{Failures: 0.01, MinEvents: 1000})
	tr.fine(60, active, tally{events: 100})
	tr.reload("2")
	tr.fine(5, active, tally{events: 100, failures: 50}) // too little yet
	tr.reload("3")
	tr.breaks(active, tally{events: 1000, failures: 500}, "failures")
}

func TestWhatAGenerationDidThatWasLeftIsNoBaseline(t *testing.T) {
	tr := newTraffic(t, RollbackConfig{Failures: 0.01})
	tr.fine(60, active, tally{events: 100})
	good := tr.is[active]
	tr.reload("2")
	tr.breaks(active, tally{events: 100, failures: 100}, "failures")
	tr.is[active] = good
	tr.g.begin(tr.now, tr.g.on, tr.reading())
	tr.fine(5, active, tally{events: 100})
	tr.reload("3")
	tr.breaks(active, tally{events: 100, failures: 50}, "failures")
}

func TestAfterItsWindowAGenerationIsNotComparedAnyMore(t *testing.T) {
	tr := newTraffic(t, RollbackConfig{Failures: 0.01})
	tr.fine(60, active, tally{events: 100})
	tr.reload("2")
	tr.fine(59, active, tally{events: 100})
	if b, stood := tr.does(active, tally{events: 100}); b != nil || !stood {
		t.Fatalf("%+v, stood: %v", b, stood)
	}
	tr.fine(1, active, tally{events: 100, failures: 100})
}

func TestTrapsCountFromTheFirstAndBeyondThoseToBeExpected(t *testing.T) {
	tr := newTraffic(t, RollbackConfig{Traps: 3})
	tr.fine(60, active, tally{events: 100, failures: 1, traps: 1})
	tr.reload("2")
	tr.fine(30, active, tally{events: 100, failures: 1, traps: 1})
	tr.fine(1, active, tally{events: 100, failures: 2, traps: 2})
	tr.reload("3")
	tr.fine(1, active, tally{events: 2, failures: 2, traps: 2})
	tr.breaks(active, tally{events: 2, failures: 2, traps: 2}, "traps")
}

func TestOfAFilterThatIsNewEverythingCountsAndOfOneThatWasIdleOnlyFailures(t *testing.T) {
	on := RollbackConfig{Refusals: 0.05, Latency: time.Millisecond, Failures: 0.01}
	tr := newTraffic(t, on)
	old := tr.reading()
	other := part{"g", false}
	tr.is[other] = counted{id: "g1"}
	tr.g.swap(tr.now, tr.g.on, old, tr.reading(), false)
	b := tr.breaks(other, tally{events: 100, refusals: 90}, "refusals")
	if !strings.Contains(b.why, "when there was no such filter") {
		t.Error(b.why)
	}
	tr = newTraffic(t, on)
	tr.reload("2")
	tr.fine(20, active, tally{events: 100, refusals: 90, timed: 5, timedFor: 10 * time.Millisecond})
	tr.reload("3")
	tr.breaks(active, tally{events: 100, failures: 20}, "failures")
}

func TestLatencyIsWhatMostCallsTake(t *testing.T) {
	on := RollbackConfig{Latency: 200 * time.Microsecond}
	usual := tally{events: 300, timed: 5, timedFor: 5 * 10 * time.Microsecond}
	held := usual
	held.timedFor += 50 * time.Millisecond // the machine was busy with something else
	tr := newTraffic(t, on)
	tr.fine(60, active, usual)
	tr.reload("2")
	for range 10 {
		tr.fine(2, active, usual)
		tr.fine(1, active, held)
	}
	tr.reload("3")
	slow := usual
	slow.timedFor = 5 * 215 * time.Microsecond
	tr.fine(minGroups-1, active, slow)
	if b := tr.breaks(active, slow, "latency"); b.why != "filter f took 215µs for an event; 10µs before" {
		t.Error(b.why)
	}
}

func TestACanaryIsComparedWithTheActiveVersionOverTheSameTime(t *testing.T) {
	tr := newTraffic(t, RollbackConfig{Refusals: 0.05})
	tr.fine(60, active, tally{events: 100, refusals: 1})
	old := tr.reading()
	tr.is[canaryPart] = counted{id: "c"}
	tr.g.swap(tr.now, tr.g.on, old, tr.reading(), false)
	// The world changes for both alike, but not by so much that the active one is at fault.
	for range 59 {
		tr.fine(1, active, tally{events: 95, refusals: 4})
		tr.is[canaryPart] = counted{"c", tr.is[canaryPart].plus(tally{events: 5})}
	}
	if _, stood := tr.looks(); !stood && tr.g.trial != nil {
		t.Error("the generation is still on trial")
	}
	for range 120 {
		tr.fine(1, active, tally{events: 95, refusals: 50})
		tr.is[canaryPart] = counted{"c", tr.is[canaryPart].plus(tally{events: 6, refusals: 3})}
	}
	tr.fine(30, canaryPart, tally{events: 1, refusals: 1}) // too little
	for range 60 {
		tr.is[active] = counted{tr.is[active].id, tr.is[active].plus(tally{events: 95, refusals: 50})}
		if b, _ := tr.does(canaryPart, tally{events: 5, refusals: 5}); b != nil {
			if b.cause != "refusals" || !strings.HasPrefix(b.why, "the canary of filter f refused ") || !strings.HasSuffix(b.why, " of the active version") {
				t.Errorf("%+v", b)
			}
			return
		}
	}
	t.Error("the canary is not left")
}

func TestAReloadOfTheSameGoesOnWithTheTrial(t *testing.T) {
	tr := newTraffic(t, RollbackConfig{Failures: 0.01})
	tr.fine(60, active, tally{events: 100})
	tr.reload("2")
	tr.fine(1, active, tally{events: 50, failures: 25})
	tr.g.swap(tr.now, tr.g.on, tr.reading(), tr.reading(), true)
	tr.breaks(active, tally{events: 50, failures: 25}, "failures")
}

func TestChanceDoesNotMakeANodeGoBack(t *testing.T) {
	back := 0
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		draw := func() (did tally) {
			for did.events < 20 {
				did.events++
				if random.Float64() < 0.1 {
					did.refusals++
				}
			}
			return did
		}
		tr := newTraffic(t, RollbackConfig{Refusals: 0.05})
		for range 60 {
			tr.fine(1, active, draw())
		}
		tr.reload("2")
		for range 59 {
			if b, _ := tr.does(active, draw()); b != nil {
				back++
				break
			}
		}
	}
	if back > 0 {
		t.Errorf("%d of 200 generations that are no worse are left", back)
	}
}
