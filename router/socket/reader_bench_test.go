//go:build unix

package socket

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// endless is a connection on which the same bytes come again and again.
type endless struct {
	net.Conn // nil
	stream   []byte
	next     int
}

func (c *endless) Read(p []byte) (int, error) {
	n := copy(p, c.stream[c.next:])
	c.next = (c.next + n) % len(c.stream)
	return n, nil
}

func (c *endless) Write(p []byte) (int, error) { return len(p), nil }
func (c *endless) Close() error                { return nil }

type endlessHijacker struct {
	*httptest.ResponseRecorder
	nc *endless
}

func (h endlessHijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.nc, bufio.NewReadWriter(bufio.NewReaderSize(h.nc, plainStep), bufio.NewWriterSize(h.nc, plainStep)), nil
}

// BenchmarkRead is what a message costs without system calls: ours, and the
// library with the same buffer.
func BenchmarkRead(b *testing.B) {
	for _, n := range []int{100, 2000, 30_000} {
		message := text(strings.Repeat("m", n))
		b.Run(fmt.Sprintf("socket/%d", n), func(b *testing.B) {
			s := &Socket{
				settings: &settings{readLimit: 64 << 10, messageTime: time.Hour},
				engine:   &Engine{wheel: newWheel()},
				writer:   newWriter(0),
				nc:       &endless{stream: message},
			}
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				if p, err := s.Read(); err != nil || len(p) != n {
					b.Fatal(len(p), err)
				}
			}
		})
		b.Run(fmt.Sprintf("library/%d", n), func(b *testing.B) {
			c, err := websocket.Accept(endlessHijacker{httptest.NewRecorder(), &endless{stream: message}}, upgradeRequest(false), nil)
			if err != nil {
				b.Fatal(err)
			}
			defer c.CloseNow()
			c.SetReadLimit(-1)
			buf := make([]byte, 64<<10)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				_, r, err := c.Reader(context.Background())
				if err != nil {
					b.Fatal(err)
				}
				for k := 0; err == nil; {
					k, err = r.Read(buf)
					_ = k
				}
			}
		})
	}
}

func BenchmarkUnmask(b *testing.B) {
	for _, n := range []int{16, 128, 4096} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			p := make([]byte, n)
			b.SetBytes(int64(n))
			for b.Loop() {
				unmask(p, 0x12345678)
			}
		})
	}
}

// handshaking is the ResponseWriter of one handshake on a connection that takes
// all that is written.
type handshaking struct {
	nc     net.Conn
	header http.Header
	brw    *bufio.ReadWriter
}

func (h *handshaking) Header() http.Header         { return h.header }
func (h *handshaking) Write(p []byte) (int, error) { return len(p), nil }
func (h *handshaking) WriteHeader(int)             {}
func (h *handshaking) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.nc, h.brw, nil
}

type deadlined struct{ endless }

func (*deadlined) SetDeadline(time.Time) error      { return nil }
func (*deadlined) SetReadDeadline(time.Time) error  { return nil }
func (*deadlined) SetWriteDeadline(time.Time) error { return nil }

// accepting returns a function that accepts a handshake and ends its socket, without
// net/http and system calls: what Accept itself costs.
func accepting(t testing.TB, change func(http.Header)) func() {
	e := NewEngine()
	t.Cleanup(e.Close)
	r := upgradeRequest(false)
	change(r.Header)
	nc := new(deadlined)
	h := &handshaking{nc: nc, header: make(http.Header), brw: bufio.NewReadWriter(bufio.NewReader(nc), bufio.NewWriter(nc))}
	return func() {
		clear(h.header)
		s, err := e.Accept(h, r, Options{Subprotocols: []string{"v1"}, PingInterval: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		s.failed = true // nothing is to be written
		s.Release()
	}
}

func BenchmarkAccept(b *testing.B) {
	for _, c := range []struct {
		name   string
		change func(http.Header)
	}{
		{"plain", func(h http.Header) { h.Set("Sec-WebSocket-Protocol", "v1") }},
		{"library", func(h http.Header) { h.Set("Sec-WebSocket-Protocol", "v2, v1") }},
	} {
		b.Run(c.name, func(b *testing.B) {
			accept := accepting(b, c.change)
			b.ReportAllocs()
			for b.Loop() {
				accept()
			}
		})
	}
}

func TestAPlainHandshakeTakesFourAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	// The socket, its response and the frame of that, its heartbeat.
	if n := testing.AllocsPerRun(1000, accepting(t, func(http.Header) {})); n > 4 {
		t.Errorf("%v allocations, want at most 4", n)
	}
}
