package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sluice/router"
	"sluice/router/membroker"
)

// patience bounds what should happen at once, so that a fault fails a test rather than
// hangs it.
const patience = 20 * time.Second

// service is two nodes on one hub, each behind its admin listener. Their rooms keep
// presence and a history, but for those that begin with "plain:".
type service struct {
	nodes   [2]*router.Router
	admins  [2]*httptest.Server
	clients [2]*httptest.Server
	reloads [2]*reloading
}

// reloading counts what it is asked for.
type reloading struct {
	everywhere, here atomic.Int64
	err              error // static
}

func (l *reloading) Reload(context.Context, string) (uint64, error) {
	l.here.Add(1)
	return 7, l.err
}
func (l *reloading) Rollback(context.Context, Rollback) (uint64, error) { return 8, l.err }
func (l *reloading) Status() ReloadStatus {
	return ReloadStatus{Loaded: time.Now(), Previous: 6, Trial: time.Now(), Rollbacks: map[string]uint64{CauseAsked: 1},
		Failure: &ReloadFailure{At: time.Now(), Trigger: "api", Error: "x"}, Rollback: &RollbackDone{At: time.Now()}}
}

type serviceSetup func(*router.Options, *router.Generation, *Options)

func newService(t testing.TB, setups ...serviceSetup) *service {
	t.Helper()
	hub := membroker.NewHub()
	s := new(service)
	for i := range s.nodes {
		broker, loads := hub.Node(), new(reloading)
		t.Cleanup(func() { broker.Close() })
		o := router.Options{Broker: broker, Log: slog.New(slog.DiscardHandler), NodeID: fmt.Sprint("n", i+1), Version: "test",
			DrainWindow: -1, AnnounceConnections: router.AnnounceOff,
			Reload: func(context.Context) error { loads.everywhere.Add(1); return nil }}
		g := &router.Generation{Number: 1, Limits: router.DefaultLimits(), Rooms: []router.RoomRule{
			{Match: pattern(t, "plain:*"), Announce: router.AnnounceOff},
			{Match: pattern(t, "**"), Presence: true, Announce: router.AnnounceOff, History: router.Keep{Size: 100, TTL: time.Hour}},
		}}
		a := Options{Reloader: loads, Version: "test"}
		for _, setup := range setups {
			setup(&o, g, &a)
		}
		r, err := router.New(o, g)
		if err != nil {
			t.Fatal(err)
		}
		a.Router = r
		s.nodes[i], s.reloads[i] = r, loads
		s.admins[i], s.clients[i] = httptest.NewServer(Handler(a)), httptest.NewServer(r)
		t.Cleanup(func() {
			r.Close()
			s.admins[i].Close()
			s.clients[i].Close()
		})
	}
	return s
}

func pattern(t testing.TB, text string) router.Pattern {
	t.Helper()
	p, err := router.ParsePattern(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// call sends a request to the first node, and returns the status, the answer and its headers.
// A body that is not a string is sent as JSON.
func (s *service) call(t testing.TB, method, path string, body any, headers ...string) (status int, answer []byte, h http.Header) {
	t.Helper()
	var reader io.Reader
	if text, ok := body.(string); ok {
		reader = strings.NewReader(text)
	} else if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		reader = bytes.NewReader(b)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, s.admins[0].URL+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err = io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer, resp.Header
}

// post sends a body to an operation, which must answer 200, and decodes the answer.
func (s *service) post(t testing.TB, operation, body string, answer any, headers ...string) {
	t.Helper()
	status, text, _ := s.call(t, http.MethodPost, "/api/"+operation, body, headers...)
	decodeAnswer(t, operation+" "+body, status, text, answer)
}

func (s *service) get(t testing.TB, path string, answer any) {
	t.Helper()
	status, text, _ := s.call(t, http.MethodGet, path, nil)
	decodeAnswer(t, path, status, text, answer)
}

func decodeAnswer(t testing.TB, what string, status int, text []byte, answer any) {
	t.Helper()
	if status != http.StatusOK {
		t.Fatalf("%s: %d %s", what, status, text)
	}
	if err := json.Unmarshal(text, answer); err != nil {
		t.Fatalf("%s: %v: %s", what, err, text)
	}
}

// refused sends a request that must be refused with the status and code.
func (s *service) refused(t testing.TB, status int, code, method, path string, body any, headers ...string) (reason string, h http.Header) {
	t.Helper()
	got, text, h := s.call(t, method, path, body, headers...)
	var p problem
	if err := json.Unmarshal(text, &p); err != nil || got != status || p.Code != code || p.Reason == "" {
		t.Errorf("%s %s %.200v: %d %s, want %d %s", method, path, body, got, text, status, code)
	}
	return p.Reason, h
}

// client is a connection of a user, whose events arrive in order.
type client struct {
	t      testing.TB
	ws     *websocket.Conn
	events chan map[string]any // closed at the connection's end
	ended  error               // set before
}

// as connects a user to a node, and joins rooms.
func (s *service) as(t testing.TB, node int, user string, rooms ...string) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, "ws"+strings.TrimPrefix(s.clients[node].URL, "http")+"/ws?client_id="+user, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := &client{t: t, ws: ws, events: make(chan map[string]any, 1024)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer close(c.events)
		for {
			_, b, err := ws.Read(context.Background())
			if err != nil {
				c.ended = err
				return
			}
			var e map[string]any
			if c.ended = json.Unmarshal(b, &e); c.ended != nil {
				return
			}
			c.events <- e
		}
	}()
	t.Cleanup(func() {
		ws.CloseNow()
		for range c.events {
		}
		<-done
	})
	c.until("welcome")
	for _, room := range rooms {
		if err := ws.Write(ctx, websocket.MessageText, fmt.Appendf(nil, `{"type":"join_room","room":%q}`, room)); err != nil {
			t.Fatal(err)
		}
		c.until("joined")
	}
	return c
}

// until is the next event of that name.
func (c *client) until(name string) map[string]any {
	c.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case e, ok := <-c.events:
			if !ok {
				c.t.Fatalf("the connection ended: %v", c.ended)
			}
			if e["event"] == name {
				return e
			}
		case <-deadline:
			c.t.Fatalf("no event %s came", name)
		}
	}
}

// closedWith waits for the connection's end.
func (c *client) closedWith(code websocket.StatusCode) {
	c.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case _, ok := <-c.events:
			if !ok {
				if got := websocket.CloseStatus(c.ended); got != code {
					c.t.Errorf("closed with %d (%v), want %d", got, c.ended, code)
				}
				return
			}
		case <-deadline:
			c.t.Fatal("the connection was not closed")
		}
	}
}

// eventually waits until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came to be that %s", what)
		}
	}
}
