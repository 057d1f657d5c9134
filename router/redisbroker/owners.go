package redisbroker

import (
	"fmt"
	"time"

	"sluice/router"
)

// ownersPause is between two questions for the owners of a Cluster's slots, at least.
const ownersPause = 100 * time.Millisecond

// followOwners keeps each partition's topics at the master that has its slot.
func (s *subscriptions) followOwners() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for attempt := 0; ; {
		select {
		case <-s.ctx.Done():
			return
		case <-timer.C:
		case <-s.stale:
		}
		wait := s.b.options.ProbeInterval
		if owners, err := s.askOwners(); err != nil {
			s.mu.Lock()
			s.reason = fmt.Errorf("%w: the cluster does not say which master has which slot: %w", router.ErrUnavailable, err)
			s.mu.Unlock()
			wait = backoff(attempt, s.b.options.MaxReconnect)
			attempt++
		} else {
			attempt = 0
			s.mu.Lock()
			s.ownLocked(owners)
			s.mu.Unlock()
		}
		if !sleep(s.ctx, min(wait, ownersPause)) {
			return
		}
		timer.Reset(wait)
	}
}

// askOwners is the address of the master of each partition.
func (s *subscriptions) askOwners() (map[int]string, error) {
	if err := s.s.reload(s.ctx); err != nil {
		return nil, err
	}
	owners := make(map[int]string)
	for p := range s.s.keys.tags {
		c, err := s.s.masterOf(s.ctx, s.s.keys.in(p))
		if err != nil {
			return nil, err
		}
		owners[p] = c.Options().Addr
	}
	return owners, nil
}

// ownLocked moves the partitions to their owners. Topics that move are
// subscribed to at the new one.
func (s *subscriptions) ownLocked(owners map[int]string) {
	if s.closed {
		return
	}
	moved := make(map[int]bool)
	used := make(map[string]bool)
	for p, address := range owners {
		used[address] = true
		l := s.links[address]
		if l == nil {
			l = newSubscriber(s, address)
			s.links[address] = l
			s.work.Go(l.run)
		}
		if s.owners[p] != l {
			s.owners[p] = l
			moved[p] = true
		}
	}
	if len(moved) == 0 {
		return
	}
	for _, t := range s.topics {
		if !moved[t.partition] {
			continue
		}
		t.link, t.state, t.leavings = s.owners[t.partition], topicOff, 0
		if t.refs.Load() > 0 {
			s.enqueueLocked(t)
		}
	}
	for address, l := range s.links {
		if !used[address] {
			delete(s.links, address)
			l.cancel()
		}
	}
}

// probePartition is one of the partitions of a link; -1: it has none.
func (s *subscriptions) probePartition(l *subscriber) int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for p, owner := range s.owners {
		if owner == l {
			return p
		}
	}
	return -1
}
