package redisbroker

import (
	"io"
	"net"
	"syscall"
)

// rawConn is a TCP connection whose descriptor is read and written directly, where
// the system and the connection allow it. The descriptor never blocks, so that the
// scheduler need not be told of these calls: telling it wakes its monitor thread
// whenever the process was idle before, which costs more than the call.
//
// One goroutine at a time may read, and one may write.
type rawConn struct {
	net.Conn
	raw syscall.RawConn // nil: Conn's own methods are used

	readFunc, writeFunc func(fd uintptr) bool
	in, out             transfer
}

// transfer is one call of Read or Write.
type transfer struct {
	p   []byte
	n   int
	err error
}

// newRawConn is a connection with the descriptor of c, if c is nothing but a
// TCP or Unix connection.
func newRawConn(c net.Conn) *rawConn {
	r := &rawConn{Conn: c}
	switch c.(type) {
	case *net.TCPConn, *net.UnixConn:
		if raw, err := c.(syscall.Conn).SyscallConn(); err == nil && canRaw {
			r.raw = raw
		}
	}
	r.readFunc = func(fd uintptr) bool {
		var wait bool
		r.in.n, wait, r.in.err = rawRead(fd, r.in.p)
		return !wait
	}
	r.writeFunc = func(fd uintptr) bool {
		n, wait, err := rawWrite(fd, r.out.p[r.out.n:])
		r.out.n += n
		r.out.err = err
		return err != nil || !wait && r.out.n == len(r.out.p)
	}
	return r
}

func (c *rawConn) Read(p []byte) (int, error) {
	if c.raw == nil || len(p) == 0 {
		return c.Conn.Read(p)
	}
	c.in = transfer{p: p}
	err := c.raw.Read(c.readFunc)
	n := c.in.n
	if err == nil {
		err = c.in.err
	}
	c.in = transfer{}
	if err == nil && n == 0 {
		err = io.EOF
	}
	return n, err
}

func (c *rawConn) Write(p []byte) (int, error) {
	if c.raw == nil || len(p) == 0 {
		return c.Conn.Write(p)
	}
	c.out = transfer{p: p}
	err := c.raw.Write(c.writeFunc)
	n := c.out.n
	if err == nil {
		err = c.out.err
	}
	c.out = transfer{}
	return n, err
}

// quiet reports that the peer has neither sent anything nor ended the connection.
func (c *rawConn) quiet() bool {
	conn := c.Conn
	if t, ok := conn.(interface{ NetConn() net.Conn }); ok { // TLS
		conn = t.NetConn()
	}
	s, ok := conn.(syscall.Conn)
	if !ok || !canRaw {
		return true
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return false
	}
	silent := false
	err = raw.Control(func(fd uintptr) { silent = rawQuiet(fd) })
	return err == nil && silent
}
