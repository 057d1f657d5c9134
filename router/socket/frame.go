package socket

import (
	"encoding/binary"
	"strings"
	"sync/atomic"
	"unicode/utf8"
)

// Opcodes of RFC 6455 that are written here.
const (
	opText  = 0x1
	opClose = 0x8
	opPing  = 0x9
	opPong  = 0xA
	finBit  = 0x80
)

const (
	maxHeader  = 10  // of a frame that is not masked
	maxControl = 125 // payload bytes of a control frame
	maxReason  = maxControl - 2
)

// Frame is a text message encoded once for all its receivers; immutable, but that its
// compressed forms are made when somebody wants them.
type Frame struct {
	wire   []byte // header and payload
	packed atomic.Pointer[packed]
}

// NewFrame encodes what build appends to dst, which has room for sizeHint
// bytes. build must append, and must not keep dst.
func NewFrame(sizeHint int, build func(dst []byte) []byte) *Frame {
	return encode(opText, build(make([]byte, maxHeader, maxHeader+max(sizeHint, 0))))
}

// wireOf is the frame as the socket's peer takes it: compressed, if the two have agreed
// on that and it is worth it. It is the same slice for every call and every socket of that
// level. The first call for a frame compresses it, so no lock should be held then.
func (s *Socket) wireOf(f *Frame) []byte {
	if s.deflate == 0 || f.wire[0] != finBit|opText {
		return f.wire
	}
	return f.deflated(s.deflate, s.deflateMin, &s.engine.deflates)
}

// Payload is the frame's text, without its header. It must not be changed.
func (f *Frame) Payload() []byte {
	switch f.wire[1] {
	case 127:
		return f.wire[10:]
	case 126:
		return f.wire[4:]
	}
	return f.wire[2:]
}

// encode puts a header in front of a payload that starts at maxHeader in b.
func encode(opcode byte, b []byte) *Frame {
	n := len(b) - maxHeader
	h := b[maxHeader-headerSize(n):]
	appendHeader(h[:0], finBit|opcode, n)
	return &Frame{wire: h}
}

// headerSize is the size of the header of an unmasked frame with n bytes of payload.
func headerSize(n int) int {
	switch {
	case n > 0xFFFF:
		return 10
	case n > maxControl:
		return 4
	}
	return 2
}

// appendHeader appends the header of an unmasked frame; first is FIN, RSV and opcode.
func appendHeader(dst []byte, first byte, n int) []byte {
	switch headerSize(n) {
	case 10:
		return binary.BigEndian.AppendUint64(append(dst, first, 127), uint64(n))
	case 4:
		return binary.BigEndian.AppendUint16(append(dst, first, 126), uint16(n))
	}
	return append(dst, first, byte(n))
}

// Frames without a payload are shared by all sockets.
var (
	pingFrame = encode(opPing, make([]byte, maxHeader))
	emptyPong = encode(opPong, make([]byte, maxHeader))
)

// pongFrame answers a ping; the payload is copied.
func pongFrame(payload []byte) *Frame {
	if len(payload) == 0 {
		return emptyPong
	}
	return controlFrame(opPong, payload)
}

func controlFrame(opcode byte, payload []byte) *Frame {
	b := make([]byte, maxHeader, maxHeader+len(payload))
	return encode(opcode, append(b, payload...))
}

// closeFrame encodes a close code and as much of the reason as fits, cut
// between characters. Code 1005 means no status and makes an empty frame; a
// code that may not be sent becomes 1011.
func closeFrame(code int, reason string) *Frame {
	if code == statusNone {
		return controlFrame(opClose, nil)
	}
	if !sendable(code) {
		code = statusInternal
	}
	payload := binary.BigEndian.AppendUint16(make([]byte, 0, maxControl), uint16(code))
	return controlFrame(opClose, append(payload, cutReason(reason)...))
}

func cutReason(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxReason {
		return s
	}
	n := maxReason
	for !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// Close codes that this package itself uses.
const (
	statusProtocol = 1002
	statusNone     = 1005 // the close frame had no code
	statusAbnormal = 1006 // there was no close frame
	statusTooBig   = 1009
	statusInternal = 1011
)

func sendable(code int) bool {
	switch code {
	case 1004, statusNone, statusAbnormal:
		return false
	}
	return code >= 1000 && code <= 1014 || code >= 3000 && code <= 4999
}

// closeCode reads the code of a close frame that was encoded without a mask.
func closeCode(f *Frame) int {
	if p := f.Payload(); len(p) >= 2 {
		return int(binary.BigEndian.Uint16(p))
	}
	return statusNone
}
