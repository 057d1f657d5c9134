package plugins

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// laneWait is how long an event waits for a lane before it fails with
// CauseOverloaded.
const laneWait = 250 * time.Millisecond

// lane is the right to run guests: whoever holds lane i owns instance i of
// every filter of every chain. There are as many as processors, and at least
// two, so that one slow filter never holds them all, for the life of the host, so an instance needs no lock and no reference count of its own,
// and locking every lane once is a grace period for everything that ran before.
type lane struct {
	mu       sync.Mutex
	visitors atomic.Int32 // who wait for this lane and no other
	index    int
	_        [104]byte // lanes do not share a cache line
}

// lanes hands them out. The hint is the lane that this processor used last, so
// that without contention each processor keeps its lane and its instances.
type lanes struct {
	// Static after construction.
	all  []*lane
	wait time.Duration

	hints   sync.Pool // of *lane; never of instances, which it would drop
	waiting atomic.Int32
	handed  chan *lane    // locked, from release to one who waits; never closed
	freed   chan struct{} // wakes one who waits to probe again; sent by release, never closed
}

func newLanes(n int) *lanes {
	if n <= 0 {
		n = max(2, runtime.GOMAXPROCS(0))
	}
	l := &lanes{wait: laneWait, handed: make(chan *lane), freed: make(chan struct{}, n)}
	for i := range n {
		l.all = append(l.all, &lane{index: i})
	}
	return l
}

// acquire returns a locked lane, or nil if none became free in time.
func (l *lanes) acquire() *lane {
	hint, _ := l.hints.Get().(*lane)
	if hint != nil && hint.mu.TryLock() {
		return hint
	}
	if ln := l.probe(); ln != nil {
		return ln
	}
	return l.acquireSlow()
}

func (l *lanes) probe() *lane {
	for _, ln := range l.all {
		if ln.mu.TryLock() {
			return ln
		}
	}
	return nil
}

// acquireSlow waits until a lane is handed over. It counts itself as waiting
// before it probes, and release unlocks before it sends a wake-up, so that a
// lane which is freed in between is not missed.
func (l *lanes) acquireSlow() *lane {
	l.waiting.Add(1)
	defer l.waiting.Add(-1)
	timer := time.NewTimer(l.wait)
	defer timer.Stop()
	for {
		if ln := l.probe(); ln != nil {
			return ln
		}
		select {
		case ln := <-l.handed:
			return ln
		case <-l.freed:
		case <-timer.C:
			return nil
		}
	}
}

// release unlocks the lane, or hands it over to whoever has waited longest:
// else those who come back at once would keep the others out. Visitors wait for
// the lock itself, so for them it is unlocked.
func (l *lanes) release(ln *lane) {
	if l.waiting.Load() > 0 && ln.visitors.Load() == 0 {
		select {
		case l.handed <- ln:
			return
		default: // nobody is listening yet
		}
	}
	ln.mu.Unlock()
	l.hints.Put(ln)
	if l.waiting.Load() > 0 {
		select {
		case l.freed <- struct{}{}:
		default: // as many wake-ups as lanes are under way already
		}
	}
}

// visit locks each lane in turn and calls f while it holds it. When it returns,
// everything that ran on a lane when it began has ended.
func (l *lanes) visit(f func(i int)) {
	for _, ln := range l.all {
		ln.visitors.Add(1)
		ln.mu.Lock()
		ln.visitors.Add(-1)
		f(ln.index)
		l.release(ln)
	}
}

// gate admits half as many as there are lanes, rounded down, and at least one:
// slow filters pass it, so that they cannot take all of two or more lanes from
// the quick ones.
type gate chan struct{}

func newGate(lanes int) gate { return make(gate, max(1, lanes/2)) }

// enter reports whether it got in within the time.
func (g gate) enter(wait time.Duration) bool {
	select {
	case g <- struct{}{}:
		return true
	default:
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case g <- struct{}{}:
		return true
	case <-timer.C:
		return false
	}
}

func (g gate) leave() { <-g }
