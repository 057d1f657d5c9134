package membroker

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"sluice/router"
)

// Node is one node's end of a Hub.
type Node struct {
	// Static after construction.
	hub   *Hub
	done  chan struct{} // closed by Close when it begins: publishers who wait give up
	ended chan struct{} // closed by Close when it ends

	// Static after Start.
	sink router.Sink

	mu    sync.Mutex   // serialises Start with the beginning of Close
	state atomic.Int32 // written under mu
	gates [gateCount]gate
}

var _ router.Broker = (*Node)(nil)

// gateCount spreads the counting of calls over cache lines. A power of two.
const gateCount = 8

// States of a Node.
const (
	isNew int32 = iota
	isOpen
	isClosed
)

var (
	errNotStarted = errors.New("membroker: used before Start")
	errStarted    = errors.New("membroker: Start was called before")
)

// Start implements router.Broker.
func (n *Node) Start(sink router.Sink) error {
	if sink == nil {
		return errors.New("membroker: Start needs a sink")
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	switch n.state.Load() {
	case isOpen:
		return errStarted
	case isClosed:
		return router.ErrBrokerClosed
	}
	n.sink = sink
	n.state.Store(isOpen)
	n.hub.enter(n)
	return nil
}

// usable is nil if the node is open and ctx goes on.
func (n *Node) usable(ctx context.Context) error {
	switch n.state.Load() {
	case isNew:
		return errNotStarted
	case isClosed:
		return router.ErrBrokerClosed
	}
	return ctx.Err()
}

// Subscribe implements router.Broker.
func (n *Node) Subscribe(ctx context.Context, name router.Topic, keep router.Keep) (router.Position, error) {
	if err := n.usable(ctx); err != nil {
		return router.Position{}, err
	}
	now := time.Now()
	defer n.hub.tidyHistories(now)
	s := n.hub.shardOf(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.state.Load() != isOpen { // Close sets it before it visits the shards
		return router.Position{}, router.ErrBrokerClosed
	}
	s.topicLocked(n.hub, name).addLocked(n)
	if name.User {
		return router.Position{}, nil
	}
	return s.positionLocked(n.hub, name.Name, keep, now), nil
}

// Unsubscribe implements router.Broker.
func (n *Node) Unsubscribe(name router.Topic) {
	s := n.hub.shardOf(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.topics[name]; t != nil {
		t.dropLocked(n)
		s.sweepLocked(t)
	}
}

// Publish implements router.Broker. It may deliver on the caller's goroutine,
// his own message and up to publisherShare of others'.
func (n *Node) Publish(ctx context.Context, m *router.Message) (router.Receipt, error) {
	if err := n.usable(ctx); err != nil {
		return router.Receipt{}, err
	}
	var name router.Topic
	s := &n.hub.broadcast
	switch m.Kind {
	case router.RoomMessage, router.UserJoined, router.UserLeft:
		name = router.Topic{Name: m.Room}
		s = n.hub.shardOf(name)
	case router.DirectMessage:
		name = router.Topic{User: true, Name: m.Target}
		s = n.hub.shardOf(name)
	case router.BroadcastMessage, router.UserConnected, router.UserDisconnected, router.ControlMessage:
	default:
		return router.Receipt{}, fmt.Errorf("membroker: message of unknown kind %d", m.Kind)
	}
	if m.Key == "" && !isKept(m) {
		return router.Receipt{ID: m.ID}, n.publish(ctx, s, name, m, nil)
	}
	a := acceptance{now: time.Now()}
	if m.Key != "" {
		a.key = digestOf(name, m)
	}
	err := n.publish(ctx, s, name, m, &a)
	return a.receipt, err
}

// publish accepts and delivers m. a is nil if m has neither a key nor a place in
// a history.
func (n *Node) publish(ctx context.Context, s *shard, name router.Topic, m *router.Message, a *acceptance) error {
	s.mu.Lock()
	t := n.find(s, name)
	for t != nil && t.fullLocked() && !n.hub.repeats(m, a) {
		room := t.roomLocked()
		s.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return fmt.Errorf("membroker: deliveries %s are behind: %w: %w", t, router.ErrUnavailable, ctx.Err())
		case <-n.done:
			return router.ErrBrokerClosed
		}
		s.mu.Lock()
		t = n.find(s, name) // it may have been removed, and made anew
	}
	if a != nil {
		if m = s.acceptLocked(n.hub, m, a); m == nil {
			s.mu.Unlock()
			return nil
		}
		defer n.hub.tidyHistories(a.now)
	}
	switch {
	case t == nil || len(t.nodes) == 0:
		s.mu.Unlock()
	case t.delivering:
		t.enqueueLocked(m)
		s.mu.Unlock()
	default:
		t.delivering = true
		to := t.nodes
		s.mu.Unlock()
		t.deliver(m, to)
		t.settle()
	}
	return nil
}

// find returns the topic of a shard; s.mu is held.
func (n *Node) find(s *shard, name router.Topic) *topic {
	if s == &n.hub.broadcast {
		return n.hub.everyone
	}
	return s.topics[name]
}

// deliver calls the sink unless the node has closed.
func (n *Node) deliver(gate int, m *router.Message) {
	if g := &n.gates[gate]; g.pass() {
		n.sink.Deliver(m)
		g.done()
	}
}

// Health implements router.Broker.
func (n *Node) Health(ctx context.Context) error {
	if err := n.usable(ctx); err != nil {
		return err
	}
	return n.hub.stalled()
}

// Close implements router.Broker. What the node had published before still
// reaches the hub's other nodes.
func (n *Node) Close() error {
	n.mu.Lock()
	was := n.state.Swap(isClosed)
	n.mu.Unlock()
	if was == isClosed {
		<-n.ended
		return router.ErrBrokerClosed
	}
	defer close(n.ended)
	close(n.done)
	if was == isNew {
		return nil
	}
	for i := range n.gates {
		n.gates[i].shut()
	}
	n.hub.leave(n)
	return nil
}
