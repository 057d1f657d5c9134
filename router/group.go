package router

import (
	"sync"
	"sync/atomic"

	"sluice/router/socket"
	"sluice/router/wire"
)

// group is the connections of this node that share deliveries: the members of
// a room, the connections of a user, or everyone.
type group struct {
	// Static after construction.
	name string

	// Guarded by the table's shard.
	refs  int           // members, and connections about to be
	ready chan struct{} // closed by the subscriber; nil once subscribed
	err   error         // why subscribing failed; set before ready is closed

	rule atomic.Pointer[boundRule] // of a room; see Router.rule

	// Guarded by mu.
	mu      sync.Mutex
	list    []*member // appended to in place, never overwritten: snapshots share it
	live    int       // members of list that have not left
	waiting map[*member]*arrival
	gapFunc func() *socket.Frame

	// Guarded by mu: places in the room's history. Who joins gets what comes behind
	// taken; who has been a member for longer has been given all up to given.
	taken Position // of the latest delivery that has begun
	given Position // of the latest delivery that has ended

	// Guarded by mu: the broker delivers one by one, but for those of before and after
	// it was subscribed anew.
	underway int           // deliveries
	settled  chan struct{} // closed when none is under way; nil: nobody waits for that
}

// member is one connection in one group.
type member struct {
	conn    *conn
	group   *group
	state   atomic.Uint32
	present bool // the broker keeps presence of it; owned by the connection
}

// States of a member.
const (
	joining uint32 = iota // deliveries wait until it has been told that it joined
	active
	gone
	ahead // it has had, on another node, what this node has yet to deliver
)

// covers reports that what has the place at is known to somebody who has been
// given everything up to p.
func (p Position) covers(at Position) bool {
	return at.Epoch != "" && at.Epoch == p.Epoch && at.Offset <= p.Offset
}

// add makes m a member, in state joining: from now on it misses nothing. It
// returns the number of members.
func (g *group) add(m *member) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.addLocked(m)
	return g.live
}

func (g *group) addLocked(m *member) {
	g.list = append(g.list, m)
	g.live++
}

// headcount is what there is to know of a room's members as one comes or goes.
type headcount struct {
	members   int  // with the one that comes or goes
	announced bool // arrivals and departures are, in a room of that size
	alone     bool // it is the user's only one here; false where nobody asks
}

// enter is add for a room: at is the place behind which m's deliveries start.
func (g *group) enter(m *member, rule *boundRule) (h headcount, at Position) {
	g.mu.Lock()
	defer g.mu.Unlock()
	h = g.countLocked(m, rule, g.live+1)
	g.addLocked(m)
	return h, g.taken
}

// leave is remove for a room.
func (g *group) leave(m *member, rule *boundRule) headcount {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := g.live
	g.removeLocked(m)
	return g.countLocked(m, rule, before)
}

// countLocked looks at every member where it is to find out whether others are the
// same user's. Where it does, news of the user would go to every member anyway.
func (g *group) countLocked(m *member, rule *boundRule, members int) headcount {
	h := headcount{members: members, announced: rule.announces(members)}
	if !h.announced || m.present || rule.AnnouncePer != AnnouncePerUser {
		return h
	}
	for _, other := range g.list {
		if other != m && other.conn.own.group == m.conn.own.group && other.state.Load() != gone {
			return h
		}
	}
	h.alone = true
	return h
}

// remove ends m's membership and returns how many members are left.
func (g *group) remove(m *member) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.removeLocked(m)
	return g.live
}

// removeLocked copies the list only when half of it has left, so that leaving costs the
// same in rooms of any size.
func (g *group) removeLocked(m *member) {
	if m.state.Swap(gone) == gone {
		return
	}
	delete(g.waiting, m)
	g.live--
	if 2*g.live <= len(g.list) {
		var list []*member
		if g.live > 0 {
			list = make([]*member, 0, g.live+g.live/2+1)
		}
		for _, other := range g.list {
			if other.state.Load() != gone {
				list = append(list, other)
			}
		}
		g.list = list
	}
}

// snapshot is the members at this moment; those that have left since are gone.
func (g *group) snapshot() []*member {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.list
}

func (g *group) size() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.live
}

// begin notes the place behind which the broker delivers to the group. Deliveries may
// have begun.
func (g *group) begin(p Position) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if p.Epoch != "" && !g.taken.covers(p) {
		g.taken, g.given = p, p
	}
}

// take begins a delivery, to the members of this moment; give ends it. ok is false if the place
// is one that they have been given already: a delivery of before the broker was
// unsubscribed and subscribed again.
func (g *group) take(at Position) (list []*member, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at.Offset != 0 {
		if g.taken.covers(at) {
			return nil, false
		}
		g.taken = at
	}
	g.underway++
	return g.list, true
}

// skipTo is take for a gap, behind which deliveries go on.
func (g *group) skipTo(at Position) []*member {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at.Epoch != "" {
		g.taken = at
	}
	g.underway++
	return g.list
}

// give ends a delivery.
func (g *group) give(at Position) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if at.Epoch != "" && g.taken == at {
		g.given = at
	}
	g.underway--
	if g.underway == 0 && g.settled != nil {
		close(g.settled)
		g.settled = nil
	}
}

// settle returns when no delivery is under way: to members who have left before, nothing
// comes any more. Deliveries wait for nobody, so this does not take long; Deliver must
// not call it.
func (g *group) settle() {
	g.mu.Lock()
	if g.underway == 0 {
		g.mu.Unlock()
		return
	}
	if g.settled == nil {
		g.settled = make(chan struct{})
	}
	settled := g.settled
	g.mu.Unlock()
	<-settled
}

// gap makes the event that stands in for what the room's members read too slowly for.
func (g *group) gap() func() *socket.Frame {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gapFunc == nil {
		g.gapFunc = func() *socket.Frame { return gapFrame(&wire.Gap{Room: g.name, Reason: wire.GapSlow}) }
	}
	return g.gapFunc
}
