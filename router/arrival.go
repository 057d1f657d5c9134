package router

import "sluice/router/socket"

// arrival is what a member that is not active yet has to do with.
type arrival struct {
	items []held
	bytes int // of items
	has   standing

	// The place before the first delivery held that has one.
	before Position
	placed bool // there is such a delivery
}

// standing is what a member has had, in the room's history.
type standing struct {
	Position

	// over is an epoch that this node is in still, and that has ended; "": none. What is
	// delivered of it is not for the member, which has been told of the next one.
	over string
}

func (s standing) covers(at Position) bool {
	return s.Position.covers(at) || s.over != "" && s.over == at.Epoch
}

// held is a delivery that waits.
type held struct {
	item socket.Item
	at   Position
}

// heldSize is what holding a delivery costs beside its frame, roughly.
const heldSize = 96

// again has an active member's deliveries wait as if it were joining, until activate.
// at is what it has been given. The caller has the turn of its connection.
func (g *group) again(m *member) (at standing, members int) {
	if at, known := g.rejoin(m); known {
		return at, g.size()
	}
	g.settle() // those that are under way have seen it as active, or are held
	g.mu.Lock()
	defer g.mu.Unlock()
	at.Position = g.given
	if a := g.waiting[m]; a != nil && a.placed {
		at.Position = a.before
	}
	return at, g.live
}

// rejoin is again as far as it is known at once what the member has been given.
func (g *group) rejoin(m *member) (at standing, known bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	state := m.state.Load()
	if state != gone {
		m.state.Store(joining)
	}
	if state == ahead {
		return g.waiting[m].has, true
	}
	return at, state == gone
}

// activate sends what was held back while m was joining, then lets deliveries
// pass, but for those that it has.
func (g *group) activate(m *member, has standing, send func(socket.Item)) {
	for {
		items := g.nextHeld(m, has)
		if items == nil {
			return
		}
		for i := range items {
			if !has.covers(items[i].at) {
				send(items[i].item)
			}
		}
	}
}

// nextHeld takes what is held back; if nothing is, deliveries pass from now on.
func (g *group) nextHeld(m *member, has standing) []held {
	g.mu.Lock()
	defer g.mu.Unlock()
	if a := g.waiting[m]; a != nil && len(a.items) > 0 {
		items := a.items
		a.items, a.bytes = nil, 0
		return items
	}
	delete(g.waiting, m)
	next := active
	if has.Epoch != "" && !g.given.covers(has.Position) {
		next = ahead
	}
	if m.state.CompareAndSwap(joining, next) && next == ahead {
		g.arrivalLocked(m).has = has
	}
	return nil
}

func (g *group) arrivalLocked(m *member) *arrival {
	a := g.waiting[m]
	if a == nil {
		if g.waiting == nil {
			g.waiting = make(map[*member]*arrival)
		}
		a = new(arrival)
		g.waiting[m] = a
	}
	return a
}

// diversion is what becomes of a delivery to a member that is not active.
type diversion uint8

const (
	passed   diversion = iota // it is for the member, now
	withheld                  // it is held, or not for the member
	flooded                   // more came than is held for one member, which cannot have it
)

// divert decides on a delivery to a member that was not active a moment ago. most is
// how many bytes are held for it.
func (g *group) divert(m *member, d *delivery, most int) diversion {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch m.state.Load() {
	case gone:
		return withheld
	case joining:
		a := g.arrivalLocked(m)
		size := len(d.item.Frame.Payload()) + heldSize
		if a.bytes += size; a.bytes > most && len(a.items) > 0 {
			a.items = nil
			return flooded
		}
		if d.at.Epoch != "" && !a.placed {
			a.placed, a.before = true, d.before
		}
		a.items = append(a.items, held{d.item, d.at})
		return withheld
	case ahead:
		if has := g.waiting[m].has; has.covers(d.at) {
			return withheld
		}
		if d.at.Epoch != "" {
			delete(g.waiting, m)
			m.state.Store(active)
		}
	}
	return passed
}
