package socket

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestWhatIsSentArrivesInOrder(t *testing.T) {
	srv := serve(t, serverConfig{}, echo)
	c := srv.rawDial(t, 0)
	s := srv.socket(t)
	var want []string
	for i := range 2000 {
		p := fmt.Sprint(i, strings.Repeat("s", i*i%997))
		if i%100 == 0 {
			p += strings.Repeat("long", 20_000) // over 64 KiB
		}
		want = append(want, p)
	}
	go func() {
		for _, p := range want {
			for {
				if o, _ := s.Send(Item{Frame: textFrame(p)}); o == Queued {
					break
				}
				time.Sleep(time.Millisecond)
			}
		}
	}()
	for _, p := range want {
		c.expect(opText, p)
	}
	eventually(t, "nothing is queued", func() bool { return s.QueuedBytes() == 0 })
}

// Small buffers make almost every write a short one; pings of both sides mix
// with the data. Each frame must arrive whole, and each sender's in order.
func TestFramesStayWholeAndInOrderWithManySendersAndASlowReader(t *testing.T) {
	const senders, each = 8, 400
	srv := serve(t, serverConfig{sendBuffer: 4096, options: Options{Queue: 64 << 10, PingInterval: 100 * time.Millisecond}}, echo)
	c := srv.rawDial(t, 0)
	s := srv.socket(t)
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for j := range each {
				f := textFrame(fmt.Sprintf("%d %d %s", i, j, strings.Repeat("d", rand.IntN(3000))))
				for {
					if o, _ := s.Send(Item{Frame: f}); o == Queued {
						break
					}
					time.Sleep(time.Millisecond)
				}
			}
		})
	}
	wg.Go(func() {
		for i := range smallPerSecond - 20 {
			if _, err := c.Write(masked(finBit|opPing, fmt.Sprint("ping", i))); err != nil {
				t.Error(err)
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	next := make([]int, senders)
	seen, pongs := 0, -1
	for seen < senders*each {
		f, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		switch f.opcode {
		case opPing:
			c.write(masked(finBit|opPong, f.payload))
		case opPong:
			var n int
			if _, err := fmt.Sscanf(f.payload, "ping%d", &n); err != nil || n <= pongs {
				t.Fatalf("pong %q after that of ping %d", f.payload, pongs)
			}
			pongs = n
		case opText:
			var i, j int
			var d string
			if _, err := fmt.Sscan(f.payload, &i, &j, &d); err != nil && len(d) > 0 || j != next[i] {
				t.Fatalf("frame %d of sender %d, want %d", j, i, next[i])
			}
			next[i]++
			seen++
		}
	}
	wg.Wait()
	if srv.engine.Stats().Handovers == 0 {
		t.Error("the socket was never full: the test shows nothing")
	}
}

// block sends to a client that does not read until its socket is full.
func block(t *testing.T, srv *server, s *Socket) {
	t.Helper()
	before := srv.engine.Stats().Handovers
	big := textFrame(strings.Repeat("b", 8000))
	eventually(t, "the socket is full", func() bool {
		for s.QueuedBytes() == 0 {
			s.Send(Item{Frame: big})
		}
		return srv.engine.Stats().Handovers > before && s.QueuedBytes() > 0
	})
}

func TestAClientThatNeverReadsOverflowsWithinItsQueueAndDelaysNobody(t *testing.T) {
	const limit = 100_000
	ended := make(chan error, 2)
	srv := serve(t, serverConfig{sendBuffer: 4096, options: Options{Queue: limit, WriteTimeout: 500 * time.Millisecond}}, readAll(ended))
	srv.rawDial(t, 4096)
	stuck := srv.socket(t)
	reads := srv.rawDial(t, 0)
	other := srv.socket(t)
	f := textFrame(strings.Repeat("f", 1000))
	overflows := 0
	for range 10_000 {
		switch o, _ := stuck.Send(Item{Frame: f}); o {
		case Overflow:
			overflows++
		case Closed:
			continue
		}
		if n := stuck.QueuedBytes(); n > limit {
			t.Fatalf("%d bytes are queued, over %d", n, limit)
		}
		if o, _ := other.Send(Item{Frame: textFrame("for you")}); o != Queued {
			t.Fatal("the other is affected")
		}
		reads.expect(opText, "for you")
	}
	if overflows == 0 {
		t.Error("nothing overflowed")
	}
	if err := receive(t, ended); err == nil {
		t.Error("Read did not end")
	}
	if o, _ := stuck.Send(Item{Frame: f}); o != Closed {
		t.Errorf("Send after the write timeout gives %v, want Closed", o)
	}
	st := srv.engine.Stats()
	if st.WriteTimeouts != 1 || st.Discarded == 0 {
		t.Errorf("counted are %d write timeouts and %d frames discarded", st.WriteTimeouts, st.Discarded)
	}
	if code := stuck.CloseCode(); code != 1006 {
		t.Errorf("CloseCode is %d, want 1006", code)
	}
}

// numbered is a room whose messages are numbers.
type numbered struct{ _ byte }

func (r *numbered) item(p Policy, n int) Item {
	return Item{
		Frame: textFrame(fmt.Sprintf("m %d %s", n, strings.Repeat("m", 200))), Policy: p, Tag: r,
		Gap: func() *Frame { return textFrame(fmt.Sprintf("gap %d -", n)) },
	}
}

func TestASlowReaderSeesAGapWhereverAMessageIsMissing(t *testing.T) {
	for _, policy := range []Policy{DropOldest, KeepLatest} {
		t.Run(map[Policy]string{DropOldest: "drop oldest", KeepLatest: "keep latest"}[policy], func(t *testing.T) {
			srv := serve(t, serverConfig{sendBuffer: 4096, options: Options{Queue: 20_000}}, echo)
			c := srv.rawDial(t, 4096)
			s := srv.socket(t)
			block(t, srv, s)
			room, seen, dropped, newest := &numbered{}, &sequence{t: t}, 0, 0
			const last = 3000
			for i := 1; i <= last; i++ {
				o, n := s.Send(room.item(policy, i))
				switch o {
				case Queued:
					newest = i
				case Dropped: // all that is queued is being written: nothing could make room
				default:
					t.Fatalf("outcome %d", o)
				}
				dropped += n
				if n := s.QueuedBytes(); n > 20_000 {
					t.Fatalf("%d bytes are queued", n)
				}
				if i%500 == 0 { // the client reads a little
					for range 3 {
						seen.next(c)
					}
				}
			}
			s.Send(Item{Frame: textFrame("end 0 -"), Policy: DropOldest, Tag: room})
			for seen.next(c) {
			}
			missing := seen.missing + last - seen.last
			if seen.last != newest && missing != dropped+1 {
				t.Errorf("the last message is %d, want %d", seen.last, newest)
			}
			// One more if the last frame pushed a message out.
			if missing != dropped && missing != dropped+1 {
				t.Errorf("%d are reported as dropped, %d are missing", dropped, missing)
			}
			if dropped == 0 {
				t.Error("nothing was dropped")
			}
		})
	}
}

// sequence is what a client of a numbered room has seen.
type sequence struct {
	t             *testing.T
	last, missing int
	gap           bool // since last
}

// next reads a frame and says whether the end was not reached.
func (q *sequence) next(c *rawClient) bool {
	q.t.Helper()
	f, err := c.next()
	if err != nil {
		q.t.Fatal(err)
	}
	var kind, rest string
	var n int
	_, _ = fmt.Sscan(f.payload, &kind, &n, &rest)
	switch kind {
	case "end":
		return false
	case "gap":
		q.gap = true
	case "m":
		if n <= q.last {
			q.t.Fatalf("message %d after %d", n, q.last)
		}
		if n != q.last+1 && !q.gap {
			q.t.Fatalf("message %d after %d without a gap", n, q.last)
		}
		q.missing += n - q.last - 1
		q.last, q.gap = n, false
	}
	return true
}

func TestAFrameLargerThanTheQueueIsSentWhenTheQueueIsEmpty(t *testing.T) {
	srv := serve(t, serverConfig{options: Options{Queue: 100}}, echo)
	c := srv.rawDial(t, 0)
	s := srv.socket(t)
	large := strings.Repeat("l", 200_000)
	if o, _ := s.Send(Item{Frame: textFrame(large)}); o != Queued {
		t.Fatalf("outcome %d, want Queued", o)
	}
	c.expect(opText, large)
}

func TestUntaggedFramesOverflowWhateverTheirPolicy(t *testing.T) {
	srv := serve(t, serverConfig{sendBuffer: 4096, options: Options{Queue: 20_000}}, echo)
	srv.rawDial(t, 4096)
	s := srv.socket(t)
	block(t, srv, s)
	for _, p := range []Policy{Disconnect, DropOldest, KeepLatest} {
		for {
			o, n := s.Send(Item{Frame: textFrame("untagged"), Policy: p})
			if n != 0 {
				t.Fatalf("%d dropped", n)
			}
			if o == Overflow {
				break
			}
		}
	}
}

func TestOnePongIsQueuedAtMostAndTheNewestPingIsAnswered(t *testing.T) {
	srv := serve(t, serverConfig{sendBuffer: 4096}, echo)
	c := srv.rawDial(t, 4096)
	s := srv.socket(t)
	block(t, srv, s)
	queued := s.QueuedBytes()
	const pings = smallPerSecond - 1
	for i := range pings {
		c.write(masked(finBit|opPing, fmt.Sprint(i)))
	}
	c.write(text("behind the pings"))
	eventually(t, "the echo is queued", func() bool { return s.QueuedBytes() > queued })
	pongs := []string{}
	for {
		f, err := c.next()
		if err != nil {
			t.Fatal(err)
		}
		if f.opcode == opPong {
			pongs = append(pongs, f.payload)
		}
		if f.payload == "behind the pings" {
			break
		}
	}
	// The socket may have taken one or another while it was filled.
	if n := len(pongs); n == 0 || n > 20 || pongs[n-1] != fmt.Sprint(pings-1) {
		t.Errorf("answered are %q", pongs)
	}
}

func TestManySocketsGetTheSameFrame(t *testing.T) {
	const n = 50
	srv := serve(t, serverConfig{}, echo)
	var clients []*rawClient
	var sockets []*Socket
	for range n {
		clients = append(clients, srv.rawDial(t, 0))
		sockets = append(sockets, srv.socket(t))
	}
	for i := range 20 {
		f := textFrame(fmt.Sprint("message ", i))
		for _, s := range sockets {
			s.Send(Item{Frame: f})
		}
	}
	for _, c := range clients {
		for i := range 20 {
			c.expect(opText, fmt.Sprint("message ", i))
		}
	}
	eventually(t, "all is counted", func() bool { return srv.engine.Stats().Frames == n*20 })
	if st := srv.engine.Stats(); st.Bytes == 0 || st.Writes == 0 || st.Writes > n*20 || st.Sockets != n {
		t.Errorf("counted are %+v", st)
	}
}

func TestALibraryClientExchangesMessages(t *testing.T) {
	srv := serve(t, serverConfig{options: Options{PingInterval: 150 * time.Millisecond}}, echo)
	c := srv.dial(t, nil)
	ctx := context.Background()
	for i := range 200 {
		want := strings.Repeat(fmt.Sprint(i), i)
		if err := c.Write(ctx, websocket.MessageText, []byte(want)); err != nil {
			t.Fatal(err)
		}
		if _, got, err := c.Read(ctx); err != nil || string(got) != want {
			t.Fatalf("%q came back, error %v; want %q", got, err, want)
		}
	}
	if err := c.Close(4000, "done"); err != nil {
		t.Fatal(err)
	}
	s := srv.socket(t)
	eventually(t, "the code is known", func() bool { return s.CloseCode() == 4000 })
}

func TestASocketThatWasFullIsNotEndedByItsTimeoutLater(t *testing.T) {
	const timeout = 500 * time.Millisecond
	srv := serve(t, serverConfig{sendBuffer: 4096, options: Options{WriteTimeout: timeout}}, echo)
	c := srv.rawDial(t, 0)
	s := srv.socket(t)
	big := textFrame(strings.Repeat("b", 8000))
	sent := 0
	eventually(t, "the socket was full", func() bool {
		for range 100 {
			if o, _ := s.Send(Item{Frame: big}); o == Queued {
				sent++
			}
		}
		return srv.engine.Stats().Handovers > 0
	})
	for range sent {
		if _, err := c.next(); err != nil {
			t.Fatal(err)
		}
	}
	passed := make(chan struct{})
	srv.engine.AfterFunc(2*timeout, func() { close(passed) })
	receive(t, passed)
	s.Send(Item{Frame: textFrame("later")})
	c.expect(opText, "later")
}

func TestAFullSocketIsWaitedForWithoutTryingAgainAndAgain(t *testing.T) {
	srv := serve(t, serverConfig{sendBuffer: 4096}, echo)
	srv.rawDial(t, 4096)
	block(t, srv, srv.socket(t))
	before := srv.engine.Stats().Writes
	passed := make(chan struct{})
	srv.engine.AfterFunc(500*time.Millisecond, func() { close(passed) })
	receive(t, passed)
	// A few, for what the kernel still took.
	if n := srv.engine.Stats().Writes - before; n > 100 {
		t.Errorf("%d writes were tried", n)
	}
}
