package listener

import (
	"io"
	"net"
	"sync"
	"time"
)

// handover is the listener of the http.Server: it accepts what it is offered.
type handover struct {
	conns  chan net.Conn // sent by offer; never closed
	closed chan struct{} // closed by Close
	once   sync.Once
	addr   net.Addr // static once Serve has begun
}

var _ net.Listener = (*handover)(nil)

func newHandover() *handover {
	return &handover{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// offer has the http.Server serve a connection, or closes it. It reports which.
func (h *handover) offer(nc net.Conn) (taken bool) {
	select {
	case h.conns <- nc:
		return true
	case <-h.closed:
		_ = nc.Close()
		return false
	}
}

// Accept implements net.Listener.
func (h *handover) Accept() (net.Conn, error) {
	select {
	case nc := <-h.conns:
		return nc, nil
	case <-h.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handover) Close() error {
	h.once.Do(func() { close(h.closed) })
	return nil
}

// Addr implements net.Listener.
func (h *handover) Addr() net.Addr { return h.addr }

// handed is a connection of which a part has been read.
type handed struct {
	*net.TCPConn
	front  []byte        // what was read, at least one byte; owned by the reader
	begins func()        // called once when the http.Server begins to read; owned by the reader
	waited time.Duration // for what was read, until the first SetReadDeadline
}

// Read gives what was read before, and then what comes.
func (c *handed) Read(p []byte) (int, error) {
	if len(c.front) == 0 {
		return c.TCPConn.Read(p)
	}
	if c.begins != nil {
		c.begins()
		c.begins = nil
	}
	n := copy(p, c.front)
	if c.front = c.front[n:]; len(c.front) == 0 {
		c.front = nil
	}
	return n, nil
}

// WriteTo implements io.WriterTo, which else would be the connection's own.
func (c *handed) WriteTo(w io.Writer) (n int64, err error) {
	if len(c.front) > 0 {
		k, err := w.Write(c.front)
		c.front = c.front[k:]
		if err != nil {
			return int64(k), err
		}
		n = int64(k)
	}
	k, err := c.TCPConn.WriteTo(w)
	return n + k, err
}

// NetConn is the connection itself, as of a tls.Conn: for who wants to abort it.
func (c *handed) NetConn() net.Conn { return c.TCPConn }

// SetReadDeadline counts the time that has passed already against the first deadline,
// which is that of the head: it has one timeout, wherever it is waited for. net/http sets
// it before anyone else has the connection; the later ones may come from many goroutines,
// and only look.
func (c *handed) SetReadDeadline(t time.Time) error {
	if c.waited > 0 {
		if !t.IsZero() {
			t = t.Add(-c.waited)
		}
		c.waited = 0
	}
	return c.TCPConn.SetReadDeadline(t)
}
