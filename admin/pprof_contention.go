package admin

import (
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
)

// How contention is sampled: of the waits for a lock one in mutexFraction, and of the
// time that goroutines are blocked one stack for each blockRate nanoseconds.
const (
	mutexFraction = 100
	blockRate     = 10_000
)

// Profiling says whether a node serves profiles. The zero value says no. It is safe for
// concurrent use.
//
// Waits for locks are sampled all the time while it says yes, for the runtime does not
// see those for a lock that somebody waited for when sampling began, until nobody does:
// of the lock that everything queues for, a profile that began with the question
// would know nothing.
type Profiling struct{ on atomic.Bool }

// Set enables or disables them.
func (p *Profiling) Set(on bool) {
	if p.on.Swap(on) == on {
		return
	}
	if on {
		mutexSampling.begin()
	} else {
		mutexSampling.end()
	}
}

// Enabled reports whether they are served; never if p is nil.
func (p *Profiling) Enabled() bool { return p != nil && p.on.Load() }

// The rates are the process's, so there is one sampling of a kind for all nodes in it,
// and all requests.
var (
	mutexSampling = sampling{set: func(rate int) { runtime.SetMutexProfileFraction(rate) }, rate: mutexFraction}
	blockSampling = sampling{set: runtime.SetBlockProfileRate, rate: blockRate}
)

// sampling is on while somebody uses it.
type sampling struct {
	// Static after construction.
	set  func(rate int)
	rate int

	mu    sync.Mutex
	users int // guarded by mu
}

func (s *sampling) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users++; s.users == 1 {
		s.set(s.rate)
	}
}

func (s *sampling) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users == 0 {
		s.set(0)
	}
}

// while has the sampling on for as long as next takes. next has to answer with a
// difference over that time, for there may be older samples, of other requests.
func (s *sampling) while(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.begin()
		defer s.end()
		next.ServeHTTP(w, r)
	})
}
