package redisbroker

import (
	"context"
	"errors"
	"sync"
	"time"

	"sluice/router"
)

// Reads of histories for the node itself.
const (
	mostFetches     = 128         // of each kind at the same time, per shard
	catchUpMessages = 256         // in one of them
	catchUpBytes    = 128 << 10   // likewise
	fetchAttempts   = 5           // if Redis answers with an error; while it is away there is no end
	mostFetchWait   = time.Second // between attempts
)

// read is one read of a room's history, asked by the room's worker.
type read struct {
	topic   *topic
	number  uint64 // of the topic's reads
	newest  bool   // asks for the position only
	keep    router.Keep
	located *start          // who waits for the position, if the topic does not
	after   router.Position // asks for what came behind it

	position router.Position
	page     router.HistoryPage
	err      error
	handled  chan struct{} // takes one when the worker has done with it
}

// release tells the fetching goroutine that the page is no longer held.
func (r *read) release() { r.handled <- struct{}{} }

// fetches makes the reads. Those that a subscriber waits for, of positions, have
// goroutines of their own: the others go on trying while Redis is away. Each kind
// is read in the order in which it was asked for. A goroutine holds one page, until
// its worker has delivered it.
type fetches struct {
	subs *subscriptions // static after construction
	work sync.WaitGroup

	mu     sync.Mutex
	urgent reads // guarded by mu, as what follows
	others reads
	closed bool
}

// reads are what waits of one kind.
type reads struct {
	queue  []*read
	number int // of goroutines
}

func newFetches(s *subscriptions) *fetches { return &fetches{subs: s} }

func (f *fetches) kind(r *read) *reads {
	if r.newest {
		return &f.urgent
	}
	return &f.others
}

func (f *fetches) ask(r *read) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	k := f.kind(r)
	k.queue = append(k.queue, r)
	if k.number < mostFetches {
		k.number++
		f.work.Go(func() { f.run(k) })
	}
}

// close waits for the goroutines; the subscriptions' context has ended.
func (f *fetches) close() {
	f.mu.Lock()
	f.closed = true
	f.urgent.queue, f.others.queue = nil, nil
	f.mu.Unlock()
	f.work.Wait()
}

// next is the next read; nil: the goroutine ends.
func (f *fetches) next(k *reads) *read {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(k.queue) == 0 {
		k.number--
		return nil
	}
	r := k.queue[0]
	k.queue[0] = nil
	if k.queue = k.queue[1:]; len(k.queue) == 0 {
		k.queue = nil
	}
	return r
}

func (f *fetches) run(k *reads) {
	handled := make(chan struct{}, 1)
	for r := f.next(k); r != nil; r = f.next(k) {
		r.handled = handled
		f.fetch(r)
		r.topic.worker.put(item{kind: itemRead, topic: r.topic, read: r})
		select {
		case <-handled:
		case <-f.subs.ctx.Done():
			return
		}
	}
}

var errAbandoned = errors.New("nobody is there any more")

// fetch reads, and tries again while Redis is away.
func (f *fetches) fetch(r *read) {
	for attempt := 0; ; attempt++ {
		r.err = f.once(r)
		if r.err == nil || r.newest {
			return
		}
		if r.topic.refs.Load() == 0 {
			r.err = errAbandoned
			return
		}
		if !errors.Is(r.err, router.ErrUnavailable) && attempt+1 >= fetchAttempts {
			f.subs.b.log.Warn("the history of a room cannot be read; its members are told that messages may be missing",
				"redis", f.subs.s.name, "room", r.topic.Name, "error", r.err)
			return
		}
		if !sleep(f.subs.ctx, backoff(attempt, mostFetchWait)) {
			return
		}
	}
}

func (f *fetches) once(r *read) error {
	ctx, cancel := context.WithTimeout(f.subs.ctx, f.subs.b.options.Timeout)
	defer cancel()
	s := f.subs.s
	var err error
	if r.newest {
		r.position, err = s.newest(ctx, r.topic.Name, r.keep)
	} else {
		r.page, err = s.history(ctx, r.topic.Name, router.HistoryQuery{After: &r.after, Limit: catchUpMessages, MaxBytes: catchUpBytes})
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = router.ErrUnavailable
	}
	return err
}

// idle reports that no read is under way.
func (f *fetches) idle() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.urgent.number+f.others.number == 0
}
