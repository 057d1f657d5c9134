package membroker

import (
	"fmt"
	"hash/maphash"
	"sync"
	"time"

	"sluice/router"
)

const (
	shardCount = 64 // of topics, and of presence; a power of two

	// stalledAfter is how long a queue may stay full before Health reports it.
	stalledAfter = 10 * time.Second
)

// Options are a Hub's. The zero value is what a node that stands alone needs.
type Options struct {
	// HistoryBytes bounds the memory of all rooms' histories together; default 64 MiB. Over
	// it whole rooms are forgotten, those first that have not been used for longest. One
	// room keeps at most a quarter.
	HistoryBytes int
}

const defaultHistoryBytes = 64 << 20

// Hub connects the nodes of one process. A Hub costs about 15 KiB and has no
// goroutine while nothing is published.
type Hub struct {
	// Static after construction.
	seed      maphash.Seed
	shards    [shardCount]shard
	broadcast shard  // holds no map: its one topic is everyone, and stays
	everyone  *topic // all started nodes; guarded by broadcast.mu
	presence  [shardCount]presenceShard
	keeping   keeping
	keys      keys

	mu sync.Mutex
	// Guarded by mu.
	open     int                  // started nodes
	drainers *sync.WaitGroup      // goroutines that deliver for open nodes
	full     map[*topic]time.Time // topics with a publisher waiting, since when
}

// shard holds a part of the topics.
type shard struct {
	gate int // static: which of a node's gates counts calls for these topics

	mu sync.Mutex
	// Guarded by mu.
	topics    map[router.Topic]*topic
	peak      int // the most topics this map held
	histories histories

	_ [64]byte // neighbours' locks are on other cache lines
}

// New returns the broker of a node that stands alone. It takes at most one
// Options.
func New(o ...Options) router.Broker { return NewHub(o...).Node() }

// NewHub returns a hub without nodes. It takes at most one Options.
func NewHub(o ...Options) *Hub {
	h := &Hub{seed: maphash.MakeSeed(), full: make(map[*topic]time.Time)}
	h.keeping.most = defaultHistoryBytes
	if len(o) > 0 && o[0].HistoryBytes > 0 {
		h.keeping.most = int64(o[0].HistoryBytes)
	}
	h.keys.capacity = keyCapacity
	for i := range h.shards {
		h.shards[i].gate = i % gateCount
	}
	h.everyone = &topic{hub: h, shard: &h.broadcast}
	return h
}

// Node returns another node's broker. Nodes of one hub reach each other.
func (h *Hub) Node() router.Broker {
	n := &Node{hub: h, done: make(chan struct{}), ended: make(chan struct{})}
	for i := range n.gates {
		n.gates[i].idle = make(chan struct{}, 1)
	}
	return n
}

func (h *Hub) shardOf(name router.Topic) *shard {
	return &h.shards[maphash.String(h.seed, name.Name)%shardCount]
}

// enter makes a node one of the open ones.
func (h *Hub) enter(n *Node) {
	h.mu.Lock()
	if h.open == 0 {
		h.drainers = new(sync.WaitGroup) // the last one may still be waited for
	}
	h.open++
	h.mu.Unlock()

	h.broadcast.mu.Lock()
	h.everyone.addLocked(n)
	h.broadcast.mu.Unlock()
}

// leave takes a node with a shut gate out of everything, and if it was the last one
// returns after all drainers have ended.
func (h *Hub) leave(n *Node) {
	h.broadcast.mu.Lock()
	h.everyone.removeLocked(n)
	h.broadcast.mu.Unlock()
	for i := range h.shards {
		h.shards[i].forget(n)
	}
	for i := range h.presence {
		h.presence[i].forget(n)
	}

	h.mu.Lock()
	h.open--
	var wait *sync.WaitGroup
	if h.open == 0 {
		wait = h.drainers
	}
	h.mu.Unlock()
	if wait != nil {
		wait.Wait()
	}
}

// handOver continues t in a goroutine, from the i-th message of b. It declines
// if no node is open: nobody would be delivered to, and nobody waits for
// the goroutine.
func (h *Hub) handOver(t *topic, b *batch, i int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open == 0 {
		return false
	}
	drainers := h.drainers
	drainers.Add(1)
	go func() {
		defer drainers.Done()
		t.continueFrom(b, i)
	}()
	return true
}

// filled notes that a publisher waits for t.
func (h *Hub) filled(t *topic) {
	h.mu.Lock()
	h.full[t] = time.Now()
	h.mu.Unlock()
}

// emptied notes that t's queue has room again.
func (h *Hub) emptied(t *topic) {
	h.mu.Lock()
	delete(h.full, t)
	h.mu.Unlock()
}

// stalled is an error if a queue has been full for long.
func (h *Hub) stalled() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for t, since := range h.full {
		if d := time.Since(since); d >= stalledAfter {
			return fmt.Errorf("membroker: deliveries %s have not moved for %s, with publishers waiting", t, d.Round(time.Second))
		}
	}
	return nil
}

// topicLocked returns the topic, making it if need be.
func (s *shard) topicLocked(h *Hub, name router.Topic) *topic {
	t := s.topics[name]
	if t == nil {
		if s.topics == nil {
			s.topics = make(map[router.Topic]*topic)
		}
		t = newTopic(h, s, name)
		s.topics[name] = t
		s.peak = max(s.peak, len(s.topics))
	}
	return t
}

// sweepLocked removes the topic if nobody subscribes to it or delivers it.
func (s *shard) sweepLocked(t *topic) {
	if len(t.nodes) > 0 || t.delivering || s.topics == nil {
		return
	}
	delete(s.topics, t.name)
	if len(s.topics) == 0 && s.peak > 64 {
		s.topics, s.peak = nil, 0 // a map does not give memory back
	}
}

// forget takes away all of n's references.
func (s *shard) forget(n *Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.topics {
		t.removeLocked(n)
		s.sweepLocked(t)
	}
}
