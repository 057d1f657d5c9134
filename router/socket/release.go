package socket

import "time"

// Release ends the socket after Read has returned an error: it waits until
// what is queued has been written, at most WriteTimeout if there is a close
// frame, a second if the peer has just gone, and no longer than until
// Engine.Abort, closes the connection and gives everything back.
func (s *Socket) Release() {
	if s.in != nil {
		s.in.free()
		s.in = nil
	}
	gone := s.silent.Load()
	wait := s.writeTimeout
	s.mu.Lock()
	if s.released {
		s.mu.Unlock()
		return
	}
	s.released = true
	s.closing.Store(true)
	switch {
	case s.goodbye == nil:
		wait = min(wait, goneGrace)
	case s.stuckLocked():
		s.discardLocked() // Close came too early to see it
	}
	s.mu.Unlock()
	s.engine.wheel.remove(&s.heartbeat.entry)
	s.sendResponse()

	if gone || !s.flush(wait) {
		abort(s.nc)
		s.flush(0)
	} else if s.waitsForPeer() {
		in := inputs.Get().(*input)
		linger(s.nc, in.buf)
		inputs.Put(in)
	}
	_ = s.nc.Close()
	s.engine.sockets.Add(-1)
}

// sendResponse has the handshake's response written, if nothing has been sent
// that it could have left with.
func (s *Socket) sendResponse() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.partial != nil {
		s.scheduleLocked()
	}
}

// flush waits until nobody writes any more, and says whether all was written.
// With d == 0 it waits for as long as it takes, on a connection that is closed.
func (s *Socket) flush(d time.Duration) bool {
	s.mu.Lock()
	if !s.busy {
		ok := !s.failed
		s.mu.Unlock()
		return ok
	}
	idle := make(chan struct{})
	s.idle = idle
	s.mu.Unlock()
	var timeout <-chan time.Time
	var aborted <-chan struct{}
	if d > 0 {
		t := time.NewTimer(d)
		defer t.Stop()
		timeout, aborted = t.C, s.engine.aborted
	}
	select {
	case <-idle:
	case <-aborted:
		return false
	case <-timeout:
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.failed
}

// waitsForPeer says whether our close frame was written and the peer has yet
// to end.
func (s *Socket) waitsForPeer() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byeDone && !s.peerGone
}
