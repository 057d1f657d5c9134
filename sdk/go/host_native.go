//go:build !wasm

package sluice

import "math/rand/v2"

// What stands for the host in unit tests. Tests may replace them.
var (
	TestLog    = func(level Level, text string) {}
	TestNow    = func() int64 { return 0 }
	TestRandom = func(b []byte) error { // the same bytes in every run
		r := rand.NewPCG(1, 2)
		for i := range b {
			b[i] = byte(r.Uint64())
		}
		return nil
	}
)

// Log writes to the node's log. The filter's configuration has to grant log.
func Log(level Level, text string) { TestLog(level, text) }

// Now is this moment in Unix nanoseconds; Event.TimeNanos needs no grant and
// usually does. The filter's configuration has to grant now.
func Now() int64 { return TestNow() }

// Random fills b with random bytes fit for keys. The filter's configuration has
// to grant random.
func Random(b []byte) error { return TestRandom(b) }
