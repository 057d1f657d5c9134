package bench

import (
	"context"
	"crypto/tls"
	"net"
	"sync"
	"time"
)

// plainEngine has two goroutines for each connection, one that reads and one
// that writes. It serves wss, and systems without epoll.
type plainEngine struct {
	// Static after construction.
	r      *run
	dialer net.Dialer
	ctx    context.Context
	stop   context.CancelFunc
	woken  chan struct{} // something has happened; of capacity 1

	// mu excludes goroutines of connections while the run's goroutine works: it
	// holds mu but for the time in which it waits in poll. With it a client's
	// methods are called.
	mu sync.Mutex

	goroutines sync.WaitGroup
}

// link is what the engine has of a connection. All but conn's own methods is
// guarded by plainEngine.mu.
type link struct {
	conn   net.Conn // of TCP, below TLS, whose own Close would wait for the server; nil: not there yet
	cancel context.CancelFunc
	write  chan struct{} // there is something to write; of capacity 1
	resume chan struct{} // read on; nil: not paused
	closed bool
}

func newPlainEngine(r *run) *plainEngine {
	e := &plainEngine{r: r, woken: make(chan struct{}, 1)}
	e.ctx, e.stop = context.WithCancel(context.Background())
	e.mu.Lock()
	return e
}

func (e *plainEngine) poll(wait time.Duration) {
	e.mu.Unlock()
	defer e.mu.Lock()
	if wait <= 0 {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-e.woken:
	case <-timer.C:
	}
}

// in runs what a goroutine of a connection has to tell, unless the connection
// was closed meanwhile.
func (e *plainEngine) in(l *link, tell func()) (open bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !l.closed {
		tell()
		select {
		case e.woken <- struct{}{}:
		default:
		}
	}
	return !l.closed
}

func (e *plainEngine) dial(c *client) error {
	ctx, cancel := context.WithCancel(e.ctx)
	l := &link{cancel: cancel, write: make(chan struct{}, 1)}
	c.link = l
	e.goroutines.Add(1)
	go func() {
		defer e.goroutines.Done()
		defer cancel()
		e.serve(ctx, c, l)
	}()
	return nil
}

// serve is the life of a connection.
func (e *plainEngine) serve(ctx context.Context, c *client, l *link) {
	conn, below, err := e.open(ctx, c.target, c.slow)
	if err != nil {
		e.in(l, func() { c.ended(err) })
		return
	}
	defer below.Close()
	if !e.in(l, func() { l.conn = below; c.connected() }) {
		return
	}
	var writer sync.WaitGroup
	writer.Add(1)
	go func() {
		defer writer.Done()
		e.writes(ctx, c, l, conn)
	}()
	e.reads(ctx, c, l, conn)
	l.cancel()
	below.Close()
	writer.Wait()
}

func (e *plainEngine) open(ctx context.Context, t *target, slow bool) (conn, below net.Conn, err error) {
	below, err = e.dialer.DialContext(ctx, "tcp", t.addr.String())
	if err != nil {
		return nil, nil, err
	}
	if slow {
		_ = below.(*net.TCPConn).SetReadBuffer(slowBuffer)
	}
	if !t.secure {
		return below, below, nil
	}
	secure := tls.Client(below, &tls.Config{ServerName: t.url.Hostname(), NextProtos: []string{"http/1.1"}, RootCAs: e.r.roots})
	if err := secure.HandshakeContext(ctx); err != nil {
		below.Close()
		return nil, nil, err
	}
	return secure, below, nil
}

func (e *plainEngine) reads(ctx context.Context, c *client, l *link, conn net.Conn) {
	buf := make([]byte, 4<<10)
	have, open := 0, true
	for open {
		n, err := conn.Read(buf[have:])
		now := e.r.now()
		var paused chan struct{}
		open = e.in(l, func() {
			if n > 0 {
				c.received(buf[:have+n], now)
			}
			if err != nil && c.state != gone {
				c.ended(err)
			}
			if c.state != gone {
				if want := max(c.need, len(c.rest)) + 4<<10; want > len(buf) {
					buf = make([]byte, want)
				}
				have = copy(buf, c.rest)
			}
			paused = l.resume
		})
		if paused != nil && open {
			select {
			case <-paused:
			case <-ctx.Done():
			}
		}
	}
}

func (e *plainEngine) writes(ctx context.Context, c *client, l *link, conn net.Conn) {
	var p []byte
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.write:
		}
		if !e.in(l, func() { p, c.out = c.out, p[:0] }) {
			return
		}
		if _, err := conn.Write(p); err != nil {
			e.in(l, func() { c.ended(err) })
			return
		}
	}
}

func (e *plainEngine) write(c *client, p []byte) {
	if c.state == gone {
		return
	}
	c.out = append(c.out, p...)
	select {
	case c.link.write <- struct{}{}:
	default:
	}
}

func (e *plainEngine) waiting(c *client) int { return len(c.out) }

func (e *plainEngine) pause(c *client) { c.link.resume = make(chan struct{}) }

func (e *plainEngine) resume(c *client) {
	if c.link.resume != nil {
		close(c.link.resume)
		c.link.resume = nil
	}
}

func (e *plainEngine) close(c *client) {
	l := c.link
	if l == nil || l.closed {
		return
	}
	l.closed = true
	l.cancel()
	if l.conn != nil {
		l.conn.Close()
	}
}

func (e *plainEngine) shut() {
	for _, c := range e.r.clients {
		c.leave()
	}
	e.stop()
	e.mu.Unlock()
	e.goroutines.Wait()
}
