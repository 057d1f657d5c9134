package redisbroker

import (
	"sync"
	"sync/atomic"
	"time"
)

// longDelivery is for how long a delivery may keep a reader; at most twice that.
const longDelivery = 10 * time.Millisecond

// relay says who reads a connection. A reader delivers by himself what comes alone,
// for a topic whose worker has nothing to do. He may not be kept by that: if a
// delivery lasts, another goroutine takes over the reading, and the first one only
// ends what it has begun.
type relay struct {
	// Static after construction.
	c     *connection
	timer *time.Timer // calls look while it is armed

	readers sync.WaitGroup // those that have been relieved included
	turn    atomic.Uint64  // odd while the reader delivers; whoever makes it even then has the reading
	armed   atomic.Bool

	mu   sync.Mutex // held while a reader is relieved
	seen uint64     // turn when the timer last fired; guarded by mu
}

func (r *relay) init(c *connection) {
	r.c = c
	r.timer = time.AfterFunc(time.Hour, r.look)
	r.timer.Stop()
}

// begin is called by the reader before he delivers.
func (r *relay) begin() (turn uint64) {
	turn = r.turn.Load() + 1
	r.turn.Store(turn)
	if !r.armed.Load() {
		r.arm()
	}
	return turn
}

func (r *relay) arm() {
	if r.armed.CompareAndSwap(false, true) {
		r.timer.Reset(longDelivery)
	}
}

// end reports whether who delivered is the reader still.
func (r *relay) end(turn uint64) bool {
	if r.turn.CompareAndSwap(turn, turn+1) {
		return true
	}
	r.mu.Lock() // the other one is counted in readers then
	defer r.mu.Unlock()
	return false
}

// look relieves a reader who has been delivering the same message since the last
// look, and looks again as long as messages come.
func (r *relay) look() {
	r.mu.Lock()
	defer r.mu.Unlock()
	turn := r.turn.Load()
	if turn == r.seen && turn%2 == 1 && r.turn.CompareAndSwap(turn, turn+1) {
		r.readers.Add(1)
		go r.c.read()
		turn++
	} else if turn == r.seen {
		r.armed.Store(false)
		if r.turn.Load() != turn {
			r.arm()
		}
		return
	}
	r.seen = turn
	r.timer.Reset(longDelivery)
}

// stop is called when no reader is left.
func (r *relay) stop() { r.timer.Stop() }
