package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const patience = 30 * time.Second

// fake is a server that does as a test tells it. Without hooks it is a good one.
type fake struct {
	t      *testing.T
	server *httptest.Server

	// Static once it serves.
	accept  websocket.AcceptOptions
	refuse  func(w http.ResponseWriter, req *http.Request) bool // instead of an upgrade
	join    func(m *fakeMember) (answer string)                 // instead of joined; "": none
	deliver func(n int, m *fakeMember, frame string)            // a room's n-th message to a member
	publish func(n int, m *fakeMember) (answer string)          // "": it is delivered

	mu      sync.Mutex
	rooms   map[string]*fakeRoom
	users   []string
	heard   []string // pongs
	handled sync.WaitGroup
}

type fakeRoom struct {
	members []*fakeMember
	n       int
}

type fakeMember struct {
	f     *fake
	conn  *websocket.Conn
	place int
	held  string // a frame that is kept back
}

func newFake(t *testing.T) *fake {
	return &fake{t: t, rooms: make(map[string]*fakeRoom)}
}

func (f *fake) serve() *fake {
	f.server = httptest.NewServer(f)
	f.t.Cleanup(f.close)
	return f
}

func (f *fake) close() {
	f.server.CloseClientConnections()
	f.server.Close()
	f.handled.Wait()
}

func (f *fake) url() string { return "ws" + strings.TrimPrefix(f.server.URL, "http") + "/ws" }

func (f *fake) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	f.mu.Lock()
	f.users = append(f.users, req.URL.Query().Get("client_id")+req.Header.Get("Authorization")+req.URL.Query().Get("access"))
	f.mu.Unlock()
	if f.refuse != nil && f.refuse(w, req) {
		return
	}
	accept := f.accept
	conn, err := websocket.Accept(w, req, &accept)
	if err != nil {
		return
	}
	f.handled.Add(1)
	defer f.handled.Done()
	defer conn.CloseNow()
	conn.SetReadLimit(1 << 20)
	m := &fakeMember{f: f, conn: conn}
	m.send(`{"event":"welcome","user_id":"x","version":"1.2.3"}`)
	for {
		_, text, err := conn.Read(context.Background())
		if err != nil {
			return
		}
		f.command(m, text)
	}
}

func (m *fakeMember) send(frame string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = m.conn.Write(ctx, websocket.MessageText, []byte(frame)) // it may have gone
}

func (f *fake) command(m *fakeMember, text []byte) {
	var c struct {
		Type, Room string
		Content    json.RawMessage
	}
	if err := json.Unmarshal(text, &c); err != nil {
		f.t.Errorf("a command is no JSON: %v: %.200q", err, text)
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.rooms[c.Room]
	switch c.Type {
	case "pong":
		f.heard = append(f.heard, "pong")
	case "join_room":
		if r == nil {
			r = &fakeRoom{}
			f.rooms[c.Room] = r
		}
		m.place = len(r.members)
		r.members = append(r.members, m)
		answer := `{"event":"joined","room":"` + c.Room + `","announced":false}`
		if f.join != nil {
			answer = f.join(m)
		}
		if answer != "" {
			m.send(answer)
		}
	case "room_message":
		r.n++
		if f.publish != nil {
			if answer := f.publish(r.n, m); answer != "" {
				m.send(answer)
				return
			}
		}
		frame := fmt.Sprintf(`{"event":"chat","from":"x","room":"%s","message_id":"m.%d","content":%s}`, c.Room, r.n, c.Content)
		for _, to := range r.members {
			if f.deliver != nil {
				f.deliver(r.n, to, frame)
			} else {
				to.send(frame)
			}
		}
	}
}

// options of a small run against it.
func (f *fake) options(scenario Scenario) *Options {
	return &Options{
		Scenario: scenario, URL: f.url(), Connections: 6, RoomPrefix: "bench:", Rate: 400, Size: 128,
		Duration: 300 * time.Millisecond, Drain: patience, Concurrency: 4, ConnectTimeout: patience, hurry: true,
	}
}

// run runs the options, and fails the test on an error.
func (o *Options) run(t *testing.T) *Result {
	t.Helper()
	r, err := Run(t.Context(), o, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// onEachEngine runs a test with both of them.
func onEachEngine(t *testing.T, test func(t *testing.T, plain bool)) {
	for _, plain := range []bool{false, true} {
		name := "the one of this system"
		if plain {
			name = "the portable one"
		}
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, plain) })
	}
}
