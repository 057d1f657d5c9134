package membroker_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/router"
	"sluice/router/brokertest"
)

// faultVariable names the fault with which TestFaultyBroker runs.
const faultVariable = "MEMBROKER_TEST_FAULT"

// faulty is a broker that works but for one fault.
type faulty struct {
	router.Broker
	fault fault
}

// fault is what a faulty broker does wrong. Nil fields do right.
type fault struct {
	group       string // of the contract, that must notice
	start       func(b router.Broker, s router.Sink) error
	subscribe   func(b router.Broker, ctx context.Context, t router.Topic, keep router.Keep) (router.Position, error)
	unsubscribe func(b router.Broker, t router.Topic)
	publish     func(b router.Broker, ctx context.Context, m *router.Message) (router.Receipt, error)
	history     func(b router.Broker, ctx context.Context, room string, q router.HistoryQuery) (router.HistoryPage, error)
	enter       func(b router.Broker, ctx context.Context, room string, o router.Occupant) (bool, error)
	leave       func(b router.Broker, ctx context.Context, room string, o router.Occupant) (bool, error)
	present     func(b router.Broker, ctx context.Context, room string, limit int, cursor string) (router.PresencePage, error)
	nodes       func(b router.Broker, ctx context.Context) ([]router.NodeInfo, error)
	rooms       func(b router.Broker, ctx context.Context, limit int, cursor string) (router.RoomsPage, error)
	close       func(b router.Broker) error
}

func (f *faulty) Start(s router.Sink) error {
	if f.fault.start != nil {
		return f.fault.start(f.Broker, s)
	}
	return f.Broker.Start(s)
}

func (f *faulty) Subscribe(ctx context.Context, t router.Topic, keep router.Keep) (router.Position, error) {
	if f.fault.subscribe != nil {
		return f.fault.subscribe(f.Broker, ctx, t, keep)
	}
	return f.Broker.Subscribe(ctx, t, keep)
}

func (f *faulty) Unsubscribe(t router.Topic) {
	if f.fault.unsubscribe != nil {
		f.fault.unsubscribe(f.Broker, t)
		return
	}
	f.Broker.Unsubscribe(t)
}

func (f *faulty) Publish(ctx context.Context, m *router.Message) (router.Receipt, error) {
	if f.fault.publish != nil {
		return f.fault.publish(f.Broker, ctx, m)
	}
	return f.Broker.Publish(ctx, m)
}

func (f *faulty) History(ctx context.Context, room string, q router.HistoryQuery) (router.HistoryPage, error) {
	if f.fault.history != nil {
		return f.fault.history(f.Broker, ctx, room, q)
	}
	return f.Broker.History(ctx, room, q)
}

func (f *faulty) Enter(ctx context.Context, room string, o router.Occupant) (bool, error) {
	if f.fault.enter != nil {
		return f.fault.enter(f.Broker, ctx, room, o)
	}
	return f.Broker.Enter(ctx, room, o)
}

func (f *faulty) Leave(ctx context.Context, room string, o router.Occupant) (bool, error) {
	if f.fault.leave != nil {
		return f.fault.leave(f.Broker, ctx, room, o)
	}
	return f.Broker.Leave(ctx, room, o)
}

func (f *faulty) Present(ctx context.Context, room string, limit int, cursor string) (router.PresencePage, error) {
	if f.fault.present != nil {
		return f.fault.present(f.Broker, ctx, room, limit, cursor)
	}
	return f.Broker.Present(ctx, room, limit, cursor)
}

func (f *faulty) Close() error {
	if f.fault.close != nil {
		return f.fault.close(f.Broker)
	}
	return f.Broker.Close()
}

// sinkFunc is a function as a sink.
type sinkFunc func(m *router.Message)

func (f sinkFunc) Deliver(m *router.Message) { f(m) }
func (f sinkFunc) Describe() router.NodeInfo { return router.NodeInfo{} }

// changedSink is a sink whose deliveries pass through a function.
type changedSink struct {
	router.Sink
	deliver func(s router.Sink, m *router.Message)
}

func (c changedSink) Deliver(m *router.Message) { c.deliver(c.Sink, m) }

// changed starts a broker whose messages pass through deliver.
func changed(deliver func(s router.Sink, m *router.Message)) func(router.Broker, router.Sink) error {
	return func(b router.Broker, s router.Sink) error {
		return b.Start(changedSink{s, deliver})
	}
}

// silenced is set once a node with that fault has closed.
var silenced atomic.Bool

// faults are brokers that some test of the contract must refuse.
var faults = map[string]fault{
	"a message is delivered twice": {group: "Delivery", start: changed(func(s router.Sink, m *router.Message) {
		s.Deliver(m)
		s.Deliver(m)
	})},
	"now and then a message is lost": {group: "Delivery", start: changed(func(s router.Sink, m *router.Message) {
		if m.Conn%7 != 0 {
			s.Deliver(m)
		}
	})},
	"large content is cut": {group: "Delivery", start: changed(func(s router.Sink, m *router.Message) {
		c := *m
		c.Content = c.Content[:min(len(c.Content), 1<<16)]
		s.Deliver(&c)
	})},
	"connections pass through a float": {group: "Delivery", start: changed(func(s router.Sink, m *router.Message) {
		c := *m
		c.Conn = uint64(float64(c.Conn))
		s.Deliver(&c)
	})},
	"rooms and users share topics": {group: "Delivery", subscribe: func(b router.Broker, ctx context.Context, t router.Topic, keep router.Keep) (router.Position, error) {
		b.Subscribe(ctx, router.Topic{User: !t.User, Name: t.Name}, keep)
		return b.Subscribe(ctx, t, keep)
	}},
	"a publishing node subscribes": {group: "Delivery", publish: func(b router.Broker, ctx context.Context, m *router.Message) (router.Receipt, error) {
		b.Subscribe(ctx, router.Topic{Name: m.Room}, router.Keep{})
		return b.Publish(ctx, m)
	}},
	"names are trimmed": {group: "Names",
		subscribe: func(b router.Broker, ctx context.Context, t router.Topic, keep router.Keep) (router.Position, error) {
			t.Name = strings.TrimSpace(t.Name)
			return b.Subscribe(ctx, t, keep)
		},
		publish: func(b router.Broker, ctx context.Context, m *router.Message) (router.Receipt, error) {
			c := *m
			c.Room, c.Target = strings.TrimSpace(m.Room), strings.TrimSpace(m.Target)
			return b.Publish(ctx, &c)
		}},
	"what stands in braces is the name": {group: "Names", subscribe: func(b router.Broker, ctx context.Context, t router.Topic, keep router.Keep) (router.Position, error) {
		if _, rest, ok := strings.Cut(t.Name, "{"); ok {
			t.Name, _, _ = strings.Cut(rest, "}")
		}
		return b.Subscribe(ctx, t, keep)
	}},
	"broadcasts stay on some nodes": {group: "Broadcasts", start: changed(func() func(s router.Sink, m *router.Message) {
		var mu sync.Mutex
		seen := make(map[string]bool)
		return func(s router.Sink, m *router.Message) {
			mu.Lock()
			again := seen[m.ID]
			seen[m.ID] = true
			mu.Unlock()
			if !again || m.Kind != router.BroadcastMessage {
				s.Deliver(m)
			}
		}
	}())},
	"announcements of users are lost": {group: "Broadcasts", start: changed(func(s router.Sink, m *router.Message) {
		if m.Kind != router.UserDisconnected {
			s.Deliver(m)
		}
	})},
	"references are not counted": {group: "Subscriptions", unsubscribe: func(b router.Broker, t router.Topic) {
		for range 10 {
			b.Unsubscribe(t)
		}
	}},
	"nobody is ever unsubscribed": {group: "Subscriptions", unsubscribe: func(router.Broker, router.Topic) {}},
	"Subscribe returns early": {group: "Subscriptions", subscribe: func(b router.Broker, ctx context.Context, t router.Topic, keep router.Keep) (router.Position, error) {
		time.AfterFunc(time.Millisecond, func() { b.Subscribe(context.Background(), t, keep) })
		return router.Position{}, nil
	}},
	"publishes overtake each other": {group: "Order", publish: func(b router.Broker, ctx context.Context, m *router.Message) (router.Receipt, error) {
		go b.Publish(context.WithoutCancel(ctx), m)
		return router.Receipt{ID: m.ID}, nil
	}},
	"deliveries overtake each other": {group: "Order", start: changed(func(s router.Sink, m *router.Message) {
		go s.Deliver(m)
	})},
	"announcements take another way": {group: "Order", start: changed(func(s router.Sink, m *router.Message) {
		if m.Kind == router.UserJoined {
			time.AfterFunc(time.Millisecond, func() { s.Deliver(m) })
			return
		}
		s.Deliver(m)
	})},
	"a user is one connection": {group: "Presence",
		enter: func(b router.Broker, ctx context.Context, room string, o router.Occupant) (bool, error) {
			o.Conn = 1
			return b.Enter(ctx, room, o)
		},
		leave: func(b router.Broker, ctx context.Context, room string, o router.Occupant) (bool, error) {
			o.Conn = 1
			return b.Leave(ctx, room, o)
		}},
	"the first info stays": {group: "Presence", enter: func(b router.Broker, ctx context.Context, room string, o router.Occupant) (bool, error) {
		if page, _ := b.Present(ctx, room, 1, ""); len(page.Users) > 0 {
			o.Info = page.Users[0].Info
		}
		return b.Enter(ctx, room, o)
	}},
	"a strange Leave empties the room": {group: "Presence", leave: func(b router.Broker, ctx context.Context, room string, o router.Occupant) (bool, error) {
		for conn := range uint64(10) {
			b.Leave(ctx, room, router.Occupant{Conn: conn, User: o.User})
		}
		return false, nil
	}},
	"the cursor is an index": {group: "Presence", present: func(b router.Broker, ctx context.Context, room string, limit int, cursor string) (router.PresencePage, error) {
		page, err := b.Present(ctx, room, 1<<20, "")
		from := len(cursor)
		to := min(from+limit, len(page.Users))
		if page.Users = page.Users[min(from, to):to]; to < page.Total {
			page.Cursor = strings.Repeat("x", to)
		}
		return page, err
	}},
	"the total is the page's": {group: "Presence", present: func(b router.Broker, ctx context.Context, room string, limit int, cursor string) (router.PresencePage, error) {
		page, err := b.Present(ctx, room, limit, cursor)
		page.Total = len(page.Users)
		return page, err
	}},
	"contexts are ignored": {group: "Contexts", publish: func(b router.Broker, ctx context.Context, m *router.Message) (router.Receipt, error) {
		return b.Publish(context.WithoutCancel(ctx), m)
	}},
	"an unpublished message is delivered": {group: "Contexts", publish: func(b router.Broker, ctx context.Context, m *router.Message) (router.Receipt, error) {
		r, err := b.Publish(context.WithoutCancel(ctx), m)
		return r, errors.Join(err, ctx.Err())
	}},
	"a subscription ends with its context": {group: "Contexts", subscribe: func(b router.Broker, ctx context.Context, t router.Topic, keep router.Keep) (router.Position, error) {
		context.AfterFunc(ctx, func() { b.Unsubscribe(t) })
		return b.Subscribe(ctx, t, keep)
	}},
	"Close does not close": {group: "Closing", close: func(router.Broker) error { return nil }},
	"Close does not wait": {group: "Closing", close: func(b router.Broker) error {
		go b.Close()
		return nil
	}},
	"one node's Close silences another": {group: "Closing", close: func(b router.Broker) error {
		silenced.Store(true)
		return b.Close()
	}, start: changed(func(s router.Sink, m *router.Message) {
		if !silenced.Load() {
			s.Deliver(m)
		}
	})},
}

// TestFaultyBroker runs the contract against a broker with the fault that the
// environment names. It is run by TestContractNoticesFaults and must fail.
func TestFaultyBroker(t *testing.T) {
	f, ok := faults[os.Getenv(faultVariable)]
	if !ok {
		t.Skip("runs in a process of its own, started by TestContractNoticesFaults")
	}
	brokertest.Patience = 300 * time.Millisecond
	brokertest.Run(t, func(t *testing.T, nodes int) []router.Broker {
		silenced.Store(false)
		brokers := newCluster(t, nodes)
		for i, b := range brokers {
			brokers[i] = &faulty{b, f}
		}
		return brokers
	})
}

func TestContractNoticesFaults(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), self, "-test.run=^TestFaultyBroker$/^"+f.group+"$", "-test.timeout=1m")
			cmd.Env = append(os.Environ(), faultVariable+"="+name)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || !bytes.Contains(out, []byte("--- FAIL: TestFaultyBroker/"+f.group)) {
				t.Errorf("group %s of the contract passed such a broker, or did not run: %v\n%s", f.group, err, out)
			}
			t.Logf("noticed by\n%s", failures(out))
		})
	}
}

// failures are the lines that name failed tests.
func failures(out []byte) string {
	var lines []string
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "--- FAIL") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}
