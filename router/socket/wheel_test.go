package socket

import (
	"math"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func withEngine(t *testing.T, f func(e *Engine)) {
	synctest.Test(t, func(*testing.T) {
		e := NewEngine()
		defer e.Close()
		f(e)
	})
}

func TestATimerIsCalledOnceNeverEarlyAndAtMostTwoTicksLate(t *testing.T) {
	withEngine(t, func(e *Engine) {
		var called atomic.Int64
		want := int64(0)
		for range 500 {
			d := time.Duration(rand.Int64N(int64(5 * time.Minute)))
			if rand.IntN(5) == 0 {
				d = time.Duration(rand.Int64N(int64(time.Second)))
			}
			start := time.Now()
			e.AfterFunc(d, func() {
				called.Add(1)
				if late := time.Since(start) - d; late < 0 || late > 2*tick {
					t.Errorf("a timer of %v was called %v late", d, late)
				}
			})
			want++
			time.Sleep(time.Duration(rand.Int64N(int64(200 * time.Millisecond))))
		}
		time.Sleep(6 * time.Minute)
		if called.Load() != want {
			t.Errorf("%d timers were called, want %d", called.Load(), want)
		}
	})
}

func TestAStoppedTimerIsNotCalled(t *testing.T) {
	withEngine(t, func(e *Engine) {
		stopped := e.AfterFunc(time.Second, func() { t.Error("the stopped timer was called") })
		called := false
		e.AfterFunc(time.Second, func() { called = true })
		stopped.Stop()
		stopped.Stop()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if !called {
			t.Error("the other timer was not called")
		}
	})
}

func TestATimerMayBeSetAndStoppedFromATimer(t *testing.T) {
	withEngine(t, func(e *Engine) {
		order := make(chan int, 3)
		other := e.AfterFunc(300*time.Millisecond, func() { order <- 9 })
		e.AfterFunc(0, func() {
			other.Stop()
			e.AfterFunc(time.Second, func() { order <- 2 })
			order <- 1
		})
		time.Sleep(3 * time.Second)
		synctest.Wait()
		close(order)
		want := 1
		for n := range order {
			if n != want {
				t.Errorf("called was %d, want %d", n, want)
			}
			want++
		}
		if want != 3 {
			t.Errorf("%d calls, want 2", want-1)
		}
	})
}

func TestATimerOfTheLongestDurationIsNotCalledAndANegativeOneIsAtOnce(t *testing.T) {
	withEngine(t, func(e *Engine) {
		time.Sleep(time.Minute) // the wheel's own time adds to the duration
		never := e.AfterFunc(math.MaxInt64, func() { t.Error("the endless timer was called") })
		start := time.Now()
		called := make(chan time.Time, 1)
		e.AfterFunc(-1, func() { called <- time.Now() })
		if late := (<-called).Sub(start); late > 2*tick {
			t.Errorf("the negative timer was called %v late", late)
		}
		time.Sleep(24 * time.Hour)
		never.Stop()
	})
}

func TestAnEarlierTimerWakesTheWheel(t *testing.T) {
	withEngine(t, func(e *Engine) {
		e.AfterFunc(time.Hour, func() {})
		synctest.Wait()
		called := make(chan time.Time, 1)
		start := time.Now()
		e.AfterFunc(time.Second, func() { called <- time.Now() })
		if late := (<-called).Sub(start) - time.Second; late > 2*tick {
			t.Errorf("it was called %v late", late)
		}
	})
}

// With fake time a sleep ends only when nothing else is to be woken before: the
// wheel's own timer would be.
func TestAnEmptyWheelSleepsForGood(t *testing.T) {
	withEngine(t, func(e *Engine) {
		e.AfterFunc(time.Second, func() {}).Stop()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		e.wheel.mu.Lock()
		defer e.wheel.mu.Unlock()
		if e.wheel.wakeAt != -1 || e.wheel.count != 0 {
			t.Errorf("the wheel with %d entries sleeps until tick %d", e.wheel.count, e.wheel.wakeAt)
		}
	})
}
