package socket

import "math"

// smallFragment is the payload below which a frame that does not end a message
// is counted as one of a flood: the caller of Read never sees it, and it may
// carry nothing at all.
const smallFragment = 128 // bytes

// walk follows the frames of a client in the bytes that come, ahead of the
// library: it sees what the library does not tell, the length that a frame
// announces and the frames that are no message.
type walk struct {
	rest    uint64 // payload bytes of the present frame that have yet to come
	length  uint64 // of the present frame, as far as its header has come
	message uint64 // payload bytes of the present message, those announced included
	first   byte   // of the present header
	got     uint8  // bytes of the present header that have come
	size    uint8  // bytes of the present header, once two have come
	open    bool   // a message has begun, and its last byte has yet to come
	fresh   bool   // a message has begun; unset by who looks at it
	lost    bool   // this is not WebSocket: the library will say so
}

// past follows the bytes of p and counts the frames that are no message. It
// stops at a frame that makes the message larger than limit: tooBig, and n is
// how much of p comes before its header.
func (w *walk) past(p []byte, limit int) (n, small int, tooBig bool) {
	header := 0 // where the present header begins in p
	for i := 0; i < len(p) && !w.lost; {
		if w.rest > 0 {
			k := min(w.rest, uint64(len(p)-i))
			w.rest -= k
			i += int(k)
			w.endMessage()
			header = i
			continue
		}
		if w.got == 0 {
			header = i
		}
		w.headerByte(p[i])
		i++
		if w.got < 2 || w.got < w.size {
			continue
		}
		w.got = 0
		if w.begin() {
			small++
		}
		if w.open && w.message > uint64(limit) {
			return header, small, true
		}
		w.endMessage()
	}
	return len(p), small, false
}

func (w *walk) headerByte(b byte) {
	switch {
	case w.got == 0:
		w.first = b
	case w.got == 1:
		w.length, w.size = uint64(b&0x7F), 2+4
		switch w.length {
		case 126:
			w.length, w.size = 0, 2+2+4
		case 127:
			w.length, w.size = 0, 2+8+4
		}
		w.lost = b&0x80 == 0 || w.first&0x70 != 0 // not masked, or a reserved bit
	case w.got < w.size-4:
		w.length = w.length<<8 | uint64(b)
	}
	w.got++
}

// begin takes up a frame whose header is complete, and says whether it is one
// of those that are no message.
func (w *walk) begin() (small bool) {
	if w.length > math.MaxInt64 {
		w.lost = true
	}
	if w.lost {
		return false
	}
	w.rest = w.length
	opcode := w.first &^ finBit
	if opcode >= opClose {
		return true
	}
	if opcode != 0 {
		w.message, w.fresh = 0, true
	}
	w.open = true
	w.message += w.length
	return w.first&finBit == 0 && w.length < smallFragment
}

// endMessage notes the end of a message with its last byte.
func (w *walk) endMessage() {
	if w.rest == 0 && w.got == 0 && w.first&finBit != 0 && w.first&^finBit < opClose {
		w.open = false
	}
}
