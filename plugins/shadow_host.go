package plugins

import (
	"bytes"
	"sync"
	"sync/atomic"

	"sluice/plugins/store"
)

// What a candidate that runs beside the active version asks of the host has no
// effect on anything. What the active version asked during the same event is
// answered as it was then; the rest by a space of the candidate's own, in which
// what it touches first is what the filter keeps at that moment.

// hostAsk is a question to the host whose answer is noted.
type hostAsk uint8

const (
	askCounter hostAsk = iota
	askBucket
	askValue
	askNow
	askRandom
)

const (
	maxNotes     = 64
	maxNoteBytes = 64 << 10
)

// note is one question of a guest to the host, with the answer.
type note struct {
	ask    hostAsk
	used   bool
	key    string
	args   [3]uint64
	result uint64
	data   []byte // not written to
}

// notes are those of one event, in order, as far as they fit.
type notes struct {
	list  []note
	bytes int // of keys and data
}

func (n *notes) add(ask hostAsk, key []byte, args [3]uint64, result uint64, data []byte) {
	size := len(key) + len(data)
	if len(n.list) == maxNotes || n.bytes+size > maxNoteBytes {
		return
	}
	n.bytes += size
	n.list = append(n.list, note{ask: ask, key: string(key), args: args, result: result, data: data})
}

// find is the first such question that has not been found yet, or nil.
func (n *notes) find(ask hostAsk, key []byte, args [3]uint64) *note {
	for i := range n.list {
		if a := &n.list[i]; !a.used && a.ask == ask && a.args == args && a.key == string(key) {
			a.used = true
			return a
		}
	}
	return nil
}

// forget makes the value under a key be read anew: the candidate has set it.
func (n *notes) forget(key []byte) {
	for i := range n.list {
		if a := &n.list[i]; a.ask == askValue && a.key == string(key) {
			a.used = true
		}
	}
}

// note remembers an answer of the host, if a candidate will be asked the same.
func (in *instance) note(ask hostAsk, key []byte, args [3]uint64, result uint64, data []byte) {
	if in.noted != nil {
		in.noted.add(ask, key, args, result, data)
	}
}

// noteBytes is note for data that lies in the guest's memory.
func (in *instance) noteBytes(ask hostAsk, args [3]uint64, data []byte) {
	if in.noted != nil && len(data) <= maxNoteBytes {
		in.noted.add(ask, nil, args, 0, bytes.Clone(data))
	}
}

// replay is the host's answer to the active version, or nil. What was not noted
// is the candidate's own: then what the filter keeps under the key is there too.
func (in *instance) replay(ask hostAsk, key []byte, args [3]uint64) *note {
	if in.pool.shadow == nil { // the common case, compiled into the callers
		return nil
	}
	return in.recall(ask, key, args)
}

func (in *instance) recall(ask hostAsk, key []byte, args [3]uint64) *note {
	if in.replayed != nil {
		if n := in.replayed.find(ask, key, args); n != nil {
			return n
		}
	}
	in.pool.shadow.mirror.seed(ask, key)
	return nil
}

// mirror is what a candidate's host functions work on.
type mirror struct {
	// Static after construction.
	own    *store.Space
	active *store.Space

	lines atomic.Uint64 // that were not logged

	// Guarded by mu.
	mu     sync.Mutex
	seeded map[string]struct{} // what has been copied, so that it can be forgotten again
}

// maxSeeded is how many keys are remembered as copied; then they may be copied
// again once they are gone.
const maxSeeded = 100_000

// seed copies what the filter keeps under a key, the first time.
func (m *mirror) seed(ask hostAsk, key []byte) {
	if ask > askValue || !m.first(ask, key) {
		return
	}
	switch ask {
	case askCounter:
		m.own.SeedCounter(m.active, key)
	case askBucket:
		m.own.SeedBucket(m.active, key)
	case askValue:
		m.own.SeedValue(m.active, key)
	}
}

func (m *mirror) first(ask hostAsk, key []byte) bool {
	if len(key) > store.MaxKey {
		return false
	}
	name := string(append([]byte{byte(ask)}, key...))
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.seeded[name]; ok {
		return false
	}
	if m.seeded == nil || len(m.seeded) >= maxSeeded {
		m.seeded = make(map[string]struct{})
	}
	m.seeded[name] = struct{}{}
	return true
}

// shadowSpace is a candidate's own space. The filter's is the active version's.
func (h *Host) shadowSpace(s *shadow, filter string, q Quota) *store.Space {
	s.mirror.own = store.New(store.Quota(q), h.clock)
	s.mirror.active = h.Space(filter)
	return s.mirror.own
}
