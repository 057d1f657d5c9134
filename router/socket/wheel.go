package socket

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	tick       = 100 * time.Millisecond
	wheelSlots = 512 // a turn is 51.2 s; what is further away stays for another

	farthest = 100 * 365 * 24 * time.Hour // what is later is as good as never, and would overflow
)

// expirer is what a wheelEntry belongs to. expire is called on the wheel's
// goroutine, without a lock held, and must not block.
type expirer interface{ expire() }

// wheelEntry is a place on the wheel, part of what it belongs to.
type wheelEntry struct {
	// Guarded by wheel.mu.
	next, prev *wheelEntry // both nil: not on the wheel
	due        int64       // tick
	owner      expirer
}

// wheel calls many coarse timers from one goroutine, which sleeps until the
// next slot with an entry.
type wheel struct {
	start time.Time     // of tick 0
	poke  chan struct{} // sent by add and stop, received by run

	// Guarded by mu.
	mu      sync.Mutex
	slots   [wheelSlots]wheelEntry // heads of rings
	last    int64                  // tick up to which all is expired
	wakeAt  int64                  // tick that run sleeps until; -1: no end
	count   int
	stopped bool
}

func newWheel() *wheel {
	w := &wheel{start: time.Now(), poke: make(chan struct{}, 1), wakeAt: -1}
	for i := range w.slots {
		h := &w.slots[i]
		h.next, h.prev = h, h
	}
	return w
}

// elapsed is the time since tick 0.
func (w *wheel) elapsed() time.Duration { return time.Since(w.start) }

// add puts an entry on the wheel, d from now (at most farthest) and never
// earlier, or moves it there.
func (w *wheel) add(e *wheelEntry, d time.Duration) {
	due := int64((time.Since(w.start)+min(max(d, 0), farthest))/tick) + 1
	w.mu.Lock()
	w.unlinkLocked(e)
	e.due = max(due, w.last+1)
	h := &w.slots[e.due%wheelSlots]
	e.prev, e.next = h.prev, h
	h.prev.next = e
	h.prev = e
	w.count++
	earlier := w.wakeAt < 0 || e.due < w.wakeAt
	if earlier {
		w.wakeAt = e.due
	}
	w.mu.Unlock()
	if earlier {
		w.wake()
	}
}

// remove takes an entry off the wheel; its expire may be running.
func (w *wheel) remove(e *wheelEntry) {
	w.mu.Lock()
	w.unlinkLocked(e)
	w.mu.Unlock()
}

func (w *wheel) unlinkLocked(e *wheelEntry) {
	if e.next == nil {
		return
	}
	e.prev.next, e.next.prev = e.next, e.prev
	e.next, e.prev = nil, nil
	w.count--
}

func (w *wheel) stop() {
	w.mu.Lock()
	w.stopped = true
	w.mu.Unlock()
	w.wake()
}

func (w *wheel) wake() {
	select {
	case w.poke <- struct{}{}:
	default: // run has yet to take the last one
	}
}

func (w *wheel) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var due []expirer
	for {
		w.mu.Lock()
		if w.stopped {
			w.mu.Unlock()
			return
		}
		due = w.expiredLocked(due[:0])
		w.wakeAt = w.nextLocked()
		wakeAt := w.wakeAt
		w.mu.Unlock()
		for i, o := range due {
			due[i] = nil
			o.expire()
		}
		if wakeAt < 0 {
			<-w.poke
			continue
		}
		timer.Reset(time.Until(w.start.Add(time.Duration(wakeAt) * tick)))
		select {
		case <-timer.C:
		case <-w.poke:
		}
	}
}

// expiredLocked takes the entries off the wheel that are due.
func (w *wheel) expiredLocked(due []expirer) []expirer {
	now := int64(time.Since(w.start) / tick)
	from := max(w.last+1, now-wheelSlots+1)
	for t := from; t <= now && w.count > 0; t++ {
		h := &w.slots[t%wheelSlots]
		for e := h.next; e != h; {
			next := e.next
			if e.due <= now {
				w.unlinkLocked(e)
				due = append(due, e.owner)
			}
			e = next
		}
	}
	w.last = max(w.last, now)
	return due
}

// nextLocked is the next tick with an entry in its slot, which may be for a
// later turn; -1 if the wheel is empty.
func (w *wheel) nextLocked() int64 {
	if w.count == 0 {
		return -1
	}
	for t := w.last + 1; ; t++ {
		if h := &w.slots[t%wheelSlots]; h.next != h {
			return t
		}
	}
}

// Timer is a call that Engine.AfterFunc has scheduled.
type Timer struct {
	entry   wheelEntry
	wheel   *wheel
	f       func()
	stopped atomic.Bool
}

// AfterFunc calls f once on the wheel's goroutine, d from now or up to 200 ms
// later; after a hundred years if d is longer, soon if it is negative. f must not block: no other timer of the engine runs meanwhile.
func (e *Engine) AfterFunc(d time.Duration, f func()) *Timer {
	t := &Timer{wheel: e.wheel, f: f}
	t.entry.owner = t
	e.wheel.add(&t.entry, d)
	return t
}

// Stop prevents the call unless it has begun; it does not wait for it.
func (t *Timer) Stop() {
	t.stopped.Store(true)
	t.wheel.remove(&t.entry)
}

func (t *Timer) expire() {
	if !t.stopped.Load() {
		t.f()
	}
}
