package socket

import (
	"errors"
	"time"

	"github.com/coder/websocket"
)

// Read waits for the next text message. The slice is valid until the next Read
// or Release. After any error but ErrUTF8 the connection is at its end: Read
// returns the same error again, and Release must follow. The error after the
// peer's close frame is a websocket.CloseError of coder/websocket.
//
// What it calls while it waits makes up the stack of an idle connection.
func (s *Socket) Read() ([]byte, error) {
	if s.in != nil {
		s.in.freeLong()
	}
	for s.ended == nil {
		b, err := s.next()
		if err == nil || err == ErrUTF8 {
			return b, err
		}
		if err == errMore {
			if err = s.wait(); err == nil {
				continue
			}
		}
		s.end(err)
	}
	return nil, s.ended
}

// wait waits until more has come, and counts that for the heartbeat.
func (s *Socket) wait() error {
	if s.reads.Load() == 0 {
		s.sendResponse()
	}
	if s.in != nil && s.in.open {
		if err := s.stalls(); err != nil {
			return err
		}
	}
	s.reads.Add(1)
	err := s.receive()
	s.reads.Add(1)
	return err
}

// stalls fails if the message that is open has been for too long.
func (s *Socket) stalls() error {
	now := time.Since(s.engine.wheel.start)
	if s.in.since == 0 {
		s.in.since = now
	}
	if now-s.in.since > s.messageTime && !s.closing.Load() {
		s.engine.stalled.Add(1)
		return ErrStalled
	}
	return nil
}

// countSmall counts a frame that the caller of Read never sees and so cannot
// limit. A second that has had its share of them pauses the reader for its
// rest, and the peer pauses with it.
func (s *Socket) countSmall() {
	if s.small >= smallPerSecond {
		s.small = 0
		if pause := s.smallSince + time.Second - time.Since(s.engine.wheel.start); pause > 0 && !s.closing.Load() {
			s.engine.floods.Add(1)
			time.Sleep(pause)
		}
	}
	if s.small == 0 {
		s.smallSince = time.Since(s.engine.wheel.start)
	}
	s.small++
}

// end notes why Read ends, and tells the peer if it is the peer's mistake.
func (s *Socket) end(err error) {
	var v *violation
	var bye websocket.CloseError
	switch {
	case s.silent.Load():
		err = ErrSilent
	case err == ErrTooBig:
		s.Close(statusTooBig, "message too big")
	case errors.As(err, &v):
		s.Close(v.code, v.reason)
	case errors.As(err, &bye):
		s.peerGone = true
		s.code.CompareAndSwap(0, int32(bye.Code))
	case err != ErrBinary && err != ErrStalled:
		s.peerGone = !isTimeout(err)
	}
	s.ended = err
	if s.in != nil {
		s.in.free()
		s.in = nil
	}
}

// isTimeout says whether a deadline of ours ended reading, and not the
// connection.
func isTimeout(err error) bool {
	var t interface{ Timeout() bool }
	return errors.As(err, &t) && t.Timeout()
}
