//go:build wasm

package sluice

import "unsafe"

// A module imports those of these that it calls, and no others: the linker
// leaves out the rest.

//go:wasmimport sluice log
func hostLog(level int32, text string)

//go:wasmimport sluice now
func hostNow() int64

//go:wasmimport sluice random
func hostRandom(p unsafe.Pointer, n uint32) int32

//go:wasmimport sluice verify
func hostVerify(alg, kid, message, signature string) int32

//go:wasmimport sluice metric_add
func hostMetricAdd(name string, delta int64) int32

//go:wasmimport sluice counter_add
func hostCounterAdd(key string, delta, windowMillis int64) int64

//go:wasmimport sluice bucket_take
func hostBucketTake(key string, tokens, burst, refillPerSecond int64) int64

//go:wasmimport sluice kv_get
func hostKVGet(key string, out unsafe.Pointer, capacity uint32) int32

//go:wasmimport sluice kv_set
func hostKVSet(key, value string, ttlMillis int64) int32

// fill is hostRandom for a slice.
func fill(b []byte) int32 {
	return hostRandom(unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b)))
}

// read is hostKVGet into all of a slice.
func read(key string, out []byte) int32 {
	return hostKVGet(key, unsafe.Pointer(unsafe.SliceData(out)), uint32(len(out)))
}
