//go:build unix

package socket

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// The library is the oracle: the same bytes, cut at the same places, must come
// to the same messages, the same last ping and the same end.

// outcome is what a stream of bytes came to.
type outcome struct {
	messages []string // ErrUTF8 stands for one that is not UTF-8
	ping     string   // the last one's payload
	end      string
}

const (
	endEOF    = "end of the stream"
	endBinary = "binary message"
)

func endCode(code int) string { return fmt.Sprint("close frame with ", code) }

// chunked cuts the stream; each cut is a length, 0 stands for all that is left.
func chunked(stream, cuts []byte) [][]byte {
	var chunks [][]byte
	for len(stream) > 0 {
		n := len(stream)
		if len(cuts) > 0 {
			if cuts[0] > 0 {
				n = min(n, int(cuts[0]))
			}
			cuts = cuts[1:]
		}
		chunks = append(chunks, stream[:n])
		stream = stream[n:]
	}
	return chunks
}

// errGone ends a chunkConn. The library would take io.EOF between two fragments,
// or before a payload, for the end of the message.
var errGone = errors.New("gone")

// chunkConn is a connection that gives one chunk after the other, and keeps
// what is written.
type chunkConn struct {
	net.Conn // nil
	chunks   [][]byte
	written  bytes.Buffer
}

func (c *chunkConn) Read(p []byte) (int, error) {
	if len(c.chunks) == 0 {
		return 0, errGone
	}
	n := copy(p, c.chunks[0])
	if c.chunks[0] = c.chunks[0][n:]; len(c.chunks[0]) == 0 {
		c.chunks = c.chunks[1:]
	}
	return n, nil
}

func (c *chunkConn) Write(p []byte) (int, error)     { return c.written.Write(p) }
func (c *chunkConn) Close() error                    { return nil }
func (c *chunkConn) SetDeadline(time.Time) error     { return nil }
func (c *chunkConn) SetReadDeadline(time.Time) error { return nil }

// chunkHijacker gives the library the connection.
type chunkHijacker struct {
	*httptest.ResponseRecorder
	nc *chunkConn
}

func (h chunkHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.nc, bufio.NewReadWriter(bufio.NewReader(h.nc), bufio.NewWriter(h.nc)), nil
}

func upgradeRequest(compressed bool) *http.Request {
	r := httptest.NewRequest("GET", "/ws", nil)
	r.Header.Set("Connection", "Upgrade")
	r.Header.Set("Upgrade", "websocket")
	r.Header.Set("Sec-WebSocket-Version", "13")
	r.Header.Set("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
	if compressed {
		r.Header.Set("Sec-WebSocket-Extensions", "permessage-deflate")
	}
	return r
}

// byLibrary is what the library makes of the chunks.
func byLibrary(t *testing.T, chunks [][]byte, limit int, compressed bool) (o outcome) {
	nc := &chunkConn{chunks: slices.Clone(chunks)}
	options := &websocket.AcceptOptions{OnPingReceived: func(_ context.Context, p []byte) bool {
		o.ping = string(p)
		return false
	}}
	if compressed {
		options.CompressionMode = websocket.CompressionNoContextTakeover
	}
	c, err := websocket.Accept(chunkHijacker{httptest.NewRecorder(), nc}, upgradeRequest(compressed), options)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	c.SetReadLimit(int64(limit))
	for {
		typ, r, err := c.Reader(t.Context())
		if err == nil && typ == websocket.MessageBinary {
			o.end = endBinary
			return o
		}
		var b []byte
		if err == nil {
			b, err = io.ReadAll(r)
		}
		if err != nil {
			o.end = endOfLibrary(nc, err)
			return o
		}
		if !utf8.Valid(b) {
			b = []byte(ErrUTF8.Error())
		}
		o.messages = append(o.messages, string(b))
	}
}

// endOfLibrary differs from what the library does in two ways that are ours: it
// sends no close frame for some violations, and takes reasons that are not UTF-8.
func endOfLibrary(nc *chunkConn, err error) string {
	var bye websocket.CloseError
	p := nc.written.Bytes()
	switch {
	case errors.As(err, &bye) && !utf8.ValidString(bye.Reason):
		return endCode(statusInvalid)
	case len(p) >= 4 && p[0] == finBit|opClose:
		return endCode(int(binary.BigEndian.Uint16(p[2:])))
	case len(p) == 2 && p[0] == finBit|opClose:
		return endCode(statusNone)
	case errors.Is(err, errGone):
		return endEOF
	}
	return endCode(statusProtocol)
}

// chunkRaw is a real descriptor into which one chunk after the other comes.
type chunkRaw struct {
	syscall.RawConn // nil
	t               *testing.T
	fds             [2]int
	chunks          [][]byte
}

func (c *chunkRaw) Read(f func(fd uintptr) bool) error {
	for !f(uintptr(c.fds[0])) { // which says that nothing is left of the chunk before
		if len(c.chunks) == 0 {
			if err := syscall.Shutdown(c.fds[1], syscall.SHUT_WR); err != nil {
				c.t.Fatal(err)
			}
			continue
		}
		n := min(len(c.chunks[0]), 32<<10) // a descriptor takes no more at once
		if _, err := syscall.Write(c.fds[1], c.chunks[0][:n]); err != nil {
			c.t.Fatal(err)
		}
		if c.chunks[0] = c.chunks[0][n:]; len(c.chunks[0]) == 0 {
			c.chunks = c.chunks[1:]
		}
	}
	return nil
}

// bySocket is what we make of the chunks, on a plain socket or on something else.
func bySocket(t *testing.T, chunks [][]byte, limit int, compressed, plain bool) (o outcome) {
	s := &Socket{
		settings: &settings{readLimit: limit, messageTime: time.Hour},
		engine:   &Engine{wheel: newWheel()},
		writer:   newWriter(0),
		nc:       &chunkConn{chunks: slices.Clone(chunks)},
		busy:     true, // so that nothing is written
	}
	if compressed {
		s.settings.deflate = 1
	}
	if !plain {
		fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(fds[0])
		defer syscall.Close(fds[1])
		if err := syscall.SetNonblock(fds[0], true); err != nil {
			t.Fatal(err)
		}
		s.raw, s.take = &chunkRaw{t: t, fds: fds, chunks: slices.Clone(chunks)}, s.takeNow
	}
	for {
		b, err := s.Read()
		if err != nil && err != ErrUTF8 {
			if _, again := s.Read(); again != err {
				t.Fatalf("Read fails with %v after %v", again, err)
			}
			o.end = endOfSocket(s, err)
			break
		}
		if err != nil {
			b = []byte(err.Error())
		}
		o.messages = append(o.messages, string(b))
	}
	if s.in != nil {
		t.Fatal("a buffer is kept at the end")
	}
	if s.pong != nil {
		o.ping = string(s.pong.Payload())
	}
	return o
}

func endOfSocket(s *Socket, err error) string {
	switch {
	case s.goodbye != nil:
		return endCode(closeCode(s.goodbye))
	case err == ErrBinary:
		return endBinary
	case err == io.EOF || err == errGone:
		return endEOF
	}
	return err.Error()
}

// compare fails unless both say the same, or ours has been told by a header
// what the library only learns from what follows.
func compare(t *testing.T, stream, cuts []byte, limit int, compressed bool) {
	t.Helper()
	chunks := chunked(stream, cuts)
	want := byLibrary(t, chunks, limit, compressed)
	for _, plain := range []bool{false, true} {
		got := bySocket(t, chunks, limit, compressed, plain)
		want := want
		if got.end == endCode(statusTooBig) && got.end != want.end {
			want = byLibrary(t, append(slices.Clone(chunks), make([]byte, 2*limit+100)), limit, compressed)
			if want.end == endBinary {
				want.end = got.end
			}
		}
		if !slices.Equal(got.messages, want.messages) || got.end != want.end || got.ping != want.ping {
			t.Fatalf("of %d bytes %q (plain %v, compressed %v):\nthe socket makes %.300q\nthe library     %.300q", len(stream), clipped(stream), plain, compressed, got, want)
		}
	}
}

func clipped(b []byte) []byte { return b[:min(len(b), 400)] }

func FuzzWhateverComesTheSocketSaysWhatTheLibrarySays(f *testing.F) {
	whole := append(append(text("first"), masked(finBit|opPing, "p")...), text(strings.Repeat("second", 100))...)
	f.Add(whole, []byte{1, 2, 3}, byte(0), false)
	f.Add(append(masked(opText, "caf\xc3"), append(masked(0, ""), masked(finBit, "\xa9")...)...), []byte{5}, byte(10), false)
	f.Add(masked(finBit|opClose, "\x03\xe8bye"), []byte{7, 1}, byte(0), false)
	f.Add(masked(finBit|opClose, "\x03\xe8\xff"), []byte{}, byte(0), false)
	f.Add(maskedHeader(finBit|opText, 1<<40), []byte{}, byte(0), false)
	f.Add(append([]byte{finBit | opText, 0xFF}, "\xff\xff\xff\xff\xff\xff\xff\xff"...), []byte{}, byte(0), false)
	f.Add([]byte{10, 1, 5, 0, 0, 2, 20, 2, 0, 4, 21, 2, 9, 0, 0, 10, 18, 0, 1, 0}, []byte{200, 0, 3}, byte(200), true)
	f.Add([]byte{7, 12, 1, 1, 2, 0, 0, 0, 8, 20, 0, 1, 3, 0, 0, 0, 0, 10, 10, 10, 9, 9, 9}, []byte{100, 100, 100}, byte(255), true)
	f.Fuzz(func(t *testing.T, in, cuts []byte, limit byte, scripted bool) {
		most := 10 + 100*int(limit)
		if !scripted {
			compare(t, in[:min(len(in), 6*(smallPerSecond-1))], cuts, most, false)
			return
		}
		s := script{ops: in}
		compare(t, s.build(), cuts, most, false)
		if inflates() {
			s := script{ops: in, compressed: true}
			compare(t, s.build(), cuts, most, true)
		}
	})
}

// inflates says whether compressed messages are taken at all.
func inflates() bool {
	b, err := inflate(nil, []byte("\xf2\x48\xcd\xc9\xc9\x07\x00"), 100)
	return err == nil && string(b) == "Hello"
}

func TestRandomStreamsComeToWhatTheLibrarySays(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	ends := map[string]int{}
	for range 3000 {
		ops, cuts := make([]byte, r.IntN(120)), make([]byte, r.IntN(60))
		for i := range ops {
			ops[i] = byte(r.UintN(256))
		}
		for i := range cuts {
			cuts[i] = byte(r.UintN(256))
		}
		limit := 10 + 100*r.IntN(256)
		s := script{ops: ops, compressed: inflates() && r.IntN(2) == 0}
		stream := s.build()
		compare(t, stream, cuts, limit, s.compressed)
		ends[byLibrary(t, [][]byte{stream}, limit, s.compressed).end]++
	}
	t.Log(ends)
	for _, end := range []string{endEOF, endCode(statusTooBig), endCode(statusProtocol), endCode(statusInvalid), endCode(statusNone), endCode(1000)} {
		if ends[end] == 0 {
			t.Errorf("no stream ended with %s: the test shows too little", end)
		}
	}
}
