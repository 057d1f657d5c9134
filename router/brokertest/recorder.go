package brokertest

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"sluice/router"
)

// recorder is a node's sink. It keeps what arrived, by order: a topic, or the
// broadcasts.
type recorder struct {
	mu sync.Mutex
	// Guarded by mu.
	info       router.NodeInfo // what the node says of itself
	orders     map[router.Topic]*order
	seen       map[string]bool // IDs of messages that arrived
	closed     bool            // Close has returned
	violations []string
	changed    chan struct{} // closed at the next arrival, if somebody waits
	before     func()        // called first thing in Deliver, if not nil
}

// order is what arrived of one topic.
type order struct {
	calls    atomic.Int32 // under way
	messages []*router.Message
	last     router.Position // of the last message that had one
}

// broadcasts stands for the broadcasts among topics. No room has this name.
var broadcasts = router.Topic{Name: "\x00broadcasts"}

func topicOf(m *router.Message) router.Topic {
	switch m.Kind {
	case router.RoomGap:
		switch {
		case m.Room != "":
			return router.Topic{Name: m.Room}
		case m.Target != "":
			return router.Topic{User: true, Name: m.Target}
		}
	case router.RoomMessage, router.UserJoined, router.UserLeft:
		return router.Topic{Name: m.Room}
	case router.DirectMessage:
		return router.Topic{User: true, Name: m.Target}
	}
	return broadcasts
}

func newRecorder(index int) *recorder {
	return &recorder{info: router.NodeInfo{ID: fmt.Sprint("node ", index)}, orders: make(map[router.Topic]*order), seen: make(map[string]bool)}
}

// Deliver implements router.Sink.
func (r *recorder) Deliver(m *router.Message) {
	r.mu.Lock()
	o, before := r.orderLocked(topicOf(m)), r.before
	r.mu.Unlock()
	calls := o.calls.Add(1)
	if before != nil {
		before()
	}
	runtime.Gosched() // let another call for the same topic show itself

	r.mu.Lock()
	if calls != 1 {
		r.violateLocked("two calls of Deliver at a time for topic %+v", topicOf(m))
	}
	if r.closed {
		r.violateLocked("message %s was delivered after Close had returned", m.ID)
	}
	r.noteLocked(o, m)
	if r.changed != nil {
		close(r.changed)
		r.changed = nil
	}
	r.mu.Unlock()
	o.calls.Add(-1)
}

// noteLocked keeps m, and compares it with what came before.
func (r *recorder) noteLocked(o *order, m *router.Message) {
	if m.Kind == router.RoomGap {
		r.violateLocked("topic %+v was told of a gap at %+v, though nothing was interrupted", topicOf(m), m.Position)
		return
	}
	if r.seen[m.ID] {
		r.violateLocked("message %s was delivered twice", m.ID)
	}
	if m.Position != (router.Position{}) {
		if m.Epoch == o.last.Epoch && m.Offset <= o.last.Offset {
			r.violateLocked("offset %d of topic %+v was delivered behind offset %d", m.Offset, topicOf(m), o.last.Offset)
		}
		o.last = m.Position
	}
	r.seen[m.ID] = true
	o.messages = append(o.messages, m)
}

// Describe implements router.Sink.
func (r *recorder) Describe() router.NodeInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.info
}

// describeAs has Describe say so from now on.
func (r *recorder) describeAs(info router.NodeInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.info = info
}

// doBefore has each call of Deliver call f first.
func (r *recorder) doBefore(f func()) {
	r.mu.Lock()
	r.before = f
	r.mu.Unlock()
}

func (r *recorder) orderLocked(t router.Topic) *order {
	o := r.orders[t]
	if o == nil {
		o = new(order)
		r.orders[t] = o
	}
	return o
}

func (r *recorder) violateLocked(format string, args ...any) {
	if len(r.violations) < 5 {
		r.violations = append(r.violations, fmt.Sprintf(format, args...))
	}
}

// arrived returns what arrived of the topic so far, and a channel that is closed
// when something else arrives, whatever its topic.
func (r *recorder) arrived(t router.Topic) ([]*router.Message, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return slices.Clone(r.orderLocked(t).messages), r.changed
}

// has reports whether the message arrived, and a channel as arrived.
func (r *recorder) has(m *router.Message) (bool, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.changed == nil {
		r.changed = make(chan struct{})
	}
	return r.seen[m.ID], r.changed
}

// nowClosed notes that the node's Close has returned.
func (r *recorder) nowClosed() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for t, o := range r.orders {
		if o.calls.Load() != 0 {
			r.violateLocked("Close returned during a call of Deliver for topic %+v", t)
		}
	}
}

// broken returns what broke the contract.
func (r *recorder) broken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.violations)
}
