package store

import "sync/atomic"

// budget is a quota and how much of it is taken. It is exact: what does not fit
// is never taken, not for a moment.
type budget struct {
	limit   atomic.Int64
	used    atomic.Int64
	refused atomic.Uint64 // calls that had to go without
}

// take takes n, or nothing if that is more than is left.
func (b *budget) take(n int64) bool {
	for {
		used := b.used.Load()
		if n > b.limit.Load()-used {
			return false
		}
		if b.used.CompareAndSwap(used, used+n) {
			return true
		}
	}
}

func (b *budget) give(n int64) { b.used.Add(-n) }
