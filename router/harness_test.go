package router_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"

	"sluice/router"
	"sluice/router/membroker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds what should happen at once, so that a fault fails a test
// rather than hangs it.
const patience = 20 * time.Second

// node is a router behind a real HTTP server.
type node struct {
	*router.Router
	server *httptest.Server
	logs   *logBuffer
}

// setup is what a test changes of a node's options and first generation.
type setup func(*router.Options, *router.Generation)

// startNode runs a node on its own broker until the test ends.
func startNode(t testing.TB, setups ...setup) *node {
	t.Helper()
	b := membroker.New()
	t.Cleanup(func() { b.Close() })
	return startNodeOn(t, b, setups...)
}

func startNodeOn(t testing.TB, b router.Broker, setups ...setup) *node {
	t.Helper()
	n := &node{logs: new(logBuffer)}
	o := router.Options{Broker: b, Log: slog.New(slog.NewTextHandler(n.logs, nil)), DrainWindow: -1}
	g := &router.Generation{Number: 1, Limits: router.DefaultLimits()}
	for _, s := range setups {
		s(&o, g)
	}
	var err error
	if n.Router, err = router.New(o, g); err != nil {
		t.Fatal(err)
	}
	n.server = httptest.NewServer(n.Router)
	t.Cleanup(func() {
		n.Router.Close()
		n.server.Close()
	})
	return n
}

// logBuffer keeps what a node logs.
type logBuffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// event is one event as a client sees it.
type event map[string]any

func (e event) name() string { s, _ := e["event"].(string); return s }

func (e event) str(field string) string { s, _ := e[field].(string); return s }

// client is a WebSocket client with its own reader.
type client struct {
	t       testing.TB
	ws      *websocket.Conn
	events  chan event // closed by the reader when the connection ends
	ended   error      // set before events is closed
	welcome event
}

// target is the address of the endpoint with a query.
func (n *node) target(query string) string {
	url := "ws" + strings.TrimPrefix(n.server.URL, "http") + "/ws"
	if query != "" {
		url += "?" + query
	}
	return url
}

func (n *node) dialRaw(query string, header http.Header) (*websocket.Conn, *http.Response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	o := &websocket.DialOptions{HTTPHeader: header.Clone()}
	for _, offer := range header.Values("Sec-WebSocket-Protocol") {
		o.Subprotocols = strings.Split(offer, ", ")
	}
	o.HTTPHeader.Del("Sec-WebSocket-Protocol")
	return websocket.Dial(ctx, n.target(query), o)
}

// connect opens a connection and takes the welcome.
func (n *node) connect(t testing.TB, query string) *client {
	t.Helper()
	ws, _, err := n.dialRaw(query, nil)
	if err != nil {
		t.Fatalf("connecting with %q: %v", query, err)
	}
	c := newClient(t, ws)
	c.welcome = c.next()
	if c.welcome.name() != "welcome" {
		t.Fatalf("the first event is %v, not welcome", c.welcome)
	}
	return c
}

// as connects under a name, on a node that asks nobody.
func (n *node) as(t testing.TB, user string) *client {
	t.Helper()
	return n.connect(t, "client_id="+user)
}

func newClient(t testing.TB, ws *websocket.Conn) *client {
	ws.SetReadLimit(8 << 20)
	c := &client{t: t, ws: ws, events: make(chan event, 4096)}
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
			var e event
			if err := json.Unmarshal(b, &e); err != nil {
				c.ended = errors.New("not JSON: " + string(b))
				return
			}
			c.events <- e
		}
	}()
	t.Cleanup(func() {
		ws.CloseNow()
		for range c.events { // let the reader end
		}
		<-done
	})
	return c
}

// send sends one frame of text.
func (c *client) send(text string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.ws.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatalf("sending %s: %v", text, err)
	}
}

// next is the next event.
func (c *client) next() event {
	c.t.Helper()
	select {
	case e, ok := <-c.events:
		if !ok {
			c.t.Fatalf("the connection ended: %v", c.ended)
		}
		return e
	case <-time.After(patience):
		c.t.Fatal("no event came")
	}
	return nil
}

// expect is the next event, which must be the named one.
func (c *client) expect(name string) event {
	c.t.Helper()
	e := c.next()
	if e.name() != name {
		c.t.Fatalf("got %v, not %s", e, name)
	}
	return e
}

// until skips events up to the named one.
func (c *client) until(name string) event {
	c.t.Helper()
	for {
		if e := c.next(); e.name() == name {
			return e
		}
	}
}

// ask sends a command and is the next event, its answer.
func (c *client) ask(command string) event {
	c.t.Helper()
	c.send(command)
	return c.next()
}

// refusedWith sends a command that must be answered by an error of that code.
func (c *client) refusedWith(code, command string) event {
	c.t.Helper()
	e := c.ask(command)
	if e.name() != "error" || e.str("code") != code {
		c.t.Fatalf("%s: got %v, not an error %s", command, e, code)
	}
	return e
}

// join joins a room and takes the events that say so.
func (c *client) join(room string) event {
	c.t.Helper()
	c.send(`{"type":"join_room","room":"` + room + `"}`)
	joined := c.expect("joined")
	if joined["announced"] == true {
		for e := c.next(); e.name() != "user_joined" || e.str("user_id") != c.welcome.str("user_id"); e = c.next() {
		}
	}
	return joined
}

// quiet fails if an event was delivered before the answer to a ping.
func (c *client) quiet() {
	c.t.Helper()
	c.send(`{"type":"ping","id":"quiet"}`)
	if e := c.next(); e.name() != "pong" {
		c.t.Fatalf("got %v where nothing should come", e)
	}
}

// closedWith waits for the end of the connection, which must have the code.
func (c *client) closedWith(code int) {
	c.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case _, ok := <-c.events:
			if ok {
				continue
			}
			if got := websocket.CloseStatus(c.ended); int(got) != code {
				c.t.Fatalf("closed with %d (%v), not %d", got, c.ended, code)
			}
			return
		case <-deadline:
			c.t.Fatal("the connection did not end")
		}
	}
}

// leaveNow closes the connection as a client does.
func (c *client) leaveNow() { c.ws.Close(websocket.StatusNormalClosure, "") }

// eventually waits until something observable from outside holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); {
		if time.Now().After(deadline) {
			t.Fatalf("it never happened: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// refusal dials and must be refused by HTTP.
func (n *node) refusal(t testing.TB, query string, header http.Header) (status int, body event, h http.Header) {
	t.Helper()
	ws, resp, err := n.dialRaw(query, header)
	if err == nil {
		ws.CloseNow()
		t.Fatalf("connecting with %q was not refused", query)
	}
	if resp == nil {
		t.Fatal(err)
	}
	b, _ := io.ReadAll(resp.Body)
	if err := json.Unmarshal(b, &body); err != nil {
		t.Fatalf("the refusal's body %q is not JSON: %v", b, err)
	}
	return resp.StatusCode, body, resp.Header
}

// rawClient reads frames as text.
type rawClient struct {
	t  testing.TB
	ws *websocket.Conn
}

func rawReader(t testing.TB, ws *websocket.Conn) *rawClient { return &rawClient{t, ws} }

func (c *rawClient) send(text string) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := c.ws.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// until is the next frame that contains the text.
func (c *rawClient) until(text string) string {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		_, b, err := c.ws.Read(ctx)
		if err != nil {
			c.t.Fatal(err)
		}
		if strings.Contains(string(b), text) {
			return string(b)
		}
	}
}
