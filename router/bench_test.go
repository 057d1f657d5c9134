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
	r := routerOf(t, Limits{Queue: 64 << 20}, rule)
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

// routerOf is a node with one rule for all rooms.
func routerOf(t testing.TB, limits Limits, rule RoomRule) *Router {
	t.Helper()
	rule.Match, _ = ParsePattern("**")
	r, err := New(Options{Broker: &loop{}, AnnounceConnections: AnnounceOff, Log: slog.New(slog.DiscardHandler)},
		&Generation{Limits: limits, Rooms: []RoomRule{rule}})
	if err != nil {
		t.Fatal(err)
	}
	return r
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

// BenchmarkFanOut is the cost of a delivery to a room, one at a time, until it is
// written for every member.
func BenchmarkFanOut(b *testing.B) {
	for _, members := range []int{1, 4, inlineMost, 2 * inlineMost, 100, 1000} {
		b.Run(fmt.Sprint("members=", members), func(b *testing.B) {
			benchmarkFanOut(b, members, 1)
		})
	}
}

// BenchmarkFanOutSaturated is the same with as many deliveries as there can be under way.
func BenchmarkFanOutSaturated(b *testing.B) {
	for _, members := range []int{4, 100, 1000} {
		b.Run(fmt.Sprint("members=", members), func(b *testing.B) {
			benchmarkFanOut(b, members, 1<<20)
		})
	}
}

// benchmarkFanOut waits for the end of all deliveries after each batch of them.
func benchmarkFanOut(b *testing.B, members, batch int) {
	r, _ := crowd(b, members, RoomRule{Slow: SlowDropOldest, Announce: AnnounceOff})
	g := r.rooms.lookup("r")
	m := &Message{Kind: RoomMessage, ID: "m", Room: "r", From: "u0", Content: []byte(`"` + strings.Repeat("x", 126) + `"`)}
	before := r.engine.Stats()
	b.ReportAllocs()
	for n := 1; b.Loop(); n++ {
		if r.Deliver(m); n%batch == 0 {
			g.settle()
		}
	}
	g.settle()
	st := r.engine.Stats()
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(members), "ns/member")
	b.ReportMetric(float64(st.Frames-before.Frames)/float64(st.Writes-before.Writes), "frames/write")
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
	one, few, many := allocs(1), allocs(inlineMost), allocs(1000)
	t.Logf("%v, %v and %v allocations", one, few, many)
	// Half of one for each member would show; queues that grow now and then do not.
	if max(few, many) > one+inlineMost/2 && !raceEnabled {
		t.Errorf("%v allocations for one member, %v for %d, and %v for 1,000", one, few, inlineMost, many)
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
