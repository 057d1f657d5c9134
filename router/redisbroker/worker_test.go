package redisbroker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"sluice/router"
	"sluice/router/redisbroker/redistest"
)

// slowEar is a sink that takes its time.
type slowEar struct {
	*ear
	gate sync.Mutex
}

func (e *slowEar) Deliver(m *router.Message) {
	e.gate.Lock()
	//lint:ignore SA2001 It only waits until the test opens the gate.
	e.gate.Unlock()
	e.ear.Deliver(m)
}

func TestWhatAWorkerCannotTakeIsCaughtUpOrTold(t *testing.T) {
	server := redistest.Start(t)
	e := &slowEar{ear: newEar()}
	o := Options{Shards: []Shard{standalone(server.Addr)}, NodeID: "node", Workers: 1, WorkerQueue: 8}
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(e); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	speaker := started(t, newEar(), nil, standalone(server.Addr))
	subscribe(t, b, lobby, kept)
	subscribe(t, b, hall, router.Keep{})
	const messages = 1000
	e.gate.Lock()
	for i := range messages {
		say(t, speaker, "lobby", fmt.Sprint(i), kept)
		say(t, speaker, "hall", fmt.Sprint(i), router.Keep{})
	}
	// The worker has the first message, and room for seven others.
	await(t, "the queue overflows", func() bool { return b.Counters()["worker_overflow"] >= 2*messages-8 })
	e.gate.Unlock()
	await(t, "everything with a history was heard", func() bool { return len(e.all(lobby)) >= messages })
	for i, text := range heard(e.all(lobby)) {
		if text != fmt.Sprint(i) {
			t.Fatalf("heard %s as number %d", text, i)
		}
	}
	await(t, "the rest was told", func() bool {
		all := e.all(hall)
		return len(all) > 0 && all[len(all)-1].Kind == router.RoomGap
	})
	say(t, speaker, "hall", "-1", router.Keep{})
	await(t, "deliveries go on", func() bool { all := e.all(hall); return string(all[len(all)-1].Content) == "-1" })
	if e.overlapped() {
		t.Error("one topic was delivered by two goroutines at a time")
	}
}

// heldUp is a sink in which a message "n" to another room waits until the hall's
// message "n" has been delivered.
type heldUp struct {
	*ear
	hall sync.Map // of the contents that the hall has heard, to channels that are closed then
	over chan struct{}
}

func (e *heldUp) spoken(content string) chan struct{} {
	c, _ := e.hall.LoadOrStore(content, make(chan struct{}))
	return c.(chan struct{})
}

func (e *heldUp) Deliver(m *router.Message) {
	e.mu.Lock()
	topic := router.Topic{Name: m.Room}
	e.overlap = e.overlap || e.busy[topic]
	e.busy[topic] = true
	e.mu.Unlock()
	if m.Room == hall.Name {
		close(e.spoken(string(m.Content)))
	} else if m.Room != "" {
		select {
		case <-e.spoken(string(m.Content)):
		case <-e.over:
		}
	}
	e.mu.Lock()
	e.busy[topic] = false
	e.heard = append(e.heard, m)
	e.mu.Unlock()
	notify(e.changed)
}

func TestADeliveryThatTakesLongHoldsUpItsOwnTopicAlone(t *testing.T) {
	server := redistest.Start(t)
	e := &heldUp{ear: newEar(), over: make(chan struct{})}
	b, err := New(Options{Shards: []Shard{standalone(server.Addr)}, NodeID: "node", Timeout: redistest.Patience, ProbeInterval: redistest.Patience})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(e); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	defer close(e.over)
	speaker := started(t, newEar(), nil, standalone(server.Addr))
	subscribe(t, b, hall, router.Keep{})
	s := b.shards[0].subs
	workerOf := func(t router.Topic) *worker {
		s.mu.RLock()
		defer s.mu.RUnlock()
		return s.topics[s.s.keys.channel(t)].worker
	}
	used := map[*worker]bool{workerOf(hall): true}
	var rooms []router.Topic // of a worker each
	for i := 0; len(rooms) < 6; i++ {
		room := router.Topic{Name: fmt.Sprint("room ", i)}
		subscribe(t, b, room, router.Keep{})
		if w := workerOf(room); !used[w] {
			used[w] = true
			rooms = append(rooms, room)
		}
	}
	n := 0
	for _, room := range rooms {
		first := n
		for range 3 { // the first one is delivered by the reader, the others wait behind it
			say(t, speaker, room.Name, fmt.Sprint(n), router.Keep{})
			n++
			await(t, "the first one is being delivered", func() bool {
				e.mu.Lock()
				defer e.mu.Unlock()
				return e.busy[room]
			})
		}
		w := workerOf(room)
		await(t, "the others wait", func() bool {
			w.mu.Lock()
			defer w.mu.Unlock()
			return len(w.queue) == 2
		})
		notify(w.wake) // the worker may be woken by something that is over: it leaves the reader alone
		for i := first; i < n; i++ {
			say(t, speaker, hall.Name, fmt.Sprint(i), router.Keep{})
		}
		e.awaitHeard(t, room, fmt.Sprint(first), fmt.Sprint(first+1), fmt.Sprint(first+2))
	}
	var want []string
	for i := range n {
		want = append(want, fmt.Sprint(i))
	}
	e.awaitHeard(t, hall, want...)
	if e.overlapped() {
		t.Error("one topic was delivered by two goroutines at a time")
	}
}

// TestOrderStays has messages come alone, which the reader delivers, and in crowds,
// which workers do.
func TestOrderStaysWhereTheReaderAndAWorkerTakeTurns(t *testing.T) {
	server := redistest.Start(t)
	e := newEar()
	b := started(t, e, func(o *Options) { o.Workers = 2 }, standalone(server.Addr))
	speaker := started(t, newEar(), nil, standalone(server.Addr))
	rooms := roomsNamed(4)
	for _, room := range rooms {
		subscribe(t, b, room, router.Keep{})
	}
	var want []string
	for round := range 60 {
		crowd := []int{1, 1, 2, 40}[round%4]
		var all sync.WaitGroup
		for _, room := range rooms {
			all.Go(func() {
				for i := range crowd {
					say(t, speaker, room.Name, fmt.Sprint(len(want)+i), router.Keep{})
				}
			})
		}
		all.Wait()
		for range crowd {
			want = append(want, fmt.Sprint(len(want)))
		}
		if crowd == 1 {
			e.awaitHeard(t, rooms[0], want...)
		}
	}
	for _, room := range rooms {
		e.awaitHeard(t, room, want...)
	}
	if e.overlapped() {
		t.Error("one topic was delivered by two goroutines at a time")
	}
}

// TestFloodsAndInterruptionsTogether has queues overflow while the connection is
// killed again and again.
func TestFloodsAndInterruptionsTogetherLoseNothing(t *testing.T) {
	server := redistest.Start(t)
	e := newEar()
	b := started(t, e, func(o *Options) { o.Workers, o.WorkerQueue = 2, 4 }, standalone(server.Addr))
	speaker := started(t, newEar(), nil, standalone(server.Addr))
	rooms := roomsNamed(6)
	for _, room := range rooms {
		subscribe(t, b, room, kept)
	}
	const messages = 1500
	var speakers sync.WaitGroup
	for _, room := range rooms {
		speakers.Go(func() {
			for i := range messages {
				say(t, speaker, room.Name, fmt.Sprint(i), kept)
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	var killer sync.WaitGroup
	killer.Go(func() {
		client := server.Client(t)
		for ctx.Err() == nil {
			time.Sleep(30 * time.Millisecond)
			_ = client.ClientKillByFilter(context.Background(), "TYPE", "pubsub").Err()
		}
	})
	speakers.Wait()
	cancel()
	killer.Wait()
	for _, room := range rooms {
		await(t, "everything was heard", func() bool { return len(e.all(room)) >= messages })
		for i, text := range heard(e.all(room)) {
			if text != fmt.Sprint(i) {
				t.Fatalf("%s: heard %s as number %d", room.Name, text, i)
			}
		}
	}
	if e.overlapped() {
		t.Error("one topic was delivered by two goroutines at a time")
	}
	t.Log(b.Counters())
}

func TestAnOutputBufferThatOverflowsCostsNothingWithAHistory(t *testing.T) {
	server := redistest.Start(t, "--client-output-buffer-limit", "pubsub 64kb 0 0")
	proxy := redistest.NewProxy(t, server.Addr)
	e := newEar()
	b := started(t, e, nil, standalone(proxy.Addr))
	speaker := started(t, newEar(), nil, standalone(server.Addr))
	subscribe(t, b, lobby, kept)
	awaitHealthy(t, b)
	proxy.Blackhole()
	const messages = 600
	for i := range messages {
		publish(t, speaker, &router.Message{Kind: router.RoomMessage, ID: "m", Room: "lobby", From: "ann",
			Content: fmt.Appendf(nil, "%-32768d", i), Keep: kept})
	}
	await(t, "Redis kills the connection", func() bool {
		n, err := server.Client(t).ClientList(t.Context()).Result()
		return err == nil && len(n) > 0 && server.Info("client_output_buffer_limit_disconnections") != "0"
	})
	proxy.Resume()
	await(t, "everything was heard", func() bool { return len(e.all(lobby)) >= messages })
	for i, m := range e.all(lobby) {
		if m.Offset != uint64(i+1) {
			t.Fatalf("offset %d, kind %d as number %d", m.Offset, m.Kind, i+1)
		}
	}
}

func TestWhatOthersPublishIntoOurChannelsIsSkippedAndCounted(t *testing.T) {
	server := redistest.Start(t)
	e := newEar()
	b := started(t, e, nil, standalone(server.Addr))
	subscribe(t, b, lobby, kept)
	subscribe(t, b, bob, router.Keep{})
	awaitHealthy(t, b)
	say(t, b, "lobby", "1", kept)
	e.awaitHeard(t, lobby, "1")
	k := b.shards[0].keys
	client := server.Client(t)
	channels := []string{k.channel(lobby), k.channel(bob), k.broadcast(), k.probe(0, b.options.NodeID)}
	valid := payloadOf(&router.Message{Kind: router.RoomMessage, ID: "m", Room: "hall", From: "ann", Content: []byte("0")})
	garbage := [][]byte{{}, []byte("-"), []byte("hello"), []byte("e:1:"), []byte("e:18446744073709551616:x"), append([]byte("-\x09"), valid[2:]...)}
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		g := append([]byte(nil), valid...)
		for range 1 + random.IntN(3) {
			g[random.IntN(len(g))] = byte(random.Uint32())
		}
		garbage = append(garbage, g[:random.IntN(len(g))])
	}
	garbage = append(garbage, make([]byte, 3<<20))
	for _, channel := range channels {
		for _, g := range garbage {
			if err := client.Publish(t.Context(), channel, g).Err(); err != nil {
				t.Fatal(err)
			}
		}
	}
	// A room's message does not belong on a user's channel.
	if err := client.Publish(t.Context(), k.channel(bob), valid).Err(); err != nil {
		t.Fatal(err)
	}
	say(t, b, "lobby", "2", kept)
	publish(t, b, &router.Message{Kind: router.DirectMessage, ID: "d", Target: "bob", From: "ann", Content: []byte("3")})
	await(t, "what is ours", func() bool {
		a, d := e.all(lobby), e.all(bob)
		return len(a) > 1 && string(a[len(a)-1].Content) == "2" && len(d) > 0 && string(d[len(d)-1].Content) == "3"
	})
	if got := len(e.all(bob)); got != 1 {
		t.Errorf("bob heard %v", heard(e.all(bob)))
	}
	counts := b.Counters()
	for _, name := range []string{"malformed_header", "malformed_version", "malformed_envelope", "malformed_topic"} {
		if counts[name] == 0 {
			t.Errorf("%s was not counted", name)
		}
	}
	awaitHealthy(t, b)
	if counts["connection_lost"] != 0 {
		t.Error("the connection was lost")
	}
}

// A position that others have forged makes the node read the history, and costs
// its members a gap at most.
func TestAForgedPositionDoesNotSilenceARoom(t *testing.T) {
	server := redistest.Start(t)
	e := newEar()
	b := started(t, e, nil, standalone(server.Addr))
	subscribe(t, b, lobby, kept)
	say(t, b, "lobby", "1", kept)
	e.awaitHeard(t, lobby, "1")
	position := e.all(lobby)[0].Position
	forge := func(p router.Position) {
		t.Helper()
		m := &router.Message{Kind: router.RoomMessage, ID: "m", Room: "lobby", From: "eve", Content: []byte("0"), Position: p}
		if err := server.Client(t).Publish(t.Context(), b.shards[0].keys.channel(lobby), payloadOf(m)).Err(); err != nil {
			t.Fatal(err)
		}
	}
	forge(router.Position{Epoch: "other", Offset: 7})
	e.awaitHeard(t, lobby, "1", "gap")
	say(t, b, "lobby", "2", kept)
	e.awaitHeard(t, lobby, "1", "gap", "2")
	forge(router.Position{Epoch: position.Epoch, Offset: 1 << 60})
	e.awaitHeard(t, lobby, "1", "gap", "2", "gap")
	say(t, b, "lobby", "3", kept)
	e.awaitHeard(t, lobby, "1", "gap", "2", "gap", "3")
}

func TestTenThousandRoomsComeBack(t *testing.T) {
	server := redistest.Start(t)
	e := newEar()
	b := started(t, e, func(o *Options) { o.ProbeInterval, o.Timeout = 20*time.Second, 30*time.Second }, standalone(server.Addr))
	rooms := 10_000
	if testing.Short() {
		rooms = 2_000
	}
	comeBack(t, server, b, e, rooms)
}

// comeBack subscribes to rooms, half of them with a history, has the connection
// killed and awaits all of them.
func comeBack(t *testing.T, server *redistest.Server, b *Broker, e *ear, rooms int) (up, back time.Duration) {
	t.Helper()
	topic := func(i int) router.Topic { return router.Topic{Name: fmt.Sprint("room ", i)} }
	keep := func(i int) router.Keep {
		if i%2 == 0 {
			return kept
		}
		return router.Keep{}
	}
	begin := time.Now()
	var all sync.WaitGroup
	for w := range 500 {
		all.Go(func() {
			for i := w; i < rooms; i += 500 {
				if _, err := b.Subscribe(context.Background(), topic(i), keep(i)); err != nil {
					t.Errorf("room %d: %v", i, err)
				}
			}
		})
	}
	all.Wait()
	up = time.Since(begin)
	awaitHealthy(t, b)
	begin = time.Now()
	speaker := started(t, newEar(), nil, standalone(server.Addr))
	if err := server.Client(t).ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	say(t, speaker, topic(0).Name, "1", kept)
	await(t, "all rooms are subscribed again, and told or caught up", func() bool {
		s := b.shards[0].subs
		return b.Counters()["connection_restored"] == 1 && b.Counters()["gap_possible"] == uint64(rooms/2)+1 && s.fetches.idle()
	})
	e.awaitHeard(t, topic(0), "1")
	back = time.Since(begin)
	for _, i := range []int{0, 1, rooms / 2, rooms - 1} {
		say(t, speaker, topic(i).Name, "2", keep(i))
	}
	e.awaitHeard(t, topic(0), "1", "2")
	e.awaitHeard(t, topic(rooms-1), "gap", "2")
	return up, back
}

// A room's messages may overflow the queue before its worker has begun it.
func TestWhatOverflowsBeforeARoomHasBegunIsTold(t *testing.T) {
	server := redistest.Start(t)
	e := &slowEar{ear: newEar()}
	b, err := New(Options{Shards: []Shard{standalone(server.Addr)}, NodeID: "node", Workers: 1, WorkerQueue: 8, Timeout: redistest.Patience})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(e); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	speaker := started(t, newEar(), nil, standalone(server.Addr))
	subscribe(t, b, hall, router.Keep{})
	e.gate.Lock()
	say(t, speaker, "hall", "1", router.Keep{}) // keeps the worker
	begun := make(chan error, 1)
	go func() {
		_, err := b.Subscribe(t.Context(), lobby, kept)
		begun <- err
	}()
	s := b.shards[0].subs
	await(t, "the room is subscribed to", func() bool {
		s.mu.RLock()
		defer s.mu.RUnlock()
		room := s.topics[s.s.keys.channel(lobby)]
		return room != nil && room.state == topicOn
	})
	for i := range 20 {
		say(t, speaker, "lobby", fmt.Sprint(i), router.Keep{}) // in no history
	}
	await(t, "the queue overflows", func() bool { return b.Counters()["worker_overflow"] > 0 })
	e.gate.Unlock()
	if err := <-begun; err != nil {
		t.Fatal(err)
	}
	await(t, "it is told", func() bool { return slices.Contains(heard(e.all(lobby)), "gap") })
}
