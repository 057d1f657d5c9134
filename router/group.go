package router

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"

	"sluice/router/socket"
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
	pending map[*member][]socket.Item
	gapFunc func() *socket.Frame
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
)

// add makes m a member, in state joining: from now on it misses nothing. It
// returns the number of members.
func (g *group) add(m *member) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.list = append(g.list, m)
	g.live++
	return g.live
}

// activate sends what was held back while m was joining, then lets deliveries
// pass.
func (g *group) activate(m *member, send func(socket.Item)) {
	for {
		g.mu.Lock()
		held := g.pending[m]
		delete(g.pending, m)
		if len(held) == 0 {
			m.state.CompareAndSwap(joining, active)
			g.mu.Unlock()
			return
		}
		g.mu.Unlock()
		for _, item := range held {
			send(item)
		}
	}
}

// hold keeps an item for a member that is joining; false if it no longer is.
func (g *group) hold(m *member, item socket.Item) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.state.Load() != joining {
		return false
	}
	if g.pending == nil {
		g.pending = make(map[*member][]socket.Item)
	}
	g.pending[m] = append(g.pending[m], item)
	return true
}

// remove ends m's membership and returns how many members are left. The list
// is copied only when half of it has left, so that leaving costs the same in
// rooms of any size.
func (g *group) remove(m *member) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.state.Swap(gone) == gone {
		return g.live
	}
	delete(g.pending, m)
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
	return g.live
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

// table holds the groups of one kind by name, and keeps the broker subscribed
// to those that exist.
type table struct {
	broker Broker
	users  bool // the names are users rather than rooms
	seed   maphash.Seed
	count  atomic.Int64
	shards [64]shard
}

type shard struct {
	mu     sync.RWMutex
	groups map[string]*group
}

func newTable(b Broker, users bool) *table {
	t := &table{broker: b, users: users, seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].groups = make(map[string]*group)
	}
	return t
}

func (t *table) len() int { return int(t.count.Load()) }

func (t *table) shard(name string) *shard {
	return &t.shards[maphash.String(t.seed, name)%uint64(len(t.shards))]
}

// lookup finds a group; nil if it has no member on this node.
func (t *table) lookup(name string) *group {
	s := t.shard(name)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.groups[name]
}

var errGroupFull = errors.New("the group is full")

// acquire adds a reference to the named group, which the caller gives back
// with release. It returns once the broker delivers to the group: the first to
// come subscribes, and the others wait for him. It returns errGroupFull if the
// group has max references; 0: there is no maximum.
func (t *table) acquire(ctx context.Context, name string, max int) (*group, error) {
	s := t.shard(name)
	s.mu.Lock()
	g := s.groups[name]
	if g != nil {
		if max > 0 && g.refs >= max {
			s.mu.Unlock()
			return nil, errGroupFull
		}
		g.refs++
		ready := g.ready
		s.mu.Unlock()
		return t.await(ctx, g, ready)
	}
	g = &group{name: name, refs: 1, ready: make(chan struct{})}
	s.groups[name] = g
	t.count.Add(1)
	s.mu.Unlock()
	return t.subscribe(ctx, s, g)
}

// subscribe makes the broker deliver to a new group.
func (t *table) subscribe(ctx context.Context, s *shard, g *group) (*group, error) {
	err := errors.New("subscribing panicked")
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if err != nil {
			delete(s.groups, g.name) // whoever comes next tries afresh
			t.count.Add(-1)
		}
		g.err = err
		close(g.ready)
		g.ready = nil
	}()
	if err = t.broker.Subscribe(ctx, Topic{User: t.users, Name: g.name}); err != nil {
		return nil, err
	}
	return g, nil
}

func (t *table) await(ctx context.Context, g *group, ready chan struct{}) (*group, error) {
	if ready == nil {
		return g, nil
	}
	select {
	case <-ready:
		if g.err != nil {
			return nil, g.err
		}
		return g, nil
	case <-ctx.Done():
		t.release(g)
		return nil, ctx.Err()
	}
}

// release gives a reference back; with the last one the group is gone.
func (t *table) release(g *group) {
	s := t.shard(g.name)
	s.mu.Lock()
	g.refs--
	last := g.refs == 0 && s.groups[g.name] == g
	if last {
		delete(s.groups, g.name)
		t.count.Add(-1)
	}
	s.mu.Unlock()
	if last {
		t.broker.Unsubscribe(Topic{User: t.users, Name: g.name})
	}
}
