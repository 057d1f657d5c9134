package socket

import (
	"fmt"
	"io"
	"net"
	"time"
)

// past is a deadline that makes a waiting call return.
var past = time.Unix(1, 0)

// libConn is the Socket as the connection that the library has. The library
// never closes it, sets no deadline, and does not write: its close frame goes
// the way of all frames.
type libConn Socket

var _ net.Conn = (*libConn)(nil)

// Read gives what came behind the handshake, then what the connection has, up
// to a frame that is too big.
func (c *libConn) Read(p []byte) (int, error) {
	s := (*Socket)(c)
	if err := s.beforeRead(); err != nil {
		return 0, err
	}
	n, err := c.receive(p)
	if n > 0 {
		n = s.follow(p[:n])
	}
	if n == 0 && err == nil {
		err = s.fault
	}
	return n, err
}

// receive is Read without a look at what came. The count of reads tells the
// heartbeat that something came.
func (c *libConn) receive(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		if c.early = c.early[n:]; len(c.early) == 0 {
			c.early = nil
		}
		return n, nil
	}
	c.reads.Add(1)
	n, err := c.nc.Read(p)
	c.reads.Add(1)
	if err != nil {
		c.ncErr = err
	}
	return n, err
}

// Write takes a frame of the library: one call is one frame, since it fits
// into the library's buffer. It is a close frame, the answer to the peer's or
// for an error of the protocol; after one of ours it is swallowed. The library
// keeps p.
func (c *libConn) Write(p []byte) (int, error) {
	s := (*Socket)(c)
	s.writer.counts.library.Add(1)
	if len(p) < 2 || p[0] != finBit|opClose || int(p[1]) != len(p)-2 {
		return 0, fmt.Errorf("socket: unexpected write of %d bytes by the library", len(p))
	}
	s.sayGoodbye(controlFrame(opClose, p[2:]))
	return len(p), nil
}

// Close makes Read return. The connection is closed by Release, when what is
// queued is written.
func (c *libConn) Close() error {
	_ = c.nc.SetReadDeadline(past)
	return nil
}

func (c *libConn) LocalAddr() net.Addr              { return c.nc.LocalAddr() }
func (c *libConn) RemoteAddr() net.Addr             { return c.nc.RemoteAddr() }
func (c *libConn) SetDeadline(time.Time) error      { return nil }
func (c *libConn) SetReadDeadline(time.Time) error  { return nil }
func (c *libConn) SetWriteDeadline(time.Time) error { return nil }

// abort ends the connection without waiting for anything that is not written,
// in the kernel too.
func abort(nc net.Conn) {
	if t, ok := nc.(interface{ NetConn() net.Conn }); ok { // TLS would wait to say goodbye
		nc = t.NetConn()
	}
	if t, ok := nc.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = nc.Close()
}

// linger waits, for a moment, for the peer to end the connection. To close it
// while the peer still sends would reset it, and what is on its way to the
// peer, the close frame above all, would be lost.
func linger(nc net.Conn, buf []byte) {
	if t, ok := nc.(interface{ CloseWrite() error }); ok {
		_ = t.CloseWrite()
	}
	_ = nc.SetReadDeadline(time.Now().Add(lingerTime))
	for n := 0; n < lingerSize; {
		k, err := nc.Read(buf)
		if err != nil {
			return
		}
		n += k
	}
}

var _ io.ReadWriteCloser = (*libConn)(nil)
