package plugins

import (
	"sync"
	"time"

	"sluice/router"
)

const (
	// maxSpares and maxSparePages bound the instances that a dear filter keeps
	// beside those of its lanes: as many as it has lanes, while they are few and
	// small; one in any case.
	maxSpares     = 4
	maxSparePages = 1024 // 64 MiB

	// spareWait is how long an event that finds no instance waits for the one
	// that is being made.
	spareWait = 25 * time.Millisecond

	// Spares are made in one of shareOf parts of a processor's time, looked at
	// over shareSpan: events that use up one instance after the other cost no more.
	shareOf   = 4
	shareSpan = 2 * time.Second
)

// spares are the instances that a dear filter's lanes take when they have
// discarded theirs. The ones that were taken are made anew in the background.
//
// It is not counted against a filter that its instances do not live long: who
// sends the events decides that, and others would wait for the next instance
// too. What it costs is bounded by the share. Only failures to make one are
// answered by waiting longer and longer.
type spares struct {
	// Static after construction.
	pool *pool
	want int // 0: the filter is cheap

	// Guarded by mu.
	mu      sync.Mutex
	ready   []*instance
	arrived chan struct{} // closed when the next one is ready, or none will be
	filling bool          // a goroutine makes some
	nextAt  int64         // nanotime before which it does not start with the next
	share   share
	backoff time.Duration // since creations fail; 0: the last one did not
	closed  bool
}

// share bounds the part of the time that creations take. A creation may go over
// it; the next one then waits.
type share struct {
	spent time.Duration // and not yet regained
	at    int64         // nanotime of the last look
}

// wait is how long it is until the next creation may start.
func (s *share) wait(now int64) time.Duration {
	s.spent = max(0, s.spent-time.Duration(now-s.at)/shareOf)
	s.at = now
	return max(0, s.spent-shareSpan/shareOf) * shareOf
}

func (s *share) charge(cost time.Duration) { s.spent += cost }

// fillFirst makes the first spares of a pool whose lanes have theirs.
func (s *spares) fillFirst(p *pool, pages uint32) {
	s.pool, s.arrived = p, make(chan struct{})
	if p.cheap {
		return
	}
	s.want = max(1, min(len(p.slots), maxSpares, maxSparePages/max(1, int(pages))))
	for range s.want {
		if in, _ := p.create(StartTime); in != nil {
			s.ready = append(s.ready, in)
		}
	}
}

// take returns a spare, or nil, and has the missing ones made.
func (s *spares) take() *instance {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	var in *instance
	if last := len(s.ready) - 1; last >= 0 {
		in, s.ready[last] = s.ready[last], nil
		s.ready = s.ready[:last]
	}
	if !s.filling && s.pool.host.begin() {
		s.filling = true
		s.scheduleLocked()
		go s.fill()
	}
	return in
}

// coming returns what will be closed when a spare is there. It is nil if that
// cannot be before the given nanotime.
func (s *spares) coming(until int64) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || !s.filling || s.nextAt > until {
		return nil
	}
	return s.arrived
}

// fill makes spares until there are enough.
func (s *spares) fill() {
	defer s.pool.host.end()
	for {
		wait, more := s.next()
		if !more {
			return
		}
		if wait > 0 {
			select {
			case <-s.pool.done:
				return
			case <-time.After(wait):
			}
		}
		begin := nanotime()
		in, f := s.pool.create(StartTime)
		s.put(in, time.Duration(nanotime()-begin))
		if f != nil {
			s.pool.host.reports.failure(s.pool, router.HookConfigure, f)
		}
	}
}

// next reports whether another spare is missing, and when to make it.
func (s *spares) next() (wait time.Duration, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.ready) >= s.want {
		s.filling = false
		return 0, false
	}
	return s.scheduleLocked(), true
}

func (s *spares) scheduleLocked() time.Duration {
	now := nanotime()
	wait := max(s.backoff, s.share.wait(now))
	s.nextAt = now + int64(wait)
	return wait
}

// put adds an instance that took so long to make; nil: it could not be made.
func (s *spares) put(in *instance, cost time.Duration) {
	s.mu.Lock()
	s.share.charge(cost)
	kept := in != nil && !s.closed
	switch {
	case in == nil:
		s.backoff = min(max(2*s.backoff, backoffMin), backoffMax)
	case kept:
		s.backoff = 0
		s.ready = append(s.ready, in)
		close(s.arrived)
		s.arrived = make(chan struct{})
	}
	s.mu.Unlock()
	if in != nil && !kept {
		in.close()
	}
}

// close closes the spares. None is made or handed out any more.
func (s *spares) close() {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	ready := s.ready
	s.ready = nil
	if first {
		close(s.arrived)
	}
	s.mu.Unlock()
	for _, in := range ready {
		in.close()
	}
}
