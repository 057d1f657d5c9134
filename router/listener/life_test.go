package listener_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sluice/router/listener"
)

// held is a handler that waits, and what it has been given.
type held struct {
	began   chan *http.Request // sent when a request has come
	release chan struct{}      // closed by the test
}

func newHeld() *held { return &held{make(chan *http.Request, 16), make(chan struct{})} }

func (h *held) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.began <- r
	<-h.release
	io.WriteString(w, "held")
}

func (h *held) next(t testing.TB) *http.Request {
	t.Helper()
	select {
	case r := <-h.began:
		return r
	case <-time.After(patience):
		t.Fatal("no request came")
	}
	return nil
}

// closes waits for the server to close the connection, and returns what it said before.
func closes(t testing.TB, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		t.Errorf("the connection stays open after %q", b)
	}
	return string(b)
}

func TestShutdownWaitsForWhatHasBegunAndClosesWhatHasNot(t *testing.T) {
	h := newHeld()
	r := serve(t, h)
	fresh := r.open()
	defer fresh.Close()
	_, busy := r.say(handshake("/ws"))
	h.next(t)
	_, handed := r.say("GET /ws HTTP/1.1\r\nHost: x\r\n\r\n")
	h.next(t)

	done := make(chan error, 1)
	go func() { done <- r.server.Shutdown(t.Context()) }()
	if err := r.ended(); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve returned %v", err)
	}
	closes(t, fresh)
	select {
	case err := <-done:
		t.Fatalf("Shutdown returned %v while a request was under way", err)
	default:
	}
	if nc, err := net.Dial("tcp", r.addr); err == nil {
		nc.Close()
		t.Error("the listener is open")
	}
	close(h.release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	for _, br := range []io.Reader{busy, handed} {
		if text := closes(t, br); !strings.Contains(text, "held") {
			t.Errorf("got %q", text)
		}
	}
}

func TestShutdownGivesUpWithItsContextAndCloseEndsTheRest(t *testing.T) {
	h := newHeld()
	r := serve(t, h)
	_, half := r.say("GET /ws HTTP/1.1\r\nHost:")
	_, whole := r.say(handshake("/ws"))
	req := h.next(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.server.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown returned %v", err)
	}
	if req.Context().Err() != nil {
		t.Error("the request's context has ended before Close")
	}
	closed := make(chan struct{})
	go func() {
		r.server.Close()
		close(closed)
	}()
	<-req.Context().Done()
	closes(t, half)
	closes(t, whole)
	select {
	case <-closed:
		t.Error("Close returned before the handler did")
	default:
	}
	close(h.release)
	<-closed
	if err := r.server.Serve(listen(t)); !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("Serve after Close returned %v", err)
	}
}

// Between the two there is a moment in which neither serves the connection.
func TestShutdownWaitsForARequestThatIsBeingHandedOver(t *testing.T) {
	accepted, resume := make(chan struct{}), make(chan struct{})
	r := serve(t, http.NotFoundHandler(), func(h *http.Server) {
		h.ConnContext = func(ctx context.Context, _ net.Conn) context.Context { // called before net/http counts it
			close(accepted)
			<-resume
			return ctx
		}
	})
	_, half := r.say("GET /other HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	<-accepted
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if err := r.server.Shutdown(impatient); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown returned %v while a request was under way", err)
	}
	close(resume)
	if err := r.server.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if text := closes(t, half); !strings.HasPrefix(text, "HTTP/1.1 ") {
		t.Errorf("the answer was %q", text)
	}
}

func TestCloseLeavesHijackedConnectionsAlone(t *testing.T) {
	taken := make(chan net.Conn, 1)
	r := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		nc, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
		}
		taken <- nc
	}))
	_, br := r.say(handshake("/ws"))
	nc := <-taken
	defer nc.Close()
	r.server.Close()
	io.WriteString(nc, "still here\n")
	if line, err := br.ReadString('\n'); err != nil || line != "still here\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

func TestAHeadThatDoesNotComeInTimeEndsAsWithNetHTTP(t *testing.T) {
	short := func(h *http.Server) { h.ReadHeaderTimeout = 100 * time.Millisecond }
	ours, plain := serve(t, hijacks, short), servePlainly(t, hijacks, short)
	for _, begin := range []string{"", "G", "GET /ws HTTP/1.1\r\n", handshake("/ws")[:100], "GET /echo HTTP/1.1\r\nHost: x\r\n", "POST"} {
		_, got := ours.say(begin)
		_, want := plain.say(begin)
		compare(t, begin, closes(t, got), closes(t, want))
	}
}

func TestAHijackedConnectionOutlivesTheTimeoutOfItsHead(t *testing.T) {
	const timeout = 50 * time.Millisecond
	r := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		nc, brw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		go func() {
			defer nc.Close()
			if line, err := brw.ReadString('\n'); err == nil {
				brw.WriteString(line)
				brw.Flush()
			}
		}()
	}), func(h *http.Server) { h.ReadHeaderTimeout, h.WriteTimeout = timeout, timeout })
	nc, br := r.say(handshake("/ws"))
	for range 4 {
		_, late := r.say("") // ends when its timeout has passed, which began later
		closes(t, late)
	}
	io.WriteString(nc, "hello\n")
	if line, err := br.ReadString('\n'); err != nil || line != "hello\n" {
		t.Errorf("got %q, %v", line, err)
	}
}

func TestAPanicOfAHandlerIsLoggedAndEndsItsConnectionAlone(t *testing.T) {
	r := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.RawQuery {
		case "abort":
			panic(http.ErrAbortHandler)
		case "panic":
			panic("a mistake")
		}
		io.WriteString(w, "well")
	}))
	for range 3 { // more than once, for goroutines are used again
		for _, query := range []string{"abort", "panic"} {
			_, br := r.say(handshake("/ws?" + query))
			if text := closes(t, br); text != "" {
				t.Errorf("%s: got %q", query, text)
			}
		}
	}
	if text := r.exchange(handshake("/ws")); !strings.Contains(text, "well") {
		t.Errorf("got %q", text)
	}
	r.server.Close()
	if n := strings.Count(r.log.String(), "panic serving 127.0.0.1:"); n != 3 || !strings.Contains(r.log.String(), "a mistake") {
		t.Errorf("%d panics are logged:\n%s", n, r.log)
	}
}

// failing is a listener whose Accept fails some times before it works.
type failing struct {
	net.Listener
	mu    sync.Mutex
	fails []error
}

func (l *failing) Accept() (net.Conn, error) {
	l.mu.Lock()
	if len(l.fails) > 0 {
		err := l.fails[0]
		l.fails = l.fails[1:]
		l.mu.Unlock()
		return nil, err
	}
	l.mu.Unlock()
	return l.Listener.Accept()
}

type passing struct{ error }

func (passing) Temporary() bool { return true }
func (passing) Timeout() bool   { return false }

func TestAFailureToAcceptThatPassesIsLoggedAndTriedAgain(t *testing.T) {
	h, text := limits(muxOf(hijacks))
	l := &failing{Listener: listen(t), fails: []error{passing{errors.New("no descriptors")}, passing{errors.New("no descriptors")}}}
	r := begin(t, listener.New(h, map[string]http.Handler{"/ws": hijacks}), l, text)
	if got := r.exchange(handshake("/ws")); !strings.Contains(got, " 101 ") {
		t.Errorf("got %q", got)
	}
	if n := strings.Count(text.String(), "Accept error: no descriptors; retrying in "); n != 2 {
		t.Errorf("%d failures are logged:\n%s", n, text)
	}
}

func TestAFailureToAcceptThatDoesNotPassEndsServeButNotWhatIsServed(t *testing.T) {
	held := newHeld()
	h, text := limits(muxOf(held))
	broken := errors.New("broken")
	l := &failing{Listener: listen(t)}
	r := begin(t, listener.New(h, map[string]http.Handler{"/ws": held}), l, text)
	_, br := r.say(handshake("/ws"))
	held.next(t)
	l.mu.Lock()
	l.fails = []error{broken}
	l.mu.Unlock()
	r.open().Close() // has the Accept return that waits
	if err := r.ended(); !errors.Is(err, broken) {
		t.Errorf("Serve returned %v", err)
	}
	close(held.release)
	if got := closes(t, br); !strings.Contains(got, "held") {
		t.Errorf("got %q", got)
	}
}

func TestTheLibraryCanAcceptFromIt(t *testing.T) {
	r := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		ws, err := websocket.Accept(w, req, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer ws.CloseNow()
		for {
			kind, b, err := ws.Read(req.Context())
			if err != nil {
				return
			}
			if err := ws.Write(req.Context(), kind, b); err != nil {
				t.Error(err)
			}
		}
	}))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws://"+r.addr+"/ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	for _, text := range []string{"hello", strings.Repeat("x", 20<<10)} {
		if err := ws.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, b, err := ws.Read(ctx); err != nil || string(b) != text {
			t.Errorf("got %d bytes, %v", len(b), err)
		}
	}
	ws.Close(websocket.StatusNormalClosure, "")
}

func TestAConnectionThatIsNotTCPIsServedByNetHTTP(t *testing.T) {
	h, text := limits(muxOf(hijacks))
	l := httptest.NewUnstartedServer(nil)
	l.StartTLS() // for its certificate
	defer l.Close()
	config := &tls.Config{Certificates: l.TLS.Certificates}
	r := begin(t, listener.New(h, map[string]http.Handler{"/ws": hijacks}), tls.NewListener(listen(t), config), text)
	nc, err := tls.Dial("tcp", r.addr, &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(patience))
	io.WriteString(nc, handshake("/ws"))
	if text := closes(t, nc); !strings.Contains(text, `"tls":true`) {
		t.Errorf("got %q", text)
	}
}

func TestManyHandshakesAtOnceAreAllServed(t *testing.T) {
	r := serve(t, hijacks)
	var clients sync.WaitGroup
	for range 200 {
		clients.Go(func() {
			for range 5 {
				for _, request := range []string{handshake("/ws?a"), handshake("/ws?refuse"), "GET /echo HTTP/1.1\r\nHost: x\r\n\r\n"} {
					if text := r.exchange(request); !strings.HasPrefix(text, "HTTP/1.1 ") {
						t.Errorf("got %q", text)
					}
				}
			}
		})
	}
	clients.Wait()
}

func TestCloseDuringHandshakesEndsEveryGoroutine(t *testing.T) {
	for range 20 {
		r := serve(t, hijacks)
		var clients sync.WaitGroup
		for range 8 {
			clients.Go(func() {
				for {
					nc, err := net.Dial("tcp", r.addr)
					if err != nil {
						return
					}
					io.WriteString(nc, handshake("/ws"))
					io.Copy(io.Discard, nc)
					nc.Close()
				}
			})
		}
		nc, br := r.say(handshake("/ws"))
		closes(t, br)
		nc.Close()
		r.server.Close()
		clients.Wait()
	}
}
