package membroker

import (
	"fmt"
	"slices"
	"sync"

	"sluice/router"
)

const (
	// A queue is full at this many messages or at this many bytes of content.
	queueMessages = 256
	queueBytes    = 1 << 20

	// publisherShare is how many messages of others a publisher delivers on top
	// of his own before a goroutine takes over.
	publisherShare = 16
)

// topic is one order of messages: a room, a user's direct messages, or the
// broadcasts.
type topic struct {
	// Static after construction.
	hub   *Hub
	shard *shard
	name  router.Topic

	// Guarded by shard.mu.
	nodes      []*Node       // who receives; grows or is replaced, for queued messages refer to it
	refs       []int         // references by each of nodes
	delivering bool          // somebody delivers, and will look at queue before he stops
	queue      *batch        // published meanwhile; nil if empty, and if !delivering
	room       chan struct{} // closed by whoever takes a full queue; nil if nobody waits

	// Memory of nodes and refs at first, for most topics have one node.
	firstNode [1]*Node
	firstRef  [1]int
}

func newTopic(h *Hub, s *shard, name router.Topic) *topic {
	t := &topic{hub: h, shard: s, name: name}
	t.nodes, t.refs = t.firstNode[:0], t.firstRef[:0]
	return t
}

// batch is a run of queued messages.
type batch struct {
	letters []letter
	bytes   int
}

// letter is a message and who gets it.
type letter struct {
	m  *router.Message
	to []*Node
}

var batches = sync.Pool{New: func() any { return new(batch) }}

func (b *batch) free() {
	clear(b.letters)
	b.letters, b.bytes = b.letters[:0], 0
	batches.Put(b)
}

// String describes the topic after the word "deliveries".
func (t *topic) String() string {
	switch {
	case t == t.hub.everyone:
		return "of broadcasts"
	case t.name.User:
		return fmt.Sprintf("to user %q", t.name.Name)
	}
	return fmt.Sprintf("to room %q", t.name.Name)
}

// addLocked adds a reference by n.
func (t *topic) addLocked(n *Node) {
	if i := slices.Index(t.nodes, n); i >= 0 {
		t.refs[i]++
		return
	}
	t.nodes = append(t.nodes, n)
	t.refs = append(t.refs, 1)
}

// dropLocked takes one reference by n away, if there is one.
func (t *topic) dropLocked(n *Node) {
	i := slices.Index(t.nodes, n)
	if i < 0 {
		return
	}
	if t.refs[i]--; t.refs[i] == 0 {
		t.removeLocked(n)
	}
}

// removeLocked takes all references by n away.
func (t *topic) removeLocked(n *Node) {
	i := slices.Index(t.nodes, n)
	if i < 0 {
		return
	}
	t.nodes = slices.Concat(t.nodes[:i], t.nodes[i+1:])
	t.refs = slices.Delete(t.refs, i, i+1)
}

func (t *topic) fullLocked() bool {
	return t.queue != nil && (len(t.queue.letters) >= queueMessages || t.queue.bytes >= queueBytes)
}

// roomLocked returns a channel that is closed when the full queue is taken.
func (t *topic) roomLocked() <-chan struct{} {
	if t.room == nil {
		t.room = make(chan struct{})
		t.hub.filled(t)
	}
	return t.room
}

func (t *topic) enqueueLocked(m *router.Message) {
	if t.queue == nil {
		t.queue = batches.Get().(*batch)
	}
	t.queue.letters = append(t.queue.letters, letter{m, t.nodes})
	t.queue.bytes += len(m.Content)
}

// take returns what has queued up, or nil after giving up delivering.
func (t *topic) take() *batch {
	t.shard.mu.Lock()
	defer t.shard.mu.Unlock()
	b := t.queue
	t.queue = nil
	if t.room != nil {
		close(t.room)
		t.room = nil
		t.hub.emptied(t)
	}
	if b == nil {
		t.delivering = false
		t.shard.sweepLocked(t)
	}
	return b
}

// deliver hands the letter to each node that is still open. The caller is the
// one who delivers t.
func (t *topic) deliver(m *router.Message, to []*Node) {
	for _, n := range to {
		n.deliver(t.shard.gate, m)
	}
}

// settle delivers what queued up behind a publisher's own message, as far as
// his share goes.
func (t *topic) settle() {
	share := publisherShare
	for b := t.take(); b != nil; b = t.take() {
		for i, l := range b.letters {
			if share <= 0 && t.hub.handOver(t, b, i) {
				return
			}
			t.deliver(l.m, l.to)
			share--
		}
		b.free()
	}
}

// continueFrom delivers b from its i-th message on, and then whatever queues
// up, until nothing does.
func (t *topic) continueFrom(b *batch, i int) {
	for ; b != nil; b, i = t.take(), 0 {
		for _, l := range b.letters[i:] {
			t.deliver(l.m, l.to)
		}
		b.free()
	}
}
