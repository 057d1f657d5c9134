package socket

import "sync"

// Run is a sequence of items that goes to many sockets, to each with one
// system call: what goes on the wire is put together once for all of them. It has
// one user at a time. The zero value is not usable: see NewRun.
type Run struct {
	items []Item
	size  int      // of the frames
	wires [][]byte // by level of compression, made when first asked for; empty: not made
	first []byte   // what a new socket gets: the response of its handshake, and the run
	pen   pen
}

var runs = sync.Pool{New: func() any {
	r := new(Run)
	r.pen.init()
	return r
}}

// NewRun is an empty run. Free gives it back.
func NewRun() *Run { return runs.Get().(*Run) }

// Free empties the run, and gives its memory back.
func (r *Run) Free() {
	r.size = 0
	clear(r.items)
	r.items = r.items[:0]
	for i := range r.wires {
		r.wires[i] = r.wires[i][:0]
	}
	if cap(r.first) > batchSize {
		r.first = nil
	}
	runs.Put(r)
}

// Add appends an item, unless the run would have more than 64 KiB with it. The
// first item is added whatever its size.
func (r *Run) Add(it Item) bool {
	n := len(it.Frame.wire)
	if len(r.items) > 0 && r.size+n > batchSize {
		return false
	}
	r.items = append(r.items, it)
	r.size += n
	return true
}

// Write writes to s what it takes at once, if nothing else is queued or being
// written there. It returns how many items need no more care: they are
// written, or the last of them in part and the socket sees to its rest. The
// others are the caller's, to Send. While a socket is written to, the run does
// not count as queued.
func (r *Run) Write(s *Socket) (items int) {
	if s.raw == nil {
		return 0
	}
	response, ok := s.beginDirect()
	if !ok {
		return 0
	}
	out := r.wireFor(s)
	if response != nil {
		r.first = append(append(r.first[:0], response.wire...), out...)
		out = r.first
	}
	n, full, err := r.pen.write(s.raw, out)
	s.writer.counts.writes.Add(1)
	if err != nil {
		s.fail()
		return 0
	}
	items = len(r.items)
	var partial *Frame
	written := 0 // of partial
	if n < len(out) {
		items, partial, written = r.split(s, response, n)
	}
	s.endDirect(n, items, partial, written, full)
	return items
}

// wireFor is what goes on the wire for the run.
func (r *Run) wireFor(s *Socket) []byte {
	if len(r.items) == 1 {
		return s.wireOf(r.items[0].Frame)
	}
	for len(r.wires) <= s.deflate {
		r.wires = append(r.wires, nil)
	}
	b := r.wires[s.deflate]
	if len(b) == 0 {
		for i := range r.items {
			b = append(b, s.wireOf(r.items[i].Frame)...)
		}
		r.wires[s.deflate] = b
	}
	return b
}

// split finds how many items are in the first n bytes behind the response, which may be
// nil, and what of all that is not there whole.
func (r *Run) split(s *Socket, response *Frame, n int) (items int, partial *Frame, written int) {
	if response != nil {
		if n < len(response.wire) {
			return 0, response, n
		}
		n -= len(response.wire)
	}
	for i := range r.items {
		f := r.items[i].Frame
		size := len(s.wireOf(f))
		switch {
		case n == 0:
			return i, nil, 0
		case n < size:
			return i + 1, f, n
		}
		n -= size
	}
	return len(r.items), nil, 0
}

// beginDirect takes the right to write, if nobody has it and nothing is queued but, of a
// new socket, the response of its handshake, which then has to be written first.
func (s *Socket) beginDirect() (response *Frame, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.busy || s.failed || s.closing.Load() {
		return nil, false
	}
	s.busy = true
	response, s.partial = s.partial, nil
	return response, true
}

// endDirect notes what was written and passes the right to write on, as
// writer.write does.
func (s *Socket) endDirect(n, frames int, partial *Frame, written int, full bool) {
	w := s.writer
	w.counts.bytes.Add(uint64(n))
	if partial != nil && !partial.isResponse() {
		frames--
	}
	w.counts.frames.Add(uint64(frames))
	s.mu.Lock()
	if partial != nil {
		s.partial, s.written = partial, written
	}
	more := s.pendingLocked()
	s.blocked = full && more
	if !more {
		s.restLocked()
	}
	s.mu.Unlock()
	switch {
	case !more:
	case full:
		w.counts.handovers.Add(1)
		go s.drain()
	default:
		w.add(job{socket: s})
	}
}

// SendNow is Send that writes the frame itself, without waiting, if nothing
// else is queued or being written, and the socket's writer is asleep: to wake
// it would cost more. While the writer is awake, what is queued for a socket
// shares its next system call.
func (s *Socket) SendNow(it Item) (o Outcome, dropped int) {
	if s.raw != nil && !s.writer.awake.Load() {
		r := NewRun()
		r.Add(it)
		written := r.Write(s)
		r.Free()
		if written == 1 {
			return Queued, 0
		}
	}
	return s.Send(it)
}
