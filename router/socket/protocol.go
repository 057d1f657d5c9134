package socket

import (
	"encoding/binary"
	"errors"
	"math"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// More bits of RFC 6455 that are read here.
const (
	opBinary = 0x2
	rsv1     = 0x40 // with permessage-deflate: the message is compressed
	rsvBits  = 0x70
	opBits   = 0x0F
	maskBit  = 0x80

	statusInvalid = 1007 // what came is not what it should be: text, or deflate
)

// smallFragment is the payload below which a frame that does not end a message
// is counted as one of a flood: the caller of Read never sees it, and it may
// carry nothing at all.
const smallFragment = 128 // bytes

// errMore says that what has come is no whole frame.
var errMore = errors.New("socket: more must come")

// violation is what a peer may not do. It is told so, with a close code.
type violation struct {
	code   int
	reason string
	cause  error // nil: the reason says it all
}

func (v *violation) Error() string { return "socket: " + v.reason }

func violates(code int, reason string) error { return &violation{code: code, reason: reason} }

func (v *violation) Unwrap() error { return v.cause }

var (
	errNotMasked    = violates(statusProtocol, "a frame is not masked")
	errReserved     = violates(statusProtocol, "a reserved bit is set")
	errOpcode       = violates(statusProtocol, "an opcode is reserved")
	errLength       = violates(statusProtocol, "a length is negative")
	errLongControl  = violates(statusProtocol, "a control frame is longer than 125 bytes")
	errSplitControl = violates(statusProtocol, "a control frame is fragmented")
	errNothingOpen  = violates(statusProtocol, "a continuation of nothing")
	errStillOpen    = violates(statusProtocol, "a message begins within another")
	errCloseCode    = violates(statusProtocol, "a close code that may not be sent")
	errCloseReason  = violates(statusInvalid, "the reason of a close frame is not UTF-8")
)

// header of a client's frame.
type header struct {
	first  byte // FIN, RSV and opcode
	size   int  // bytes of the header
	key    uint32
	length uint64 // of the payload
}

// parseHeader reads the header that p begins with, and whether it may be at
// all. Without a negotiated compression no frame is compressed.
func parseHeader(p []byte, compressed bool) (h header, err error) {
	if len(p) < 2 {
		return h, errMore
	}
	h.first, h.size, h.length = p[0], 2, uint64(p[1]&^maskBit)
	switch h.length {
	case 126:
		if h.size = 4; len(p) < h.size {
			return h, errMore
		}
		h.length = uint64(binary.BigEndian.Uint16(p[2:]))
	case 127:
		if h.size = 10; len(p) < h.size {
			return h, errMore
		}
		if h.length = binary.BigEndian.Uint64(p[2:]); h.length > math.MaxInt64 {
			return h, errLength
		}
	}
	if p[1]&maskBit == 0 {
		return h, errNotMasked
	}
	if h.size += 4; len(p) < h.size {
		return h, errMore
	}
	h.key = binary.LittleEndian.Uint32(p[h.size-4:])
	return h, h.check(compressed)
}

func (h *header) check(compressed bool) error {
	opcode := h.first & opBits
	if rsv := h.first & rsvBits; rsv != 0 {
		// The bit is that of a message, which begins with a frame of data.
		if rsv != rsv1 || !compressed || opcode != opText && opcode != opBinary {
			return errReserved
		}
	}
	switch {
	case opcode > opPong || opcode > opBinary && opcode < opClose:
		return errOpcode
	case opcode >= opClose && h.length > maxControl:
		return errLongControl
	case opcode >= opClose && h.first&finBit == 0:
		return errSplitControl
	}
	return nil
}

// next gives the next message out of what has come, or errMore.
func (s *Socket) next() ([]byte, error) {
	in := s.in
	if in == nil {
		return nil, errMore
	}
	for {
		if !in.within {
			h, err := parseHeader(in.buf[in.next:in.end], s.deflate > 0)
			if err != nil {
				return nil, err
			}
			if h.first&opBits >= opClose {
				err = s.control(in, &h)
			} else {
				err = s.begin(in, &h)
			}
			if err != nil {
				return nil, err
			}
			continue
		}
		b, whole := in.take(s.readLimit)
		if whole && !s.closing.Load() {
			return s.judge(in, b)
		}
		if whole {
			in.freeLong()
		} else if in.within {
			return nil, errMore
		}
	}
}

// begin takes up a frame of data.
func (s *Socket) begin(in *input, h *header) error {
	opcode := h.first & opBits
	switch {
	case opcode == 0 && !in.open:
		return errNothingOpen
	case opcode != 0 && in.open:
		return errStillOpen
	case opcode != 0:
		in.open, in.kind, in.size, in.since = true, h.first, 0, 0
	}
	if in.size += h.length; in.size > uint64(s.readLimit) {
		return ErrTooBig
	}
	if in.kind&opBits == opBinary && !s.closing.Load() {
		return ErrBinary
	}
	if h.first&finBit == 0 && h.length < smallFragment {
		s.countSmall()
	}
	in.within, in.first, in.key, in.left = true, h.first, h.key, h.length
	in.next += h.size
	return nil
}

// judge is the last look at a message.
func (s *Socket) judge(in *input, b []byte) ([]byte, error) {
	if in.kind&rsv1 != 0 {
		var err error
		if b, err = s.inflate(in, b); err != nil {
			return nil, err
		}
	}
	if !utf8.Valid(b) {
		return nil, ErrUTF8
	}
	return b, nil
}

// inflate gives what a compressed message says, which takes the place of what
// was collected.
func (s *Socket) inflate(in *input, b []byte) ([]byte, error) {
	long := longs.Get().(*[]byte)
	out, err := inflate((*long)[:0], b, s.readLimit)
	in.freeLong()
	if cap(out) > 0 {
		*long = out
	}
	in.long = long
	if err != nil && !errors.Is(err, ErrTooBig) {
		return nil, &violation{statusInvalid, "a compressed message is corrupt", err}
	}
	return out, err
}

// control takes a control frame that has come whole.
func (s *Socket) control(in *input, h *header) error {
	if uint64(in.end-in.next-h.size) < h.length {
		return errMore
	}
	s.countSmall()
	payload := in.buf[in.next+h.size:][:h.length]
	in.next += h.size + len(payload)
	unmask(payload, h.key)
	switch h.first & opBits {
	case opPing:
		s.setPong(pongFrame(payload))
	case opClose:
		return s.peerCloses(payload)
	}
	return nil
}

// peerCloses answers the peer's close frame, unless it is the answer to ours,
// with the same.
func (s *Socket) peerCloses(payload []byte) error {
	e := websocket.CloseError{Code: statusNone}
	if len(payload) > 0 {
		if len(payload) < 2 {
			return errCloseCode
		}
		e.Code, e.Reason = websocket.StatusCode(binary.BigEndian.Uint16(payload)), string(payload[2:])
		if !sendable(int(e.Code)) {
			return errCloseCode
		}
		if !utf8.ValidString(e.Reason) {
			return errCloseReason
		}
	}
	s.sayGoodbye(controlFrame(opClose, payload))
	return e
}
