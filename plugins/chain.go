package plugins

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"sync"
	"sync/atomic"

	"sluice/plugins/lookup"
	"sluice/plugins/source"
	"sluice/router"
)

// Chain is the filters of one generation, in order.
type Chain struct {
	// Static after construction.
	host    *Host
	filters []filter
	hooks   hookSet
	looks   bool // some filter has a lookup

	fetched []*source.Module // until KeepSources; owned by who built the chain, as long as it is not in force

	retired atomic.Bool    // parked, or retired for good
	ended   atomic.Bool    // retired for good
	pins    sync.WaitGroup // events that may have given their lane back for a lookup; added to under a lane
}

var _ router.Filters = (*Chain)(nil)

// Handles reports whether some filter of the chain has the hook.
func (c *Chain) Handles(h router.Hook) bool { return c.hooks.has(h) && h != router.HookConfigure }

// Digest tells chains apart: the first 16 digits of the SHA-256 over the filters in order,
// without candidates, each with its name, module, rooms, configuration and what
// happens if it fails. Configurations with secrets are left out, for a digest
// lets short ones be guessed.
func (c *Chain) Digest() string {
	h := sha256.New()
	for i := range c.filters {
		f := &c.filters[i]
		config := string(f.Config)
		if f.PrivateConfig {
			config = ""
		}
		fmt.Fprintf(h, "%q %x %q %q %t\n", f.Name, f.pool.module.key.digest, f.Rooms, config, f.failOpen)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// CheckPayload refuses a chain that has to judge messages longer than a filter
// can be asked about, of which each would fail. longest is in bytes.
func (c *Chain) CheckPayload(longest int) error {
	most := MaxPayload
	for _, f := range versionsOf(c.filters) {
		if f.looksUp.has(router.HookMessage) {
			most = min(most, MaxPayload-f.plan.Spec().MaxBytes)
		}
	}
	if longest <= most || !c.Handles(router.HookMessage) {
		return nil
	}
	return fmt.Errorf("messages of %d bytes are allowed, and filters with on_message read at most %d: lower limits.frame, or remove these filters", longest, most)
}

// Judge runs the chain over the event.
func (c *Chain) Judge(e *router.Event) error {
	e.Verdict = router.Verdict{}
	if c.retired.Load() {
		return router.ErrRetired
	}
	// An event that no filter applies to waits for nobody. It counts as judged
	// at the look above, when the chain was the current one: no instance of the
	// chain is used for it, so that there is nothing for Retire to wait for.
	if !c.concerns(e) {
		return nil
	}
	q := question{event: e, payload: e.Payload, room: e.Room, user: e.User, claims: e.Claims, expires: e.Expires}
	if c.host.recorder != nil {
		q.record = c.host.record(e)
	}
	var id identity
	next, err := c.stretch(0, &q, &id)
	if err != nil {
		return err
	}
	if next < len(c.filters) {
		c.goOn(next, &q, &id)
	}
	id.conclude(e, &q)
	if q.record != nil {
		c.host.judged(q.record, e)
	}
	return nil
}

// stretch takes a lane and asks the filters from the given one on, until the
// chain ends or the next filter's lookup is due. next is that filter, or the
// number of filters. It ends with neither the lane nor the gate.
func (c *Chain) stretch(from int, q *question, id *identity) (next int, err error) {
	ln, gated := c.admitReady(from, q)
	if gated {
		defer c.host.slow.leave()
	}
	if ln == nil {
		c.overload(from, q)
		return len(c.filters), nil
	}
	defer c.host.lanes.release(ln)
	// Whoever retires a chain locks every lane after saying so: until this lane
	// is released, the chain's instances are open, and those of a pinned event
	// until that is unpinned.
	if !q.pinned && c.retired.Load() {
		return 0, router.ErrRetired
	}
	for i := from; i < len(c.filters); i++ {
		f := c.filters[i].serving(q.event)
		if !f.applies(q.event.Hook, q.room) {
			continue
		}
		if f.looksUp.has(q.event.Hook) && !q.answered {
			c.pin(q)
			return i, nil
		}
		stop := f.run(ln.index, q, id)
		if q.answered {
			q.answered, q.lookupStatus, q.lookup = false, lookup.None, nil
		}
		if stop {
			break
		}
	}
	return len(c.filters), nil
}
