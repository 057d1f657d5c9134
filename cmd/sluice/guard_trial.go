package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"sluice/admin"
)

const (
	// timedGroup is how many timed calls make one mean, and minGroups how many
	// means say something: most of them have to be beyond the margin. One call in
	// 64 is timed, and one that the machine has held up says nothing of a filter.
	timedGroup = 4
	minGroups  = 3

	// certainty is by how many standard errors two rates have to differ beyond the
	// margin. The counters are looked at again and again, so that chance has many
	// tries.
	certainty = 3
)

// breach is why a generation is not good enough.
type breach struct {
	cause, why string
	canary     string // id of the canary that is to blame; "": it is none
}

// guard compares what a generation does with what the one before did, and a
// canary with the version that it is tried out beside.
type guard struct {
	// Static after construction.
	clock   func() time.Time
	changed chan struct{} // sent by wake, which drops what nobody has taken yet; never closed

	// Owned by who has the token of reloads.turn.
	on       RollbackConfig       // of the generation in force
	last     reading              // the latest
	sums     map[part]tally       // what the versions in force have done since the guard began
	past     []moment             // oldest first, over a window
	trial    *trial               // of the generation in force; nil: it has stood its window, or there was none before
	canaries map[string]*canaried // by filter
	told     map[string]bool      // by id, canaries of which was said that there is nothing to go back to
}

// moment is the sums at one time.
type moment struct {
	at   time.Time
	sums map[part]tally
}

// trial is a generation's first window.
type trial struct {
	begun time.Time
	from  map[part]tally
	base  map[string]baseline // by filter
	means map[string]*means
}

// canaried is a canary's present window. It is followed by another.
type canaried struct {
	begun        time.Time
	active, from tally
	base         baseline // of a canary that judges everything
	means        means
}

// baseline is what a filter is compared with.
type baseline struct {
	tally
	fresh bool // there was no such filter: it is compared with nothing at all
}

// means are the times of groups of timed calls.
type means struct {
	last tally
	done []time.Duration
}

// add takes the calls since the last look in.
func (m *means) add(t tally) {
	if d := t.minus(m.last); d.timed >= timedGroup {
		m.done, m.last = append(m.done, d.mean()), t
	}
}

// beyond reports whether most means are longer.
func (m *means) beyond(limit time.Duration) bool {
	n := 0
	for _, mean := range m.done {
		if mean > limit {
			n++
		}
	}
	return len(m.done) >= minGroups && 2*n > len(m.done)
}

func newGuard(clock func() time.Time) *guard {
	return &guard{clock: clock, changed: make(chan struct{}, 1), sums: make(map[part]tally)}
}

// wake has the loop look at once: it may have slept.
func (g *guard) wake() {
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

// begin starts with a generation that is not on trial.
func (g *guard) begin(now time.Time, on RollbackConfig, r reading) {
	g.on, g.last, g.past, g.trial, g.canaries, g.told = on, r, nil, nil, nil, make(map[string]bool)
	g.follow(now, r)
}

// count takes in what was done since the last reading.
func (g *guard) count(r reading) {
	for p, is := range r {
		if was := g.last[p]; was.id == is.id {
			g.sums[p] = g.sums[p].plus(is.minus(was.tally))
		}
	}
	g.last = r
}

// keep keeps the sums over a window.
func (g *guard) keep(now time.Time) {
	if n := len(g.past); n > 0 && now.Sub(g.past[n-1].at) < g.on.Window/60 {
		return
	}
	g.past = append(g.past, moment{now, maps.Clone(g.sums)})
	first := 0
	for now.Sub(g.past[first].at) > g.on.Window {
		first++
	}
	g.past = slices.Delete(g.past, 0, first)
}

// swap begins the trial of a generation that comes into force, unless it is the
// same as the one before; it returns its end. old are the counters of that one.
func (g *guard) swap(now time.Time, on RollbackConfig, old, next reading, same bool) (until time.Time) {
	g.count(old)
	g.last = next
	if on.off() {
		g.begin(now, on, next)
		return time.Time{}
	}
	if !same {
		base := g.baselines(old, next)
		g.trial = &trial{begun: now, from: maps.Clone(g.sums), base: base, means: make(map[string]*means)}
	}
	g.on = on
	g.follow(now, next)
	if g.trial == nil {
		return time.Time{}
	}
	return g.trial.begun.Add(on.Window)
}

// baselines are what the filters of the next generation are compared with: what
// they did over the window before or, where that is little, since they were
// loaded. A generation that has not stood its window is no baseline: the one
// before it still is.
func (g *guard) baselines(old, next reading) map[string]baseline {
	base := make(map[string]baseline)
	for p := range next {
		if p.canary {
			continue
		}
		if g.trial != nil {
			if b, ok := g.trial.base[p.filter]; ok {
				base[p.filter] = b
				continue
			}
		}
		was, ok := old[p]
		b := baseline{fresh: !ok}
		if ok {
			b.tally = was.tally
			if len(g.past) > 0 {
				over := g.sums[p].minus(g.past[0].sums[p])
				b.tally = over.orElse(was.tally, g.on.MinEvents)
			}
		}
		base[p.filter] = b
	}
	return base
}

// follow compares the canaries of r from now on, those that it compares already
// going on.
func (g *guard) follow(now time.Time, r reading) {
	canaries := make(map[string]*canaried)
	for p := range r {
		if !p.canary {
			continue
		}
		if c := g.canaries[p.filter]; c != nil {
			canaries[p.filter] = c
			continue
		}
		active := part{p.filter, false}
		canaries[p.filter] = &canaried{begun: now, from: g.sums[p], active: g.sums[active], base: baseline{tally: r[active].tally}, means: means{last: g.sums[p]}}
	}
	g.canaries = canaries
}

// look compares. breaches are that of the generation, or those of its canaries.
// stood reports that the generation's trial is over.
func (g *guard) look(now time.Time, r reading) (breaches []*breach, stood bool) {
	g.count(r)
	defer g.keep(now)
	names := make([]string, 0, len(r))
	for p := range r {
		if !p.canary {
			names = append(names, p.filter)
		}
	}
	slices.Sort(names) // so that of several the same one is named
	if g.trial != nil {
		for _, name := range names {
			if b := g.try(name); b != nil {
				return []*breach{b}, false
			}
		}
		if stood = now.Sub(g.trial.begun) >= g.on.Window; stood {
			g.trial = nil
		}
	}
	for _, name := range names {
		if c := g.canaries[name]; c != nil {
			if b := g.tryCanary(now, name, c); b != nil {
				breaches = append(breaches, b)
			}
		}
	}
	return breaches, stood
}

// try compares a filter with what it was before.
func (g *guard) try(name string) *breach {
	t, p := g.trial, part{name, false}
	m := t.means[name]
	if m == nil {
		m = &means{last: t.from[p]}
		t.means[name] = m
	}
	m.add(g.sums[p])
	is, base := g.sums[p].minus(t.from[p]), t.base[name]
	before := "before"
	if base.fresh {
		before = "before, when there was no such filter"
	}
	return g.on.compare("filter "+name, before, is, base, m)
}

// tryCanary compares a canary with the version beside it, over the same time.
func (g *guard) tryCanary(now time.Time, name string, c *canaried) *breach {
	p, active := part{name, true}, part{name, false}
	c.means.add(g.sums[p])
	base := baseline{tally: g.sums[active].minus(c.active).orElse(c.base.tally, g.on.MinEvents)}
	b := g.on.compare("the canary of filter "+name, "of the active version", g.sums[p].minus(c.from), base, &c.means)
	if b != nil {
		b.canary = g.last[p].id
	}
	if now.Sub(c.begun) >= g.on.Window {
		c.begun, c.from, c.active, c.means = now, g.sums[p], g.sums[active], means{last: g.sums[p]}
	}
	return b
}

// compare holds what a version has done against what it is compared with. Of a
// filter of which little is known, refusals and latency may be what they always
// were; failures are compared with none at all.
func (c *RollbackConfig) compare(who, before string, is tally, base baseline, m *means) *breach {
	expected := 0.0
	if base.events > 0 {
		expected = float64(base.traps) * float64(is.events) / float64(base.events)
	}
	if c.Traps > 0 && float64(is.traps)-expected >= float64(c.Traps) {
		return &breach{cause: admin.CauseTraps, why: fmt.Sprintf("%s trapped on %d of %d events; %d of %d %s", who, is.traps, is.events, base.traps, base.events, before)}
	}
	enough := is.events >= uint64(c.MinEvents)
	if c.Failures > 0 && enough && is.exceeds(is.failures, base.tally, base.failures, float64(c.Failures)) {
		return &breach{cause: admin.CauseFailures, why: fmt.Sprintf("%s failed on %d of %d events; %d of %d %s", who, is.failures, is.events, base.failures, base.events, before)}
	}
	if limit := base.mean() + c.Latency; c.Latency > 0 && enough && (base.fresh || base.timed >= timedGroup) && m.beyond(limit) {
		return &breach{cause: admin.CauseLatency, why: fmt.Sprintf("%s took %s for an event; %s %s", who, round(is.mean()), round(base.mean()), before)}
	}
	if c.Refusals > 0 && enough && (base.fresh || base.events >= uint64(c.MinEvents)) && is.exceeds(is.refusals, base.tally, base.refusals, float64(c.Refusals)) {
		return &breach{cause: admin.CauseRefusals, why: fmt.Sprintf("%s refused %d of %d events; %d of %d %s", who, is.refusals, is.events, base.refusals, base.events, before)}
	}
	return nil
}

// round makes a time readable.
func round(d time.Duration) time.Duration {
	if d > time.Millisecond {
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(100 * time.Nanosecond)
}
