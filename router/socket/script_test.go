//go:build unix

package socket

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
)

// script makes frames of bytes: mostly what a client may send, at times not.
type script struct {
	ops        []byte
	compressed bool
	open       bool // a message is
	stream     []byte
}

func (s *script) byte() byte {
	if len(s.ops) == 0 {
		return 0
	}
	b := s.ops[0]
	s.ops = s.ops[1:]
	return b
}

func (s *script) frame(first byte, payload string) {
	if key := s.byte(); key == 0xFF { // not masked
		s.stream = append(s.stream, encodeServer(first, payload)...)
		return
	}
	s.stream = append(s.stream, masked(first, payload)...)
}

func encodeServer(first byte, payload string) []byte {
	f := encode(0, append(make([]byte, maxHeader), payload...))
	return append([]byte{first}, f.wire[1:]...)
}

// payloadOf is of a length that headers and buffers have an edge at, or near.
func (s *script) payload() string {
	lengths := [...]int{0, 1, 7, 50, 125, 126, 127, 128, 400, 500, 506, 512, 600, 2000, 4080, 4088, 4096, 5000, 8191, 8192, 9000, 20_000}
	n := lengths[int(s.byte())%len(lengths)] + int(s.byte()%3)
	switch p := strings.Repeat("aé€😀 text ", n/10+2)[:n]; s.byte() % 8 {
	case 0:
		return p // maybe cut in a character
	default:
		return strings.ToValidUTF8(p, "")
	}
}

func (s *script) build() []byte {
	for frames := 0; len(s.ops) > 0 && frames < smallPerSecond-10; frames++ {
		op := s.byte()
		switch odd := op >= 250; {
		case op < 20:
			s.frame(finBit|opPing, fmt.Sprint("ping", frames))
		case op < 30:
			s.frame(finBit|opPong, "")
		case op < 35:
			s.frame(finBit|opClose, s.closePayload())
		case op < 38:
			s.frame(s.byte(), s.payload())
		case s.open != odd && op%3 == 0:
			s.frame(finBit, s.payload())
			s.open = false
		case s.open != odd:
			s.frame(0, s.payload())
		case op%3 == 0:
			s.frame(opText, s.payload())
			s.open = true
		case op%3 == 1 && s.compressed:
			s.packed(s.payload(), int(s.byte()%4))
		default:
			s.frame(finBit|opText, s.payload())
		}
	}
	return s.stream
}

func (s *script) closePayload() string {
	switch code := binary.BigEndian.AppendUint16(nil, 990+uint16(s.byte())); s.byte() % 5 {
	case 0:
		return ""
	case 1:
		return "x"
	case 2:
		return string(code) + "caf\xe9"
	case 3:
		return "\x03\xe8" + strings.Repeat("r", 123)
	default:
		return string(code)
	}
}

// packed is a compressed message in so many continuations.
func (s *script) packed(p string, more int) {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 5)
	_, _ = io.WriteString(w, p)
	_ = w.Flush()
	z := strings.TrimSuffix(b.String(), "\x00\x00\xff\xff")
	first := byte(rsv1 | opText)
	for ; more > 0; more-- {
		n := len(z) / (more + 1)
		s.frame(first, z[:n])
		first, z = 0, z[n:]
	}
	s.frame(first|finBit, z)
}
