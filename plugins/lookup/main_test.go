package lookup

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// of is what a filter with all hooks sees.
var of = For{
	Hooks:   []string{"connect", "join", "message", "leave", "disconnect"},
	Headers: []string{"x-device"}, Query: []string{"token"}, Cookies: []string{"session"},
}

func planned(t testing.TB, s Spec) *Plan {
	t.Helper()
	p, err := s.Plan(of)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// started is a lookup that ends with the test.
func started(t testing.TB, s Spec, d Deps) *Lookup {
	t.Helper()
	l := New(planned(t, s), d)
	t.Cleanup(l.Close)
	return l
}

// serve is a server that ends with the test.
func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			text, _ := io.ReadAll(r.Body)
			r.Body = io.NopCloser(strings.NewReader(string(text)))
		}
		h(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv
}

func get(url string) Spec { return Spec{HTTP: &HTTP{URL: url}} }

func said(user string) *Event {
	return &Event{Hook: "message", Kind: "room", Time: 1_700_000_000_123_000_000, Conn: "7f", Seq: 3, User: user, Room: "chat:lobby",
		Remote: "192.0.2.1", Claims: []byte(`{"role":"guest","level":7,"admin":false,"teams":["a"],"none":null}`), Payload: []byte(`{"text":"hello"}`)}
}

// expect resolves an event, and checks the answer.
func expect(t testing.TB, l *Lookup, e *Event, status Status, value string) {
	t.Helper()
	if r := l.Resolve(e); r.Status != status || string(r.Value) != value {
		t.Errorf("%s: got %+v, want %v %s", e.User, r, status, value)
	}
}

func expectCause(t testing.TB, l *Lookup, e *Event, cause string) {
	t.Helper()
	if r := l.Resolve(e); r.Status != Failed || r.Cause != cause || r.Err == nil {
		t.Errorf("%s: got %+v, want %s", e.User, r, cause)
	}
}

// roundTripper is a target without a network, for tests in which time is virtual.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(status int, text string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text))}
}

// store is a Redis without a network, whose keys a test sets.
type store struct {
	mu    sync.Mutex
	keys  map[string]string
	asked []string
	err   error
	hang  chan struct{} // if set, Get waits for it, or for its context
}

func (s *store) Get(ctx context.Context, key string, max int) ([]byte, bool, error) {
	s.mu.Lock()
	s.asked = append(s.asked, key)
	value, ok := s.keys[key]
	err, hang := s.err, s.hang
	s.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return nil, false, errors.New("a library's words")
		}
	}
	return []byte(value[:min(len(value), max)]), ok, err
}

// clock is a clock that a test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
