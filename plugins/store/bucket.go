package store

import (
	"math"
	"math/bits"
)

// bucket is how full a token bucket was.
type bucket struct {
	level int64
	nano  uint64 // billionths of a token beyond level, fewer than one
}

const perToken = 1_000_000_000

// BucketTake takes tokens from a bucket, which holds burst of them, is full at
// first, and gets refill each second. It returns 0 if they were taken; else none
// were, and it returns after how many milliseconds they can be if nobody else
// takes any; math.MaxInt64 if never. The errors are ErrArgument and ErrQuota.
func (s *Space) BucketTake(key []byte, tokens, burst, refill int64) (waitMS int64, err error) {
	if !validKey(key) || burst < 1 || tokens < 0 || tokens > burst || refill < 0 {
		return 0, ErrArgument
	}
	wait, ok := s.bucketTake(key, tokens, burst, refill)
	if !ok && s.reclaim(&s.entries, 1) {
		wait, ok = s.bucketTake(key, tokens, burst, refill)
	}
	if !ok {
		s.entries.refused.Add(1)
		return 0, ErrQuota
	}
	return wait, nil
}

// bucketTake reports whether there was room for it.
func (s *Space) bucketTake(key []byte, tokens, burst, refill int64) (waitMS int64, ok bool) {
	t := &s.buckets
	sh := t.shard(key)
	sh.mu.Lock()
	now := s.now()
	it, full := sh.findLocked(key, now)
	if it == nil && tokens > 0 {
		if !t.budget.take(1) {
			sh.mu.Unlock()
			return 0, false
		}
		it = sh.addLocked(key, 1)
	}
	if it != nil {
		b := &it.value
		if full {
			*b = bucket{level: burst}
		} else {
			b.fill(uint64(now-it.from), burst, refill)
		}
		it.from = now
		if tokens <= b.level {
			b.level -= tokens
		} else {
			waitMS = milliseconds(b.after(tokens, refill))
		}
		sh.endLocked(it, sum(now, b.after(burst, refill)))
	}
	if sh.next.Load() <= now {
		t.reclaimLocked(sh, now, stepsPerCall)
	}
	sh.mu.Unlock()
	return waitMS, true
}

// fill adds what the bucket gets in a time, up to burst, exactly.
func (b *bucket) fill(elapsed uint64, burst, refill int64) {
	if b.level >= burst {
		*b = bucket{level: burst}
		return
	}
	hi, lo := bits.Mul64(elapsed, uint64(refill))
	lo, carry := bits.Add64(lo, b.nano, 0)
	hi += carry
	if hi >= perToken {
		*b = bucket{level: burst}
		return
	}
	whole, rest := bits.Div64(hi, lo, perToken)
	if whole >= uint64(burst-b.level) {
		*b = bucket{level: burst}
		return
	}
	b.level += int64(whole)
	b.nano = rest
}

// after is in how many nanoseconds, rounded up, the bucket will hold that many
// tokens.
func (b *bucket) after(tokens, refill int64) int64 {
	if tokens <= b.level {
		return 0
	}
	if refill == 0 {
		return never
	}
	hi, lo := bits.Mul64(uint64(tokens-b.level), perToken)
	lo, borrow := bits.Sub64(lo, b.nano, 0)
	hi -= borrow
	if hi >= uint64(refill) {
		return never
	}
	ns, rest := bits.Div64(hi, lo, uint64(refill))
	if ns >= never {
		return never
	}
	if rest > 0 {
		ns++
	}
	return int64(ns)
}

// milliseconds rounds nanoseconds up.
func milliseconds(ns int64) int64 {
	if ns == never {
		return math.MaxInt64
	}
	return (ns-1)/nsPerMS + 1
}
