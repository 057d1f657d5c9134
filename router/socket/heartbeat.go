package socket

import "math/rand/v2"

// heartbeat pings one socket and ends it if nothing comes back, whatever it
// would be. Timing is the wheel's: two entries for each interval.
type heartbeat struct {
	entry wheelEntry

	// Guarded by Socket.mu.
	waiting bool   // for a sign of life
	seen    uint32 // Socket.reads when the ping was queued
}

// start puts the socket on the wheel. The first ping is at a random time
// within the interval, so that those of many connections that were made at
// once are spread.
func (h *heartbeat) start(s *Socket) {
	if s.pingInterval <= 0 {
		return
	}
	h.entry.owner = s
	s.engine.wheel.add(&h.entry, rand.N(s.pingInterval))
}

// expire is called by the wheel.
func (s *Socket) expire() {
	s.mu.Lock()
	silent := s.heartbeat.stepLocked(s)
	s.mu.Unlock()
	if silent {
		s.silent.Store(true)
		s.writer.counts.silent.Add(1)
		_ = s.nc.SetReadDeadline(past)
	}
}

func (h *heartbeat) stepLocked(s *Socket) (silent bool) {
	if s.closing.Load() {
		return false // Close and Release have their own time limits
	}
	w := s.engine.wheel
	if !h.waiting {
		s.ping = s.pingFrame
		s.scheduleLocked()
		s.writer.counts.pings.Add(1)
		h.waiting, h.seen = true, s.reads.Load()
		w.add(&h.entry, s.pongTimeout)
		return false
	}
	if s.ping != nil || s.partial != nil || s.raw == nil && s.busy {
		// The peer cannot have seen the ping. Whether it is alive is up to
		// the write's timeout; the wait begins when the ping is out.
		h.seen = s.reads.Load()
		w.add(&h.entry, s.pongTimeout)
		return false
	}
	// Unchanged and odd: the reader has waited for the peer all the time.
	// Even, and the caller has not come back for the next message.
	if now := s.reads.Load(); now == h.seen && now%2 == 1 {
		return true
	}
	h.waiting = false
	w.add(&h.entry, max(s.pingInterval-s.pongTimeout, 0))
	return false
}
