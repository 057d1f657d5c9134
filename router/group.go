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

	feeds *feeds // of a large group; nil: it is a small one

	// Guarded by mu: places in the room's history. Who joins gets what comes behind
	// taken; who has been a member for longer has been given all up to given.
	taken Position // of the latest delivery that has begun
	given Position // of the latest delivery that has ended

	// Guarded by mu: deliveries, numbered as they begin. Those through feeds overlap, and
	// end in the order in which they began.
	begun    uint64
	ended    uint64    // the one that given is of, or the last before it was set anew
	underway int       // begun and not ended
	settling *settling // who waits for the end of some
}

// settling is somebody who waits for the deliveries that had begun when he came.
type settling struct {
	next *settling
	last uint64        // of them
	left int           // of them, that have not ended
	done chan struct{} // closed when all have
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
	if g.feeds != nil {
		g.feeds.addLocked(m)
	}
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
		if g.feeds != nil {
			g.dealLocked(list)
		}
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
		g.taken, g.given, g.ended = p, p, g.begun
	}
}

// route is the way of a delivery to the members.
type route uint8

const (
	direct  route = iota // who delivers sends it to each of list, then calls give
	byFeeds              // the writers do that, once the feeds are posted
	stale                // the members have been given what has its place
	full                 // not begun: there is no room in a feed until room is closed
)

// start is how a delivery begins.
type start struct {
	way   route
	list  []*member
	feeds *feeds
	room  <-chan struct{}
}

// take begins a delivery, to the members of this moment. It is stale if its place is one
// that they have been given already: it is from before the broker was unsubscribed and
// subscribed again.
func (g *group) take(d *delivery, r *Router) start {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !d.skips && d.at.Offset != 0 && g.taken.covers(d.at) {
		return start{way: stale}
	}
	g.sizeLocked(r)
	fs := g.feeds
	if fs != nil && fs.fullLocked() {
		return start{way: full, room: fs.roomLocked()}
	}
	d.before = g.taken
	if d.at.Offset != 0 || d.skips && d.at.Epoch != "" {
		g.taken = d.at
	}
	g.begun++
	d.seq = g.begun
	g.underway++
	if fs == nil {
		return start{way: direct, list: g.list}
	}
	shared := *d // who delivers keeps d on the stack
	if fs.putLocked(&shared); shared.feeds == 0 {
		g.giveLocked(&shared)
	}
	return start{way: byFeeds, feeds: fs}
}

// sizeLocked has the group delivered to according to its size. It is a large one until no
// feed has deliveries, which another way would overtake.
func (g *group) sizeLocked(r *Router) {
	switch {
	case g.feeds == nil && g.live > inlineMost:
		g.feedLocked(r)
	case g.feeds != nil && g.live <= inlineMost/2 && g.feeds.underway == 0:
		g.feeds = nil
	}
}

// give ends a delivery.
func (g *group) give(d *delivery) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.giveLocked(d)
}

func (g *group) giveLocked(d *delivery) {
	if d.at.Epoch != "" && d.seq > g.ended {
		g.given, g.ended = d.at, d.seq
	}
	g.underway--
	for at := &g.settling; *at != nil; {
		s := *at
		if d.seq <= s.last {
			s.left--
		}
		if s.left > 0 {
			at = &s.next
			continue
		}
		close(s.done)
		*at = s.next
	}
}

// settle returns when the deliveries that have begun before have ended: to members who
// have left before, nothing comes any more. Deliveries wait for no client, so this does
// not take long; Deliver must not call it.
func (g *group) settle() {
	g.mu.Lock()
	if g.underway == 0 {
		g.mu.Unlock()
		return
	}
	s := &settling{next: g.settling, last: g.begun, left: g.underway, done: make(chan struct{})}
	g.settling = s
	g.mu.Unlock()
	<-s.done
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
