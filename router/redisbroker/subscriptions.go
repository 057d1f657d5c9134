package redisbroker

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"sluice/router"
)

// subscriptions are the topics that this node hears from one shard, with the
// connections they come on and the workers that deliver them.
type subscriptions struct {
	// Static after construction.
	b       *Broker
	s       *shard
	nonce   string // tells this process's probes from another's
	workers []*worker
	fetches *fetches
	ctx     context.Context // ends with close
	cancel  context.CancelFunc
	work    sync.WaitGroup // all goroutines but the workers
	delayed chan struct{}  // holds one if a list of delays has grown from empty
	stale   chan struct{}  // holds one if the owners of slots should be asked for again

	mu         sync.RWMutex
	topics     map[string]*topic      // by channel; guarded by mu, as what follows
	owners     []*subscriber          // by partition; nil: not known
	links      map[string]*subscriber // by address
	reason     error                  // why owners are not known
	idle       delays                 // topics without a reference, since they lost the last
	redirected delays                 // topics whose slot was at another master
	refused    delays                 // topics that Redis did not let us subscribe to
	closed     bool
}

// topic is one room, one user, or the broadcasts and orders.
type topic struct {
	// Static after construction.
	router.Topic
	channel   string
	partition int
	worker    *worker

	refs       atomic.Int32  // changed under subscriptions.mu
	positioned atomic.Bool   // the sequence has a position; set by the worker
	missed     atomic.Uint32 // marks: what the worker has to make up for

	// Guarded by subscriptions.mu.
	link      *subscriber // its partition's; nil: not known
	state     topicState
	fresh     bool   // whoever came first waits for the confirmation; nothing is delivered before
	starting  *start // what subscribers wait for
	batch     uint64 // in which it was sent
	leavings  int    // UNSUBSCRIBEs whose answer is to come
	idleSince time.Time

	sequence sequence // owned by the worker
}

// topicState is how far a topic's subscription is on its link's connection.
type topicState uint8

const (
	topicOff topicState = iota
	topicQueued
	topicSent
	topicOn
	topicLeaving // its UNSUBSCRIBE waits
	topicLeft    // its UNSUBSCRIBE has been sent
)

// start is what a subscriber waits for: the position behind which deliveries
// begin.
type start struct {
	keep     router.Keep
	done     chan struct{} // closed when what follows is set
	finished bool          // guarded by subscriptions.mu
	position router.Position
	err      error
}

func newStart(keep router.Keep) *start { return &start{keep: keep, done: make(chan struct{})} }

func newSubscriptions(b *Broker, s *shard) *subscriptions {
	subs := &subscriptions{
		b: b, s: s, nonce: newNonce(), topics: make(map[string]*topic), links: make(map[string]*subscriber),
		delayed: make(chan struct{}, 1), stale: make(chan struct{}, 1), reason: fmt.Errorf("%w: not connected yet", router.ErrUnavailable),
	}
	subs.ctx, subs.cancel = context.WithCancel(context.Background())
	return subs
}

// start begins to connect. It waits for nothing.
func (s *subscriptions) start() {
	o := &s.b.options
	for range o.Workers {
		s.workers = append(s.workers, newWorker(s, o.WorkerQueue, max(o.QueueBytes/o.Workers, 1)))
	}
	s.fetches = newFetches(s)
	s.mu.Lock()
	s.owners = make([]*subscriber, max(1, len(s.s.keys.tags)))
	if s.s == s.b.home() {
		t := s.newTopicLocked(router.Topic{})
		t.refs.Store(1)
		t.fresh = true
	}
	s.mu.Unlock()
	s.work.Go(s.keepTime)
	if s.s.cluster != nil {
		s.work.Go(s.followOwners)
		return
	}
	s.mu.Lock()
	s.ownLocked(map[int]string{0: ""})
	s.mu.Unlock()
}

// newTopicLocked makes a topic and puts it into the table.
func (s *subscriptions) newTopicLocked(rt router.Topic) *topic {
	t := &topic{Topic: rt, channel: s.s.keys.channel(rt), partition: s.s.keys.partition(rt)}
	t.worker = s.workers[mix(hashTopic(rt))%uint64(len(s.workers))]
	t.link = s.owners[t.partition]
	s.topics[t.channel] = t
	return t
}

// subscribe adds a reference to the topic, and returns when what is published
// from now on will be delivered.
func (s *subscriptions) subscribe(ctx context.Context, rt router.Topic, keep router.Keep) (router.Position, error) {
	timeout := time.NewTimer(s.b.options.Timeout)
	defer timeout.Stop()
	t, begun, err := s.acquire(rt, keep)
	if err != nil {
		return router.Position{}, err
	}
	var p router.Position
	if begun != nil {
		p, err = s.await(ctx, begun, timeout.C)
	}
	if err == nil && p.Epoch == "" && (begun == nil || begun.keep.Size == 0 && keep.Size > 0) {
		located := newStart(keep)
		t.worker.put(item{kind: itemLocated, topic: t, start: located})
		p, err = s.await(ctx, located, timeout.C)
	}
	if err != nil {
		s.release(t)
		return router.Position{}, err
	}
	return p, nil
}

// await waits for what a subscriber waits for.
func (s *subscriptions) await(ctx context.Context, st *start, timeout <-chan time.Time) (router.Position, error) {
	select {
	case <-st.done:
		return st.position, st.err
	case <-ctx.Done():
		return router.Position{}, ctx.Err()
	case <-timeout:
		return router.Position{}, fmt.Errorf("%w: redis has not confirmed the subscription within %s", router.ErrUnavailable, s.b.options.Timeout)
	case <-s.ctx.Done():
		return router.Position{}, router.ErrBrokerClosed
	}
}

// acquire adds a reference. The start is nil if the topic is subscribed already.
func (s *subscriptions) acquire(rt router.Topic, keep router.Keep) (*topic, *start, error) {
	channel := s.s.keys.channel(rt)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, nil, router.ErrBrokerClosed
	}
	t := s.topics[channel]
	first := t == nil || t.refs.Load() == 0
	if !first && (t.starting != nil || !t.fresh) {
		t.refs.Add(1)
		return t, t.starting, nil
	}
	link := s.owners[s.s.keys.partition(rt)]
	if err := s.awayLocked(link); err != nil {
		if !first || t == nil || !t.positioned.Load() {
			return nil, nil, err
		}
		t.fresh = false // on return it is caught up from where it was
		t.refs.Add(1)
		return t, nil, nil
	}
	if t == nil {
		t = s.newTopicLocked(rt)
	}
	// A topic that nobody has unsubscribed from yet is subscribed to again: the
	// confirmation parts what was published before from what comes after.
	t.fresh, t.starting = true, newStart(keep)
	t.refs.Add(1)
	s.enqueueLocked(t)
	return t, t.starting, nil
}

// awayLocked is why a topic cannot be subscribed to now.
func (s *subscriptions) awayLocked(l *subscriber) error {
	if l == nil {
		return s.reason
	}
	if l.conn == nil && l.away {
		return fmt.Errorf("%w: the subscription connection is down: %w", router.ErrUnavailable, l.err)
	}
	return nil
}

// enqueueLocked has the topic subscribed to by its link's connection, or by the
// next one if there is none.
func (s *subscriptions) enqueueLocked(t *topic) {
	if t.link == nil || t.link.conn == nil || t.state == topicQueued {
		return
	}
	t.state = topicQueued
	t.link.queue = append(t.link.queue, t)
	notify(t.link.wake)
}

// notify leaves a token, if none is there.
func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// unsubscribe takes a reference away.
func (s *subscriptions) unsubscribe(rt router.Topic) {
	channel := s.s.keys.channel(rt)
	s.mu.RLock()
	t := s.topics[channel]
	s.mu.RUnlock()
	if t != nil {
		s.release(t)
	}
}

// release takes a reference away. With the last one deliveries end, and after a
// while the subscription.
func (s *subscriptions) release(t *topic) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.refs.Load() == 0 || t.refs.Add(-1) > 0 {
		return
	}
	t.starting = nil
	t.idleSince = time.Now()
	s.addLocked(&s.idle, t, t.idleSince)
}

// finish tells those who wait how it went. It is done once; later outcomes are ignored.
func (s *subscriptions) finish(t *topic, st *start, p router.Position, err error) {
	if st == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finishLocked(t, st, p, err)
}

func (s *subscriptions) finishLocked(t *topic, st *start, p router.Position, err error) {
	if st.finished {
		return
	}
	st.finished, st.position, st.err = true, p, err
	if t.starting == st {
		t.starting = nil
	}
	close(st.done)
}

// received takes a message from a connection. It does not block, unless the reader
// may deliver it himself, which relay not being nil says: then it reports false if
// another reader has taken over meanwhile.
func (s *subscriptions) received(r reply, relay *relay) bool {
	s.mu.RLock()
	t := s.topics[string(r.channel)]
	fresh := t != nil && t.fresh
	s.mu.RUnlock()
	if t == nil {
		if _, ok := s.s.keys.topic(string(r.channel)); !ok {
			s.b.count(malformedChannel)
		}
		return true // or nobody subscribes to it any more
	}
	if fresh || t.refs.Load() == 0 {
		return true
	}
	if r.payload != nil {
		i := item{kind: itemMessage, topic: t, payload: r.payload}
		if relay != nil {
			if handled, reads := t.worker.handleNow(i, relay); handled {
				return reads
			}
		}
		if t.worker.put(i) {
			return true
		}
	}
	s.b.count(workerOverflow)
	marks := missedSome
	if r.first == '-' {
		marks |= missedUnkept
	}
	if t.missed.Or(marks) == 0 {
		t.worker.put(item{kind: itemOverflowed, topic: t})
	}
	return true
}

// health is nil while everything is subscribed and the last probes came back.
func (s *subscriptions) health() error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, l := range s.owners {
		if l == nil {
			return s.reason
		}
	}
	for _, l := range s.links {
		if err := l.healthLocked(); err != nil {
			return err
		}
	}
	return nil
}

// close ends all goroutines; after it the sink is not called any more.
func (s *subscriptions) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.work.Wait()
	s.fetches.close()
	for _, w := range s.workers {
		w.close()
	}
}
