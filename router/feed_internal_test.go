package router

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/router/socket"
)

// A client that reads the frames of a server without a library, to have a thousand of them.
type listener struct {
	net.Conn
	br *bufio.Reader
}

func (l *listener) command(text string) error {
	_, err := fmt.Fprintf(l, "\x81%s\x00\x00\x00\x00%s", []byte{0x80 | byte(len(text))}, text)
	return err
}

// next is the next text message. Pings are answered.
func (l *listener) next() (string, error) {
	for {
		var h [4]byte
		if _, err := io.ReadFull(l.br, h[:2]); err != nil {
			return "", err
		}
		n := int(h[1])
		if n == 126 {
			if _, err := io.ReadFull(l.br, h[2:4]); err != nil {
				return "", err
			}
			n = int(binary.BigEndian.Uint16(h[2:4]))
		}
		p := make([]byte, n)
		if _, err := io.ReadFull(l.br, p); err != nil {
			return "", err
		}
		if h[0] == 0x89 {
			if _, err := io.WriteString(l, "\x8a\x80\x00\x00\x00\x00"); err != nil {
				return "", err
			}
			continue
		}
		if h[0] != 0x81 {
			return "", fmt.Errorf("a frame that begins with %x: %q", h[0], p)
		}
		return string(p), nil
	}
}

// listen connects a client.
func listen(t testing.TB, addr, user string) *listener {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	fmt.Fprintf(nc, "GET /ws?client_id=%s HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", user)
	l := &listener{nc, bufio.NewReaderSize(nc, 512)}
	for line := ""; line != "\r\n"; {
		if line, err = l.br.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// expect reads up to an event.
func (l *listener) expect(t testing.TB, event string) string {
	t.Helper()
	for {
		m, err := l.next()
		if err != nil {
			t.Fatalf("%v; want %s", err, event)
		}
		if strings.Contains(m, `"event":"`+event+`"`) {
			return m
		}
	}
}

// loneNode is a router that the test delivers to.
func loneNode(t testing.TB, limits Limits, rule RoomRule) (*Router, string) {
	t.Helper()
	r := routerOf(t, limits, rule)
	server := httptest.NewServer(r)
	t.Cleanup(func() {
		r.Close()
		server.Close()
	})
	return r, server.Listener.Addr().String()
}

func joined(t testing.TB, addr string, i int) *listener {
	t.Helper()
	l := listen(t, addr, fmt.Sprint("u", i))
	if err := l.command(`{"type":"join_room","room":"r"}`); err != nil {
		t.Fatal(err)
	}
	l.expect(t, "joined")
	return l
}

// hold keeps the node's writers busy until the function that it returns is called.
func hold(t testing.TB, r *Router) (release func()) {
	t.Helper()
	resume := make(chan struct{})
	var begun sync.WaitGroup
	for w := range r.engine.Writers() {
		begun.Add(1)
		r.engine.Post(w, taskFunc(func() {
			begun.Done()
			<-resume
		}))
	}
	begun.Wait()
	release = sync.OnceFunc(func() { close(resume) })
	t.Cleanup(release)
	return release
}

type taskFunc func()

func (f taskFunc) Do() { f() }

func said(n int) *Message {
	return &Message{Kind: RoomMessage, ID: "m", Room: "r", From: "u", Content: fmt.Appendf(nil, `"<%d>"`, n)}
}

func at(n int, m *Message) *Message {
	m.Position = Position{"e", uint64(n)}
	return m
}

// number is what said was given.
func number(t testing.TB, m string) (n int) {
	t.Helper()
	i := strings.Index(m, `"<`)
	if i < 0 {
		t.Fatalf("got %s, no chat", m)
	}
	if _, err := fmt.Sscanf(m[i:], `"<%d>`, &n); err != nil {
		t.Fatal(err)
	}
	return n
}

func (l *listener) expectNumbers(t testing.TB, from, to int) {
	t.Helper()
	l.SetReadDeadline(time.Now().Add(2 * maxWait))
	for n := from; n <= to; n++ {
		if got := number(t, l.expect(t, "chat")); got != n {
			t.Fatalf("got message %d, want %d", got, n)
		}
	}
}

const maxWait = 20 * time.Second

func await(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(maxWait); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it never came true that ", what)
		}
	}
}

// underWay is how many deliveries have not ended.
func (g *group) underWay() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.underway
}

func TestADeliveryToALargeRoomEndsWhenEveryWriterHasPassedItOn(t *testing.T) {
	r, addr := loneNode(t, DefaultLimits(), RoomRule{Announce: AnnounceOff})
	var members []*listener
	for i := range 2 * inlineMost {
		members = append(members, joined(t, addr, i))
	}
	g := r.rooms.lookup("r")
	release := hold(t, r)
	for n := 1; n <= 3; n++ {
		r.Deliver(at(n, said(n)))
	}
	g.mu.Lock()
	taken, given, underway := g.taken, g.given, g.underway
	g.mu.Unlock()
	if taken.Offset != 3 || given.Offset != 0 || underway != 3 {
		t.Errorf("taken is %v, given %v, %d under way", taken, given, underway)
	}
	if err := members[0].command(`{"type":"leave_room","room":"r"}`); err != nil {
		t.Fatal(err)
	}
	await(t, "who leaves waits", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.settling != nil
	})
	release()
	for _, l := range members[1:] {
		l.expectNumbers(t, 1, 3)
	}
	// Of the three deliveries, some or none may have come before; after left, none.
	members[0].expect(t, "left")
	r.Deliver(at(4, said(4)))
	members[1].expectNumbers(t, 4, 4)
	members[0].command(`{"type":"ping"}`)
	if m, err := members[0].next(); err != nil || !strings.Contains(m, `"pong"`) {
		t.Errorf("after left came %s, %v", m, err)
	}
	await(t, "all deliveries have ended", func() bool { return g.underWay() == 0 })
	if g.given.Offset != 4 {
		t.Errorf("given is %v", g.given)
	}
}

func TestARoomThatShrinksIsNotDeliveredToPastWhatWaitsInItsFeeds(t *testing.T) {
	r, addr := loneNode(t, DefaultLimits(), RoomRule{Announce: AnnounceOff})
	stays := joined(t, addr, 0)
	var others []*listener
	for i := range inlineMost {
		others = append(others, joined(t, addr, i+1))
	}
	g := r.rooms.lookup("r")
	release := hold(t, r)
	r.Deliver(said(1))
	for _, l := range others {
		l.Close()
	}
	await(t, "one is left", func() bool { return g.size() == 1 })
	r.Deliver(said(2))
	r.Deliver(said(3))
	release()
	stays.expectNumbers(t, 1, 3)
	await(t, "all deliveries have ended", func() bool { return g.underWay() == 0 })
	r.Deliver(said(4))
	stays.expectNumbers(t, 4, 4)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.feeds != nil {
		t.Error("it is a large room still")
	}
}

func TestWhoDeliversFasterThanTheWritersWaitsForThem(t *testing.T) {
	r, addr := loneNode(t, DefaultLimits(), RoomRule{Announce: AnnounceOff})
	var members []*listener
	for i := range inlineMost + 1 {
		members = append(members, joined(t, addr, i))
	}
	g := r.rooms.lookup("r")
	release := hold(t, r)
	const more = feedDeliveries + 100
	var delivered atomic.Int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n := 1; n <= more; n++ {
			r.Deliver(said(n))
			delivered.Add(1)
		}
	}()
	await(t, "a feed is full", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.feeds != nil && g.feeds.room != nil
	})
	if n := delivered.Load(); n != feedDeliveries {
		t.Errorf("%d deliveries wait in a feed, want %d", n, feedDeliveries)
	}
	release()
	<-done
	for _, l := range members {
		l.expectNumbers(t, 1, more)
	}
}

func TestAFeedIsFullByItsBytesToo(t *testing.T) {
	fs := &feeds{list: []*feed{{}}}
	fs.list[0].members = []*member{nil}
	d := &delivery{item: socket.Item{Frame: socket.NewFrame(0, func(b []byte) []byte { return append(b, make([]byte, feedBytes/2)...) })}}
	for i := range 3 {
		if full := fs.fullLocked(); full != (i == 2) {
			t.Errorf("with %d halves, full is %v", i, full)
		}
		fs.putLocked(d)
	}
}

// Where a member joins again while deliveries are under way, it is told a place behind which
// exactly what comes after joined follows.
func TestWhoJoinsALargeRoomAgainIsToldThePlaceThatItHas(t *testing.T) {
	r, addr := loneNode(t, DefaultLimits(), RoomRule{Announce: AnnounceOff, History: Keep{Size: 10}})
	var members []*listener
	for i := range 2 * inlineMost {
		members = append(members, joined(t, addr, i))
	}
	unread := make(chan struct{}, 500) // messages that may wait for whoever joins again
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for n := 1; ; n++ {
			select {
			case <-stop:
				return
			case unread <- struct{}{}:
				r.Deliver(at(n, said(n)))
			}
		}
	}()
	defer func() { close(stop); <-stopped }()
	for _, l := range members[1:] {
		go io.Copy(io.Discard, l)
	}
	l := members[0]
	l.SetReadDeadline(time.Now().Add(2 * maxWait))
	last := number(t, l.expect(t, "chat"))
	<-unread
	for range 100 {
		if err := l.command(`{"type":"join_room","room":"r"}`); err != nil {
			t.Fatal(err)
		}
		for again := false; !again; {
			m, err := l.next()
			if err != nil {
				t.Fatal(err)
			}
			if again = strings.Contains(m, `"event":"joined"`); again {
				if want := fmt.Sprintf(`"offset":%d,`, last); !strings.Contains(m, want) {
					t.Fatalf("told %s after message %d", m, last)
				}
				continue
			}
			if n := number(t, m); n != last+1 {
				t.Fatalf("message %d after %d", n, last)
			}
			last++
			<-unread
		}
	}
}

func TestBroadcastsToManySpareTheirSendersAndGapsAreCountedForEach(t *testing.T) {
	r, addr := loneNode(t, DefaultLimits(), RoomRule{Announce: AnnounceOff})
	const n = 2 * inlineMost
	var members []*listener
	for i := range n {
		members = append(members, joined(t, addr, i))
	}
	list := r.everyone.snapshot()
	release := hold(t, r) // so that they are passed on in one run
	for i, m := range list {
		r.Deliver(&Message{Kind: BroadcastMessage, ID: "m", From: "u", Conn: m.conn.id, Content: fmt.Appendf(nil, `"<%d>"`, i)})
	}
	r.Deliver(&Message{Kind: RoomGap, Room: "r", Position: Position{"e", 7}})
	release()
	for i, l := range members {
		l.SetReadDeadline(time.Now().Add(2 * maxWait))
		own := -1
		for k, m := range list {
			if m.conn.who().User == fmt.Sprint("u", i) {
				own = k
			}
		}
		chats, gaps := 0, 0
		for chats < n-1 || gaps < 1 {
			m, err := l.next()
			switch {
			case err != nil:
				t.Fatal(err)
			case strings.Contains(m, `"gap"`):
				gaps++
			case number(t, m) == own:
				t.Error("a sender got his own broadcast")
			default:
				chats++
			}
		}
	}
	await(t, "all are counted", func() bool { return r.count.delivered.Load() == n*(n-1)+n })
	if got := r.Stats().Gaps["lost"]; got != n {
		t.Errorf("%d gaps are counted, want %d", got, n)
	}
}

// Members come, go and vanish around the size from which a room is large, while several
// publish: everybody sees each publisher's messages in order, without a hole, and
// nothing before joined or after left.
func TestOrderHoldsWhileARoomGrowsAndShrinksPastTheThreshold(t *testing.T) {
	r, addr := loneNode(t, DefaultLimits(), RoomRule{Announce: AnnounceOff})
	stop := make(chan struct{})
	var publishing, living sync.WaitGroup
	var turn sync.Mutex // a broker never delivers a room twice at a time
	for p := range 3 {
		publishing.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				m := said(n)
				m.From = fmt.Sprint(p)
				turn.Lock()
				r.Deliver(m)
				turn.Unlock()
				if n%4 == 0 {
					time.Sleep(100 * time.Microsecond)
				}
			}
		})
	}
	var seen atomic.Int64
	for i := range 3 * inlineMost {
		living.Go(func() {
			for life := range 4 {
				l := listen(t, addr, fmt.Sprint("u", i))
				l.SetReadDeadline(time.Now().Add(2 * maxWait))
				for range 3 {
					l.command(`{"type":"join_room","room":"r"}`)
					l.expectOrder(t, "joined", nil, &seen)
					last := map[byte]int{}
					for range rand.IntN(200) {
						l.expectOrder(t, "", last, &seen)
					}
					if life%3 == 2 {
						break // and vanish
					}
					l.command(`{"type":"leave_room","room":"r"}`)
					l.expectOrder(t, "left", last, &seen)
				}
				l.Close()
				runtime.Gosched()
			}
		})
	}
	living.Wait()
	close(stop)
	publishing.Wait()
	t.Logf("%d messages", seen.Load())
	await(t, "nothing is left", func() bool { return r.rooms.len() == 0 && r.everyone.size() == 0 })
}

// expectOrder reads one chat, or all up to an event; last is the number of the last one by publisher, and
// nil if none may come.
func (l *listener) expectOrder(t *testing.T, event string, last map[byte]int, seen *atomic.Int64) {
	for {
		m, err := l.next()
		if err != nil {
			t.Errorf("%v; want %q", err, event)
			runtime.Goexit()
		}
		if event != "" && strings.Contains(m, `"event":"`+event+`"`) {
			return
		}
		if strings.Contains(m, `"welcome"`) {
			continue
		}
		if last == nil || !strings.Contains(m, `"chat"`) {
			t.Errorf("got %s, want %q", m, event)
			runtime.Goexit()
		}
		n := number(t, m)
		from := m[strings.Index(m, `"from":"`)+len(`"from":"`)]
		if before, ok := last[from]; ok && n != before+1 {
			t.Errorf("message %d of publisher %c after %d", n, from, before)
			runtime.Goexit()
		}
		last[from] = n
		seen.Add(1)
		if event == "" {
			return
		}
	}
}
