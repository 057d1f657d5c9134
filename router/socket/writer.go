package socket

import (
	"sync"
	"sync/atomic"
	"syscall"
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
	discarded, pings            atomic.Uint64
}

// Task is work for a writer's goroutine, between its sockets: what is written
// to many of them. It must wait for nothing.
type Task interface{ Do() }

// job is a socket that has something to write, or a task.
type job struct {
	socket *Socket
	task   Task
}

// writer writes what its sockets have queued, and waits for none of them.
type writer struct {
	index  int // in Engine.writers
	counts counts
	awake  atomic.Bool // it writes, or is about to; written under mu

	// Guarded by mu.
	mu      sync.Mutex
	wake    sync.Cond
	ready   []job
	stopped bool
	ended   bool // run has returned

	// Owned by run.
	batch   []flight
	scratch []byte
	pen     pen
}

func newWriter(index int) *writer {
	w := &writer{index: index, scratch: make([]byte, 0, scratchSize)}
	w.wake.L = &w.mu
	w.pen.init()
	return w
}

// add puts a job on the list, with the right to write of its socket; false if
// the writer has ended.
func (w *writer) add(j job) bool {
	w.mu.Lock()
	if w.ended {
		w.mu.Unlock()
		return false
	}
	w.ready = append(w.ready, j)
	first := len(w.ready) == 1
	if first {
		w.awake.Store(true)
	}
	w.mu.Unlock()
	if first {
		w.wake.Signal()
	}
	return true
}

func (w *writer) stop() {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	w.wake.Signal()
}

func (w *writer) run() {
	var jobs []job
	for {
		jobs = w.next(jobs)
		if jobs == nil {
			return
		}
		for i, j := range jobs {
			jobs[i] = job{}
			if j.task != nil {
				j.task.Do()
			} else {
				w.write(j.socket)
			}
		}
	}
}

// next waits for jobs, and leaves the writer the slice of those that are done;
// nil: the writer has ended.
func (w *writer) next(done []job) []job {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.ready) == 0 {
		w.awake.Store(false)
		if w.stopped {
			w.ended = true
			return nil
		}
		w.wake.Wait()
	}
	jobs := w.ready
	w.ready = done[:0]
	return jobs
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

	n, full, err := 0, false, error(nil)
	if len(w.batch) > 0 {
		n, full, err = w.pen.write(s.raw, s.gather(w.batch, offset, w.scratch))
		w.counts.writes.Add(1)
	}

	s.mu.Lock()
	s.settleLocked(w.batch, n)
	more := s.pendingLocked()
	if err == nil {
		s.blocked = full
		if !more {
			s.restLocked()
		}
	}
	s.mu.Unlock()
	clear(w.batch)
	switch {
	case err != nil:
		s.fail()
	case full:
		w.counts.handovers.Add(1)
		go s.drain()
	case more:
		w.add(job{socket: s})
	}
}

// gather gives the bytes of what was taken, of which the first frame is
// already written up to offset: in buf, or a single frame as it is.
func (s *Socket) gather(taken []flight, offset int, buf []byte) []byte {
	if taken[0].kind != kindPartial {
		offset = 0
	}
	first := s.wireOf(taken[0].frame)[offset:]
	if len(taken) == 1 {
		return first
	}
	buf = append(buf[:0], first...)
	for _, fl := range taken[1:] {
		buf = append(buf, s.wireOf(fl.frame)...)
	}
	return buf
}

// pen makes system calls that write and do not wait. It has one user at a time.
type pen struct {
	out  []byte // argument and results of once
	n    int
	full bool
	err  error
	once func(fd uintptr) bool // made once, for it is on the heap
}

func (p *pen) init() {
	p.once = func(fd uintptr) bool {
		p.n, p.full, p.err = writeOnce(fd, p.out)
		return true // whatever it took: wait for nobody
	}
}

// write gives how many bytes the socket took, and whether it is full now.
func (p *pen) write(raw syscall.RawConn, b []byte) (n int, full bool, err error) {
	p.out, p.n, p.full, p.err = b, 0, false, nil
	if err := raw.Write(p.once); err != nil {
		p.err = err
	}
	p.out = nil
	return p.n, p.full, p.err
}
