package socket

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// readStep is the size of the buffers that messages are read into first.
const readStep = 4 << 10

var messagePool = sync.Pool{New: func() any {
	b := make([]byte, 0, readStep)
	return &b
}}

// Read waits for the next text message. The slice is valid until the next Read
// or Release. After any error but ErrUTF8 the connection is at its end: Read
// returns the same error again, and Release must follow.
func (s *Socket) Read() ([]byte, error) {
	s.giveBack()
	for s.ended == nil {
		// The context is one that cannot end: the library would otherwise
		// arm a timer for each frame. A heartbeat or a deadline ends Read.
		typ, r, err := s.ws.Reader(context.Background())
		if err != nil {
			s.end(err)
			break
		}
		closing := s.closing.Load()
		if typ != websocket.MessageText && !closing {
			s.ended = ErrBinary
			break
		}
		b, err := s.readMessage(r)
		if err != nil {
			s.end(err)
			break
		}
		if closing || s.closing.Load() {
			s.giveBack()
			continue
		}
		if !utf8.Valid(b) {
			return nil, ErrUTF8
		}
		return b, nil
	}
	s.giveBack()
	return nil, s.ended
}

// readMessage reads into a buffer that grows with what has come, not with what
// was announced.
func (s *Socket) readMessage(r io.Reader) ([]byte, error) {
	s.message = messagePool.Get().(*[]byte)
	b := (*s.message)[:0]
	for {
		if len(b) == cap(b) {
			grown := make([]byte, len(b), min(2*cap(b), max(s.readLimit+1, len(b)+1)))
			copy(grown, b)
			b = grown
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if len(b) > s.readLimit {
			return nil, ErrTooBig
		}
		if err == io.EOF {
			return b, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// follow notes what the frames in p are, and gives how much of it the library
// may have.
func (s *Socket) follow(p []byte) int {
	n, small, tooBig := s.walk.past(p, s.readLimit)
	if small > 0 && s.small == 0 {
		s.smallSince = time.Since(s.engine.wheel.start)
	}
	s.small += small
	if s.walk.fresh {
		s.walk.fresh, s.messageSince = false, 0
	}
	if tooBig {
		s.fault = ErrTooBig
	}
	return n
}

// beforeRead is called before more is read. It fails if that must not be, and
// pauses if the peer has sent too many small frames, which the caller of Read
// never sees and so cannot limit.
func (s *Socket) beforeRead() error {
	if s.walk.open && s.fault == nil {
		now := time.Since(s.engine.wheel.start)
		if s.messageSince == 0 {
			s.messageSince = now
		}
		if now-s.messageSince > s.messageTime && !s.closing.Load() {
			s.engine.stalled.Add(1)
			s.fault = ErrStalled
		}
	} else {
		s.messageSince = 0
	}
	if s.small >= smallPerSecond {
		s.slowFlood()
	}
	return s.fault
}

// slowFlood pauses for the rest of a second that has had its small frames, and
// the peer pauses with it.
func (s *Socket) slowFlood() {
	s.small = 0
	if pause := s.smallSince + time.Second - time.Since(s.engine.wheel.start); pause > 0 && !s.closing.Load() {
		s.engine.floods.Add(1)
		time.Sleep(pause)
	}
}

func (s *Socket) giveBack() {
	if s.message != nil {
		messagePool.Put(s.message)
		s.message = nil
	}
}

// end notes why Read ends, and tells the peer if it is the peer's mistake.
func (s *Socket) end(err error) {
	switch code := websocket.CloseStatus(err); {
	case s.silent.Load():
		err = ErrSilent
	case s.fault == ErrStalled:
		err = ErrStalled
	case s.fault == ErrTooBig:
		err = ErrTooBig
		s.Close(statusTooBig, "message too big")
	case code != -1: // the peer's close frame; the library has answered
		s.code.CompareAndSwap(0, int32(code))
	case err == ErrTooBig:
		s.Close(statusTooBig, "message too big")
	case s.ncErr == nil && !s.closing.Load():
		s.Close(statusProtocol, "protocol error")
	}
	s.ended = err
}

// Release ends the socket after Read has returned an error: it waits until
// what is queued has been written, at most WriteTimeout if there is a close
// frame, a second if the peer has just gone, and no longer than until
// Engine.Abort, closes the connection and gives everything back.
func (s *Socket) Release() {
	s.giveBack()
	gone := s.silent.Load()
	wait := s.writeTimeout
	s.mu.Lock()
	if s.released {
		s.mu.Unlock()
		return
	}
	s.released = true
	s.closing.Store(true)
	if s.goodbye == nil {
		wait = min(wait, goneGrace)
	}
	s.mu.Unlock()
	s.engine.wheel.remove(&s.heartbeat.entry)

	if gone || !s.flush(wait) {
		abort(s.nc)
		s.flush(0)
	} else if s.waitsForPeer() {
		buf := messagePool.Get().(*[]byte)
		linger(s.nc, (*buf)[:cap(*buf)])
		messagePool.Put(buf)
	}
	_ = s.nc.Close()
	_ = s.ws.CloseNow()
	s.engine.sockets.Add(-1)
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
	return s.byeDone && websocket.CloseStatus(s.ended) == -1 && !isEnd(s.ncErr)
}

// isEnd says whether the connection itself has ended, which a deadline is not.
func isEnd(err error) bool {
	var t interface{ Timeout() bool }
	return err != nil && !(errors.As(err, &t) && t.Timeout())
}
