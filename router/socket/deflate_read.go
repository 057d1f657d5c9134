package socket

import (
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"sync"
)

// ErrCorrupt ends Read for a compressed message that cannot be decompressed; 1007 was sent.
var ErrCorrupt = errors.New("socket: compressed message is corrupt")

const (
	// ending is read behind a message: what its sender has left away, and a final block, by
	// which a message that is whole differs from one that was cut.
	ending = flushTail + "\x01" + flushTail

	window     = 32 << 10 // bytes to which a block may refer back
	firstRoom  = 512      // bytes that the text of a message is first given
	maxRestart = 16       // final blocks in a message that more follows: each costs a window
)

// inflate appends the text of a compressed message to dst, at most limit bytes: beyond, ErrTooBig.
// dst grows with what comes out and not with what might, to no more than limit asks for. What
// cannot be decompressed is an error that wraps ErrCorrupt. With an error too, what it
// returns is dst as far as it came.
//
// A block may be marked as final (RFC 7692, 7.2.3.4) and others may follow it. A message that
// ends with such a block may, but need not, have the empty byte behind it that the RFC wants.
func inflate(dst, message []byte, limit int) ([]byte, error) {
	d := takeInflater(message)
	defer d.giveBack()
	start := len(dst)
	most := start + max(limit, 0)
	for restarts := 0; ; {
		var n int
		var err error
		if len(dst) < most {
			dst = withRoom(dst, most)
			n, err = d.reader.Read(dst[len(dst):min(cap(dst), most)])
			dst = dst[:len(dst)+n]
		} else if n, err = d.reader.Read(d.probe[:]); n > 0 {
			return dst, ErrTooBig
		}
		switch {
		case err == nil:
		case err != io.EOF:
			return dst, fmt.Errorf("%w: %v", ErrCorrupt, err)
		case d.in.ended():
			return dst, nil
		case d.in.rest() <= 0:
			return dst, fmt.Errorf("%w: its last block is not whole", ErrCorrupt)
		case restarts == maxRestart:
			return dst, fmt.Errorf("%w: more than %d final blocks", ErrCorrupt, maxRestart)
		default:
			restarts++
			d.restart(dst[max(start, len(dst)-window):])
		}
	}
}

// withRoom gives dst room for at least one more byte, below most in all.
func withRoom(dst []byte, most int) []byte {
	if len(dst) < cap(dst) {
		return dst
	}
	grown := make([]byte, len(dst), min(max(2*cap(dst), len(dst)+firstRoom), most))
	copy(grown, dst)
	return grown
}

// inflater is a reader of compressed data, which is some 45 kilobytes whatever it has read.
type inflater struct {
	reader io.ReadCloser // of in
	in     source
	probe  [1]byte
}

var inflaters = sync.Pool{New: func() any {
	d := new(inflater)
	d.reader = flate.NewReader(&d.in)
	return d
}}

func takeInflater(message []byte) *inflater {
	d := inflaters.Get().(*inflater)
	d.in = source{message: message}
	d.restart(nil)
	return d
}

func (d *inflater) giveBack() {
	d.in = source{}
	inflaters.Put(d)
}

// restart goes on with the next block; before is what blocks may refer to.
func (d *inflater) restart(before []byte) {
	_ = d.reader.(flate.Resetter).Reset(&d.in, before) // never fails
}

// source is a message and its ending. It is read by single bytes, so that nothing is lost where
// one block is final and another follows.
type source struct {
	message []byte
	pos     int // in message and ending
}

var _ flate.Reader = (*source)(nil)

// rest is how much of the message has not been read; negative within the ending.
func (s *source) rest() int { return len(s.message) - s.pos }

// ended says whether a final block may end here: behind the message, with or without what the
// sender has left away, or behind the whole ending.
func (s *source) ended() bool {
	switch -s.rest() {
	case 0, len(flushTail), len(ending):
		return true
	}
	return false
}

// ReadByte implements io.ByteReader.
func (s *source) ReadByte() (byte, error) {
	pos := s.pos
	if pos < len(s.message) {
		s.pos++
		return s.message[pos], nil
	}
	if pos -= len(s.message); pos < len(ending) {
		s.pos++
		return ending[pos], nil
	}
	return 0, io.EOF
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (n int, err error) {
	if rest := s.rest(); rest > 0 {
		n = copy(p, s.message[s.pos:])
	} else if n = copy(p, ending[-rest:]); n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	s.pos += n
	return n, nil
}
