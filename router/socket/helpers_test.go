package socket

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// server is a real HTTP server on loopback whose every request becomes a socket.
type server struct {
	*httptest.Server
	engine  *Engine
	sockets chan *Socket // each accepted socket, while there is room
	running atomic.Int64 // handlers and lives
}

type serverConfig struct {
	options    Options
	tls        bool
	sendBuffer int // SO_SNDBUF of accepted connections; 0: the system's
	before     func(http.ResponseWriter)
	configure  func(*http.Server)
}

// serve starts a server; each socket is handed to life in its own goroutine,
// and released when that returns.
func serve(t testing.TB, c serverConfig, life func(*Socket)) *server {
	t.Helper()
	srv := &server{engine: NewEngine(), sockets: make(chan *Socket, 16)}
	srv.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		srv.running.Add(1)
		defer srv.running.Add(-1)
		if c.before != nil {
			c.before(w)
		}
		s, err := srv.engine.Accept(w, r, c.options)
		if err != nil {
			return
		}
		select {
		case srv.sockets <- s:
		default:
		}
		srv.running.Add(1)
		go func() {
			defer srv.running.Add(-1)
			life(s)
			s.Release()
		}()
	}))
	if c.sendBuffer > 0 {
		srv.Listener = smallBuffers{srv.Listener, c.sendBuffer}
	}
	if c.configure != nil {
		c.configure(srv.Config)
	}
	if c.tls {
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(func() {
		srv.Close()
		eventually(t, "all sockets ended", func() bool { return srv.running.Load() == 0 })
		if n := srv.engine.Stats().Sockets; n != 0 {
			t.Errorf("%d sockets are not released", n)
		}
		srv.engine.Close()
	})
	return srv
}

type smallBuffers struct {
	net.Listener
	size int
}

func (l smallBuffers) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err == nil {
		err = nc.(*net.TCPConn).SetWriteBuffer(l.size)
	}
	return nc, err
}

// socket is the next accepted one.
func (srv *server) socket(t testing.TB) *Socket {
	t.Helper()
	return receive(t, srv.sockets)
}

func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("it did not come")
		panic("unreachable")
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came true that %s", what)
		}
	}
}

// echo answers each message with itself.
func echo(s *Socket) {
	for {
		b, err := s.Read()
		if errors.Is(err, ErrUTF8) {
			continue
		}
		if err != nil {
			return
		}
		s.Send(Item{Frame: textFrame(string(b))})
	}
}

// readAll reads until the end, and gives what Read ended with.
func readAll(ended chan<- error) func(*Socket) {
	return func(s *Socket) {
		for {
			_, err := s.Read()
			if err != nil && !errors.Is(err, ErrUTF8) {
				ended <- err
				return
			}
		}
	}
}

func textFrame(s string) *Frame {
	return NewFrame(len(s), func(b []byte) []byte { return append(b, s...) })
}

// dial is a client of the library.
func (srv *server) dial(t testing.TB, o *websocket.DialOptions) *websocket.Conn {
	t.Helper()
	if o == nil {
		o = &websocket.DialOptions{}
	}
	o.HTTPClient = srv.Client()
	c, _, err := websocket.Dial(context.Background(), "ws"+strings.TrimPrefix(srv.URL, "http"), o)
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(-1)
	t.Cleanup(func() { _ = c.CloseNow() })
	return c
}

const handshake = "GET /ws HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

// rawClient writes and checks bytes itself.
type rawClient struct {
	*net.TCPConn
	t      testing.TB
	br     *bufio.Reader
	header string // of the response
}

// rawDial connects; behind follows the handshake in the same write.
func (srv *server) rawDial(t testing.TB, receiveBuffer int, behind ...[]byte) *rawClient {
	t.Helper()
	nc, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c := &rawClient{TCPConn: nc.(*net.TCPConn), t: t, br: bufio.NewReader(nc)}
	t.Cleanup(func() { _ = nc.Close() })
	if receiveBuffer > 0 {
		c.must(c.SetReadBuffer(receiveBuffer))
	}
	c.must(c.SetReadDeadline(time.Now().Add(2 * patience)))
	request := []byte(handshake + "\r\n")
	for _, b := range behind {
		request = append(request, b...)
	}
	c.write(request)
	for {
		line, err := c.br.ReadString('\n')
		c.must(err)
		c.header += line
		if line == "\r\n" {
			break
		}
	}
	if !strings.HasPrefix(c.header, "HTTP/1.1 101 ") {
		t.Fatalf("the response is %q", c.header)
	}
	return c
}

func (c *rawClient) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *rawClient) write(b []byte) {
	c.t.Helper()
	_, err := c.Write(b)
	c.must(err)
}

// masked encodes a client's frame: first is FIN, RSV and opcode.
func masked(first byte, payload string) []byte {
	b := maskedHeader(first, uint64(len(payload)))
	key := b[len(b)-4:]
	for i := range len(payload) {
		b = append(b, payload[i]^key[i%4])
	}
	return b
}

func maskedHeader(first byte, n uint64) []byte {
	b := []byte{first}
	switch {
	case n > 0xFFFF:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), n)
	case n > 125:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = append(b, 0x80|byte(n))
	}
	return append(b, 0x12, 0x34, 0x56, 0x78)
}

func text(s string) []byte { return masked(finBit|opText, s) }

// wireFrame is a frame of the server, checked.
type wireFrame struct {
	opcode  byte
	payload string
}

// code of a close frame; 0 if it is none.
func (f wireFrame) code() int {
	if f.opcode != opClose || len(f.payload) < 2 {
		return 0
	}
	return int(binary.BigEndian.Uint16([]byte(f.payload)))
}

// next reads a frame and fails unless it is one a server may send.
func (c *rawClient) next() (wireFrame, error) {
	var h [2]byte
	if _, err := io.ReadFull(c.br, h[:]); err != nil {
		return wireFrame{}, err
	}
	op := h[0] &^ finBit
	if h[0]&finBit == 0 || h[1]&0x80 != 0 || op != opText && op != opClose && op != opPing && op != opPong {
		return wireFrame{}, fmt.Errorf("no frame of a server: %x", h)
	}
	n := uint64(h[1])
	ext := map[uint64]int{126: 2, 127: 8}[n]
	if ext > 0 {
		if op != opText {
			return wireFrame{}, errors.New("a control frame is too long")
		}
		var b [8]byte
		if _, err := io.ReadFull(c.br, b[8-ext:]); err != nil {
			return wireFrame{}, err
		}
		n = binary.BigEndian.Uint64(b[:])
	}
	if n > 16<<20 {
		return wireFrame{}, fmt.Errorf("a frame of %d bytes", n)
	}
	p := make([]byte, n)
	_, err := io.ReadFull(c.br, p)
	return wireFrame{op, string(p)}, err
}

func (c *rawClient) expect(opcode byte, payload string) {
	c.t.Helper()
	f, err := c.next()
	if err != nil || f.opcode != opcode || f.payload != payload {
		c.t.Fatalf("frame %x %.60q, error %v; want %x %.60q", f.opcode, f.payload, err, opcode, payload)
	}
}

// expectClose skips text frames up to the close frame.
func (c *rawClient) expectClose(code int) wireFrame {
	c.t.Helper()
	for {
		f, err := c.next()
		if err != nil {
			c.t.Fatalf("error %v; want a close frame with %d", err, code)
		}
		if f.opcode == opClose {
			if f.code() != code {
				c.t.Fatalf("close frame with %d %q, want %d", f.code(), f.payload, code)
			}
			return f
		}
	}
}

func (c *rawClient) expectEOF() {
	c.t.Helper()
	if f, err := c.next(); err != io.EOF {
		c.t.Fatalf("frame %x %.60q, error %v; want the end", f.opcode, f.payload, err)
	}
}
