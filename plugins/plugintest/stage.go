package plugintest

import (
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"sluice/plugins"
	"sluice/plugins/lookup"
	"sluice/router"
)

// stage is what the filter sees of the world, and what is seen of the filter.
// The host's goroutines ask it beside the one that runs the tests.
type stage struct {
	// Guarded by mu.
	mu     sync.Mutex
	now    time.Time
	random *rand.ChaCha8
	answer *lookup.Result // of the event under way; nil: the test does not say
	asked  bool           // its lookup was made
	calls  []plugins.Call // of its hook
	lines  []logLine
}

var _ plugins.Tracer = (*stage)(nil)

// Now is the virtual clock.
func (s *stage) Now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// Read gives random bytes, which are the same in each run of a test.
func (s *stage) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.random.Read(p)
}

// Lookup answers for the network.
func (s *stage) Lookup(string, *router.Event) lookup.Result {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = true
	if s.answer == nil {
		return lookup.Result{Status: lookup.Missed}
	}
	return *s.answer
}

// Called notes a call. What is logged before a call of on_configure ends is
// logged by it, and not by the event during which an instance was replaced.
func (s *stage) Called(c plugins.Call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.Hook == router.HookConfigure {
		s.lines = nil
		return
	}
	s.calls = append(s.calls, c)
}

// Logged notes a line.
func (s *stage) Logged(_ string, level slog.Level, line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lines = append(s.lines, logLine{strings.ToLower(level.String()), line})
}

// reset begins a test.
func (s *stage) reset(now time.Time, seed uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = now
	s.seedLocked(seed, 0)
}

// seedLocked makes the random bytes of an event depend on the test alone, not on
// how many others were drawn before.
func (s *stage) seedLocked(seed, event uint64) {
	var key [32]byte
	for i := range 8 {
		key[i], key[8+i] = byte(seed>>(8*i)), byte(event>>(8*i))
	}
	s.random = rand.NewChaCha8(key)
}

// begin begins an event.
func (s *stage) begin(seed, event uint64, after time.Duration, answer *lookup.Result) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(after)
	s.seedLocked(seed, event)
	s.answer, s.asked, s.calls, s.lines = answer, false, nil, nil
	return s.now
}

// end is what was seen of the event.
func (s *stage) end() (calls []plugins.Call, lines []logLine, asked bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls, s.lines, s.asked
}
