package redistest

import (
	"errors"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"testing"
	"time"
)

// Proxy passes TCP connections on to a server, and is told to hurt them. Its
// methods are safe for concurrent use.
type Proxy struct {
	// Static after construction.
	Addr     string // host:port
	listener net.Listener
	work     sync.WaitGroup

	mu       sync.Mutex
	target   string // guarded by mu, as what follows
	open     map[*link]struct{}
	accepted int
	latency  time.Duration
	cut      bool
	flowing  chan struct{} // closed: bytes pass
	closed   bool
}

// link is one connection through the proxy.
type link struct {
	client, server *net.TCPConn
	ended          chan struct{} // closed when the link is
	once           sync.Once
}

// reset ends the link so that both sides see it at once, as an error.
func (l *link) reset() {
	l.once.Do(func() {
		close(l.ended)
		reset(l.client)
		reset(l.server)
	})
}

// finish ends a link whose two sides have said that they send no more.
func (l *link) finish() {
	l.once.Do(func() {
		close(l.ended)
		_ = l.client.Close()
		_ = l.server.Close()
	})
}

func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}

// NewProxy listens on a free port of 127.0.0.1, and passes on to addr.
func NewProxy(t testing.TB, addr string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("redistest: %v", err)
	}
	p := &Proxy{Addr: l.Addr().String(), target: addr, listener: l, open: make(map[*link]struct{}), flowing: make(chan struct{})}
	close(p.flowing)
	p.work.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *Proxy) accept() {
	for {
		c, err := p.listener.Accept()
		if err != nil {
			return
		}
		p.work.Go(func() { p.serve(c.(*net.TCPConn)) })
	}
}

func (p *Proxy) serve(client *net.TCPConn) {
	p.mu.Lock()
	p.accepted++
	refuse, target := p.cut || p.closed, p.target
	p.mu.Unlock()
	if refuse {
		reset(client)
		return
	}
	server, err := net.DialTimeout("tcp", target, Patience)
	if err != nil {
		reset(client)
		return
	}
	// A small window: a server whose client reads nothing notices soon.
	_ = server.(*net.TCPConn).SetReadBuffer(64 << 10)
	l := &link{client: client, server: server.(*net.TCPConn), ended: make(chan struct{})}
	defer l.finish()
	p.mu.Lock()
	if p.cut || p.closed {
		p.mu.Unlock()
		l.reset()
		return
	}
	p.open[l] = struct{}{}
	p.mu.Unlock()
	var both sync.WaitGroup
	both.Go(func() { p.pass(l, l.client, l.server) })
	both.Go(func() { p.pass(l, l.server, l.client) })
	both.Wait()
	p.mu.Lock()
	delete(p.open, l)
	p.mu.Unlock()
}

// chunk is what was read at once, and when it is due at the other side.
type chunk struct {
	bytes []byte
	due   time.Time
}

// pass takes bytes from one side to the other until one of them ends.
func (p *Proxy) pass(l *link, from, to *net.TCPConn) {
	chunks := make(chan chunk, 256) // beyond it the sender waits, as with a full window
	var writer sync.WaitGroup
	writer.Go(func() { p.write(l, to, chunks) })
	var err error
	for p.flows(l) {
		buffer := make([]byte, 16<<10)
		var n int
		n, err = from.Read(buffer)
		if n > 0 {
			p.mu.Lock()
			due := time.Now().Add(p.latency)
			p.mu.Unlock()
			select {
			case chunks <- chunk{buffer[:n], due}:
			case <-l.ended:
				err = net.ErrClosed
			}
		}
		if err != nil {
			break
		}
	}
	close(chunks)
	writer.Wait()
	if !errors.Is(err, io.EOF) || to.CloseWrite() != nil {
		l.reset()
	}
}

func (p *Proxy) write(l *link, to *net.TCPConn, chunks <-chan chunk) {
	for c := range chunks {
		timer := time.NewTimer(time.Until(c.due))
		select {
		case <-timer.C:
		case <-l.ended:
			timer.Stop()
			return
		}
		if !p.flows(l) {
			return
		}
		if _, err := to.Write(c.bytes); err != nil {
			l.reset()
			return
		}
	}
}

// flows waits while nothing may pass; false: the link has ended.
func (p *Proxy) flows(l *link) bool {
	p.mu.Lock()
	flowing := p.flowing
	p.mu.Unlock()
	select {
	case <-flowing:
		return true
	case <-l.ended:
		return false
	}
}

// Retarget passes new connections on to another server, and resets those that are
// open.
func (p *Proxy) Retarget(addr string) {
	p.mu.Lock()
	p.target = addr
	p.mu.Unlock()
	p.Reset()
}

// Latency delays what passes by d in each direction.
func (p *Proxy) Latency(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.latency = d
}

// Reset ends all connections by RST; new ones pass.
func (p *Proxy) Reset() {
	p.mu.Lock()
	links := slices.Collect(maps.Keys(p.open))
	p.mu.Unlock()
	for _, l := range links {
		l.reset()
	}
}

// Cut ends all connections by RST, and new ones as soon as they are made, until
// Resume.
func (p *Proxy) Cut() {
	p.mu.Lock()
	p.cut = true
	p.mu.Unlock()
	p.Reset()
}

// Blackhole lets nothing pass any more, and tells nobody, until Resume: as a
// network that loses all packets. What was sent meanwhile arrives then, as TCP
// sees to.
func (p *Proxy) Blackhole() {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.flowing:
		p.flowing = make(chan struct{})
	default:
	}
}

// Resume ends Cut and Blackhole.
func (p *Proxy) Resume() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = false
	select {
	case <-p.flowing:
	default:
		close(p.flowing)
	}
}

// Accepted is how many connections were made, and Open how many there are.
func (p *Proxy) Accepted() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.accepted
}

// Open is how many connections pass now.
func (p *Proxy) Open() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

func (p *Proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.Reset()
	p.listener.Close()
	p.work.Wait()
}
