package socket

// Policy says what Send does with a frame that does not fit into the queue. A
// frame fits if it and all that is queued are within Options.Queue; into an
// empty queue any frame fits.
type Policy uint8

const (
	// Disconnect queues nothing and reports Overflow; the caller should close.
	Disconnect Policy = iota
	// DropOldest drops the oldest queued frames of the same Tag, as many as
	// make room.
	DropOldest
	// KeepLatest drops all queued frames of the same Tag.
	KeepLatest
)

// Outcome of a Send.
type Outcome uint8

const (
	Queued   Outcome = iota // the frame, or written
	Overflow                // nothing was queued: the queue is full, the caller should close
	Closed                  // nothing was queued: the socket is closing
	Dropped                 // a gap in the frame's place, if it has one: no other frame could make room
)

// Item is a frame with what should happen to it in a full queue.
//
// Only frames with the same Tag make room for each other, and frames without
// one are never dropped: if they do not fit, the outcome is Overflow. Frames
// that are being written are not dropped either, but count as queued. If
// dropping every frame of the tag would not make enough room, none of them is
// dropped but the new one.
//
// The place of the first frame dropped is taken by what Gap returns. At most
// one such frame is queued for a tag: while it waits, later drops renew it
// with what Gap then returns; once it is being written, they queue another. A
// gap that stands for a frame which was never queued may exceed the limit. It
// is not counted as dropped and never dropped itself.
type Item struct {
	Frame  *Frame
	Policy Policy
	Tag    any           // frames of one room share a tag (a pointer, or else comparable); nil: never dropped
	Gap    func() *Frame // called without a lock held, only if something is dropped; nil: drops leave nothing
}

// Send queues a frame without ever blocking. dropped counts the frames lost by
// it: those it pushed out, or itself.
func (s *Socket) Send(it Item) (o Outcome, dropped int) {
	s.mu.Lock()
	switch {
	case s.closing.Load():
		o = Closed
	case s.fitsLocked(&it):
		s.pushLocked(&it)
	case it.Policy == Disconnect || it.Tag == nil:
		s.overflown = true
		o = Overflow
	default:
		s.mu.Unlock()
		return s.sendOver(it)
	}
	s.mu.Unlock()
	return o, 0
}

// sendOver is Send for a frame that did not fit and may be dropped.
func (s *Socket) sendOver(it Item) (Outcome, int) {
	var gap *Frame
	if it.Gap != nil {
		gap = it.Gap()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return Closed, 0
	}
	if s.fitsLocked(&it) { // meanwhile
		s.pushLocked(&it)
		return Queued, 0
	}
	partial := s.queuedLocked() - s.queue.bytes
	dropped, queued := s.queue.overflow(&it, gap, s.queueLimit-partial)
	s.scheduleLocked()
	if !queued {
		return Dropped, dropped
	}
	return Queued, dropped
}

func (s *Socket) fitsLocked(it *Item) bool {
	n := s.queuedLocked()
	return n == 0 || n+len(it.Frame.wire) <= s.queueLimit
}

func (s *Socket) pushLocked(it *Item) {
	s.queue.push(entry{frame: it.Frame, tag: it.Tag})
	s.scheduleLocked()
}

// scheduleLocked sees to it that what is queued will be written.
func (s *Socket) scheduleLocked() {
	if !s.busy && !s.failed {
		s.busy = true
		s.writer.add(job{socket: s})
	}
}

// setPong queues the answer to a ping, instead of one that still waits.
func (s *Socket) setPong(f *Frame) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closing.Load() {
		s.pong = f
		s.scheduleLocked()
	}
}

// flight is a frame that is being written.
type flight struct {
	frame *Frame
	kind  kind
}

type kind uint8

const (
	kindPartial kind = iota // Socket.partial
	kindData                // in the queue until it is written
	kindPing
	kindPong
	kindGoodbye
)

// takeLocked appends what is to be written next to dst, which is empty: whole
// frames of at most budget bytes, or one. settleLocked must follow.
func (s *Socket) takeLocked(dst []flight, budget int) []flight {
	if s.partial != nil {
		budget -= len(s.wireOf(s.partial)) - s.written
		dst = append(dst, flight{s.partial, kindPartial})
	}
	if s.byeTaken || budget < 0 {
		return dst
	}
	if s.pong != nil {
		budget -= len(s.pong.wire)
		dst = append(dst, flight{s.pong, kindPong})
		s.pong = nil
	}
	if s.ping != nil {
		budget -= len(s.ping.wire)
		dst = append(dst, flight{s.ping, kindPing})
		s.ping = nil
	}
	dst, all := s.queue.take(dst, budget)
	if all && s.goodbye != nil {
		dst = append(dst, flight{s.goodbye, kindGoodbye})
		s.byeTaken = true
	}
	return dst
}

// settleLocked notes that the first n bytes of what was taken are written.
func (s *Socket) settleLocked(taken []flight, n int) {
	s.writer.counts.bytes.Add(uint64(n))
	frames := 0
	for _, fl := range taken {
		start := 0
		if fl.kind == kindPartial {
			start = s.written
		}
		rest := len(s.wireOf(fl.frame)) - start
		switch {
		case n >= rest:
			n -= rest
			if !fl.frame.isResponse() {
				frames++
			}
			s.doneLocked(fl)
		case n > 0:
			if fl.kind == kindData {
				s.queue.pop()
			}
			s.partial, s.written = fl.frame, start+n
			n = 0
		default:
			s.untakeLocked(fl)
		}
	}
	s.queue.settle()
	if s.queue.live == 0 {
		s.overflown = false
	}
	s.writer.counts.frames.Add(uint64(frames))
}

func (s *Socket) doneLocked(fl flight) {
	switch fl.kind {
	case kindPartial:
		s.partial, s.written = nil, 0
	case kindData:
		s.queue.pop()
	}
	if fl.frame == s.goodbye {
		s.byeDone = true
	}
}

func (s *Socket) untakeLocked(fl flight) {
	switch fl.kind {
	case kindPong:
		if s.pong == nil {
			s.pong = fl.frame
		}
	case kindPing:
		if s.ping == nil && s.goodbye == nil {
			s.ping = fl.frame
		}
	case kindGoodbye:
		s.byeTaken = false
	}
}

// pendingLocked says whether anything is to be written.
func (s *Socket) pendingLocked() bool {
	if s.partial != nil {
		return true
	}
	if s.byeTaken {
		return false
	}
	return s.queue.live > 0 || s.ping != nil || s.pong != nil || s.goodbye != nil
}

// restLocked gives up the right to write.
func (s *Socket) restLocked() {
	s.busy, s.blocked = false, false
	if s.idle != nil {
		close(s.idle)
		s.idle = nil
	}
}

// fail ends writing for good: after an error nobody knows where in a frame the
// stream is. The reader learns of it by its deadline.
func (s *Socket) fail() {
	s.mu.Lock()
	s.failed = true
	s.closing.Store(true)
	if p := s.partial; p != nil && p.wire[0] == finBit|opText && p != s.pingFrame {
		s.writer.counts.discarded.Add(1)
	}
	s.partial, s.ping, s.pong = nil, nil, nil
	s.discardLocked()
	s.restLocked()
	s.mu.Unlock()
	_ = s.nc.SetReadDeadline(past)
}
