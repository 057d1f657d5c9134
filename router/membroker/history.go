package membroker

import (
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"sluice/router"
)

const (
	// positionGrace is by how much a room's position outlives its messages: for
	// so long who comes back to a silent room is told that he missed nothing.
	positionGrace = 24 * time.Hour

	// sweepInterval is how often one shard's histories are looked through for what
	// has ended, by whoever uses a history then.
	sweepInterval = time.Second

	// What a history and a message take beside their texts, in bytes.
	historyOverhead = 256
	messageOverhead = 256
)

// history is what was said in one room.
type history struct {
	room     string // static
	epoch    string // static
	offset   uint64 // of the newest message; 0: nothing was said in this epoch
	messages []*router.Message
	bytes    int64     // all of it
	ends     time.Time // of the messages; zero: never
	used     int64     // when, in ticks of histories.clock

	older, newer *history // in the order of their use, within a shard
}

// histories are those of one shard, guarded by shard.mu.
type histories struct {
	rooms          map[string]*history
	peak           int // the most rooms this map held
	oldest, newest *history

	oldestUse atomic.Int64 // of oldest; 0: there is none. Written under shard.mu
}

// keeping is what a hub's histories share.
type keeping struct {
	most int64 // bytes of all histories; static

	bytes     atomic.Int64
	clock     atomic.Int64 // counts uses
	sweepAt   atomic.Int64 // Unix nanoseconds
	sweepNext atomic.Uint64

	// Counted.
	forgotten atomic.Uint64 // rooms, for lack of memory
	trimmed   atomic.Uint64 // messages, because one room took too much
	ended     atomic.Uint64 // rooms whose messages reached their TTL
}

func (r *history) position() router.Position {
	return router.Position{Epoch: r.epoch, Offset: r.offset}
}

func messageBytes(m *router.Message) int64 {
	return int64(messageOverhead + len(m.ID) + len(m.From) + len(m.Key) + len(m.Info) + len(m.Content))
}

// historyLocked returns the room's history without what has ended, or nil.
func (s *shard) historyLocked(h *Hub, room string, now time.Time) *history {
	r := s.histories.rooms[room]
	if r == nil || s.endLocked(h, r, now) {
		return nil
	}
	s.histories.unlink(r)
	r.used = h.keeping.clock.Add(1)
	s.histories.link(r)
	return r
}

// beginLocked returns the room's history, which begins if there is none.
func (s *shard) beginLocked(h *Hub, room string, keep router.Keep, now time.Time) *history {
	if r := s.historyLocked(h, room, now); r != nil {
		return r
	}
	r := &history{room: room, epoch: strconv.FormatUint(rand.Uint64(), 36), bytes: int64(historyOverhead + len(room))}
	r.used = h.keeping.clock.Add(1)
	r.endAfter(keep.TTL, now)
	l := &s.histories
	if l.rooms == nil {
		l.rooms = make(map[string]*history)
	}
	l.rooms[room] = r
	l.peak = max(l.peak, len(l.rooms))
	l.link(r)
	h.keeping.bytes.Add(r.bytes)
	return r
}

func (r *history) endAfter(ttl time.Duration, now time.Time) {
	r.ends = time.Time{}
	if ttl > 0 {
		r.ends = now.Add(ttl)
	}
}

// appendLocked gives m its place in its room's history, and returns the copy that
// has it.
func (s *shard) appendLocked(h *Hub, m *router.Message, now time.Time) *router.Message {
	r := s.beginLocked(h, m.Room, m.Keep, now)
	placed := *m
	r.offset++
	placed.Position, placed.Keep = r.position(), router.Keep{}
	r.endAfter(m.Keep.TTL, now)

	before := r.bytes
	r.messages = append(r.messages, &placed)
	r.bytes += messageBytes(&placed)
	for len(r.messages) > m.Keep.Size {
		r.trim()
	}
	for len(r.messages) > 1 && r.bytes > h.keeping.most/4 {
		r.trim()
		h.keeping.trimmed.Add(1)
	}
	h.keeping.bytes.Add(r.bytes - before)
	return &placed
}

// trim takes the oldest message out.
func (r *history) trim() {
	r.bytes -= messageBytes(r.messages[0])
	r.messages[0] = nil // the array lives on
	r.messages = r.messages[1:]
}

// endLocked ends what has reached its time, and reports whether nothing is left,
// the position included.
func (s *shard) endLocked(h *Hub, r *history, now time.Time) bool {
	if r.ends.IsZero() || now.Before(r.ends) {
		return false
	}
	if !now.Before(r.ends.Add(positionGrace)) {
		s.forgetLocked(h, r)
		return true
	}
	if len(r.messages) > 0 {
		h.keeping.ended.Add(1)
		left := int64(historyOverhead + len(r.room))
		h.keeping.bytes.Add(left - r.bytes)
		r.messages, r.bytes = nil, left
	}
	return false
}

// forgetLocked removes the history: the next message begins another.
func (s *shard) forgetLocked(h *Hub, r *history) {
	l := &s.histories
	l.unlink(r)
	delete(l.rooms, r.room)
	if len(l.rooms) == 0 && l.peak > 64 {
		l.rooms, l.peak = nil, 0 // a map does not give memory back
	}
	h.keeping.bytes.Add(-r.bytes)
}

// link makes r the one used last.
func (l *histories) link(r *history) {
	r.older = l.newest
	if r.older != nil {
		r.older.newer = r
	} else {
		l.oldest = r
		l.oldestUse.Store(r.used)
	}
	l.newest = r
}

func (l *histories) unlink(r *history) {
	if r.older != nil {
		r.older.newer = r.newer
	} else {
		l.oldest = r.newer
		use := int64(0)
		if l.oldest != nil {
			use = l.oldest.used
		}
		l.oldestUse.Store(use)
	}
	if r.newer != nil {
		r.newer.older = r.older
	} else {
		l.newest = r.older
	}
	r.older, r.newer = nil, nil
}

// tidyHistories keeps the histories within their memory and ends what has reached
// its time. It is called with no lock held, whenever a history was used.
func (h *Hub) tidyHistories(now time.Time) {
	k := &h.keeping
	if at := k.sweepAt.Load(); now.UnixNano() >= at && k.sweepAt.CompareAndSwap(at, now.Add(sweepInterval).UnixNano()) {
		s := &h.shards[k.sweepNext.Add(1)%shardCount]
		s.mu.Lock()
		for _, r := range s.histories.rooms {
			s.endLocked(h, r, now)
		}
		s.mu.Unlock()
	}
	for k.bytes.Load() > k.most && h.forgetOldest() {
	}
}

// forgetOldest forgets the history that has not been used for longest, and reports
// whether there was one.
func (h *Hub) forgetOldest() bool {
	var oldest *shard
	var use int64
	for i := range h.shards {
		s := &h.shards[i]
		if u := s.histories.oldestUse.Load(); u != 0 && (oldest == nil || u < use) {
			oldest, use = s, u
		}
	}
	if oldest == nil {
		return false
	}
	oldest.mu.Lock()
	defer oldest.mu.Unlock()
	if r := oldest.histories.oldest; r != nil && h.keeping.bytes.Load() > h.keeping.most {
		oldest.forgetLocked(h, r)
		h.keeping.forgotten.Add(1)
	}
	return true
}
