package listener

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"runtime"
	"sync"
	"time"
)

// Server serves one listener, as an http.Server does.
type Server struct {
	// Static after New.
	http       *http.Server
	handshakes map[string]http.Handler // by path
	handover   *handover
	ctx        context.Context // of handshakes; ends with the server
	cancel     context.CancelFunc
	ended      sync.WaitGroup // goroutines of connections, and net/http's accepting one; added to under mu

	mu sync.Mutex
	// Guarded by mu.
	conns   map[*conn]struct{} // neither hijacked nor begun by net/http
	net     net.Listener       // nil until Serve
	resting []chan *conn       // of goroutines that have nothing to do; each takes one send, or is closed
	closing bool
	empty   chan struct{} // closed when conns is empty; nil: nobody waits for that
}

// New returns a server on which h serves whatever is not a handshake, and handshakes are
// served by the handlers of their path: those of which the path is exactly a key of
// handshakes. The others, and what a handler should see that is no handshake, reach h's own
// handler, which therefore serves these paths too.
//
// ReadHeaderTimeout (or ReadTimeout), MaxHeaderBytes, WriteTimeout and ErrorLog of h hold
// for handshakes as well; ConnState and ConnContext learn nothing of them.
//
// A handler of handshakes either hijacks the connection or answers; after its answer the
// connection is closed. The request's context ends with the server, not with the client.
func New(h *http.Server, handshakes map[string]http.Handler) *Server {
	s := &Server{http: h, handshakes: handshakes, handover: newHandover(), conns: make(map[*conn]struct{})}
	s.ctx, s.cancel = context.WithCancel(context.WithValue(context.Background(), http.ServerContextKey, h))
	return s
}

// Serve accepts connections until Shutdown or Close, and then returns
// http.ErrServerClosed; or until the listener fails, and then returns its error, while
// what was accepted goes on. It closes the listener. It is called once.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		return http.ErrServerClosed
	}
	s.net = l
	s.handover.addr = l.Addr()
	s.ended.Go(func() { _ = s.http.Serve(s.handover) }) // until Shutdown or Close
	s.mu.Unlock()

	var pause time.Duration
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			pause = 0
			s.start(nc)
		case s.isClosing():
			return http.ErrServerClosed
		case isTemporary(err):
			pause = min(max(2*pause, 5*time.Millisecond), time.Second)
			s.logf("http: Accept error: %v; retrying in %v", err, pause)
			select {
			case <-time.After(pause):
			case <-s.ctx.Done():
			}
		default:
			return err
		}
	}
}

// isTemporary reports that a failure to accept passes, such as having no file
// descriptor left: what net/http takes for one.
func isTemporary(err error) bool {
	var t interface{ Temporary() bool }
	return errors.As(err, &t) && t.Temporary()
}

// start serves an accepted connection in a goroutine.
func (s *Server) start(nc net.Conn) {
	tcp, ok := nc.(*net.TCPConn)
	if !ok { // TLS, say, of which net/http has to know
		_ = s.handover.offer(nc)
		return
	}
	c := &conn{server: s, tcp: tcp}
	s.mu.Lock()
	if s.closing {
		s.mu.Unlock()
		_ = tcp.Close()
		return
	}
	s.conns[c] = struct{}{}
	if n := len(s.resting); n > 0 {
		s.resting[n-1] <- c
		s.resting = s.resting[:n-1]
	} else {
		s.ended.Add(1)
		go s.work(c)
	}
	s.mu.Unlock()
}

// maxResting is how many goroutines are kept. To serve a handshake takes a deeper stack
// than a goroutine begins with, and the collector takes back what those have grown that
// rest: the one that rested last is the next to serve.
const maxResting = 128

// work is a goroutine that serves connections, until there are enough that rest.
func (s *Server) work(c *conn) {
	defer s.ended.Done()
	next := make(chan *conn, 1)
	for c != nil {
		growStack(false)
		c.serve()
		c = s.rest(next)
	}
}

// growStack grows the stack to what a handshake takes while there is little on it to be
// moved. Growing it step by step from where it is deep costs ten times as much.
//
//go:noinline
func growStack(use bool) {
	if use { // never: the size of the frame is what counts
		var frame [8 << 10]byte
		clear(frame[:])
		runtime.KeepAlive(&frame)
	}
}

// rest waits for a connection to serve. It is nil if the goroutine is to end.
func (s *Server) rest(next chan *conn) *conn {
	s.mu.Lock()
	if s.closing || len(s.resting) == maxResting {
		s.mu.Unlock()
		return nil
	}
	s.resting = append(s.resting, next)
	s.mu.Unlock()
	return <-next
}

// forget ends the server's interest in a connection. It reports whether it still had it.
func (s *Server) forget(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.conns[c]; !ok {
		return false
	}
	delete(s.conns, c)
	if len(s.conns) == 0 && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
	return true
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// stopLocked accepts nothing more, and ends the goroutines that rest.
func (s *Server) stopLocked() {
	s.closing = true
	for _, next := range s.resting {
		close(next)
	}
	s.resting = nil
	if s.net != nil {
		_ = s.net.Close()
	}
}

// Shutdown accepts nothing more, closes the connections of which nothing has come, and
// waits for the requests that have begun until ctx ends, whose error it then returns.
// Hijacked connections are not its concern.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.stopLocked()
	for c := range s.conns {
		if !c.begun.Load() {
			_ = c.tcp.Close()
		}
	}
	var empty chan struct{}
	if len(s.conns) > 0 {
		if s.empty == nil {
			s.empty = make(chan struct{})
		}
		empty = s.empty
	}
	s.mu.Unlock()
	if empty != nil {
		select {
		case <-empty:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if err := s.http.Shutdown(ctx); err != nil { // now nothing is handed over any more
		return err
	}
	s.cancel()
	return nil
}

// Close closes the listener and every connection that is not hijacked. It returns when
// the goroutines of handshakes have ended, their handlers included.
func (s *Server) Close() error {
	s.mu.Lock()
	s.stopLocked()
	for c := range s.conns {
		_ = c.tcp.Close()
	}
	s.mu.Unlock()
	s.cancel()
	err := s.http.Close()
	_ = s.handover.Close() // if net/http never came to serve it
	s.ended.Wait()
	return err
}

func (s *Server) logf(format string, args ...any) {
	if s.http.ErrorLog != nil {
		s.http.ErrorLog.Printf(format, args...)
		return
	}
	log.Printf(format, args...)
}
