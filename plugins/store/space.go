package store

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
)

// MaxKey is the longest key of a counter, bucket or value, in bytes.
const MaxKey = 255

// The errors of all calls.
var (
	ErrArgument = errors.New("store: an argument is out of its range")
	ErrNotFound = errors.New("store: nothing is kept under the key")
	ErrQuota    = errors.New("store: the quota is used up")
)

// Quota bounds what a space keeps. When it is lowered nothing is dropped, but
// nothing is added before there is room.
type Quota struct {
	Counters int   // counters and buckets
	Values   int64 // bytes of keys and values, and Overhead for each
	Series   int   // names
}

// Space is what one filter keeps. It is safe for concurrent use.
type Space struct {
	// Static after construction.
	now func() int64

	counters table[int64]
	buckets  table[bucket]
	values   table[[]byte]

	entries budget // of counters and buckets
	bytes   budget // of values

	series        atomic.Pointer[map[string]*atomic.Int64] // the map is replaced under seriesMu
	seriesMu      sync.Mutex
	seriesLimit   atomic.Int64
	seriesRefused atomic.Uint64
}

// New makes an empty space. now is the time in nanoseconds since any moment; it
// is called under a lock, and must neither wait nor use the space. It may go
// backwards: what is kept then moves with it.
func New(q Quota, now func() int64) *Space {
	s := &Space{now: now}
	s.counters.init(&s.entries, now)
	s.buckets.init(&s.entries, now)
	s.values.init(&s.bytes, now)
	s.series.Store(&map[string]*atomic.Int64{})
	s.SetQuota(q)
	return s
}

// SetQuota sets another quota, as of now.
func (s *Space) SetQuota(q Quota) {
	s.entries.limit.Store(int64(q.Counters))
	s.bytes.limit.Store(q.Values)
	s.seriesLimit.Store(int64(q.Series))
}

// RaiseQuota sets those bounds that are higher than the present ones.
func (s *Space) RaiseQuota(q Quota) {
	s.SetQuota(Quota{
		Counters: max(q.Counters, int(s.entries.limit.Load())),
		Values:   max(q.Values, s.bytes.limit.Load()),
		Series:   max(q.Series, int(s.seriesLimit.Load())),
	})
}

// reclaim drops what has ended, in a bounded number of steps, until there is
// room for that much. It reports whether it is worth trying again.
func (s *Space) reclaim(b *budget, need int64) bool {
	if b == &s.entries {
		made := s.counters.reclaim(need, stepsPerRefusal)
		made += s.buckets.reclaim(need, stepsPerRefusal-made)
		return made > 0
	}
	return s.values.reclaim(need, stepsPerRefusal+int(need/Overhead)) > 0
}

// Stats is what a space keeps now, and what it has refused since it was made.
type Stats struct {
	Counters, Buckets, Values int   // that have not ended
	Bytes                     int64 // of values, as the quota counts them
	Calls                     Calls
	Refused                   Refused
}

// Calls is how often counters, buckets and values were used.
type Calls struct{ Counters, Buckets, Values uint64 }

// Refused is how often there was no room for something: Counters counts those
// of counters and buckets.
type Refused struct{ Counters, Values, Series uint64 }

// Stats counts, and drops what has ended.
func (s *Space) Stats() Stats {
	var out Stats
	out.Counters, out.Calls.Counters = s.counters.sweep()
	out.Buckets, out.Calls.Buckets = s.buckets.sweep()
	out.Values, out.Calls.Values = s.values.sweep()
	out.Bytes = s.bytes.used.Load()
	out.Refused = Refused{s.entries.refused.Load(), s.bytes.refused.Load(), s.seriesRefused.Load()}
	return out
}

// Series returns the sums of the named series.
func (s *Space) Series() map[string]int64 {
	all := *s.series.Load()
	out := make(map[string]int64, len(all))
	for name, sum := range all {
		out[name] = sum.Load()
	}
	return out
}

// Counters returns the values of the counters, by key.
func (s *Space) Counters() map[string]int64 {
	out := make(map[string]int64)
	s.counters.each(func(it *item[int64], _ int64) { out[it.key] = it.value })
	return out
}

// Values returns copies of the values, by key.
func (s *Space) Values() map[string][]byte {
	out := make(map[string][]byte)
	s.values.each(func(it *item[[]byte], _ int64) { out[it.key] = bytes.Clone(it.value) })
	return out
}

func validKey(key []byte) bool { return len(key) >= 1 && len(key) <= MaxKey }
