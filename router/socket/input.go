package socket

import (
	"sync"
	"time"
)

const (
	readStep   = 4 << 10  // of what is read at once, and of a message that is delivered where it was read
	plainStep  = 512      // the same of a connection that is not a plain socket, which keeps it while idle
	longStep   = 8 << 10  // the first step of a message that is collected
	longPooled = 64 << 10 // what has grown beyond is left to the collector
)

var (
	inputs      = sync.Pool{New: func() any { return &input{buf: make([]byte, readStep)} }}
	plainInputs = sync.Pool{New: func() any { return &input{buf: make([]byte, plainStep)} }}
	longs       = sync.Pool{New: func() any { b := make([]byte, 0, longStep); return &b }}
)

// input is what a socket's reader has of the peer while there is anything: an
// idle socket has none. All of it is the reader's.
type input struct {
	buf       []byte // buf[next:end] has come, and is not read
	next, end int
	direct    bool  // the last room was in long
	err       error // of the last attempt to read

	// The frame of data whose header was read last.
	within bool   // it has not come whole
	first  byte   // FIN, RSV and opcode
	key    uint32 // for the next byte
	left   uint64 // payload bytes not yet taken

	// The message that it belongs to.
	open  bool          // its last byte has yet to come
	kind  byte          // FIN, RSV and opcode of its first frame
	size  uint64        // payload bytes, those announced included
	since time.Duration // it has been open for so long, by the wheel; 0: nobody has looked
	long  *[]byte       // borrowed: what is collected of it, if it has several frames or is larger than buf
}

// earlyInput holds what came behind the handshake.
func earlyInput(early []byte) *input {
	if len(early) == 0 {
		return nil
	}
	in := inputs.Get().(*input)
	if len(early) > len(in.buf) {
		in.buf = make([]byte, len(early))
	}
	in.end = copy(in.buf, early)
	return in
}

// idle says that nothing would be lost without the input.
func (in *input) idle() bool { return in.next == in.end && !in.open }

// free gives the input back.
func (in *input) free() {
	in.freeLong()
	*in = input{buf: in.buf}
	switch len(in.buf) {
	case readStep:
		inputs.Put(in)
	case plainStep:
		plainInputs.Put(in)
	}
}

func (in *input) freeLong() {
	if in.long != nil && cap(*in.long) <= longPooled {
		longs.Put(in.long)
	}
	in.long = nil
}

// room is where to read to: behind what has come, or behind what is collected
// of a message that is long. It grows with what has come, not with what was
// announced.
func (in *input) room(limit int) []byte {
	if in.direct = in.long != nil && in.within && in.next == in.end; in.direct {
		b := in.growLong(limit)
		return b[len(b):min(uint64(cap(b)), uint64(len(b))+in.left)]
	}
	if in.next == in.end {
		in.next, in.end = 0, 0
	} else if in.end == len(in.buf) {
		in.end = copy(in.buf, in.buf[in.next:])
		in.next = 0
	}
	return in.buf[in.end:]
}

// came notes that n bytes were read into room.
func (in *input) came(n int) {
	if !in.direct {
		in.end += n
		return
	}
	old := len(*in.long)
	*in.long = (*in.long)[:old+n]
	in.key = unmask((*in.long)[old:], in.key)
	in.left -= uint64(n)
}

// growLong gives what is collected, with room for one byte more at least.
func (in *input) growLong(limit int) []byte {
	if in.long == nil {
		in.long = longs.Get().(*[]byte)
		*in.long = (*in.long)[:0]
	}
	b := *in.long
	if len(b) == cap(b) {
		grown := make([]byte, len(b), min(2*cap(b), max(limit, len(b)+1)))
		copy(grown, b)
		b, *in.long = grown, grown // the smaller one is not pooled: the next long message would have to grow it again
	}
	return b
}

// take gives the message once its last frame has come whole: where it was
// read, if it is one frame that has room there.
func (in *input) take(limit int) (message []byte, whole bool) {
	if in.long == nil && in.first == in.kind && in.first&finBit != 0 && in.left <= uint64(len(in.buf)) {
		if in.left > uint64(in.end-in.next) {
			return nil, false
		}
		message = in.buf[in.next : in.next+int(in.left)]
		unmask(message, in.key)
		in.next += len(message)
		in.within, in.open = false, false
		return message, true
	}
	for in.left > 0 && in.next < in.end {
		b := in.growLong(limit)
		n := copy(b[len(b):cap(b)], in.buf[in.next:min(uint64(in.end), uint64(in.next)+in.left)])
		*in.long = b[:len(b)+n]
		in.key = unmask((*in.long)[len(b):], in.key)
		in.next += n
		in.left -= uint64(n)
	}
	if in.left > 0 {
		return nil, false
	}
	in.within = false
	if in.first&finBit == 0 {
		return nil, false
	}
	in.open = false
	if in.long == nil { // fragments without a byte
		return nil, true
	}
	return *in.long, true
}
