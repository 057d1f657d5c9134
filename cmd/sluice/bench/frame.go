package bench

import (
	"encoding/binary"
	"math/rand/v2"
)

// The opcodes of RFC 6455.
const (
	opContinuation = 0x0
	opText         = 0x1
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
)

// maxFrame bounds what a server can make this client hold. Nothing that a node
// sends is larger: its frames are bounded by 16 MiB.
const maxFrame = 32 << 20

// header is the head of a frame.
type header struct {
	op         byte
	fin        bool
	compressed bool // RSV1
	size       int  // bytes of the head
	length     int  // bytes of the payload; maxFrame+1: more than is read
}

// readHeader reads the head of a server's frame. ok is false if there is not
// enough of it yet.
func readHeader(b []byte) (h header, ok bool) {
	if len(b) < 2 {
		return h, false
	}
	h = header{op: b[0] & 0x0f, fin: b[0]&0x80 != 0, compressed: b[0]&0x40 != 0, size: 2, length: int(b[1] & 0x7f)}
	switch h.length {
	case 126:
		if len(b) < 4 {
			return h, false
		}
		h.size, h.length = 4, int(binary.BigEndian.Uint16(b[2:]))
	case 127:
		if len(b) < 10 {
			return h, false
		}
		h.size, h.length = 10, int(min(binary.BigEndian.Uint64(b[2:]), maxFrame+1))
	}
	return h, true
}

// isWrong reports what no server may send: a mask, reserved bits, long or
// fragmented control frames.
func isWrong(b []byte, h header, mayCompress bool) bool {
	reserved := byte(0x70)
	if mayCompress && h.op < opClose {
		reserved = 0x30
	}
	return b[0]&reserved != 0 || b[1]&0x80 != 0 || h.length > maxFrame ||
		h.op >= opClose && (!h.fin || h.length > 125) || h.op > opBinary && h.op < opClose || h.op > opPong
}

// appendFrame appends a client's frame, masked as RFC 6455 wants it.
func appendFrame(dst []byte, op byte, compressed bool, payload []byte) []byte {
	first := 0x80 | op
	if compressed {
		first |= 0x40
	}
	switch n := len(payload); {
	case n < 126:
		dst = append(dst, first, 0x80|byte(n))
	case n < 1<<16:
		dst = append(dst, first, 0x80|126, byte(n>>8), byte(n))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, first, 0x80|127), uint64(n))
	}
	var key [4]byte
	binary.LittleEndian.PutUint32(key[:], rand.Uint32())
	dst = append(dst, key[:]...)
	from := len(dst)
	dst = append(dst, payload...)
	for i := range dst[from:] {
		dst[from+i] ^= key[i&3]
	}
	return dst
}
