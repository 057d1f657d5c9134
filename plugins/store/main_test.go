package store

import (
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that tests move.
type clock struct{ ns atomic.Int64 }

func (c *clock) now() int64           { return c.ns.Load() }
func (c *clock) move(d time.Duration) { c.ns.Add(int64(d)) }

var roomy = Quota{Counters: 1000, Values: 1 << 20, Series: 32}

func newSpace(q Quota) (*Space, *clock) {
	c := &clock{}
	return New(q, c.now), c
}

// check compares what the tables hold with what the budgets say, and looks at
// the order of the queues.
func (s *Space) check(t testing.TB) {
	t.Helper()
	entries := checkTable(t, &s.counters) + checkTable(t, &s.buckets)
	if used := s.entries.used.Load(); used != entries {
		t.Errorf("%d counters and buckets are paid for, and there are %d", used, entries)
	}
	if used, bytes := s.bytes.used.Load(), checkTable(t, &s.values); used != bytes {
		t.Errorf("%d bytes of values are paid for, and there are %d", used, bytes)
	}
}

func checkTable[T any](t testing.TB, table *table[T]) (cost int64) {
	t.Helper()
	for i := range table.shards {
		s := &table.shards[i]
		queued := 0
		for key, it := range s.items {
			cost += it.cost
			if it.key != key || it.at >= 0 && (s.queue[it.at] != it || it.due > it.end) || it.at < 0 && it.end != never {
				t.Errorf("item %q is not where it should be: %+v", key, it)
			}
			if it.at >= 0 {
				queued++
			}
		}
		if queued != len(s.queue) {
			t.Errorf("%d items end, and %d are in the queue", queued, len(s.queue))
		}
		for j := 1; j < len(s.queue); j++ {
			if s.queue[j].due < s.queue[(j-1)/2].due {
				t.Error("the queue is out of order")
			}
		}
		next := int64(never)
		if len(s.queue) > 0 {
			next = s.queue[0].due
		}
		if s.next.Load() != next {
			t.Errorf("next is %d, want %d", s.next.Load(), next)
		}
	}
	return cost
}
