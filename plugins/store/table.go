package store

import (
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
)

const (
	shards = 32

	// never is the end of what does not end.
	never = math.MaxInt64

	// Steps of reclaiming: of each call in its own shard, and of a call that the
	// quota would refuse in all shards together.
	stepsPerCall    = 2
	stepsPerRefusal = 256

	// shrinkFrom is how many items a shard must have had for its memory to be
	// given back when it has none left.
	shrinkFrom = 64
)

// item is one thing that is kept.
type item[T any] struct {
	key   string
	from  int64 // the moment that value is told for
	end   int64 // from this moment on it is as if it did not exist
	due   int64 // when reclaim looks at it next, not after end; meaningless while at is -1
	at    int   // its place in the queue; -1: it does not end
	cost  int64 // what it takes of the budget
	value T
}

// table is all items of one kind, spread over shards by their keys' hashes.
type table[T any] struct {
	// Static after construction.
	seed   maphash.Seed
	budget *budget
	now    func() int64

	shards [shards]shard[T]
}

// shard is a part of a table.
type shard[T any] struct {
	mu sync.Mutex

	// Guarded by mu.
	items map[string]*item[T]
	queue []*item[T] // a heap by due
	calls uint64
	most  int // items that there have been since the map was made

	// due of the first in the queue, or never. Written under mu.
	next atomic.Int64

	_ [48]byte // keeps neighbours' locks off this cache line
}

func (t *table[T]) init(b *budget, now func() int64) {
	t.seed, t.budget, t.now = maphash.MakeSeed(), b, now
	for i := range t.shards {
		t.shards[i].next.Store(never)
	}
}

func (t *table[T]) shard(key []byte) *shard[T] {
	return &t.shards[maphash.Bytes(t.seed, key)%shards]
}

// findLocked returns the item of a key, which may have ended, and whether it
// has. If the clock has been set back, the item moves with it.
func (s *shard[T]) findLocked(key []byte, now int64) (it *item[T], ended bool) {
	s.calls++
	it = s.items[string(key)]
	if it == nil {
		return nil, true
	}
	if now < it.from {
		if it.end != never {
			s.endLocked(it, sum(now, it.end-it.from))
		}
		it.from = now
	}
	return it, now >= it.end
}

// addLocked makes an item, whose cost has been taken from the budget.
func (s *shard[T]) addLocked(key []byte, cost int64) *item[T] {
	if s.items == nil {
		s.items = make(map[string]*item[T])
	}
	it := &item[T]{key: string(key), end: never, at: -1, cost: cost}
	s.items[it.key] = it
	s.most = max(s.most, len(s.items))
	return it
}

func (t *table[T]) removeLocked(s *shard[T], it *item[T]) {
	delete(s.items, it.key)
	s.dequeueLocked(it)
	t.budget.give(it.cost)
	if len(s.items) == 0 && s.most >= shrinkFrom {
		s.items, s.queue, s.most = nil, nil, 0
	}
}

// reclaimLocked drops items that have ended, in at most that many steps. It
// returns how many it has made.
func (t *table[T]) reclaimLocked(s *shard[T], now int64, steps int) (made int) {
	for ; made < steps && len(s.queue) > 0 && s.queue[0].due <= now; made++ {
		it := s.queue[0]
		if it.end <= now {
			t.removeLocked(s, it)
			continue
		}
		it.due = it.end
		s.downLocked(0)
		s.next.Store(s.queue[0].due)
	}
	return made
}

// reclaim is reclaimLocked over all shards, until the budget has room.
func (t *table[T]) reclaim(need int64, steps int) (made int) {
	for i := range t.shards {
		s := &t.shards[i]
		if s.next.Load() == never {
			continue
		}
		s.mu.Lock()
		for now := t.now(); made < steps && t.budget.limit.Load()-t.budget.used.Load() < need; made++ {
			if t.reclaimLocked(s, now, 1) == 0 {
				break
			}
		}
		s.mu.Unlock()
	}
	return made
}

// sweep drops everything that has ended, a few at a time, and counts what is
// left and the calls there have been.
func (t *table[T]) sweep() (items int, calls uint64) {
	for i := range t.shards {
		s := &t.shards[i]
		for more := true; more; {
			s.mu.Lock()
			more = t.reclaimLocked(s, t.now(), stepsPerRefusal) == stepsPerRefusal
			if !more {
				items += len(s.items)
				calls += s.calls
			}
			s.mu.Unlock()
		}
	}
	return items, calls
}

// each calls f with the items that have not ended, under their shard's lock.
func (t *table[T]) each(f func(it *item[T], now int64)) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		now := t.now()
		for _, it := range s.items {
			if now < it.end {
				f(it, now)
			}
		}
		s.mu.Unlock()
	}
}

// endLocked sets when an item ends. The queue is only put right where the item
// would be looked at too late; if it is looked at too early it is moved then, so
// that a bucket that is used all the time costs nothing.
func (s *shard[T]) endLocked(it *item[T], end int64) {
	it.end = end
	switch {
	case it.at < 0 && end != never:
		it.due, it.at = end, len(s.queue)
		s.queue = append(s.queue, it)
		s.upLocked(it.at)
	case it.at >= 0 && end == never:
		s.dequeueLocked(it)
		return
	case it.at >= 0 && end < it.due:
		it.due = end
		s.upLocked(it.at)
	default:
		return
	}
	s.next.Store(s.queue[0].due)
}

func (s *shard[T]) dequeueLocked(it *item[T]) {
	i := it.at
	if i < 0 {
		return
	}
	last := len(s.queue) - 1
	s.queue[i] = s.queue[last]
	s.queue[i].at = i
	s.queue[last] = nil
	s.queue = s.queue[:last]
	it.at = -1
	if i < last {
		s.downLocked(i)
		s.upLocked(i)
	}
	if last == 0 {
		s.next.Store(never)
		return
	}
	s.next.Store(s.queue[0].due)
}

func (s *shard[T]) upLocked(i int) {
	for i > 0 {
		above := (i - 1) / 2
		if s.queue[above].due <= s.queue[i].due {
			return
		}
		s.swapLocked(i, above)
		i = above
	}
}

func (s *shard[T]) downLocked(i int) {
	for {
		least := i
		for below := 2*i + 1; below <= 2*i+2 && below < len(s.queue); below++ {
			if s.queue[below].due < s.queue[least].due {
				least = below
			}
		}
		if least == i {
			return
		}
		s.swapLocked(i, least)
		i = least
	}
}

func (s *shard[T]) swapLocked(i, j int) {
	q := s.queue
	q[i], q[j] = q[j], q[i]
	q[i].at, q[j].at = i, j
}

// sum adds a span of at least 0 to a moment; what is too far away never comes.
func sum(at, span int64) int64 {
	if span >= never-max(at, 0) {
		return never
	}
	return at + span
}

const nsPerMS = 1_000_000

// span is milliseconds as nanoseconds; never if they are too many.
func span(ms int64) int64 {
	if ms > never/nsPerMS {
		return never
	}
	return ms * nsPerMS
}
