package main

import (
	"context"
	"fmt"
	"time"

	"sluice/admin"
)

// Rollback implements admin.Reloader.
func (r *reloads) Rollback(ctx context.Context, ask admin.Rollback) (generation uint64, err error) {
	if ask.From == 0 {
		// Who asks means what is in force now. A reload may be under way, and going
		// back from what it makes would lead to the very generation that is bad.
		ask.From = r.node.router.Generation().Number
	}
	done, err := r.begin(ctx)
	if err != nil {
		return 0, err
	}
	defer done()
	ask.Cause = admin.CauseAsked
	return r.rollback(ask)
}

// rollback goes back. The generation that was kept gets a new number, since
// numbers only grow, and the one that it replaces is ended. The caller has the
// turn.
func (r *reloads) rollback(ask admin.Rollback) (generation uint64, err error) {
	bad := r.now
	if ask.From != 0 && ask.From != bad.generation.Number {
		return bad.generation.Number, fmt.Errorf("generation %d is not in force any more", ask.From)
	}
	if r.before == nil {
		return bad.generation.Number, admin.ErrNoPrevious
	}
	restored := r.before.generation.Number
	back := *r.before.generation
	back.Number = bad.generation.Number + 1
	chainOf(&back).Resume()
	r.setBeside(r.before.config)
	r.now = inForce{&back, r.before.config, r.before.files}
	r.before = nil
	r.node.router.Swap(&back)
	r.guardBack()
	retire(bad.generation)
	// The files are still those that were gone back from. They count as read, so
	// that they are read again only when they change.
	r.files.add(r.now.files)

	r.mu.Lock()
	now := time.Now()
	r.status.Loaded, r.status.Previous = now, 0
	if r.status.Rollbacks == nil {
		r.status.Rollbacks = make(map[string]uint64)
	}
	counts := make(map[string]uint64, len(r.status.Rollbacks)+1) // Status has given the other away
	for cause, n := range r.status.Rollbacks {
		counts[cause] = n
	}
	counts[ask.Cause]++
	r.status.Rollbacks = counts
	r.status.Rollback = &admin.RollbackDone{
		At: now, Trigger: ask.Trigger, Cause: ask.Cause, Why: ask.Why, From: bad.generation.Number, To: restored, Generation: back.Number,
	}
	r.mu.Unlock()
	r.node.log.Warn("rolled back", "trigger", ask.Trigger, "why", ask.Why,
		"cause", ask.Cause, "from", bad.generation.Number, "to", restored, "generation", back.Number, "filters", len(r.now.config.Filters))
	return back.Number, nil
}
