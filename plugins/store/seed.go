package store

// The following copy what another space keeps under a key, with what is left of
// its time, if s keeps nothing there. Both spaces must go by the same clock. It
// does not count as a use of from; what does not fit the quota of s is not copied.

// SeedCounter copies a counter.
func (s *Space) SeedCounter(from *Space, key []byte) { copyItem(&s.counters, &from.counters, key) }

// SeedBucket copies a bucket.
func (s *Space) SeedBucket(from *Space, key []byte) { copyItem(&s.buckets, &from.buckets, key) }

// SeedValue copies a value. Its bytes are shared, since they are never written to.
func (s *Space) SeedValue(from *Space, key []byte) { copyItem(&s.values, &from.values, key) }

func copyItem[T any](to, from *table[T], key []byte) {
	if !validKey(key) {
		return
	}
	it, ok := from.peek(key)
	if !ok {
		return
	}
	sh := to.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	if sh.items[string(key)] != nil || !to.budget.take(it.cost) {
		return
	}
	own := sh.addLocked(key, it.cost)
	own.value, own.from = it.value, it.from
	if it.end != never {
		sh.endLocked(own, it.end)
	}
}

// peek is a copy of an item that has not ended. ok is false if there is none.
func (t *table[T]) peek(key []byte) (it item[T], ok bool) {
	sh := t.shard(key)
	sh.mu.Lock()
	defer sh.mu.Unlock()
	kept := sh.items[string(key)]
	if kept == nil || t.now() >= kept.end {
		return it, false
	}
	return *kept, true
}
