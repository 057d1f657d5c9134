package listener

import (
	"bufio"
	"bytes"
	"errors"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// firstBuffer is what of a head is read at first. Nearly all heads fit; a longer one gets
// a buffer of its own.
const firstBuffer = 4 << 10

// longestHead bounds the short path where MaxHeaderBytes allows more.
const longestHead = 16 << 10

// conn is a connection until it is hijacked, handed over or answered.
type conn struct {
	// Static after start.
	server *Server
	tcp    *net.TCPConn

	begun atomic.Bool // something of a request has come
	response
}

// scratch is what reading and parsing a head needs.
type scratch struct {
	buf    [firstBuffer]byte
	head   head
	source bytes.Reader
	reader *bufio.Reader
}

var scratches = sync.Pool{New: func() any { return &scratch{reader: bufio.NewReaderSize(nil, firstBuffer)} }}

func (s *scratch) free() {
	s.head = head{}
	s.source.Reset(nil)
	s.reader.Reset(nil)
	scratches.Put(s)
}

// serve takes the connection to its end on the short path.
func (c *conn) serve() {
	defer c.recovered()
	began := time.Now()
	if d := c.server.headerTime(); d > 0 {
		_ = c.tcp.SetReadDeadline(began.Add(d))
	}
	req, handler := c.request(began)
	if req == nil {
		return
	}
	c.response.init(c)
	handler.ServeHTTP(&c.response, req)
	if !c.hijacked {
		c.finish()
	}
}

// request reads a handshake, and its handler. It is nil if the connection is served
// elsewhere, or has ended.
func (c *conn) request(began time.Time) (*http.Request, http.Handler) {
	s := scratches.Get().(*scratch)
	defer s.free()
	if !c.read(s) {
		c.close() // without having said anything
		return nil, nil
	}
	if s.head.path != "" {
		if req := c.parse(s); req != nil {
			return req, c.server.handshakes[s.head.path]
		}
	}
	c.handOver(s.head.buf, time.Since(began))
	return nil, nil
}

// read reads until the head is complete, or is not for the short path: then its path is
// "". It reports whether anything has come. What ends the reading early, a timeout for
// one, is net/http's to see too.
func (c *conn) read(s *scratch) bool {
	h := &s.head
	h.buf = s.buf[:0]
	for {
		if len(h.buf) == cap(h.buf) && !h.grow(c.server.maxHeader()) {
			h.path = ""
			return true
		}
		n, err := c.tcp.Read(h.buf[len(h.buf):cap(h.buf)])
		if n > 0 {
			if len(h.buf) == 0 {
				c.begun.Store(true)
			}
			h.buf = h.buf[:len(h.buf)+n]
			switch h.look(c.server.known) {
			case complete:
				return true
			case foreign:
				h.path = ""
				return true
			}
		}
		if err != nil {
			h.path = ""
			return len(h.buf) > 0
		}
	}
}

// grow makes room for a head of at most so many bytes, unless there is that much.
func (h *head) grow(most int) bool {
	if cap(h.buf) >= most {
		return false
	}
	h.buf = append(make([]byte, 0, most), h.buf...)
	return true
}

// handOver has net/http serve the connection. It stays among the server's until net/http
// reads from it, and so has it among its own: at any time one of both knows that a request
// has begun, for Shutdown to wait for.
func (c *conn) handOver(read []byte, waited time.Duration) {
	begins := func() { c.server.forget(c) }
	if !c.server.handover.offer(&handed{TCPConn: c.tcp, front: bytes.Clone(read), begins: begins, waited: waited}) {
		begins()
	}
}

func (c *conn) close() {
	c.server.forget(c)
	_ = c.tcp.Close()
}

// recovered ends the connection of a handler that panicked, and logs it.
func (c *conn) recovered() {
	fault := recover()
	if fault == nil {
		return
	}
	if err, ok := fault.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
		c.server.logf("http: panic serving %v: %v\n%s", c.tcp.RemoteAddr(), fault, debug.Stack())
	}
	if !c.hijacked {
		c.close()
	}
}

func (s *Server) known(path []byte) (string, bool) {
	for known := range s.handshakes {
		if known == string(path) {
			return known, true
		}
	}
	return "", false
}

// headerTime is for how long a head is waited for; 0: for ever.
func (s *Server) headerTime() time.Duration {
	if s.http.ReadHeaderTimeout != 0 {
		return s.http.ReadHeaderTimeout
	}
	return s.http.ReadTimeout
}

// maxHeader is up to how many bytes of head a request may be a handshake.
func (s *Server) maxHeader() int {
	if n := s.http.MaxHeaderBytes; n > 0 {
		return min(n, longestHead)
	}
	return longestHead
}
