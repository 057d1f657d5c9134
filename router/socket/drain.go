package socket

import (
	"errors"
	"os"
	"sync"
	"time"
)

// plainBatch is how many bytes are written at once to a connection that is not
// a plain socket, where a write holds its buffer until it is through.
const plainBatch = 16 << 10

var scratchPool = sync.Pool{New: func() any {
	b := make([]byte, 0, scratchSize)
	return &b
}}

// drain has the right to write until nothing is queued or the connection has
// failed. It waits for the socket, each time at most writeTimeout.
func (s *Socket) drain() {
	step := s.drainPlain
	if s.raw != nil {
		step = s.drainRaw()
	}
	for {
		_ = s.nc.SetWriteDeadline(time.Now().Add(s.writeTimeout))
		if err := step(); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				s.writer.counts.timeouts.Add(1)
			}
			s.fail()
			return
		}
		if s.drained() {
			return
		}
	}
}

// drained gives up the right to write if nothing is queued. The deadline must
// be gone before: the writer would run into it.
func (s *Socket) drained() bool {
	s.mu.Lock()
	more := s.pendingLocked()
	s.mu.Unlock()
	if more {
		return false
	}
	_ = s.nc.SetWriteDeadline(time.Time{})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pendingLocked() {
		return false
	}
	s.restLocked()
	return true
}

// drainRaw gives a step that writes one batch once the socket takes anything.
// While it waits, it holds no buffer and no frame but one partly written: what
// is queued may still be dropped.
func (s *Socket) drainRaw() func() error {
	var taken []flight
	var failure error
	write := func(fd uintptr) bool {
		s.mu.Lock()
		taken = s.takeLocked(taken[:0], batchSize)
		offset := s.written
		s.mu.Unlock()
		if len(taken) == 0 {
			return true
		}
		scratch := scratchPool.Get().(*[]byte)
		n, _, err := writeOnce(fd, s.gather(taken, offset, *scratch))
		scratchPool.Put(scratch)
		s.writer.counts.writes.Add(1)
		s.mu.Lock()
		s.settleLocked(taken, n)
		s.mu.Unlock()
		clear(taken)
		failure = err
		return n > 0 || err != nil
	}
	return func() error {
		if err := s.raw.Write(write); err != nil {
			return err
		}
		return failure
	}
}

// drainPlain writes one batch of whole frames.
func (s *Socket) drainPlain() error {
	s.mu.Lock()
	taken := s.takeLocked(nil, plainBatch)
	if len(taken) > 0 {
		s.writing = s.engine.wheel.elapsed()
	}
	s.mu.Unlock()
	if len(taken) == 0 {
		return nil
	}
	scratch := scratchPool.Get().(*[]byte)
	n, err := s.nc.Write(s.gather(taken, 0, *scratch))
	scratchPool.Put(scratch)
	s.writer.counts.writes.Add(1)
	s.mu.Lock()
	s.writing = 0
	s.settleLocked(taken, n)
	s.mu.Unlock()
	return err
}
