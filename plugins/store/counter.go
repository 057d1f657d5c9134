package store

import "math"

// CounterAdd adds delta to a counter and returns its new value, which is kept
// between 0 and the largest int64. A counter begins at 0 with the first add, and
// again when windowMS milliseconds have passed since that; 0: never. The window
// is that of the latest add. delta 0 reads. One that is at 0 is not kept. The
// errors are ErrArgument and ErrQuota.
func (s *Space) CounterAdd(key []byte, delta, windowMS int64) (int64, error) {
	if !validKey(key) || windowMS < 0 {
		return 0, ErrArgument
	}
	value, ok := s.counterAdd(key, delta, windowMS)
	if !ok && s.reclaim(&s.entries, 1) {
		value, ok = s.counterAdd(key, delta, windowMS)
	}
	if !ok {
		s.entries.refused.Add(1)
		return 0, ErrQuota
	}
	return value, nil
}

// counterAdd reports whether there was room for it.
func (s *Space) counterAdd(key []byte, delta, windowMS int64) (value int64, ok bool) {
	t := &s.counters
	sh := t.shard(key)
	sh.mu.Lock()
	now := s.now()
	it, ended := sh.findLocked(key, now)
	if !ended && windowMS > 0 {
		ended = now >= sum(it.from, span(windowMS))
	}
	if !ended {
		value = it.value
	}
	switch value = clamp(value, delta); {
	case delta == 0:
	case value == 0:
		if it != nil {
			t.removeLocked(sh, it)
		}
	case it == nil && !t.budget.take(1):
		sh.mu.Unlock()
		return 0, false
	default:
		if it == nil {
			it = sh.addLocked(key, 1)
		}
		if ended {
			it.from = now
		}
		it.value = value
		end := int64(never)
		if windowMS > 0 {
			end = sum(it.from, span(windowMS))
		}
		if end != it.end {
			sh.endLocked(it, end)
		}
	}
	if sh.next.Load() <= now {
		t.reclaimLocked(sh, now, stepsPerCall)
	}
	sh.mu.Unlock()
	return value, true
}

// clamp is value + delta, kept between 0 and the largest int64.
func clamp(value, delta int64) int64 {
	if delta > math.MaxInt64-value {
		return math.MaxInt64
	}
	return max(value+delta, 0)
}
