package faults

import (
	"context"
	"log/slog"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/router"
	"sluice/router/membroker"
)

// broken is a broker that does one thing wrong, sometimes.
type broken struct {
	router.Broker
	page    func(*router.HistoryPage)          // harms what a recovery reads
	deliver func(router.Sink, *router.Message) // harms what is delivered
}

func (b *broken) History(ctx context.Context, room string, q router.HistoryQuery) (router.HistoryPage, error) {
	p, err := b.Broker.History(ctx, room, q)
	if err == nil && b.page != nil {
		p.Messages = slices.Clone(p.Messages)
		b.page(&p)
	}
	return p, err
}

func (b *broken) Start(s router.Sink) error {
	if b.deliver != nil {
		s = &brokenSink{s, b.deliver}
	}
	return b.Broker.Start(s)
}

type brokenSink struct {
	router.Sink
	deliver func(router.Sink, *router.Message)
}

func (s *brokenSink) Deliver(m *router.Message) { s.deliver(s.Sink, m) }

// once in a while, from a delivery on.
type seldom struct{ n atomic.Int64 }

func (s *seldom) now() bool { return s.n.Add(1)%97 == 0 }

// TestABrokenBrokerIsCaught shows that the checker and the crowd would tell if
// messages were lost, doubled or mixed up: a node in this process has a broker that
// does so, in ways that the node cannot notice. (It notices a recovery with a hole,
// and says recovered: false.)
func TestABrokenBrokerIsCaught(t *testing.T) {
	for name, c := range map[string]struct {
		broken func() *broken
		breach Breach // "": none
	}{
		"a sound one": {func() *broken { return &broken{} }, ""},
		"recovery brings one message in place of another": {func() *broken {
			return &broken{page: func(p *router.HistoryPage) {
				if n := len(p.Messages); n > 1 {
					other := *p.Messages[n-2]
					other.Position = p.Messages[n-1].Position
					p.Messages[n-1] = &other
				}
			}}
		}, Silent},
		"recovery brings one that was there before": {func() *broken {
			var before atomic.Pointer[router.Message]
			return &broken{page: func(p *router.HistoryPage) {
				if len(p.Messages) == 0 {
					return
				}
				if old := before.Swap(p.Messages[0]); old != nil && old.Room == p.Messages[0].Room {
					again := *old
					again.Position = p.Messages[0].Position
					p.Messages[0] = &again
				}
			}}
		}, Duplicate},
		"a delivery is dropped": {func() *broken {
			when := new(seldom)
			return &broken{deliver: func(s router.Sink, m *router.Message) {
				if m.Kind != router.RoomMessage || !when.now() {
					s.Deliver(m)
				}
			}}
		}, Silent},
		"a delivery comes twice": {func() *broken {
			when := new(seldom)
			return &broken{deliver: func(s router.Sink, m *router.Message) {
				s.Deliver(m)
				if m.Kind == router.RoomMessage && when.now() {
					s.Deliver(m)
				}
			}}
		}, Duplicate},
	} {
		t.Run(strings.ReplaceAll(name, " ", "_"), func(t *testing.T) {
			t.Parallel()
			b := c.broken()
			b.Broker = membroker.New()
			crowd := gather(t, plan{clients: 24, members: 4, pause: 40 * time.Millisecond, stay: 400 * time.Millisecond}, []string{serve(t, b)})
			crowd.wait(patience, func() bool { return crowd.acknowledged.Load() > 2000 })
			crowd.rest.Store(true)
			healed := crowd.now()
			crowd.alive(patience)
			r := Check(crowd.finish(time.Second, healed, false))
			t.Logf("%s", r)
			if r.Rejoined < 10 || r.Recovered < 10 {
				t.Error("hardly anybody came back and recovered anything")
			}
			if c.breach == "" && !r.OK() || c.breach != "" && r.Breaches[c.breach] == 0 {
				t.Errorf("expected %q, and found %v", c.breach, r.Breaches)
			}
		})
	}
}

// serve runs a node in this process.
func serve(t *testing.T, b router.Broker) string {
	t.Helper()
	kept, err := router.ParsePattern("kept:*")
	done(t, err)
	r, err := router.New(router.Options{Broker: b, Log: slog.New(slog.DiscardHandler), DrainWindow: -1, AnnounceConnections: router.AnnounceOff}, &router.Generation{
		Number: 1, Limits: router.DefaultLimits(),
		Rooms: []router.RoomRule{{Match: kept, Announce: router.AnnounceOff, History: router.Keep{Size: 2000, TTL: time.Hour}}},
	})
	done(t, err)
	server := httptest.NewServer(r)
	t.Cleanup(func() {
		r.Close()
		server.Close()
		b.Close()
	})
	return strings.TrimPrefix(server.URL, "http://")
}
