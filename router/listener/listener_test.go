package listener_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"sluice/router/listener"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what should happen at once, so that a fault fails a test
// rather than hangs it.
const patience = 20 * time.Second

// server is what both kinds of server can do.
type server interface {
	Serve(net.Listener) error
	Shutdown(context.Context) error
	Close() error
}

// logged keeps what is logged.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// running is a server under test.
type running struct {
	t      testing.TB
	server server
	addr   string
	log    *logged
	served chan error // gets what Serve returned
}

// begin serves a listener, until the test ends if nothing ends it before.
func begin(t testing.TB, s server, l net.Listener, log *logged) *running {
	r := &running{t: t, server: s, addr: l.Addr().String(), log: log, served: make(chan error, 1)}
	go func() { r.served <- s.Serve(l) }()
	t.Cleanup(func() { s.Close() })
	return r
}

// limits are an http.Server's with everything that a node sets.
func limits(h http.Handler) (*http.Server, *logged) {
	var text logged
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: patience,
		ReadTimeout:       patience,
		WriteTimeout:      patience,
		IdleTimeout:       patience,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          log.New(&text, "", 0),
	}, &text
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// serve serves the handler by the short path, under /ws and /ws/secure.
func serve(t testing.TB, ws http.Handler, setups ...func(*http.Server)) *running {
	t.Helper()
	h, text := limits(muxOf(ws))
	for _, setup := range setups {
		setup(h)
	}
	return begin(t, listener.New(h, map[string]http.Handler{"/ws": ws, "/ws/secure": ws}), listen(t), text)
}

// servePlainly serves the same by net/http alone.
func servePlainly(t testing.TB, ws http.Handler, setups ...func(*http.Server)) *running {
	t.Helper()
	h, text := limits(muxOf(ws))
	for _, setup := range setups {
		setup(h)
	}
	return begin(t, h, listen(t), text)
}

func muxOf(ws http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/ws", ws)
	mux.Handle("/ws/secure", ws)
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", r.Method, body)
	})
	return mux
}

// open connects to the server.
func (r *running) open() *net.TCPConn {
	r.t.Helper()
	nc, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := nc.SetDeadline(time.Now().Add(patience)); err != nil {
		r.t.Fatal(err)
	}
	return nc.(*net.TCPConn)
}

// exchange sends the pieces, says that nothing follows, and returns all that is answered.
// A server that closes before it has read everything may take its answer back with that:
// then the exchange is made again.
func (r *running) exchange(pieces ...string) (answer string) {
	r.t.Helper()
	for range 100 {
		var lost bool
		if answer, lost = r.exchangeOnce(pieces); !lost {
			break
		}
	}
	return answer
}

func (r *running) exchangeOnce(pieces []string) (answer string, lost bool) {
	r.t.Helper()
	nc := r.open()
	defer nc.Close()
	done := make(chan struct{})
	var text []byte
	var err error
	go func() {
		defer close(done)
		text, err = io.ReadAll(nc)
	}()
	for _, p := range pieces {
		if _, err := io.WriteString(nc, p); err != nil {
			break // answered before the end
		}
	}
	_ = nc.CloseWrite()
	<-done
	if errors.Is(err, os.ErrDeadlineExceeded) {
		r.t.Errorf("no end after %d bytes: %q", len(text), text)
	}
	return string(text), err != nil && len(text) == 0
}

// say sends a request and leaves the connection open.
func (r *running) say(text string) (*net.TCPConn, *bufio.Reader) {
	r.t.Helper()
	nc := r.open()
	r.t.Cleanup(func() { nc.Close() })
	if _, err := io.WriteString(nc, text); err != nil {
		r.t.Fatal(err)
	}
	return nc, bufio.NewReader(nc)
}

// readResponse reads one answer, with its body.
func readResponse(t testing.TB, br *bufio.Reader) (*http.Response, string) {
	t.Helper()
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(body)
}

// ended waits for what Serve returns.
func (r *running) ended() error {
	r.t.Helper()
	select {
	case err := <-r.served:
		return err
	case <-time.After(patience):
		r.t.Fatal("Serve does not return")
	}
	return nil
}

// handshake is a request as browsers send it.
func handshake(target string, more ...string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: chat.example\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" + strings.Join(more, "") + "\r\n"
}

// seen is what a handler sees of a request.
func seen(r *http.Request) string {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	_, ofServer := r.Context().Value(http.ServerContextKey).(*http.Server)
	remote, _, err := net.SplitHostPort(r.RemoteAddr)
	b, _ := json.Marshal(map[string]any{
		"method": r.Method, "uri": r.RequestURI, "path": r.URL.Path, "query": r.URL.RawQuery, "host": r.Host, "header": r.Header, "proto": r.Proto,
		"close": r.Close, "length": r.ContentLength, "nobody": r.Body == http.NoBody, "remote": remote, "port": err == nil, "local": local != nil && strings.HasPrefix(local.String(), "127."), "server": ofServer, "tls": r.TLS != nil, "trailer": len(r.Trailer), "te": r.TransferEncoding,
	})
	return string(b)
}

// hijacks answers with what it has seen: on the hijacked connection, which it then closes,
// or where the query says so by HTTP.
var hijacks = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("refuse") {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Add("X-Twice", "a")
		w.Header().Add("X-Twice", "b")
		w.WriteHeader(http.StatusUnauthorized)
		io.WriteString(w, seen(r))
		return
	}
	nc, brw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer nc.Close()
	fmt.Fprintf(brw, "HTTP/1.1 101 Switching Protocols\r\nX-Buffered: %d\r\n\r\n%s", brw.Reader.Buffered(), seen(r))
	if brw.Reader.Buffered() > 0 {
		early, _ := brw.Reader.Peek(brw.Reader.Buffered())
		brw.Write(early)
	}
	brw.Flush()
})
