package plugins

import (
	"bytes"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"sluice/router"
)

// Chain is the filters of one generation, in order.
type Chain struct {
	// Static after construction.
	host    *Host
	filters []filter
	hooks   hookSet

	retired atomic.Bool
}

var _ router.Filters = (*Chain)(nil)

// Handles reports whether some filter of the chain has the hook.
func (c *Chain) Handles(h router.Hook) bool { return c.hooks.has(h) && h != router.HookConfigure }

// CheckPayload refuses a chain that has to judge messages longer than a filter
// can be asked about, of which each would fail. longest is in bytes.
func (c *Chain) CheckPayload(longest int) error {
	if longest <= MaxPayload || !c.Handles(router.HookMessage) {
		return nil
	}
	return fmt.Errorf("messages of %d bytes are allowed, and filters with on_message read at most %d: lower limits.frame, or remove these filters", longest, MaxPayload)
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
	ln, gated := c.admitReady(e)
	if gated {
		defer c.host.slow.leave()
	}
	if ln == nil {
		c.overload(e)
		return nil
	}
	defer c.host.lanes.release(ln)
	// Whoever retires a chain locks every lane after saying so: until this lane
	// is released, the chain's instances are open.
	if c.retired.Load() {
		return router.ErrRetired
	}
	q := question{event: e, payload: e.Payload, room: e.Room, user: e.User, claims: e.Claims, expires: e.Expires}
	var id identity
	for i := range c.filters {
		f := &c.filters[i]
		if f.applies(e.Hook, q.room) && f.run(ln.index, &q, &id) {
			break
		}
	}
	id.conclude(e, &q)
	return nil
}

// admitReady is admit, and waits a while for the instances that the lane lacks.
// It waits with neither the lane nor the gate, so that nobody else is delayed.
func (c *Chain) admitReady(e *router.Event) (ln *lane, gated bool) {
	ln, gated = c.admit(e)
	var until int64
	for ln != nil {
		p := c.lacking(ln.index, e)
		if p == nil {
			return ln, gated
		}
		now := nanotime()
		if until == 0 {
			until = now + int64(c.host.spareWait)
		}
		coming := p.spares.coming(until)
		if coming == nil || now >= until {
			return ln, gated // the event fails as "unavailable"
		}
		c.host.lanes.release(ln)
		if gated {
			c.host.slow.leave()
		}
		timer := time.NewTimer(time.Duration(until - now))
		select {
		case <-coming:
		case <-timer.C:
		}
		timer.Stop()
		ln, gated = c.admit(e)
	}
	return ln, gated
}

// lacking returns a pool that has no instance for the event in the lane, which
// the caller holds, or nil.
func (c *Chain) lacking(lane int, e *router.Event) *pool {
	for i := range c.filters {
		f := &c.filters[i]
		if f.pool.slots[lane].in == nil && !f.pool.cheap && f.applies(e.Hook, e.Room) && f.pool.instance(lane) == nil {
			return f.pool
		}
	}
	return nil
}

// admit returns a lane, or nil if none became free in time. If a slow filter will
// judge the event it passes the gate first: gated says that it did.
func (c *Chain) admit(e *router.Event) (ln *lane, gated bool) {
	lanes := c.host.lanes
	if gated = c.slowFor(e); !gated {
		ln = lanes.acquire()
		if ln == nil || !c.slowFor(e) {
			return ln, false
		}
		// It turned out while the event waited, or those who waited with it would
		// take one lane after the other.
		lanes.release(ln)
	}
	if !c.host.slow.enter(lanes.wait) {
		return nil, false
	}
	return lanes.acquire(), true
}

// concerns reports whether some filter will judge the event.
func (c *Chain) concerns(e *router.Event) bool {
	for i := range c.filters {
		if c.filters[i].applies(e.Hook, e.Room) {
			return true
		}
	}
	return false
}

// slowFor reports whether a filter that will judge the event is slow.
func (c *Chain) slowFor(e *router.Event) bool {
	for i := range c.filters {
		if f := &c.filters[i]; f.pool.slow.Load() && f.applies(e.Hook, e.Room) {
			return true
		}
	}
	return false
}

// overload answers an event that no lane was free for.
func (c *Chain) overload(e *router.Event) {
	for i := range c.filters {
		f := &c.filters[i]
		if !f.applies(e.Hook, e.Room) {
			continue
		}
		f.pool.overloaded.Add(1)
		if f.outcome(e, CauseOverloaded) {
			return
		}
	}
}

// identity gathers what connect filters say of a client.
type identity struct {
	said   bool
	named  bool // a filter has set the user
	info   []byte
	grants []byte // as a filter wrote them
	parsed *router.Grants
	user   string // that parsed is for
}

// take adds an answer. Later filters see the user, claims and expiry.
func (id *identity) take(a *answer, q *question) {
	id.said = id.said || a.user.set || a.claims.set || a.grants.set || a.payload.set || a.expires != 0
	if a.user.set {
		id.named = true
		q.user = string(a.user.bytes)
	}
	if a.claims.set {
		q.claims = keep(a.claims.bytes)
	}
	if a.payload.set {
		id.info = keep(a.payload.bytes)
	}
	if a.expires != 0 {
		q.expires = a.expires
	}
	if a.grants.set {
		id.grants, id.parsed, id.user = keep(a.grants.bytes), a.parsed, q.user
	}
}

func keep(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return bytes.Clone(b)
}

// conclude makes the identity of an admitted client.
func (id *identity) conclude(e *router.Event, q *question) {
	v := &e.Verdict
	if !id.said || v.Action == router.Deny {
		return
	}
	if e.Kind == router.KindRefresh && !id.named {
		q.user = "" // nobody has said that the token is this user's
	}
	out := &router.Identity{User: q.user, Info: id.info, Claims: q.claims, Grants: id.parsed}
	if q.expires != 0 {
		out.Expires = time.UnixMilli(q.expires)
	}
	if id.parsed != nil && id.user != q.user {
		// A later filter changed the user, whom patterns may name.
		grants, err := router.ParseGrants(id.grants, q.user)
		if err != nil {
			v.Action, v.Code, v.Reason, v.Failure = router.Deny, 503, "a filter failed", CauseValue.String()
			return
		}
		out.Grants = grants
	}
	v.Identity = out
}

// Retire declares that the chain has been replaced, waits until no event is
// judged by it any more, and closes what no other chain shares. Judge then
// returns router.ErrRetired.
func (c *Chain) Retire() {
	if c.retired.Swap(true) {
		return
	}
	dead := c.host.releasePools(c.filters)
	c.host.lanes.visit(func(i int) {
		for _, p := range dead {
			p.closeSlot(i)
		}
	})
	c.host.releaseModules(dead)
}

func itoa(n int32) string { return strconv.FormatInt(int64(n), 10) }
