package membroker

import (
	"time"

	"sluice/router"
)

// acceptance is what becomes of a message with a key or a place in a history.
type acceptance struct {
	now     time.Time
	key     keyDigest // of a message with a key
	receipt router.Receipt
}

func isKept(m *router.Message) bool { return m.Kind == router.RoomMessage && m.Keep.Size > 0 }

// repeats reports that m's key was accepted before. The lock of m's shard is held.
func (h *Hub) repeats(m *router.Message, a *acceptance) bool {
	if a == nil || m.Key == "" {
		return false
	}
	var repeated bool
	a.receipt, repeated = h.keys.first(a.key, a.now)
	return repeated
}

// acceptLocked returns what to deliver in place of m, nothing if m repeats another
// message, and sets the receipt. The key and the place are taken under one lock, so
// that the order of offsets is that of deliveries, and of two that repeat each other
// one comes second.
func (s *shard) acceptLocked(h *Hub, m *router.Message, a *acceptance) *router.Message {
	if h.repeats(m, a) {
		h.keys.repeated.Add(1)
		return nil
	}
	a.receipt = router.Receipt{ID: m.ID}
	if isKept(m) {
		m = s.appendLocked(h, m, a.now)
		a.receipt.Position = m.Position
	}
	if m.Key != "" {
		h.keys.remember(a.key, a.receipt, a.now)
	}
	return m
}

// positionLocked is what Subscribe says of a room.
func (s *shard) positionLocked(h *Hub, room string, keep router.Keep, now time.Time) router.Position {
	var r *history
	if keep.Size > 0 {
		r = s.beginLocked(h, room, keep, now)
	} else if len(s.histories.rooms) > 0 {
		r = s.historyLocked(h, room, now)
	}
	if r == nil {
		return router.Position{}
	}
	return r.position()
}
