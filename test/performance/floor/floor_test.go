package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = time.Minute

// start serves a hub on loopback until the test ends, and waits for what it
// started.
func start(t *testing.T, o options) (url string) {
	t.Helper()
	if err := o.check(); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := newHub(o)
	ended := make(chan error, 1)
	go func() { ended <- h.serve(ln) }()
	t.Cleanup(func() {
		ln.Close()
		<-ended
		h.close()
	})
	return "ws://" + ln.Addr().String() + "/ws"
}

func dial(t *testing.T, url, id string) *websocket.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, _, err := websocket.Dial(ctx, url+"?client_id="+id, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.SetReadLimit(1 << 20)
	t.Cleanup(func() { c.CloseNow() })
	return c
}

func join(t *testing.T, c *websocket.Conn, room string) {
	t.Helper()
	say(t, c, command{Type: "join_room", Room: room})
	var e joinedEvent
	if err := json.Unmarshal(next(t, c), &e); err != nil || e != (joinedEvent{"joined", room}) {
		t.Fatalf("joining %s is answered by %+v (%v)", room, e, err)
	}
}

func say(t *testing.T, c *websocket.Conn, m command) {
	t.Helper()
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Write(context.Background(), websocket.MessageText, b); err != nil {
		t.Fatal(err)
	}
}

func next(t *testing.T, c *websocket.Conn) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, b, err := c.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func eachWay(t *testing.T, test func(t *testing.T, o options)) {
	for _, accept := range []string{"nethttp", "custom"} {
		for _, out := range []string{"plain", "prepared", "inline", "shard"} {
			t.Run(out+" on "+accept, func(t *testing.T) {
				test(t, options{Accept: accept, Out: out, Shards: 3, ReadBuffer: 512, WriteBuffer: 512, Queue: 1 << 16})
			})
		}
	}
}

func TestEveryMemberGetsEveryMessageOfAPublisherInOrder(t *testing.T) {
	const members, publishers, messages = 7, 3, 300 // less than what may wait for a member
	eachWay(t, func(t *testing.T, o options) {
		o.Ping = 256 * time.Millisecond // heartbeats between the messages break no frame
		url := start(t, o)
		var conns []*websocket.Conn
		for i := range members {
			c := dial(t, url, fmt.Sprint("m", i))
			join(t, c, "one")
			conns = append(conns, c)
		}
		elsewhere := dial(t, url, "elsewhere")
		join(t, elsewhere, "other")

		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		var all sync.WaitGroup
		for i, c := range conns[:publishers] {
			all.Go(func() {
				for n := range messages {
					filler := strings.Repeat("x", []int{0, 40, 100, 200, 1000, 70_000}[sizeOf(n)])
					b, _ := json.Marshal(command{"room_message", "one", fmt.Sprintf("%d %d %s", i, n, filler)})
					if err := c.Write(ctx, websocket.MessageText, b); err != nil {
						t.Error(err)
						cancel()
						return
					}
				}
			})
		}
		for _, c := range conns {
			all.Go(func() {
				if err := readInOrder(ctx, c, publishers, messages); err != nil {
					t.Error(err)
					cancel() // the others need not wait
				}
			})
		}
		all.Wait()

		say(t, elsewhere, command{"room_message", "other", "mine"})
		if b := next(t, elsewhere); !bytes.Contains(b, []byte(`"mine"`)) {
			t.Errorf("the member of another room gets %.80s", b)
		}
	})
}

// sizeOf chooses among sizes, so that each form of a frame's length occurs, the
// largest seldom.
func sizeOf(n int) int {
	if n%100 == 99 {
		return 5
	}
	return n % 5
}

func readInOrder(ctx context.Context, c *websocket.Conn, publishers, messages int) error {
	seen := make([]int, publishers)
	for range publishers * messages {
		_, b, err := c.Read(ctx)
		if err != nil {
			return fmt.Errorf("after %v: %w", seen, err)
		}
		var m chat
		var from, n int
		if err := json.Unmarshal(b, &m); err != nil {
			return err
		}
		if _, err := fmt.Sscan(m.Content, &from, &n); err != nil || m.From != fmt.Sprint("m", from) || m.Event != "chat" || m.Room != "one" {
			return fmt.Errorf("got %.80s (%w)", b, err)
		}
		if n != seen[from] {
			return fmt.Errorf("publisher %d: message %d, want %d", from, n, seen[from])
		}
		seen[from]++
	}
	return nil
}

func TestWhoLeavesGetsNothingAndDisturbsNobody(t *testing.T) {
	eachWay(t, func(t *testing.T, o options) {
		url := start(t, o)
		stays, leaves := dial(t, url, "stays"), dial(t, url, "leaves")
		join(t, stays, "r")
		join(t, leaves, "r")
		if err := leaves.Close(websocket.StatusNormalClosure, ""); err != nil {
			t.Fatal(err)
		}
		for n := range 100 {
			say(t, stays, command{"room_message", "r", fmt.Sprint(n)})
			var m chat
			if err := json.Unmarshal(next(t, stays), &m); err != nil || m.Content != fmt.Sprint(n) {
				t.Fatalf("message %d: %+v (%v)", n, m, err)
			}
		}
	})
}

// pair is two ends of a connection, whose buffers are far smaller than what an outlet keeps.
func pair(t *testing.T) (ours, theirs *net.TCPConn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs = s.(*net.TCPConn), c.(*net.TCPConn)
	_ = ours.SetWriteBuffer(64 << 10)
	_ = theirs.SetReadBuffer(64 << 10)
	t.Cleanup(func() { ours.Close(); theirs.Close() })
	return ours, theirs
}

func TestAFullSocketDelaysNoPublisherAndLosesNothing(t *testing.T) {
	ours, theirs := pair(t)
	o, err := newOutlet(ours)
	if err != nil {
		t.Fatal(err)
	}
	var want bytes.Buffer
	for i := 0; want.Len() < heldBack; i++ { // nobody reads
		b := bytes.Repeat([]byte{byte(i)}, 1000+i%7)
		want.Write(b)
		if i%2 == 0 {
			o.send(b)
		} else if _, err := o.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	o.mu.Lock()
	full := o.draining
	o.mu.Unlock()
	if !full {
		t.Fatal("the socket has taken all: nothing was tested")
	}
	got := make([]byte, want.Len())
	_ = theirs.SetReadDeadline(time.Now().Add(patience))
	if n, err := io.ReadFull(theirs, got); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Fatalf("%d of %d bytes, the same: %v (%v)", n, len(got), bytes.Equal(got, want.Bytes()), err)
	}
}

func TestASocketThatStaysFullIsClosed(t *testing.T) {
	ours, theirs := pair(t)
	o, err := newOutlet(ours)
	if err != nil {
		t.Fatal(err)
	}
	for range 8 * heldBack >> 16 {
		o.send(make([]byte, 1<<16))
	}
	_ = theirs.SetReadDeadline(time.Now().Add(patience))
	n, err := io.Copy(io.Discard, theirs)
	if ne, ok := err.(net.Error); ok && ne.Timeout() || n >= 8*heldBack {
		t.Fatalf("the connection is open after %d bytes (%v)", n, err)
	}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	good := options{Accept: "custom", Out: "inline", Queue: 1}
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	for _, spoil := range []func(*options){
		func(o *options) { o.Accept = "udp" },
		func(o *options) { o.Out = "" },
		func(o *options) { o.Queue = 0 },
		func(o *options) { o.Shards = -1 },
		func(o *options) { o.Ping = -1 },
	} {
		o := good
		if spoil(&o); o.check() == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
