package bench

import (
	"bytes"
	"context"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestMessagesMayComeInPiecesOfAnySize(t *testing.T) {
	onEachEngine(t, func(t *testing.T, plain bool) {
		f := newFake(t).serve()
		o := f.options(Rooms)
		o.plain, o.Rooms, o.Size, o.Rate = plain, 2, 70_000, 40
		o.URL = "ws://" + dribble(t, strings.TrimPrefix(f.server.URL, "http://")) + "/ws"
		if res := o.run(t); res.Failed() || res.Delivered == 0 || res.Delivered != res.Published*3 {
			t.Errorf("%d of %d were delivered: %+v, closed %v", res.Delivered, res.Expected, res.faultsFound(), res.Closed)
		}
	})
}

// dribble is a proxy that passes on what the server says in pieces of odd sizes.
func dribble(t *testing.T, to string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", to)
			if err != nil {
				client.Close()
				continue
			}
			running.Go(func() { _, _ = io.Copy(server, client); server.Close() })
			running.Go(func() {
				defer client.Close()
				buf := make([]byte, 9000)
				for size := 1; ; size = size*3%8999 + 1 {
					n, err := server.Read(buf[:size])
					if n > 0 {
						if _, err := client.Write(buf[:n]); err != nil {
							server.Close()
							return
						}
					}
					if err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
	return l.Addr().String()
}

func TestCompressedDeliveriesAreReadInBothModes(t *testing.T) {
	for _, mode := range []websocket.CompressionMode{websocket.CompressionContextTakeover, websocket.CompressionNoContextTakeover} {
		onEachEngine(t, func(t *testing.T, plain bool) {
			f := newFake(t)
			f.accept = websocket.AcceptOptions{CompressionMode: mode, CompressionThreshold: 1}
			o := f.serve().options(Rooms)
			o.plain, o.Compress, o.Rooms, o.Size = plain, true, 2, 3000
			if res := o.run(t); res.Failed() || res.Compressed != 6 || res.Delivered == 0 {
				t.Errorf("mode %v: %d of %d were delivered on %d compressed connections: closed %v %v", mode, res.Delivered, res.Expected, res.Compressed, res.Closed, res.Reasons)
			}
		})
	}
}

func TestCompressionIsOnlyWhereBothSidesWantIt(t *testing.T) {
	f := newFake(t)
	f.accept.CompressionMode = websocket.CompressionContextTakeover
	o := f.serve().options(Fanout)
	if res := o.run(t); res.Compressed != 0 || res.Failed() {
		t.Errorf("%d connections are compressed", res.Compressed)
	}
	other := newFake(t)
	other.accept.CompressionMode = websocket.CompressionDisabled
	o = other.serve().options(Fanout)
	o.Compress = true
	res := o.run(t)
	var text bytes.Buffer
	if err := WriteText(&text, []*Result{res}, res); err != nil || res.Compressed != 0 || res.Failed() || !strings.Contains(text.String(), "the server does not agree") {
		t.Errorf("%d connections are compressed, and the text is %s", res.Compressed, &text)
	}
}

func TestTokensAreUsedInTurn(t *testing.T) {
	for query, want := range map[string][]string{
		"":       {"Bearer a", "Bearer a", "Bearer a", "Bearer b", "Bearer b", "Bearer b"},
		"access": {"a", "a", "a", "b", "b", "b"},
	} {
		f := newFake(t).serve()
		o := f.options(Connect)
		o.Tokens, o.TokenQuery = []string{"a", "b"}, query
		o.run(t)
		f.mu.Lock()
		if got := slices.Sorted(slices.Values(f.users)); !slices.Equal(got, want) {
			t.Errorf("with the query field %q came %v", query, got)
		}
		f.mu.Unlock()
	}
}

func TestAnInterruptedRunReportsWhatItHas(t *testing.T) {
	onEachEngine(t, func(t *testing.T, plain bool) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f := newFake(t)
		f.publish = func(n int, _ *fakeMember) string {
			if n == 20 {
				cancel()
			}
			return ""
		}
		o := f.serve().options(Fanout)
		o.plain, o.Duration = plain, time.Hour
		res, err := Run(ctx, o, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		if !res.Interrupted || res.Published < 20 || res.Lost != 0 || res.Latency.P50 <= 0 || res.PublishesPerSecond <= 0 {
			t.Errorf("got %+v", res)
		}
	})
}

// slowly has a server keep deliveries back for a time, which it does for all that
// come meanwhile, and counts those of which it keeps some. after is told how many
// publishes they were of.
func slowly(f *fake, held func(n int) time.Duration, after func(publishes int)) (wait func()) {
	var waiting sync.WaitGroup
	var kept []func()
	publishes := 0
	f.deliver = func(n int, m *fakeMember, frame string) {
		if kept = append(kept, func() { m.send(frame) }); m.place == 0 {
			publishes++
		}
		if len(kept) > 1 {
			return
		}
		waiting.Go(func() {
			time.Sleep(held(n))
			f.mu.Lock()
			defer f.mu.Unlock()
			for _, send := range kept {
				send()
			}
			after(publishes)
			kept, publishes = nil, 0
		})
	}
	return waiting.Wait
}

func TestAClosedLoopHasAsManyUnderWayAsItsWindow(t *testing.T) {
	onEachEngine(t, func(t *testing.T, plain bool) {
		f := newFake(t)
		const window = 8
		most := 0
		wait := slowly(f, func(int) time.Duration { return 30 * time.Millisecond }, func(publishes int) { most = max(most, publishes) })
		o := f.serve().options(Fanout)
		o.plain, o.Rate, o.Window, o.Duration = plain, 0, window, time.Second
		res := o.run(t)
		wait()
		if res.Failed() || res.Published < 2*window || most != window || res.Window != window || res.Rate != 0 {
			t.Errorf("%d published, %d at once at the server", res.Published, most)
		}
	})
}

// While nothing comes it goes on with what it has no answer to, and when the answers
// come they make no room for more.
func TestAServerThatStandsStillDoesNotWidenTheWindowForGood(t *testing.T) {
	f := newFake(t)
	const window = 8
	stalled, most := 0, 0
	wait := slowly(f, func(n int) time.Duration {
		if n == 1 {
			return 2*stallTime + stallTime/2
		}
		return 30 * time.Millisecond
	}, func(publishes int) {
		if stalled == 0 {
			stalled = publishes
			return
		}
		most = max(most, publishes)
	})
	o := f.serve().options(Fanout)
	o.Rate, o.Window, o.Duration = 0, window, 5*stallTime
	res := o.run(t)
	wait()
	if res.Failed() || stalled <= window || most != window {
		t.Errorf("%d at once at the server while it stood still, and %d later", stalled, most)
	}
}

func TestAClosedLoopGoesOnWhenDeliveriesAreLost(t *testing.T) {
	f := newFake(t)
	var lost atomic.Int64
	f.deliver = func(n int, m *fakeMember, frame string) {
		if n <= 8 && m.place == 1 {
			lost.Add(1)
			return
		}
		m.send(frame)
	}
	o := f.serve().options(Fanout)
	o.Rate, o.Window, o.Duration, o.Drain = 0, 1, 4*stallTime, time.Second
	res := o.run(t)
	if res.Published <= 2 || res.Lost != lost.Load() {
		t.Errorf("%d published, %d lost and not %d", res.Published, res.Lost, lost.Load())
	}
}

func TestMembersThatDoNotReadAreNotExpectedToAndTheirEndIsNoFault(t *testing.T) {
	onEachEngine(t, func(t *testing.T, plain bool) {
		f := newFake(t)
		f.deliver = func(n int, m *fakeMember, frame string) {
			switch {
			case m.place < 4:
				m.send(frame)
			case n == 3:
				go m.conn.Close(4100, "too slow")
			}
		}
		o := f.serve().options(Fanout)
		o.plain, o.Slow, o.Concurrency = plain, 2, 1 // one after the other, so that places are known
		res := o.run(t)
		if res.Failed() || res.SlowClosed["4100"] != 2 || res.Delivered != 4*res.Published {
			t.Errorf("%d of %d delivered, closed %v, of the slow ones %v", res.Delivered, res.Expected, res.Closed, res.SlowClosed)
		}
	})
}

func TestThePublishersCanBeOnAnotherServer(t *testing.T) {
	here, there := newFake(t).serve(), newFake(t).serve()
	o := here.options(Rooms)
	o.PublishURL, o.Rooms, o.Drain = there.url(), 2, 100*time.Millisecond
	o.run(t)
	for _, c := range []struct {
		f    *fake
		want int
	}{{here, 4}, {there, 2}} {
		c.f.mu.Lock()
		if len(c.f.users) != c.want {
			t.Errorf("%d connections, not %d", len(c.f.users), c.want)
		}
		c.f.mu.Unlock()
	}
}

func TestConnectionsBeginNoFasterThanAsked(t *testing.T) {
	f := newFake(t).serve()
	o := f.options(Connect)
	o.ConnectRate = 20
	if res := o.run(t); res.Connect.Seconds < 5.0/20 || res.Connect.Joined != 6 {
		t.Errorf("%d joined in %v s", res.Connect.Joined, res.Connect.Seconds)
	}
}

func TestTheMarkIsFoundWhateverStandsAroundIt(t *testing.T) {
	f := newFake(t)
	f.deliver = func(n int, m *fakeMember, frame string) {
		at := strings.Index(frame, "~")
		m.send("42[" + strconv.Itoa(n) + `,{"deep":{"x":"` + frame[at:at+markerSize] + `"}}]`)
	}
	if res := f.serve().options(Fanout).run(t); res.Failed() || res.Delivered == 0 {
		t.Errorf("found %+v", res.faultsFound())
	}
}
