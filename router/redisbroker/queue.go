package redisbroker

import (
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"sluice/router"
)

// queue is the way to one master: what waits leaves together, in order, while
// nothing else is under way. A lone command leaves at once, on the goroutine of
// its caller if it may: two changes of goroutine cost more than the command.
type queue struct {
	// Static after construction.
	q       *batcher
	address string // "" but in a Cluster

	// Guarded by mu.
	mu      sync.Mutex
	client  *redis.Client
	waiting []*call
	bytes   int   // of waiting
	sending bool  // a goroutine sends
	away    error // not nil: Redis does not answer, and a goroutine probes it
	check   bool  // it was away when it was to be checked: the probe does that
	closed  bool  // by the batcher's close
	gone    bool  // taken out of the batcher, as its master is none any more

	// Owned by the goroutine that sends; link.conn is written under mu.
	lone    [1]*call // the batch of a caller that sends by itself
	link    link
	round   round
	fence   []byte // the last one, as it is sent
	fenceAt string // its key
}

const (
	// maxBatchBytes bounds a pipeline, so that a large one does not delay all others.
	maxBatchBytes = 1 << 20
	// hurriedBytes is what a caller with a deadline sends by itself at most: no
	// more than fits the kernel's buffers, so that he waits for the answer alone.
	hurriedBytes = 16 << 10
)

var (
	errFull  = errors.New("too many commands wait for it already")
	errStale = errors.New("it did not get to the command in time")
	errGone  = errors.New("it is no master any more")
)

// add queues a call, or says at once why not. If nothing else is under way the
// caller is told to send by itself, and lead has to follow; but one who is in a
// hurry only where that does not make him wait for a connection.
func (k *queue) add(c *call, client *redis.Client, hurried bool) (leads bool, err error) {
	o := &k.q.s.b.options
	k.mu.Lock()
	defer k.mu.Unlock()
	k.client = client
	switch {
	case k.closed:
		return false, router.ErrBrokerClosed
	case k.gone:
		return false, errGone
	case k.away != nil:
		return false, k.away
	case len(k.waiting) >= o.QueueMessages || len(k.waiting) > 0 && k.bytes+c.bytes > o.QueueBytes:
		return false, errFull
	}
	if !k.sending {
		k.sending = true
		k.q.running.Add(1)
		if !hurried || c.bytes <= hurriedBytes && k.link.conn != nil {
			return true, nil
		}
		go k.flush()
	}
	k.waiting = append(k.waiting, c)
	k.bytes += c.bytes
	return false, nil
}

// lead sends one call on the caller's goroutine, and has what came meanwhile sent
// on another. It returns when the call has been answered, or when until is over:
// the zero time is never.
func (k *queue) lead(c *call, until time.Time) {
	k.mu.Lock()
	client := k.client
	k.mu.Unlock()
	if !until.IsZero() && !k.lives(client) {
		k.yield(c)
		return
	}
	c.state.Store(callSent)
	k.lone[0] = c
	if late := k.send(client, k.lone[:], until); late {
		go k.finish()
		return
	}
	k.rest()
}

// yield has a call sent by a flusher after all, and first: to connect takes longer than
// its caller may be willing to wait.
func (k *queue) yield(c *call) {
	k.mu.Lock()
	away := k.away
	if k.closed {
		away = router.ErrBrokerClosed
	}
	if away == nil {
		k.waiting = slices.Insert(k.waiting, 0, c)
		k.bytes += c.bytes
	}
	k.mu.Unlock()
	switch away {
	case nil:
		go k.flush()
		return
	case router.ErrBrokerClosed:
		c.done <- away
	default:
		k.q.notSent(c, away)
	}
	k.rest()
}

// finish awaits the answer to a call whose caller has gone.
func (k *queue) finish() {
	k.receive(time.Time{})
	k.rest()
}

// rest ends the right to send, or passes it on.
func (k *queue) rest() {
	k.lone[0] = nil
	k.mu.Lock()
	k.sending = len(k.waiting) > 0
	more := k.sending
	k.mu.Unlock()
	if more {
		go k.flush()
	} else {
		k.q.running.Done()
	}
}

// take takes what leaves next; nil ends the flusher.
func (k *queue) take(batch []*call) ([]*call, *redis.Client) {
	k.mu.Lock()
	defer k.mu.Unlock()
	n, bytes := 0, 0
	for n < len(k.waiting) && n < k.q.s.b.options.Batch && (n == 0 || bytes+k.waiting[n].bytes <= maxBatchBytes) {
		bytes += k.waiting[n].bytes
		n++
	}
	if n == 0 {
		k.sending = false
		return nil, nil
	}
	batch = append(batch[:0], k.waiting[:n]...)
	k.waiting = slices.Delete(k.waiting, 0, n)
	k.bytes -= bytes
	return batch, k.client
}

// flush sends until nothing waits. After more than one call at a time it lets
// their callers run first: what they send next leaves together again.
func (k *queue) flush() {
	defer k.q.running.Done()
	var batch []*call
	var client *redis.Client
	for {
		if batch, client = k.take(batch); batch == nil {
			return
		}
		if live := k.due(batch); len(live) > 0 {
			k.send(client, live, time.Time{})
		}
		many := len(batch) > 1
		clear(batch)
		if many {
			runtime.Gosched()
		}
	}
}

// due marks the calls that are to be sent, and answers those that are too old:
// their senders have been waiting for as long as a call may take.
func (k *queue) due(batch []*call) []*call {
	limit := time.Now().Add(-k.q.s.b.options.Timeout)
	live := batch[:0]
	for _, c := range batch {
		switch {
		case !c.state.CompareAndSwap(callWaits, callSent): // given up
		case c.since.Before(limit):
			k.q.notSent(c, errStale)
		default:
			live = append(live, c)
		}
	}
	return live
}

// shut fails what waits, and what comes.
func (k *queue) shut() {
	k.mu.Lock()
	k.closed = true
	if k.link.conn != nil {
		_ = k.link.conn.Close() // ends what is under way
	}
	waiting := k.waiting
	k.waiting, k.bytes = nil, 0
	k.mu.Unlock()
	for _, c := range waiting {
		if c.state.CompareAndSwap(callWaits, callSent) {
			c.done <- router.ErrBrokerClosed
		}
	}
}
