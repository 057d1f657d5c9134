package router

import (
	"context"
	"errors"
	"hash/maphash"
	"sync"
	"sync/atomic"
)

// table holds the groups of one kind by name, and keeps the broker subscribed
// to those that exist.
type table struct {
	broker Broker
	users  bool                   // the names are users rather than rooms
	keep   func(name string) Keep // the history that a room has
	seed   maphash.Seed
	count  atomic.Int64
	shards [64]shard
}

type shard struct {
	mu     sync.RWMutex
	groups map[string]*group
}

func newTable(b Broker, users bool, keep func(name string) Keep) *table {
	t := &table{broker: b, users: users, keep: keep, seed: maphash.MakeSeed()}
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

// subscribing is the ready of a group that is being subscribed, while nobody waits for
// that. It is never closed.
var subscribing = make(chan struct{})

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
		if g.ready == subscribing {
			g.ready = make(chan struct{})
		}
		ready := g.ready
		s.mu.Unlock()
		return t.await(ctx, g, ready)
	}
	g = &group{name: name, refs: 1, ready: subscribing}
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
		if g.ready != subscribing {
			close(g.ready)
		}
		g.ready = nil
	}()
	at, err := t.broker.Subscribe(ctx, Topic{User: t.users, Name: g.name}, t.keep(g.name))
	if err != nil {
		return nil, err
	}
	g.begin(at)
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
