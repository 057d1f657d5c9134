package router

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unsafe"

	"sluice/router/wire"
)

// loop is a broker that hands back what is published, on the publisher's goroutine.
type loop struct{ sink Sink }

func (l *loop) Start(s Sink) error                                       { l.sink = s; return nil }
func (l *loop) Unsubscribe(Topic)                                        {}
func (l *loop) Enter(context.Context, string, Occupant) (bool, error)    { return true, nil }
func (l *loop) Leave(context.Context, string, Occupant) (bool, error)    { return true, nil }
func (l *loop) Nodes(context.Context) ([]NodeInfo, error)                { return nil, nil }
func (l *loop) Rooms(context.Context, int, string) (RoomsPage, error)    { return RoomsPage{}, nil }
func (l *loop) Health(context.Context) error                             { return nil }
func (l *loop) Close() error                                             { return nil }
func (l *loop) Subscribe(context.Context, Topic, Keep) (Position, error) { return Position{}, nil }
func (l *loop) History(context.Context, string, HistoryQuery) (HistoryPage, error) {
	return HistoryPage{}, nil
}
func (l *loop) Publish(_ context.Context, m *Message) (Receipt, error) {
	l.sink.Deliver(m)
	return Receipt{}, nil
}
func (l *loop) Present(context.Context, string, int, string) (PresencePage, error) {
	return PresencePage{}, nil
}

// crowd is a node whose room r has that many members, whose clients take what
// comes. It returns one member's connection.
func crowd(t testing.TB, members int, rule RoomRule) (*Router, *conn) {
	t.Helper()
	rule.Match, _ = ParsePattern("**")
	r, err := New(Options{Broker: &loop{}, AnnounceConnections: AnnounceOff, Log: slog.New(slog.DiscardHandler)},
		&Generation{Limits: Limits{Queue: 64 << 20}, Rooms: []RoomRule{rule}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(r)
	t.Cleanup(func() {
		r.Close()
		server.Close()
	})
	for i := range members {
		newMember(t, server.Listener.Addr().String(), i)
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		if g := r.rooms.lookup("r"); g != nil && activeMembers(g) == members {
			return r, g.snapshot()[0].conn
		}
		if time.Now().After(deadline) {
			t.Fatal("the members did not join")
		}
	}
}

// newMember joins a client that costs next to nothing.
func newMember(t testing.TB, addr string, i int) {
	t.Helper()
	client, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	const join = `{"type":"join_room","room":"r"}`
	fmt.Fprintf(client, "GET /ws?client_id=u%d HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", i)
	fmt.Fprintf(client, "\x81%s\x00\x00\x00\x00%s", []byte{0x80 | byte(len(join))}, join)
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(io.Discard, client)
	}()
	t.Cleanup(func() { client.Close(); <-done })
}

func activeMembers(g *group) (n int) {
	for _, m := range g.snapshot() {
		if m.state.Load() == active {
			n++
		}
	}
	return n
}

// BenchmarkFanOut is the cost of a delivery to a room, until it is queued for
// every member. Messages beyond a client's queue are dropped in the queue.
func BenchmarkFanOut(b *testing.B) {
	for _, members := range []int{1, 100, 1000} {
		b.Run(fmt.Sprint("members=", members), func(b *testing.B) {
			r, _ := crowd(b, members, RoomRule{Slow: SlowDropOldest, Announce: AnnounceOff})
			m := &Message{Kind: RoomMessage, ID: "m", Room: "r", From: "u0", Content: []byte(`"` + strings.Repeat("x", 126) + `"`)}
			b.ReportAllocs()
			for b.Loop() {
				r.Deliver(m)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(members), "ns/member")
		})
	}
}

const benchFrame = `{"type":"room_message","room":"r","content":"0123456789012345678901234567890123456789"}`

// BenchmarkPublish is a room_message from its frame to the queue of the one
// member.
func BenchmarkPublish(b *testing.B) {
	_, c := crowd(b, 1, RoomRule{Slow: SlowDropOldest})
	b.ReportAllocs()
	for b.Loop() {
		c.handle([]byte(benchFrame))
	}
}

// The message, its id and its content; the frame that is delivered, and what
// encoding it takes.
const publishAllocs = 5

func TestPublishingAllocatesLittle(t *testing.T) {
	_, c := crowd(t, 1, RoomRule{Slow: SlowDropOldest})
	frame := []byte(benchFrame)
	got := testing.AllocsPerRun(2000, func() { c.handle(frame) })
	t.Logf("%v allocations", got)
	if got > publishAllocs && !raceEnabled {
		t.Errorf("%v allocations for a message, want at most %d", got, publishAllocs)
	}
}

func TestFanOutAllocatesTheSameForAnyNumberOfMembers(t *testing.T) {
	allocs := func(members int) float64 {
		r, _ := crowd(t, members, RoomRule{Slow: SlowKeepLatest, Announce: AnnounceOff})
		m := &Message{Kind: RoomMessage, ID: "m", Room: "r", From: "u0", Content: []byte("1")}
		return testing.AllocsPerRun(500, func() { r.Deliver(m) })
	}
	one, many := allocs(1), allocs(50)
	t.Logf("%v and %v allocations", one, many)
	if many > one+25 && !raceEnabled { // half of one for each member would show; queues that grow now and then do not
		t.Errorf("%v allocations for 50 members, %v for one", many, one)
	}
}

func TestAnIdleConnectionIsSmall(t *testing.T) {
	if size := unsafe.Sizeof(conn{}); size > 320 {
		t.Errorf("a connection's struct has %d bytes", size)
	}
}

func TestDecodedCommandsReuseTheirMemory(t *testing.T) {
	w := works.New().(*work)
	frame := []byte(benchFrame)
	if n := testing.AllocsPerRun(100, func() {
		if w.decoder.Decode(frame, &w.command) != nil || w.command.Type != wire.RoomMessage {
			t.Fatal("not decoded")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
