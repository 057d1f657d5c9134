package main

import (
	"errors"
	"strings"
	"time"

	"sluice/admin"
	"sluice/plugins"
	"sluice/router"
)

const (
	// A guard looks at the counters sixty times in a window, but not oftener than
	// minLook, and at least every maxLook.
	minLook = 50 * time.Millisecond
	maxLook = time.Second

	minWindow = time.Second
	maxWindow = time.Hour
)

// rollbackTrigger is who asks for a rollback that the guard makes.
const rollbackTrigger = "rollback_on"

// off reports whether there is nothing that would make the node go back.
func (c *RollbackConfig) off() bool {
	return c.Traps == 0 && c.Failures == 0 && c.Latency == 0 && c.Refusals == 0
}

// look is the time between two looks.
func (c *RollbackConfig) look() time.Duration { return min(max(c.Window/60, minLook), maxLook) }

// rollbackOn checks when the node is to go back by itself.
func (v *validator) rollbackOn() {
	c := &v.l.RollbackOn
	if c.Window < minWindow || c.Window > maxWindow {
		v.fail("rollback_on.window", "%s is out of range; it must be between %s and %s", c.Window, minWindow, maxWindow)
	}
	v.atLeastOne("rollback_on.min_events", c.MinEvents)
	if !c.off() {
		return
	}
	for path := range v.l.Places {
		if path == "rollback_on" || strings.HasPrefix(path, "rollback_on.") {
			v.fail("rollback_on", "says nothing on which to go back; write one of traps: 3, failures: 1%%, latency: 200us and refusals: 5%%")
			return
		}
	}
}

// guarding looks at the generation in force until stop, as often as its
// configuration wants it.
func (r *reloads) guarding() {
	r.loops.Add(1)
	go func() {
		defer r.loops.Done()
		timer := time.NewTimer(0)
		defer timer.Stop()
		for {
			select {
			case <-r.ended.Done():
				return
			case <-r.guard.changed:
			case <-timer.C:
			}
			if next := r.lookAtCounters(); next > 0 {
				timer.Reset(next)
			}
		}
	}()
}

// lookAtCounters goes back if the generation in force does worse than
// rollback_on allows. It returns when to look again; 0: not before the next
// generation.
func (r *reloads) lookAtCounters() (next time.Duration) {
	done, err := r.begin(r.ended)
	if err != nil {
		return 0
	}
	defer done()
	g := r.guard
	if g.on.off() {
		return 0
	}
	number := r.now.generation.Number
	breaches, stood := g.look(g.clock(), readingOf(chainOf(r.now.generation).Stats()))
	if stood {
		r.onTrial(time.Time{})
		r.node.log.Info("a generation has stood its window", "generation", number, "window", g.on.Window.String())
	}
	for _, b := range breaches {
		if r.leave(b) {
			break
		}
	}
	return r.guard.on.look()
}

// leave goes back from a breach, if there is something to go back to without it.
func (r *reloads) leave(b *breach) bool {
	number, err := r.now.generation.Number, admin.ErrNoPrevious
	if !r.beforeHas(b) {
		_, err = r.rollback(admin.Rollback{Trigger: rollbackTrigger, Cause: b.cause, Why: b.why, From: number})
	}
	if errors.Is(err, admin.ErrNoPrevious) && !r.guard.told[b.canary] {
		r.guard.told[b.canary] = true
		r.node.log.Error("a candidate is worse than rollback_on allows, and there is no generation to go back to without it: take it out of the configuration",
			"cause", b.cause, "why", b.why, "generation", number)
	}
	return err == nil
}

// beforeHas reports whether the bad canary is in the generation before as well,
// with at least its share: going back would undo what else has changed since, and
// leave the canary.
func (r *reloads) beforeHas(b *breach) bool {
	if b.canary == "" || r.before == nil {
		return false
	}
	share := make(map[string]float64)
	for _, g := range []*router.Generation{r.before.generation, r.now.generation} {
		for _, c := range chainOf(g).Candidates() {
			if c.Role != plugins.RoleCanary || versionID(&c) != b.canary {
				continue
			}
			if g == r.now.generation {
				before, there := share[c.Name]
				return there && before >= c.Share
			}
			share[c.Name] = c.Share
		}
	}
	return false
}

// onTrial shows until when the generation in force is compared with the one
// before; zero: it is not.
func (r *reloads) onTrial(until time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Trial = until
}

// guardSwap tells the guard of the generation that comes into force, right
// before it does, and shows for how long it is on trial.
func (r *reloads) guardSwap(next *inForce) {
	g, on := r.guard, next.config.RollbackOn
	if g.on.off() && on.off() {
		return
	}
	old, is := readingOf(chainOf(r.now.generation).Stats()), readingOf(chainOf(next.generation).Stats())
	r.onTrial(g.swap(g.clock(), on, old, is, next.same(&r.now)))
	g.wake()
}

// guardBack tells the guard of the generation that has been gone back to.
func (r *reloads) guardBack() {
	g := r.guard
	g.begin(g.clock(), r.now.config.RollbackOn, readingOf(chainOf(r.now.generation).Stats()))
	r.onTrial(time.Time{})
	g.wake()
}
