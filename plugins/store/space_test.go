package store

import (
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestConcurrentAddsSumExactly(t *testing.T) {
	// Enough that goroutines meet in every run: without the lock this fails.
	const goroutines, adds = 8, 20_000
	s, _ := newSpace(roomy)
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for i := range adds {
				for range 2 {
					if _, err := s.CounterAdd([]byte(fmt.Sprint("k", i%3)), 1, 0); err != nil {
						t.Error(err)
					}
				}
				s.CounterAdd([]byte(fmt.Sprint("k", i%3)), -1, 0)
				s.MetricAdd([]byte("m"), 1)
			}
		})
	}
	all.Wait()
	sum := int64(0)
	for _, n := range s.Counters() {
		sum += n
	}
	if want := int64(goroutines * adds); sum != want || s.Series()["m"] != want {
		t.Errorf("counters add up to %d, the series to %d, want %d", sum, s.Series()["m"], want)
	}
	s.check(t)
}

func TestABucketNeverGivesMoreThanItHolds(t *testing.T) {
	const goroutines, burst, refill = 8, 1000, 100
	s, c := newSpace(roomy)
	var taken atomic.Int64
	var all sync.WaitGroup
	for range goroutines {
		all.Go(func() {
			for range 20_000 {
				wait, err := s.BucketTake([]byte("b"), 1, burst, refill)
				if err != nil {
					t.Error(err)
				}
				if wait == 0 {
					taken.Add(1)
				}
				c.move(time.Second / 160_000) // all of them last a second: 100 tokens
			}
		})
	}
	all.Wait()
	for wait := int64(0); wait == 0; taken.Add(1) { // what the last millisecond brought, and one that it did not
		wait, _ = s.BucketTake([]byte("b"), 1, burst, refill)
	}
	if n := taken.Load() - 1; n != burst+refill {
		t.Errorf("%d tokens were taken, want the %d that it held and %d", n, burst, refill)
	}
	s.check(t)
}

func TestAQuotaIsNeverExceededByConcurrentCalls(t *testing.T) {
	const keys = 400
	q := Quota{Counters: 100, Values: 100 * (Overhead + 10), Series: 4}
	s, c := newSpace(q)
	stop := make(chan struct{})
	var watch, all sync.WaitGroup
	watch.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if n := s.entries.used.Load(); n > int64(q.Counters) || n < 0 {
				t.Errorf("%d counters and buckets", n)
				return
			}
			if n := s.bytes.used.Load(); n > q.Values || n < 0 {
				t.Errorf("%d bytes", n)
				return
			}
		}
	})
	for g := range 4 {
		all.Go(func() {
			for i := range 10_000 {
				key := []byte(fmt.Sprintf("%03d", (i*7+g*13)%keys))
				switch i % 4 {
				case 0:
					s.CounterAdd(key, 1, 5)
				case 1:
					s.BucketTake(key, 1, 3, 1000)
				case 2:
					s.Set(key, key[:i%3], 3)
				default:
					s.MetricAdd(append([]byte("m"), key...), 1)
				}
				c.move(20 * time.Microsecond)
			}
		})
	}
	all.Wait()
	close(stop)
	watch.Wait()
	s.check(t)
	if n := len(s.Series()); n != q.Series {
		t.Errorf("%d series, want %d", n, q.Series)
	}
	c.move(time.Hour)
	if st := s.Stats(); st.Counters+st.Buckets+st.Values != 0 || st.Bytes != 0 {
		t.Errorf("after all has ended it keeps %+v", st)
	}
}

func TestWhatHasEndedHoldsNoQuota(t *testing.T) {
	const n = 500
	s, c := newSpace(Quota{Counters: n, Values: n * (Overhead + 8), Series: 1})
	for round := range 4 {
		for i := range n {
			key := []byte(fmt.Sprintf("%d-%06d", round, i)) // 8 bytes
			var err error
			if round%2 == 0 {
				_, err = s.CounterAdd(key, 1, 1000)
			} else {
				_, err = s.BucketTake(key, 1, 1, 1)
			}
			if err != nil {
				t.Fatalf("round %d: %d of %d fit: %v", round, i, n, err)
			}
			if err := s.Set(key, nil, 1000); err != nil {
				t.Fatalf("round %d: %d of %d values fit: %v", round, i, n, err)
			}
		}
		if _, err := s.CounterAdd([]byte("one more"), 1, 0); err != ErrQuota {
			t.Fatalf("one more counter: %v", err)
		}
		if err := s.Set([]byte("one more"), nil, 0); err != ErrQuota {
			t.Fatalf("one more value: %v", err)
		}
		c.move(time.Second)
	}
	// One large value in the place of all the small ones.
	if err := s.Set([]byte("large"), make([]byte, n*(Overhead+8)-Overhead-5), 0); err != nil {
		t.Errorf("a large value: %v", err)
	}
	s.check(t)
}

func TestBucketsThatAreUsedAllTheTimeGiveWayOnceTheyAreFull(t *testing.T) {
	const n = 2000
	s, c := newSpace(Quota{Counters: n})
	for range 5 {
		for i := range n {
			if _, err := s.BucketTake([]byte(fmt.Sprint(i)), 1, 100, 1); err != nil {
				t.Fatal(err)
			}
		}
		c.move(500 * time.Millisecond)
	}
	// Each lacks two and a half tokens and more, though it was first due to be full after
	// a second: a call that is refused looks at a bounded number of them.
	if _, err := s.CounterAdd([]byte("k"), 1, 0); err != ErrQuota {
		t.Fatalf("no bucket is full, and there was room: %v", err)
	}
	c.move(5 * time.Second)
	for i := range n {
		if _, err := s.CounterAdd([]byte(fmt.Sprint(i)), 1, 0); err != nil {
			t.Fatalf("%d buckets are full, and the %dth counter has no room: %v", n, i, err)
		}
	}
	s.check(t)
}

func TestAWindowIsThatOfTheLatestAdd(t *testing.T) {
	s, c := newSpace(roomy)
	add := func(delta, window, want int64) {
		t.Helper()
		if got, err := s.CounterAdd([]byte("k"), delta, window); got != want || err != nil {
			t.Errorf("at %s, %d in a window of %d = %d, %v; want %d", time.Duration(c.now()), delta, window, got, err, want)
		}
	}
	add(5, 0, 5) // for ever
	c.move(700 * time.Millisecond)
	add(1, 1000, 6)
	c.move(300 * time.Millisecond)
	add(0, 0, 0) // a second after the first add
	add(0, 1000, 0)
	add(1, 1000, 1)
	c.move(999 * time.Millisecond)
	add(0, 500, 0) // by a shorter window it would be over; a read changes nothing
	add(0, 0, 1)
	add(1, 0, 2)
	c.move(time.Hour)
	add(1, 0, 3)
	add(1, 1000, 1)
}

func TestACounterAtZeroIsNotKept(t *testing.T) {
	s, c := newSpace(Quota{Counters: 1})
	s.CounterAdd([]byte("a"), 2, 1000)
	c.move(600 * time.Millisecond)
	s.CounterAdd([]byte("a"), -3, 1000)
	if got := s.Stats().Counters; got != 0 {
		t.Errorf("%d counters", got)
	}
	s.CounterAdd([]byte("b"), -1, 1000)
	s.CounterAdd([]byte("c"), 0, 1000)
	s.BucketTake([]byte("d"), 0, 5, 1)
	if got := s.Stats(); got.Counters+got.Buckets != 0 {
		t.Errorf("reading keeps something: %+v", got)
	}
	s.CounterAdd([]byte("a"), 1, 1000)
	c.move(600 * time.Millisecond)
	if n, _ := s.CounterAdd([]byte("a"), 1, 1000); n != 2 {
		t.Errorf("the window did not begin anew: %d", n)
	}
}

func TestABucketIsRefilledExactly(t *testing.T) {
	s, c := newSpace(roomy)
	const refill = 3 // a token each 333,333,333⅓ ns
	if wait, _ := s.BucketTake([]byte("b"), 10, 10, refill); wait != 0 {
		t.Fatal(wait)
	}
	taken := 0
	for range 3_000_000 / 7 { // 3000 s in steps of 7 ms
		c.move(7 * time.Millisecond)
		if wait, _ := s.BucketTake([]byte("b"), 1, 10, refill); wait == 0 {
			taken++
		}
	}
	if want := int(time.Duration(c.now()) * refill / time.Second); taken != want {
		t.Errorf("%d tokens in %s, want %d", taken, time.Duration(c.now()), want)
	}
	wait, _ := s.BucketTake([]byte("b"), 1, 10, refill)
	c.move(time.Duration(wait)*time.Millisecond - time.Millisecond)
	if again, _ := s.BucketTake([]byte("b"), 1, 10, refill); again != 1 {
		t.Errorf("a millisecond before the time it told, the wait is %d", again)
	}
	c.move(time.Millisecond)
	if again, _ := s.BucketTake([]byte("b"), 1, 10, refill); again != 0 {
		t.Errorf("at the time it told, the wait is %d", again)
	}
}

func TestAClockThatIsSetBackDelaysNothingForLong(t *testing.T) {
	s, c := newSpace(roomy)
	c.move(24 * time.Hour)
	s.CounterAdd([]byte("k"), 1, 1000)
	s.BucketTake([]byte("k"), 1, 1, 1)
	s.Set([]byte("k"), []byte("v"), 1000)
	c.move(-24 * time.Hour)
	if n, _ := s.CounterAdd([]byte("k"), 1, 1000); n != 2 {
		t.Errorf("the counter is at %d", n)
	}
	if wait, _ := s.BucketTake([]byte("k"), 1, 1, 1); wait != 1000 {
		t.Errorf("the bucket is full in %d ms", wait)
	}
	if _, err := s.Get([]byte("k")); err != nil {
		t.Error(err)
	}
	c.move(time.Second)
	if n, _ := s.CounterAdd([]byte("k"), 1, 1000); n != 1 {
		t.Errorf("a second later the counter is at %d", n)
	}
	if wait, _ := s.BucketTake([]byte("k"), 1, 1, 1); wait != 0 {
		t.Errorf("a second later the bucket is full in %d ms", wait)
	}
	if _, err := s.Get([]byte("k")); err != ErrNotFound {
		t.Errorf("a second later the value is there: %v", err)
	}
	s.check(t)
}

func TestValuesAreCopiedAndNeverWrittenTo(t *testing.T) {
	s, _ := newSpace(roomy)
	mine := []byte("value")
	s.Set([]byte("k"), mine, 0)
	mine[0] = 'X'
	kept, _ := s.Get([]byte("k"))
	s.Set([]byte("k"), []byte("other"), 0)
	s.Set([]byte("k"), nil, -1)
	if string(kept) != "value" {
		t.Errorf("what was read is now %q", kept)
	}
}

func TestTheBoundsOfKeysAndNamesHold(t *testing.T) {
	s, _ := newSpace(roomy)
	for _, key := range []string{"", strings.Repeat("k", MaxKey+1)} {
		_, err1 := s.CounterAdd([]byte(key), 1, 0)
		_, err2 := s.BucketTake([]byte(key), 1, 1, 1)
		_, err3 := s.Get([]byte(key))
		if err1 != ErrArgument || err2 != ErrArgument || err3 != ErrArgument || s.Set([]byte(key), nil, 0) != ErrArgument {
			t.Errorf("a key of %d bytes is taken", len(key))
		}
	}
	for _, name := range []string{"", "0a", "A", "a.b", "é", "a b", strings.Repeat("a", MaxName+1)} {
		if err := s.MetricAdd([]byte(name), 1); err != ErrArgument {
			t.Errorf("the name %q: %v", name, err)
		}
	}
	for _, name := range []string{"_", "a", "a_9", strings.Repeat("z", MaxName)} {
		if err := s.MetricAdd([]byte(name), 1); err != nil {
			t.Errorf("the name %q: %v", name, err)
		}
	}
}

func TestASpaceThatIsEmptyAgainGivesItsMemoryBack(t *testing.T) {
	s, c := newSpace(Quota{Counters: 100_000})
	for i := range 100_000 {
		s.CounterAdd([]byte(fmt.Sprint(i)), 1, 1000)
	}
	c.move(time.Second)
	if n := s.Stats().Counters; n != 0 {
		t.Fatal(n)
	}
	for i := range s.counters.shards {
		if sh := &s.counters.shards[i]; sh.items != nil || sh.queue != nil {
			t.Fatalf("shard %d still holds a map and a queue", i)
		}
	}
}

func TestWaitsAreRoundedUpAndSaturate(t *testing.T) {
	for _, row := range []struct{ tokens, level, refill, want int64 }{
		{1, 0, 1, 1_000_000_000}, {1, 0, 3, 333_333_334}, {1, 0, math.MaxInt64, 1}, {1, 0, 0, never}, {5, 5, 0, 0},
		{math.MaxInt64, 0, 1, never}, {math.MaxInt64, 0, math.MaxInt64, 1_000_000_000},
	} {
		b := bucket{level: row.level}
		if got := b.after(row.tokens, row.refill); got != row.want {
			t.Errorf("%+v: %d", row, got)
		}
	}
}
