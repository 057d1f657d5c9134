package store

import (
	"maps"
	"math"
	"sync/atomic"
)

// MaxName is the longest name of a series, in bytes.
const MaxName = 64

// MetricAdd adds to a named series, which begins at 0 and ends at the largest
// int64. Names are [a-z_][a-z0-9_]*, of at most MaxName bytes. The errors are
// ErrArgument and ErrQuota.
func (s *Space) MetricAdd(name []byte, delta int64) error {
	if delta < 0 {
		return ErrArgument
	}
	sum := (*s.series.Load())[string(name)]
	if sum == nil {
		if !validName(name) {
			return ErrArgument
		}
		if sum = s.addSeries(string(name)); sum == nil {
			s.seriesRefused.Add(1)
			return ErrQuota
		}
	}
	for {
		old := sum.Load()
		if old > math.MaxInt64-delta {
			delta = math.MaxInt64 - old
		}
		if sum.CompareAndSwap(old, old+delta) {
			return nil
		}
	}
}

// addSeries returns the series of a name, or nil if there are too many. The map
// is replaced, never written to: readers take no lock.
func (s *Space) addSeries(name string) *atomic.Int64 {
	s.seriesMu.Lock()
	defer s.seriesMu.Unlock()
	old := *s.series.Load()
	if sum := old[name]; sum != nil {
		return sum
	}
	if int64(len(old)) >= s.seriesLimit.Load() {
		return nil
	}
	all := maps.Clone(old)
	sum := new(atomic.Int64)
	all[name] = sum
	s.series.Store(&all)
	return sum
}

func validName(name []byte) bool {
	if len(name) == 0 || len(name) > MaxName || '0' <= name[0] && name[0] <= '9' {
		return false
	}
	for _, c := range name {
		if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '_') {
			return false
		}
	}
	return true
}
