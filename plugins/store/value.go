package store

import "bytes"

// Overhead is what a value takes of the quota beside its key and its bytes.
const Overhead = 64

// Get returns a value that is kept. Its bytes are shared: they are never written
// to. The errors are ErrArgument and ErrNotFound.
func (s *Space) Get(key []byte) ([]byte, error) {
	if !validKey(key) {
		return nil, ErrArgument
	}
	t := &s.values
	sh := t.shard(key)
	sh.mu.Lock()
	now := s.now()
	it, ended := sh.findLocked(key, now)
	var value []byte
	if !ended {
		value = it.value
	}
	if sh.next.Load() <= now {
		t.reclaimLocked(sh, now, stepsPerCall)
	}
	sh.mu.Unlock()
	if ended {
		return nil, ErrNotFound
	}
	return value, nil
}

// Set keeps a copy of the value for ttlMS milliseconds; 0: for ever; below 0: it
// forgets the key. What does not fit the quota changes nothing. The errors are
// ErrArgument and ErrQuota.
func (s *Space) Set(key, value []byte, ttlMS int64) error {
	if !validKey(key) {
		return ErrArgument
	}
	if ttlMS < 0 {
		s.forget(key)
		return nil
	}
	cost := int64(len(key)+len(value)) + Overhead
	ok := cost <= s.bytes.limit.Load()
	if ok {
		value = bytes.Clone(value)
		var lacking int64
		if lacking = s.set(key, value, ttlMS, cost); lacking > 0 && s.reclaim(&s.bytes, lacking) {
			lacking = s.set(key, value, ttlMS, cost)
		}
		ok = lacking == 0
	}
	if !ok {
		s.bytes.refused.Add(1)
		return ErrQuota
	}
	return nil
}

// set returns how many bytes it needs that are not there, or 0.
func (s *Space) set(key, value []byte, ttlMS, cost int64) (lacking int64) {
	t := &s.values
	sh := t.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	now := s.now()
	it, ended := sh.findLocked(key, now)
	var had int64
	switch {
	case it == nil:
	case ended: // or reclaim may drop it between two attempts
		t.removeLocked(sh, it)
		it = nil
	default:
		had = it.cost
	}
	if cost > had && !t.budget.take(cost-had) {
		return cost - had
	}
	if it == nil {
		it = sh.addLocked(key, cost)
	} else if cost < had {
		t.budget.give(had - cost)
	}
	it.cost, it.value, it.from = cost, value, now
	end := int64(never)
	if ttlMS > 0 {
		end = sum(now, span(ttlMS))
	}
	sh.endLocked(it, end)
	t.reclaimLocked(sh, now, stepsPerCall)
	return 0
}

func (s *Space) forget(key []byte) {
	sh := s.values.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if it, _ := sh.findLocked(key, s.now()); it != nil {
		s.values.removeLocked(sh, it)
	}
}
