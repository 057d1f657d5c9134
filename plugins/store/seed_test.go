package store

import (
	"errors"
	"testing"
)

func TestASeedIsWhatIsKeptWithTheRestOfItsTime(t *testing.T) {
	now := int64(0)
	clock := func() int64 { return now }
	q := Quota{Counters: 2, Values: 2 * (Overhead + 10)}
	from, to := New(q, clock), New(q, clock)
	k := []byte("k")
	_, _ = from.CounterAdd(k, 5, 1000)
	_, _ = from.BucketTake(k, 3, 4, 1)
	_ = from.Set(k, []byte("v"), 2000)
	now = 500 * nsPerMS
	before := from.Stats()
	to.SeedCounter(from, k)
	to.SeedBucket(from, k)
	to.SeedValue(from, k)
	if n, _ := to.CounterAdd(k, 1, 1000); n != 6 {
		t.Errorf("the counter is %d", n)
	}
	if wait, _ := to.BucketTake(k, 2, 4, 1); wait != 500 {
		t.Errorf("the bucket has two tokens in %d ms, want 500: it had one, and got half of one since", wait)
	}
	if v, err := to.Get(k); err != nil || string(v) != "v" {
		t.Errorf("the value is %q, %v", v, err)
	}
	if after := from.Stats(); after != before {
		t.Errorf("seeding has changed %+v to %+v", before, after)
	}
	if n, _ := from.CounterAdd(k, 0, 1000); n != 5 {
		t.Errorf("the counter it came from is %d", n)
	}
	now = 1001 * nsPerMS
	if n, _ := to.CounterAdd(k, 1, 1000); n != 1 {
		t.Errorf("when its window is over, the counter is %d", n)
	}
	now = 2001 * nsPerMS
	if _, err := to.Get(k); !errors.Is(err, ErrNotFound) {
		t.Errorf("when its time is over, the value is there: %v", err)
	}
}

func TestASeedReplacesNothingAndKeepsToTheQuota(t *testing.T) {
	from := New(Quota{Counters: 10, Values: 10_000}, func() int64 { return 0 })
	to := New(Quota{Counters: 1, Values: Overhead + 3}, func() int64 { return 0 })
	for _, key := range []string{"a", "b"} {
		_, _ = from.CounterAdd([]byte(key), 7, 0)
		_ = from.Set([]byte(key), []byte("of-from"), 0)
	}
	_, _ = to.CounterAdd([]byte("a"), 1, 0)
	for _, key := range []string{"a", "b", "absent", ""} {
		to.SeedCounter(from, []byte(key))
		to.SeedValue(from, []byte(key))
	}
	if c := to.Counters(); len(c) != 1 || c["a"] != 1 {
		t.Errorf("counters %v", c)
	}
	if v := to.Values(); len(v) != 0 {
		t.Errorf("values %q, which do not fit", v)
	}
}
