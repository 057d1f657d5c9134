package redisbroker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/router"
	"sluice/router/redisbroker/redistest"
)

// ear is a sink that keeps what it hears.
type ear struct {
	mu      sync.Mutex
	heard   []*router.Message
	busy    map[router.Topic]bool
	overlap bool
	changed chan struct{}
}

func newEar() *ear {
	return &ear{busy: make(map[router.Topic]bool), changed: make(chan struct{}, 1)}
}

func (e *ear) Describe() router.NodeInfo { return router.NodeInfo{} }

func (e *ear) Deliver(m *router.Message) {
	topic := router.Topic{Name: m.Room}
	if m.Target != "" {
		topic = router.Topic{User: true, Name: m.Target}
	}
	e.mu.Lock()
	e.overlap = e.overlap || e.busy[topic]
	e.busy[topic] = true
	e.mu.Unlock()
	e.mu.Lock()
	e.busy[topic] = false
	e.heard = append(e.heard, m)
	e.mu.Unlock()
	notify(e.changed)
}

// overlapped reports that one topic was delivered by two goroutines at a time.
func (e *ear) overlapped() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.overlap
}

// all is what was heard on a topic.
func (e *ear) all(topic router.Topic) []*router.Message {
	e.mu.Lock()
	defer e.mu.Unlock()
	var all []*router.Message
	for _, m := range e.heard {
		if topic.User && m.Target == topic.Name || !topic.User && m.Room == topic.Name && m.Target == "" {
			all = append(all, m)
		}
	}
	return all
}

// await waits until something is so.
func await(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(redistest.Patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// heard describes what was heard: contents, gaps as "gap" or "lost".
func heard(all []*router.Message) []string {
	var texts []string
	for _, m := range all {
		switch {
		case m.Kind == router.RoomGap && m.Epoch != "":
			texts = append(texts, "lost")
		case m.Kind == router.RoomGap:
			texts = append(texts, "gap")
		default:
			texts = append(texts, string(m.Content))
		}
	}
	return texts
}

func (e *ear) awaitHeard(t *testing.T, topic router.Topic, want ...string) {
	t.Helper()
	text := fmt.Sprint(want)
	end := time.Now().Add(redistest.Patience)
	for {
		got := fmt.Sprint(heard(e.all(topic)))
		if got == text {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%+v: heard %s\nwant %s", topic, got, text)
		}
		select {
		case <-e.changed:
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// startedBrokers counts them, for the ids of their nodes.
var startedBrokers atomic.Int64

// started is a broker that has connected.
func started(t testing.TB, e *ear, change func(o *Options), shards ...Shard) *Broker {
	t.Helper()
	o := Options{Shards: shards, NodeID: fmt.Sprint("node", startedBrokers.Add(1)), Timeout: 10 * time.Second, ProbeInterval: 3 * time.Second, MaxReconnect: 200 * time.Millisecond}
	if testing.Verbose() {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	if change != nil {
		change(&o)
	}
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(e); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func awaitHealthy(t *testing.T, b *Broker) {
	t.Helper()
	var err error
	defer func() {
		if t.Failed() {
			t.Log("health: ", err)
		}
	}()
	await(t, "health", func() bool { err = b.Health(t.Context()); return err == nil })
}

func standalone(addr string) Shard { return Shard{Addresses: []string{addr}} }

var kept = router.Keep{Size: 10_000, TTL: time.Hour}

// say publishes a message to a room, again while Redis is away.
func say(t *testing.T, b *Broker, room, content string, keep router.Keep) router.Receipt {
	t.Helper()
	return publish(t, b, &router.Message{Kind: router.RoomMessage, ID: "m" + content, Room: room, From: "ann", Content: []byte(content), Keep: keep})
}

func publish(t *testing.T, b *Broker, m *router.Message) router.Receipt {
	t.Helper()
	for end := time.Now().Add(redistest.Patience); ; time.Sleep(10 * time.Millisecond) {
		r, err := b.Publish(t.Context(), m)
		if err == nil {
			return r
		}
		if !errors.Is(err, router.ErrUnavailable) || time.Now().After(end) {
			t.Fatalf("publishing %.20s: %v", m.Content, err)
		}
	}
}

func subscribe(t *testing.T, b *Broker, topic router.Topic, keep router.Keep) router.Position {
	t.Helper()
	p, err := b.Subscribe(t.Context(), topic, keep)
	if err != nil {
		t.Fatalf("subscribing to %+v: %v", topic, err)
	}
	return p
}

var (
	lobby = router.Topic{Name: "lobby"}
	hall  = router.Topic{Name: "hall"}
	bob   = router.Topic{User: true, Name: "bob"}
)

func TestASubscriptionBeginsBehindTheNewestMessage(t *testing.T) {
	server := redistest.Start(t)
	speaker, e := started(t, newEar(), nil, standalone(server.Addr)), newEar()
	say(t, speaker, "lobby", "1", kept)
	say(t, speaker, "lobby", "2", kept)
	b := started(t, e, nil, standalone(server.Addr))
	p := subscribe(t, b, lobby, kept)
	if p.Offset != 2 || p.Epoch == "" {
		t.Errorf("position %+v, want offset 2", p)
	}
	if q := subscribe(t, b, hall, kept); q.Offset != 0 || q.Epoch == "" {
		t.Errorf("position %+v of a room where nothing was said, want 0 of an epoch", q)
	}
	r := say(t, speaker, "lobby", "3", kept)
	e.awaitHeard(t, lobby, "3")
	if got := e.all(lobby)[0].Position; got != r.Position || got.Epoch != p.Epoch {
		t.Errorf("delivered at %+v, published at %+v", got, r.Position)
	}
	if q := subscribe(t, b, lobby, kept); q != r.Position {
		t.Errorf("a second subscriber was told %+v, want %+v", q, r.Position)
	}
}

func TestAConnectionThatIsKilledIsRestored(t *testing.T) {
	server := redistest.Start(t)
	e := newEar()
	b := started(t, e, nil, standalone(server.Addr))
	subscribe(t, b, lobby, kept)
	subscribe(t, b, hall, router.Keep{})
	subscribe(t, b, bob, router.Keep{})
	awaitHealthy(t, b)
	say(t, b, "lobby", "1", kept)
	e.awaitHeard(t, lobby, "1")
	for round := range 3 {
		before := b.Counters()["connection_restored"]
		// Nothing that is published while the connection is down is missing.
		if n, err := server.Client(t).ClientKillByFilter(t.Context(), "TYPE", "pubsub").Result(); err != nil || n == 0 {
			t.Fatalf("CLIENT KILL: %d, %v", n, err)
		}
		say(t, b, "lobby", fmt.Sprint(10*round+12), kept)
		say(t, b, "lobby", fmt.Sprint(10*round+13), kept)
		await(t, "the connection is restored", func() bool { return b.Counters()["connection_restored"] > before })
	}
	e.awaitHeard(t, lobby, "1", "12", "13", "22", "23", "32", "33")
	e.awaitHeard(t, hall, "gap", "gap", "gap")
	e.awaitHeard(t, bob, "gap", "gap", "gap")
	e.awaitHeard(t, router.Topic{}, "gap", "gap", "gap")
	say(t, b, "hall", "4", router.Keep{})
	e.awaitHeard(t, hall, "gap", "gap", "gap", "4")
	awaitHealthy(t, b)
}

func TestWhileRedisIsAwayOnlyWhatIsSubscribedCanBeSubscribedTo(t *testing.T) {
	server := redistest.Start(t)
	e := newEar()
	b := started(t, e, func(o *Options) { o.UnsubscribeDelay = time.Hour }, standalone(server.Addr))
	p := subscribe(t, b, lobby, kept)
	subscribe(t, b, hall, router.Keep{})
	idle, gone := router.Topic{Name: "idle"}, router.Topic{Name: "gone"}
	q := subscribe(t, b, idle, kept)
	b.Unsubscribe(idle)
	subscribe(t, b, gone, router.Keep{})
	b.Unsubscribe(gone)
	server.Kill()
	await(t, "the loss is noticed", func() bool {
		_, err := b.Subscribe(t.Context(), router.Topic{Name: "new"}, router.Keep{})
		return errors.Is(err, router.ErrUnavailable)
	})
	if b.Health(t.Context()) == nil {
		t.Error("healthy without Redis")
	}
	if got := subscribe(t, b, lobby, kept); got != p {
		t.Errorf("subscribed again at %+v, want %+v", got, p)
	}
	if got := subscribe(t, b, idle, kept); got != q {
		t.Errorf("subscribed again at %+v, want %+v", got, q)
	}
	subscribe(t, b, hall, router.Keep{})
	if _, err := b.Subscribe(t.Context(), gone, router.Keep{}); !errors.Is(err, router.ErrUnavailable) {
		t.Errorf("a room that nobody is in and whose position is not known: %v", err)
	}
	server.Restart()
	awaitHealthy(t, b)
	e.awaitHeard(t, hall, "gap")
	subscribe(t, b, gone, router.Keep{})
	say(t, b, "gone", "1", router.Keep{})
	e.awaitHeard(t, gone, "1")
}

func TestARoomWhoseHistoryIsLostSaysSo(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	e := newEar()
	b := started(t, e, nil, standalone(server.Addr))
	subscribe(t, b, lobby, kept)
	say(t, b, "lobby", "1", kept)
	e.awaitHeard(t, lobby, "1")
	server.Restart() // empty
	awaitHealthy(t, b)
	await(t, "a gap", func() bool { return len(e.all(lobby)) > 1 })
	r := say(t, b, "lobby", "2", kept)
	await(t, "the message", func() bool { all := e.all(lobby); return string(all[len(all)-1].Content) == "2" })
	all := e.all(lobby)
	if gap := all[1]; gap.Kind != router.RoomGap || all[len(all)-1].Position != r.Position {
		t.Errorf("heard %v", heard(all))
	} else if gap.Epoch != r.Epoch || gap.Offset != r.Offset-1 {
		t.Errorf("deliveries were to go on behind %+v, and did at %+v", gap.Position, r.Position)
	}
	for _, m := range all[2 : len(all)-1] {
		if m.Kind != router.RoomGap {
			t.Errorf("heard %v", heard(all))
		}
	}
}

func TestARedisThatComesBackWithItsDataLosesNothingAndRepeatsNothing(t *testing.T) {
	server := redistest.Start(t, "--appendonly", "yes", "--appendfsync", "always")
	e := newEar()
	b := started(t, e, nil, standalone(server.Addr))
	subscribe(t, b, lobby, kept)
	say(t, b, "lobby", "1", kept)
	say(t, b, "lobby", "2", kept)
	e.awaitHeard(t, lobby, "1", "2")
	server.Restart()
	speaker := started(t, newEar(), nil, standalone(server.Addr))
	say(t, speaker, "lobby", "3", kept)
	awaitHealthy(t, b)
	say(t, speaker, "lobby", "4", kept)
	// Another process has the data, so the epoch is another one; no message is missing.
	e.awaitHeard(t, lobby, "1", "2", "lost", "3", "4")
	all := e.all(lobby)
	if gap := all[2].Position; gap.Offset != 2 || gap.Epoch == all[1].Epoch || gap.Epoch != all[3].Epoch {
		t.Errorf("the gap is at %+v, between %+v and %+v", gap, all[1].Position, all[3].Position)
	}
}

func TestAHistoryThatBeginsAnewUnderTheNodeIsDeliveredFromItsFirstMessage(t *testing.T) {
	server := redistest.Start(t)
	e := newEar()
	b := started(t, e, nil, standalone(server.Addr))
	subscribe(t, b, lobby, kept)
	say(t, b, "lobby", "1", kept)
	say(t, b, "lobby", "2", kept)
	e.awaitHeard(t, lobby, "1", "2")
	if err := server.Client(t).FlushAll(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	say(t, b, "lobby", "3", kept)
	say(t, b, "lobby", "4", kept)
	e.awaitHeard(t, lobby, "1", "2", "lost", "3", "4")
}

func TestAFrozenRedisIsNoticedAndCaughtUp(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	e := newEar()
	b := started(t, e, func(o *Options) { o.Timeout, o.ProbeInterval = time.Second, time.Second }, standalone(server.Addr))
	subscribe(t, b, lobby, kept)
	awaitHealthy(t, b)
	say(t, b, "lobby", "1", kept)
	e.awaitHeard(t, lobby, "1")
	server.Stop()
	before := b.Counters()["connection_replaced"] // a busy machine may have looked dead
	await(t, "the connection is found dead", func() bool { return b.Counters()["connection_replaced"] > before })
	await(t, "health tells", func() bool { return b.Health(t.Context()) != nil })
	server.Continue()
	awaitHealthy(t, b)
	say(t, b, "lobby", "2", kept)
	e.awaitHeard(t, lobby, "1", "2")
}

func TestANetworkThatSwallowsEverythingIsNoticed(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	e := newEar()
	b := started(t, e, func(o *Options) { o.Timeout, o.ProbeInterval = time.Second, time.Second }, standalone(proxy.Addr))
	speaker := started(t, newEar(), nil, standalone(server.Addr))
	subscribe(t, b, lobby, kept)
	subscribe(t, b, hall, router.Keep{})
	awaitHealthy(t, b)
	say(t, speaker, "lobby", "1", kept)
	e.awaitHeard(t, lobby, "1")
	proxy.Blackhole()
	for i := range 500 {
		say(t, speaker, "lobby", fmt.Sprint(i+2), kept)
	}
	await(t, "the connection is found dead", func() bool { return b.Counters()["connection_replaced"] > 0 })
	proxy.Cut() // what the dead connections still hold does not arrive
	proxy.Resume()
	awaitHealthy(t, b)
	await(t, "everything was heard", func() bool { return len(e.all(lobby)) >= 501 })
	for i, text := range heard(e.all(lobby)) {
		if text != fmt.Sprint(i+1) {
			t.Fatalf("heard %s as number %d", text, i+1)
		}
	}
	e.awaitHeard(t, hall, "gap")
}

func TestAnInterruptedNetworkLosesNothing(t *testing.T) {
	server := redistest.Start(t)
	proxy := redistest.NewProxy(t, server.Addr)
	e := newEar()
	b := started(t, e, nil, standalone(proxy.Addr))
	speaker := started(t, newEar(), nil, standalone(server.Addr))
	rooms := make([]router.Topic, 50)
	for i := range rooms {
		rooms[i] = router.Topic{Name: fmt.Sprint("room ", i)}
		subscribe(t, b, rooms[i], kept)
	}
	awaitHealthy(t, b)
	const messages = 200
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range messages {
			for _, room := range rooms {
				say(t, speaker, room.Name, fmt.Sprint(i), kept)
			}
		}
	}()
	for cuts := 0; ; cuts++ {
		select {
		case <-done:
		case <-time.After(50 * time.Millisecond):
			proxy.Cut()
			proxy.Resume()
			continue
		}
		t.Log("cuts: ", cuts)
		break
	}
	for _, room := range rooms {
		await(t, "everything was heard", func() bool { return len(e.all(room)) >= messages })
		for i, text := range heard(e.all(room)) {
			if text != fmt.Sprint(i) {
				t.Fatalf("%s: heard %s as number %d", room.Name, text, i)
			}
		}
	}
	t.Log(b.Counters())
}

func TestSubscribersOfOneTopicShareOneSubscription(t *testing.T) {
	server := redistest.Start(t)
	e := newEar()
	b := started(t, e, func(o *Options) { o.UnsubscribeDelay = time.Millisecond }, standalone(server.Addr))
	client := server.Client(t)
	subscribers := func() int64 {
		channel := b.shards[0].keys.channel(lobby)
		n, err := client.PubSubNumSub(t.Context(), channel).Result()
		if err != nil {
			t.Fatal(err)
		}
		return n[channel]
	}
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { subscribe(t, b, lobby, kept) })
	}
	all.Wait()
	if n := subscribers(); n != 1 {
		t.Fatalf("%d subscriptions", n)
	}
	for range 49 {
		b.Unsubscribe(lobby)
	}
	say(t, b, "lobby", "1", kept)
	e.awaitHeard(t, lobby, "1")
	b.Unsubscribe(lobby)
	b.Unsubscribe(lobby) // one too many
	await(t, "the subscription ends", func() bool { return subscribers() == 0 })
	subscribe(t, b, lobby, kept)
	say(t, b, "lobby", "2", kept)
	e.awaitHeard(t, lobby, "1", "2")
}

func TestChurnLeavesWhatIsWantedSubscribed(t *testing.T) {
	server := redistest.Start(t)
	e := newEar()
	b := started(t, e, func(o *Options) { o.UnsubscribeDelay = time.Millisecond }, standalone(server.Addr))
	var all sync.WaitGroup
	const rooms, rounds = 20, 60
	for w := range 4 {
		all.Go(func() {
			for i := range rounds {
				topic := router.Topic{Name: fmt.Sprint("room ", (i*7+w)%rooms)}
				keep := kept
				if i%3 == 0 {
					keep = router.Keep{}
				}
				ctx, cancel := context.WithTimeout(context.Background(), redistest.Patience)
				if i%5 == 0 {
					cancel()
				}
				if _, err := b.Subscribe(ctx, topic, keep); err == nil {
					if i%4 == 0 {
						time.Sleep(time.Duration(i%3) * time.Millisecond)
					}
					b.Unsubscribe(topic)
				} else if !errors.Is(err, context.Canceled) {
					t.Errorf("subscribing: %v", err)
				}
				cancel()
			}
		})
	}
	all.Wait()
	for i := range rooms {
		topic := router.Topic{Name: fmt.Sprint("room ", i)}
		subscribe(t, b, topic, router.Keep{})
		m := say(t, b, topic.Name, "0", router.Keep{})
		await(t, "the message", func() bool {
			all := e.all(topic)
			return len(all) > 0 && all[len(all)-1].ID == m.ID
		})
		b.Unsubscribe(topic)
	}
	s := b.shards[0].subs
	await(t, "the table is empty", func() bool {
		s.mu.RLock()
		defer s.mu.RUnlock()
		return len(s.topics) == 1 // broadcasts
	})
}

func TestBroadcastsReachEveryNode(t *testing.T) {
	server := redistest.Start(t)
	ears := []*ear{newEar(), newEar()}
	var nodes []*Broker
	for _, e := range ears {
		nodes = append(nodes, started(t, e, nil, standalone(server.Addr)))
	}
	for _, b := range nodes {
		awaitHealthy(t, b)
	}
	publish(t, nodes[0], &router.Message{Kind: router.BroadcastMessage, ID: "m", From: "ann", Content: []byte("1")})
	for _, e := range ears {
		e.awaitHeard(t, router.Topic{}, "1")
	}
}

// Who was refused has been told, and the node is well.
func TestARefusedSubscriptionIsNotHeldAgainstTheNode(t *testing.T) {
	server := redistest.Start(t)
	allow := func(channels ...any) {
		t.Helper()
		args := append([]any{"acl", "setuser", "node", "on", ">secret", "~*", "+@all", "resetchannels"}, channels...)
		if err := server.Client(t).Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
	}
	allow("&*")
	shard := standalone(server.Addr)
	shard.Username, shard.Password = "node", "secret"
	b := started(t, newEar(), func(o *Options) { o.ProbeInterval = 200 * time.Millisecond }, shard)
	awaitHealthy(t, b)
	allow("&sluice:a", "&sluice:t:*", "&sluice:r:hall")
	if _, err := b.Subscribe(t.Context(), lobby, router.Keep{}); err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Fatalf("subscribing to a channel that is not allowed: %v", err)
	}
	awaitHealthy(t, b)
	subscribe(t, b, hall, router.Keep{})
}

// Redis may answer late: then a topic has been left, and subscribed to again,
// before its first subscription is confirmed.
func TestASubscriptionIsNotConfirmedByTheOneThatWasLeft(t *testing.T) {
	server := redistest.Start(t)
	e := newEar()
	b := started(t, e, func(o *Options) { o.UnsubscribeDelay, o.ProbeInterval = time.Millisecond, time.Minute }, standalone(server.Addr))
	awaitHealthy(t, b)
	s := b.shards[0].subs
	channel := []byte(s.s.keys.channel(lobby))
	is := func(state topicState, leavings int) bool {
		s.mu.RLock()
		defer s.mu.RUnlock()
		t := s.topics[string(channel)]
		return t != nil && t.state == state && t.leavings == leavings
	}
	server.Stop()
	ctx, cancel := context.WithCancel(t.Context())
	left, begun := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := b.Subscribe(ctx, lobby, router.Keep{})
		left <- err
	}()
	await(t, "the subscription is under way", func() bool { return is(topicSent, 0) })
	cancel()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	await(t, "its end is under way", func() bool { return is(topicLeft, 1) })
	go func() {
		_, err := b.Subscribe(t.Context(), lobby, router.Keep{})
		begun <- err
	}()
	await(t, "the next one is under way", func() bool { return is(topicSent, 1) })
	s.subscribed(s.owners[0], channel) // the first one's confirmation
	if !is(topicSent, 1) {
		t.Error("the subscription that was left confirmed the next one")
	}
	server.Continue()
	if err := <-begun; err != nil {
		t.Fatal(err)
	}
	say(t, b, "lobby", "1", router.Keep{})
	e.awaitHeard(t, lobby, "1")
}
