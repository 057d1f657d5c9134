package redisbroker

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// presenceFlights is how many rooms of a shard are written at the same time, at
// most. They leave together, in the batcher's pipelines.
const presenceFlights = 256

// outbox holds the rooms of one shard, or one partition of a Cluster, whose
// presence is to be written. Goroutines for it live while there are such.
type outbox struct {
	// Static after construction.
	p    *presence
	s    *shard
	most int // goroutines

	away atomic.Bool // writes fail: nobody waits for them; written under mu

	mu sync.Mutex
	// Guarded by mu.
	queue   []*occupied // oldest first
	workers int
	backoff time.Duration // before the last attempt, while away
	timer   *time.Timer   // starts the next one; nil: none is due
	closing bool
}

// push adds a room that is not in the queue.
func (o *outbox) push(r *occupied) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closing && o.away.Load() {
		return // it expires
	}
	o.queue = append(o.queue, r)
	o.hireLocked()
}

// hireLocked starts a worker if that helps.
func (o *outbox) hireLocked() {
	if !o.away.Load() && o.workers < min(o.most, len(o.queue)) {
		o.workers++
		o.p.work.Go(func() { o.work(false) })
	}
}

// work writes rooms until there are none, or a write fails. A scout writes one
// to find out whether Redis is back.
func (o *outbox) work(scout bool) {
	for {
		r := o.take(scout)
		if r == nil {
			return
		}
		later, err := o.p.fly(r)
		if err != nil {
			o.failed(r, err)
			return
		}
		if scout {
			scout = false
			o.back()
		}
		r.part.mu.Lock()
		more := r.settleLocked(later)
		r.part.mu.Unlock()
		if more {
			o.push(r)
			if o.away.Load() {
				r.release()
			}
		}
	}
}

// take returns the next room, or nil: then the worker has ended.
func (o *outbox) take(scout bool) *occupied {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 || o.away.Load() && !scout {
		o.workers--
		return nil
	}
	r := o.queue[0]
	o.queue[0] = nil
	if o.queue = o.queue[1:]; len(o.queue) == 0 {
		o.queue = nil
	}
	return r
}

// failed puts a room back and ends the worker. Nobody waits from now on until a
// scout succeeds.
func (o *outbox) failed(r *occupied, err error) {
	o.p.b.count(presenceFailed)
	o.mu.Lock()
	o.workers--
	o.queue = append(o.queue, r)
	news := !o.away.Swap(true)
	stranded := o.queue
	if o.closing {
		o.queue = nil
	} else {
		stranded = append([]*occupied(nil), stranded...)
		o.scoutLocked()
	}
	o.mu.Unlock()
	if !news {
		stranded = []*occupied{r}
	}
	for _, r := range stranded {
		r.release()
	}
	if news && o.p.ctx.Err() == nil {
		o.p.b.log.Warn("presence cannot be written now; this node answers from what it knows, and writes it later", "redis", o.s.name, "error", err)
	}
}

// scoutLocked sets the time of the next attempt: up to twice as far as the last.
func (o *outbox) scoutLocked() {
	if o.timer != nil {
		return
	}
	o.backoff = min(max(2*o.backoff, 50*time.Millisecond), o.p.b.options.MaxReconnect)
	wait := o.backoff/2 + rand.N(o.backoff/2+1)
	o.timer = time.AfterFunc(wait, func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.timer = nil
		if !o.closing {
			o.workers++
			o.p.work.Go(func() { o.work(true) })
		}
	})
}

// back ends the time away. Redis may have lost what it had, so that all rooms are
// refreshed.
func (o *outbox) back() {
	o.mu.Lock()
	o.backoff = 0
	news := o.away.Swap(false)
	for range min(o.most, len(o.queue)) {
		o.hireLocked()
	}
	closing := o.closing
	o.mu.Unlock()
	if !news || closing {
		return
	}
	o.p.b.log.Info("presence is written again", "redis", o.s.name)
	o.p.refresh(func(box *outbox) bool { return box == o })
}

// close ends all waiting for Redis.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closing = true
	if o.timer != nil {
		o.timer.Stop()
		o.timer = nil
	}
	if o.away.Load() {
		o.queue = nil
	}
}
