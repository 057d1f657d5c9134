package redisbroker

import (
	"sync"

	"sluice/router"
)

// itemKind says what a worker has to do.
type itemKind uint8

const (
	itemMessage    itemKind = iota // deliver payload
	itemOpened                     // the topic is subscribed; begin, and tell start where
	itemResumed                    // the topic is subscribed again after an interruption
	itemOverflowed                 // messages of the topic did not fit into the queue
	itemLocated                    // tell start where the topic is
	itemRead                       // what was asked of the history has come
)

// item is one thing to do for a topic.
type item struct {
	topic   *topic
	start   *start
	read    *read
	payload []byte
	kind    itemKind
}

// Marks are what a topic's worker has to make up for.
const (
	missedSome   uint32 = 1 << iota
	missedUnkept        // some of it is in no history
)

// worker delivers its topics, one message after the other, and alone knows how
// far they are: who has set busy owns the topics' sequences. Its queue is bounded for messages; of everything else there is
// at most a handful per topic.
//
// Where it has nothing to do, who reads the connection may do its work for one
// message (handleNow): the change of goroutine would cost more than most messages.
type worker struct {
	// Static after construction.
	subs      *subscriptions
	mostItems int // messages in the queue
	mostBytes int // of their payloads; one message is always let in
	wake      chan struct{}
	ended     chan struct{} // closed when the goroutine has ended

	mu     sync.Mutex
	queue  []item // guarded by mu, as what follows
	items  int    // messages that have not been handled
	bytes  int
	busy   bool // somebody handles items, and owns the sequences of the topics
	shy    int  // messages that only the goroutine handles, since one took long
	closed bool
}

func newWorker(s *subscriptions, items, bytes int) *worker {
	w := &worker{subs: s, mostItems: items, mostBytes: bytes, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go w.run()
	return w
}

// put queues an item; false if it is a message and the queue is full. It does
// not block.
func (w *worker) put(i item) bool {
	w.mu.Lock()
	if w.closed || i.kind == itemMessage && w.items > 0 && (w.items >= w.mostItems || w.bytes+len(i.payload) > w.mostBytes) {
		closed := w.closed
		w.mu.Unlock()
		return closed
	}
	w.queue = append(w.queue, i)
	if i.kind == itemMessage {
		w.items++
		w.bytes += len(i.payload)
	}
	first := len(w.queue) == 1 && !w.busy // who is busy looks again
	w.mu.Unlock()
	if first {
		notify(w.wake)
	}
	return true
}

// handleNow handles a message on the reader's goroutine if nothing is being done or
// waits, so that it keeps its place; else the message is to be put. reads is false
// if that took so long that another goroutine reads.
func (w *worker) handleNow(i item, relay *relay) (handled, reads bool) {
	w.mu.Lock()
	if w.busy || w.closed || w.shy > 0 || len(w.queue) > 0 {
		w.shy = max(w.shy-1, 0)
		w.mu.Unlock()
		return false, true
	}
	w.busy = true
	w.items++
	w.bytes += len(i.payload)
	w.mu.Unlock()
	turn := relay.begin()
	w.handle(&i)
	reads = relay.end(turn)
	w.mu.Lock()
	w.busy = false
	w.items--
	w.bytes -= len(i.payload)
	if !reads {
		w.shy = shyFor
	}
	more := len(w.queue) > 0 || w.closed
	w.mu.Unlock()
	if more {
		notify(w.wake)
	}
	return true, reads
}

// shyFor is for how many messages readers leave a worker alone that was slow.
const shyFor = 256

func (w *worker) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	notify(w.wake)
	<-w.ended
}

// share is how many messages are handled before the queue is told.
const share = 64

func (w *worker) run() {
	defer close(w.ended)
	var queue []item
	for {
		w.mu.Lock()
		if w.closed {
			w.mu.Unlock()
			return
		}
		if w.busy || len(w.queue) == 0 {
			w.mu.Unlock()
			<-w.wake
			continue
		}
		w.busy = true
		queue, w.queue = w.queue, queue[:0]
		w.mu.Unlock()
		if !w.handleAll(queue) {
			return
		}
		w.mu.Lock()
		w.busy = false
		w.mu.Unlock()
		clear(queue)
		if cap(queue) > 2*w.mostItems {
			queue = nil
		}
	}
}

// handleAll reports whether the worker goes on.
func (w *worker) handleAll(queue []item) bool {
	items, bytes := 0, 0
	for n := range queue {
		i := &queue[n]
		w.handle(i)
		if i.kind == itemMessage {
			items++
			bytes += len(i.payload)
			i.payload = nil
		}
		if items < share && n < len(queue)-1 {
			continue
		}
		w.mu.Lock()
		w.items -= items
		w.bytes -= bytes
		closed := w.closed
		w.mu.Unlock()
		if closed {
			return false
		}
		items, bytes = 0, 0
	}
	return true
}

func (w *worker) handle(i *item) {
	t := i.topic
	switch i.kind {
	case itemMessage:
		if t.refs.Load() == 0 {
			return
		}
		m, err := decodeMessage(t.Topic, i.payload)
		if err != nil {
			w.subs.b.countMalformed(err)
			return
		}
		w.sequence(t, m)
	case itemOpened:
		w.open(t, i.start)
	case itemResumed:
		w.makeUp(t, 0)
	case itemOverflowed:
		w.makeUp(t, t.missed.Swap(0))
	case itemLocated:
		w.locate(t, i.start)
	case itemRead:
		w.apply(t, i.read)
		i.read.release()
	}
}

// deliver hands a message to the node, if somebody there still wants it.
func (w *worker) deliver(t *topic, m *router.Message) {
	if t.refs.Load() > 0 {
		w.subs.b.sink.Deliver(m)
	}
}

// gap tells the node that messages are missing: for certain if p is a position,
// behind which deliveries go on; else possibly.
func (w *worker) gap(t *topic, p router.Position) {
	if t.refs.Load() == 0 {
		return
	}
	m := &router.Message{Kind: router.RoomGap, Position: p}
	if t.User {
		m.Target = t.Name
	} else {
		m.Room = t.Name
	}
	if p.Epoch == "" {
		w.subs.b.count(gapPossible)
	} else {
		w.subs.b.count(gapLost)
	}
	w.subs.b.sink.Deliver(m)
}
