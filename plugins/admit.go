package plugins

import (
	"time"

	"sluice/router"
)

// admitReady is admit, and waits a while for the instances that the lane lacks.
// It waits with neither the lane nor the gate, so that nobody else is delayed.
func (c *Chain) admitReady(from int, q *question) (ln *lane, gated bool) {
	ln, gated = c.admit(from, q)
	var until int64
	for ln != nil {
		p := c.lacking(ln.index, from, q)
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
		ln, gated = c.admit(from, q)
	}
	return ln, gated
}

// lacking returns a pool that has no instance for the event in the lane, which
// the caller holds, or nil.
func (c *Chain) lacking(lane, from int, q *question) *pool {
	for i := from; i < len(c.filters); i++ {
		f := c.filters[i].serving(q.event)
		if f.pool.slots[lane].in == nil && !f.pool.cheap && f.applies(q.event.Hook, q.room) && f.pool.instance(lane) == nil {
			return f.pool
		}
	}
	return nil
}

// admit returns a lane, or nil if none became free in time. If a slow filter will
// judge the event it passes the gate first: gated says that it did.
func (c *Chain) admit(from int, q *question) (ln *lane, gated bool) {
	lanes := c.host.lanes
	if gated = c.slowFor(from, q); !gated {
		ln = lanes.acquire()
		if ln == nil || !c.slowFor(from, q) {
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
		if c.filters[i].serving(e).applies(e.Hook, e.Room) {
			return true
		}
	}
	return false
}

// slowFor reports whether a filter that will judge the event is slow.
func (c *Chain) slowFor(from int, q *question) bool {
	for i := from; i < len(c.filters); i++ {
		if f := c.filters[i].serving(q.event); f.pool.slow.Load() && f.applies(q.event.Hook, q.room) {
			return true
		}
	}
	return false
}

// overload answers an event that no lane was free for.
func (c *Chain) overload(from int, q *question) {
	for i := from; i < len(c.filters); i++ {
		f := c.filters[i].serving(q.event)
		if !f.applies(q.event.Hook, q.room) {
			continue
		}
		f.pool.overloaded.Add(1)
		if f.outcome(q.event, CauseOverloaded) {
			return
		}
	}
}
