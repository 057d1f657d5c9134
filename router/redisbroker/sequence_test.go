package redisbroker

import (
	"fmt"
	"slices"
	"testing"

	"sluice/router"
	"sluice/router/redisbroker/redistest"
)

// deafen has a broker lose what is published to the topic while f runs, without
// noticing.
func deafen(t *testing.T, b *Broker, topic router.Topic, f func()) {
	t.Helper()
	s := b.shards[0].subs
	set := func(fresh bool) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.topics[s.s.keys.channel(topic)].fresh = fresh
	}
	set(true)
	f()
	// What was published has been read when a probe made later has.
	probed := b.Counters()["probe_returned"]
	await(t, "probes", func() bool { return b.Counters()["probe_returned"] > probed+1 })
	set(false)
}

// stalled has the reads of histories wait until the function that it returns is called.
func stalled(b *Broker) (resume func()) {
	f := b.shards[0].subs.fetches
	f.work.Wait()
	f.mu.Lock()
	f.others.number = mostFetches
	f.mu.Unlock()
	return func() {
		f.mu.Lock()
		f.others.number = 1
		f.work.Go(func() { f.run(&f.others) })
		f.mu.Unlock()
	}
}

func quickProbes(o *Options) { o.ProbeInterval = 100 * o.Timeout / 10_000 }

func TestAHoleIsFilledFromTheHistoryBeforeItGoesOn(t *testing.T) {
	server := redistest.Start(t)
	e := newEar()
	b := started(t, e, quickProbes, standalone(server.Addr))
	subscribe(t, b, lobby, kept)
	say(t, b, "lobby", "1", kept)
	e.awaitHeard(t, lobby, "1")
	deafen(t, b, lobby, func() {
		for i := 2; i < 700; i++ { // some pages
			say(t, b, "lobby", fmt.Sprint(i), kept)
		}
	})
	if got := len(e.all(lobby)); got != 1 {
		t.Fatalf("%d messages were heard by a deaf node", got)
	}
	say(t, b, "lobby", "700", kept)
	await(t, "everything was heard", func() bool { return len(e.all(lobby)) >= 700 })
	for i, text := range heard(e.all(lobby)) {
		if text != fmt.Sprint(i+1) {
			t.Fatalf("heard %s as number %d", text, i+1)
		}
	}
	if n := b.Counters()["hole_filled"]; n != 699 {
		t.Errorf("%d messages were filled in, want 699", n)
	}
}

func TestWhatHasBeenTrimmedIsTold(t *testing.T) {
	server := redistest.Start(t)
	e := newEar()
	b := started(t, e, quickProbes, standalone(server.Addr))
	few := router.Keep{Size: 3, TTL: kept.TTL}
	subscribe(t, b, lobby, few)
	say(t, b, "lobby", "1", few)
	e.awaitHeard(t, lobby, "1")
	deafen(t, b, lobby, func() {
		for i := 2; i < 10; i++ {
			say(t, b, "lobby", fmt.Sprint(i), few)
		}
	})
	say(t, b, "lobby", "10", few)
	e.awaitHeard(t, lobby, "1", "lost", "8", "9", "10")
	if gap := e.all(lobby)[1].Position; gap.Offset != 7 || gap.Epoch == "" {
		t.Errorf("the gap is at %+v, want offset 7", gap)
	}
}

func TestWhatComesWhileTheHistoryIsReadIsHeldWithinBounds(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	e := newEar()
	b := started(t, e, quickProbes, standalone(server.Addr))
	subscribe(t, b, lobby, kept)
	say(t, b, "lobby", "1", kept)
	e.awaitHeard(t, lobby, "1")
	deafen(t, b, lobby, func() { say(t, b, "lobby", "2", kept) })
	resume := stalled(b)
	const last = 3*(heldMessages+1) + 1 // so that the last one is dropped, and nothing comes behind it
	for i := 3; i <= last; i++ {
		say(t, b, "lobby", fmt.Sprint(i), kept)
		if i == last/2 {
			say(t, b, "lobby", "-1", router.Keep{}) // is in no history, and dropped with the rest
		}
	}
	await(t, "the worker has taken everything", func() bool {
		w := b.shards[0].subs.topics[b.shards[0].keys.channel(lobby)].worker
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.items == 0
	})
	probed := b.Counters()["probe_returned"]
	await(t, "probes", func() bool { return b.Counters()["probe_returned"] > probed+1 })
	resume()
	await(t, "everything was heard, and the gap", func() bool { return len(e.all(lobby)) > last })
	next, gaps := 1, 0
	for _, text := range heard(e.all(lobby)) {
		switch text {
		case "gap":
			gaps++
		case fmt.Sprint(next):
			next++
		default:
			t.Fatalf("heard %s, want %d", text, next)
		}
	}
	if next != last+1 || gaps != 1 {
		t.Errorf("heard up to %d with %d gaps, want %d with one for the message that was in no history", next-1, gaps, last)
	}
}

// What comes between the read and its answer's turn may be dropped, the last
// message included: only another read brings it.
func TestWhatIsDroppedAfterTheHistoryWasReadIsReadAgain(t *testing.T) {
	server := redistest.Start(t)
	e := newEar()
	b := started(t, e, quickProbes, standalone(server.Addr))
	subscribe(t, b, lobby, kept)
	say(t, b, "lobby", "1", kept)
	e.awaitHeard(t, lobby, "1")
	deafen(t, b, lobby, func() { say(t, b, "lobby", "2", kept) })
	resume := stalled(b)
	say(t, b, "lobby", "3", kept) // is held, and begins the catch-up
	f := b.shards[0].subs.fetches
	var asked *read
	await(t, "the history is asked for", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		if len(f.others.queue) == 0 {
			return false
		}
		asked, f.others.queue = f.others.queue[0], nil
		return true
	})
	asked.handled = make(chan struct{}, 1)
	if f.fetch(asked); len(asked.page.Messages) != 2 {
		t.Fatalf("%d messages were read, want 2 and 3", len(asked.page.Messages))
	}
	const last = 3 + heldMessages // does not fit any more, and all that is held goes
	for i := 4; i <= last; i++ {
		say(t, b, "lobby", fmt.Sprint(i), kept)
	}
	probed := b.Counters()["probe_returned"]
	await(t, "probes", func() bool { return b.Counters()["probe_returned"] > probed+1 })
	resume()
	asked.topic.worker.put(item{kind: itemRead, topic: asked.topic, read: asked})
	await(t, "everything was heard", func() bool { return len(e.all(lobby)) >= last })
	for i, text := range heard(e.all(lobby)) {
		if text != fmt.Sprint(i+1) {
			t.Fatalf("heard %s as number %d", text, i+1)
		}
	}
}

func TestASubscriberDoesNotWaitForCatchUps(t *testing.T) {
	server := redistest.Start(t)
	b := started(t, newEar(), nil, standalone(server.Addr))
	defer stalled(b)()
	if p := subscribe(t, b, lobby, kept); p.Epoch == "" {
		t.Errorf("position %+v of a room with a history", p)
	}
}

// A node that learns only from the first message that a room has a history
// follows its offsets from there.
func TestTheFirstMessageWithAnOffsetBeginsTheSequence(t *testing.T) {
	server := redistest.Start(t)
	e := newEar()
	b := started(t, e, quickProbes, standalone(server.Addr))
	if p := subscribe(t, b, lobby, router.Keep{}); p != (router.Position{}) {
		t.Errorf("position %+v of a room without a history", p)
	}
	say(t, b, "lobby", "1", kept)
	e.awaitHeard(t, lobby, "1")
	deafen(t, b, lobby, func() { say(t, b, "lobby", "2", kept) })
	say(t, b, "lobby", "3", kept)
	e.awaitHeard(t, lobby, "1", "2", "3")
}

func TestWhatHasArrivedCountsThoughTheHistoryHasDroppedIt(t *testing.T) {
	server := redistest.Start(t)
	e := newEar()
	b := started(t, e, quickProbes, standalone(server.Addr))
	subscribe(t, b, lobby, router.Keep{}) // so that the first offset is looked up
	speaker := started(t, newEar(), nil, standalone(server.Addr))
	resume := stalled(b)
	var want []string
	for i := 1; i <= 30; i++ {
		want = append(want, fmt.Sprint(i))
		say(t, speaker, "lobby", want[i-1], router.Keep{Size: 10})
	}
	probed := b.Counters()["probe_returned"]
	await(t, "probes", func() bool { return b.Counters()["probe_returned"] > probed+1 })
	resume()
	e.awaitHeard(t, lobby, want...)
}

func TestAForgedFirstOffsetDoesNotSilenceARoom(t *testing.T) {
	server := redistest.Start(t)
	e := newEar()
	b := started(t, e, nil, standalone(server.Addr))
	subscribe(t, b, lobby, router.Keep{})
	say(t, started(t, newEar(), nil, standalone(server.Addr)), "lobby", "1", router.Keep{})
	e.awaitHeard(t, lobby, "1")
	m := &router.Message{Kind: router.RoomMessage, ID: "m", Room: "lobby", From: "eve", Content: []byte("0"), Position: router.Position{Epoch: "e", Offset: 1 << 60}}
	if err := server.Client(t).Publish(t.Context(), b.shards[0].keys.channel(lobby), payloadOf(m)).Err(); err != nil {
		t.Fatal(err)
	}
	say(t, b, "lobby", "2", kept)
	say(t, b, "lobby", "3", kept)
	await(t, "the room is heard", func() bool { return slices.Contains(heard(e.all(lobby)), "3") })
}
