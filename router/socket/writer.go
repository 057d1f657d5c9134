package socket

import (
	"sync"
	"sync/atomic"
)

// batchSize is how many bytes of a socket are written at once. A larger frame
// is written alone.
const batchSize = 64 << 10

// scratchSize has room for a batch and a close frame.
const scratchSize = batchSize + maxHeader + maxControl

// counts of a writer and its sockets.
type counts struct {
	bytes, writes, frames       atomic.Uint64
	handovers, timeouts, silent atomic.Uint64
	library, discarded, pings   atomic.Uint64
}

// writer writes what its sockets have queued, and waits for none of them.
type writer struct {
	counts counts

	// Guarded by mu.
	mu      sync.Mutex
	wake    sync.Cond
	ready   []*Socket // have something to write
	stopped bool

	// Owned by run.
	batch   []flight
	scratch []byte
	out     []byte // argument and results of once
	n       int
	full    bool
	err     error
	once    func(fd uintptr) bool
}

func newWriter() *writer {
	w := &writer{scratch: make([]byte, 0, scratchSize)}
	w.wake.L = &w.mu
	w.once = func(fd uintptr) bool {
		w.n, w.full, w.err = writeOnce(fd, w.out)
		return true // whatever it took: wait for nobody
	}
	return w
}

// add is called with the right to write of s, which it takes.
func (w *writer) add(s *Socket) {
	w.mu.Lock()
	w.ready = append(w.ready, s)
	first := len(w.ready) == 1
	w.mu.Unlock()
	if first {
		w.wake.Signal()
	}
}

func (w *writer) stop() {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	w.wake.Signal()
}

func (w *writer) run() {
	var sockets []*Socket
	for {
		w.mu.Lock()
		for len(w.ready) == 0 && !w.stopped {
			w.wake.Wait()
		}
		if len(w.ready) == 0 {
			w.mu.Unlock()
			return
		}
		sockets, w.ready = w.ready, sockets[:0]
		w.mu.Unlock()
		for i, s := range sockets {
			sockets[i] = nil
			w.write(s)
		}
	}
}

// write writes one batch of s, and passes the right to write on: to its own
// list if there is more, to a goroutine if the socket is full.
func (w *writer) write(s *Socket) {
	if s.raw == nil {
		go s.drain()
		return
	}
	s.mu.Lock()
	w.batch = s.takeLocked(w.batch[:0], batchSize)
	offset := s.written
	s.mu.Unlock()

	w.n, w.full, w.err = 0, false, nil
	if len(w.batch) > 0 {
		w.out = gather(w.batch, offset, w.scratch)
		if err := s.raw.Write(w.once); err != nil {
			w.err = err
		}
		w.out = nil
		w.counts.writes.Add(1)
	}

	s.mu.Lock()
	s.settleLocked(w.batch, w.n)
	more := s.pendingLocked()
	if w.err == nil {
		s.blocked = w.full
		if !more {
			s.restLocked()
		}
	}
	s.mu.Unlock()
	clear(w.batch)
	switch {
	case w.err != nil:
		s.fail()
	case w.full:
		w.counts.handovers.Add(1)
		go s.drain()
	case more:
		w.add(s)
	}
}

// gather gives the bytes of what was taken, of which the first frame is
// already written up to offset: in buf, or a single frame as it is.
func gather(taken []flight, offset int, buf []byte) []byte {
	if taken[0].kind != kindPartial {
		offset = 0
	}
	first := taken[0].frame.wire[offset:]
	if len(taken) == 1 {
		return first
	}
	buf = append(buf[:0], first...)
	for _, fl := range taken[1:] {
		buf = append(buf, fl.frame.wire...)
	}
	return buf
}
