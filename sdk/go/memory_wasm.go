//go:build wasm

package sluice

import "unsafe"

// memory is where the spans of an event point: the filter's own memory.
type memory struct{}

// The layout that the host writes, checked by the compiler.
var (
	_ [200]byte = [unsafe.Sizeof(Event{})]byte{}
	_ [0]byte   = [unsafe.Offsetof(Event{}.size)]byte{}
	_ [16]byte  = [unsafe.Offsetof(Event{}.time)]byte{}
	_ [40]byte  = [unsafe.Offsetof(Event{}.payload)]byte{}
	_ [88]byte  = [unsafe.Offsetof(Event{}.stateVersion)]byte{}
	_ [120]byte = [unsafe.Offsetof(Event{}.expires)]byte{}
	_ [128]byte = [unsafe.Offsetof(Event{}.outCode)]byte{}
	_ [136]byte = [unsafe.Offsetof(Event{}.outReason)]byte{}
	_ [192]byte = [unsafe.Offsetof(Event{}.outExpires)]byte{}
	_ [24]byte  = [unsafe.Sizeof(metaEntry{})]byte{}
)

var (
	// buffer is where the host writes events. Words, because it is 8-aligned.
	buffer []uint64

	// held keeps the outputs reachable: an Event has their addresses as mere
	// numbers, which the garbage collector does not follow.
	held [slots][]byte

	// nothing is what empty outputs point at, as 0 would mean unset.
	nothing byte
)

// maxEvent is the largest event, in bytes, that a buffer is made for.
const maxEvent = 8 << 20

// The marker of version 1 of the ABI.
//
//go:wasmexport sluice_abi_v1
func abiVersion1() {}

//go:wasmexport sluice_buffer
func makeBuffer(need uint32) uint32 {
	if need > maxEvent {
		return 0
	}
	if words := int(need+7) / 8; words > len(buffer) {
		buffer = nil // what it holds is not kept
		buffer = make([]uint64, max(words+words/4, 512))
	}
	return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(buffer))))
}

func (e *Event) view(s span) []byte {
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(nil), s.ptr)), s.len)
}

func (e *Event) put(slot int, b []byte) span {
	held[slot] = b
	if len(b) == 0 {
		return span{ptr: uint32(uintptr(unsafe.Pointer(&nothing)))}
	}
	return span{ptr: uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b)))), len: uint32(len(b))}
}
