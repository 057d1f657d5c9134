//go:build wasm

package sluice

import "unsafe"

//go:wasmimport sluice log
func hostLog(level int32, text string)

//go:wasmimport sluice now
func hostNow() int64

//go:wasmimport sluice random
func hostRandom(p unsafe.Pointer, n uint32) int32

// Log writes to the node's log. The filter's configuration has to grant log.
func Log(level Level, text string) { hostLog(int32(level), text) }

// Now is this moment in Unix nanoseconds; Event.TimeNanos needs no grant and
// usually does. The filter's configuration has to grant now.
func Now() int64 { return hostNow() }

// Random fills b with random bytes fit for keys. The filter's configuration has
// to grant random.
func Random(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	return errorOf(hostRandom(unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b))))
}
