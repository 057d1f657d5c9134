package router_test

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"sluice/router"
)

// generation is a scripted one that stamps its number on all content.
func generation(number uint64, rule router.RoomRule) (*router.Generation, *stamper) {
	s := &stamper{number: number}
	return &router.Generation{Number: number, Limits: router.DefaultLimits(), Filters: s, Rooms: []router.RoomRule{rule}}, s
}

// stamper ends like a real host: those inside finish, later ones are told to
// go to the successor.
type stamper struct {
	number  uint64
	mu      sync.RWMutex
	retired bool
	judged  atomic.Uint64
}

// Handles is asked between the load of the generation and the judgement, and
// leaves time for a swap.
func (s *stamper) Handles(h router.Hook) bool {
	runtime.Gosched()
	return h == router.HookMessage
}

func (s *stamper) Judge(e *router.Event) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.retired {
		return router.ErrRetired
	}
	s.judged.Add(1)
	e.Verdict = router.Verdict{Payload: fmt.Appendf(nil, `{"gen":%d,"n":%s}`, s.number, e.Payload)}
	return nil
}

func (s *stamper) retire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retired = true
}

func TestEachMessageIsJudgedByExactlyOneGenerationWhileTheyAreSwapped(t *testing.T) {
	p := pattern(t, "**")
	rule := router.RoomRule{Match: p, Announce: router.AnnounceOff}
	g, first := generation(1, rule)
	n := startNode(t, silent, func(_ *router.Options, to *router.Generation) { *to = *g })
	stampers := []*stamper{first}

	const senders, each = 4, 300
	reader := n.as(t, "reader")
	reader.join("r")
	var sending sync.WaitGroup
	for i := range senders {
		u := n.as(t, fmt.Sprint("u", i))
		u.join("r")
		go func() { // take what is delivered to the sender
			for range u.events {
			}
		}()
		sending.Add(1)
		go func() {
			defer sending.Done()
			for i := range each {
				u.send(fmt.Sprintf(`{"type":"room_message","room":"r","content":%d}`, i))
			}
		}()
	}
	received := make(chan struct{})
	last, next := map[string]float64{}, map[string]float64{}
	go func() {
		defer close(received)
		for range senders * each {
			e := reader.until("chat")
			from, content := e.str("from"), e["content"].(map[string]any)
			if content["n"] != next[from] {
				t.Errorf("from %s came %v, not %v", from, content["n"], next[from])
			}
			next[from]++
			if content["gen"].(float64) < last[from] {
				t.Errorf("from %s: judged by generation %v after %v", from, content["gen"], last[from])
			}
			last[from] = content["gen"].(float64)
		}
	}()
	number := uint64(1)
	for running := true; running; {
		select {
		case <-received:
			running = false
		default:
			number++
			g, s := generation(number, rule)
			stampers = append(stampers, s)
			if old := n.Swap(g); old.Number != number-1 {
				t.Fatalf("swapped out generation %d", old.Number)
			}
			stampers[len(stampers)-2].retire()
			for running && s.judged.Load() == 0 { // a swap while nothing happens shows nothing
				select {
				case <-received:
					running = false
				default:
					runtime.Gosched()
				}
			}
		}
	}
	sending.Wait()
	var judged uint64
	for _, s := range stampers {
		judged += s.judged.Load()
	}
	if judged != senders*each {
		t.Errorf("%d messages were judged %d times", senders*each, judged)
	}
	if n.Stats().Retired == 0 {
		t.Error("no event met filters that had been replaced: the test shows nothing")
	}
	if n.Generation().Number != number || n.Stats().Generation != number {
		t.Errorf("generation %d is in force", n.Generation().Number)
	}
}

func TestASwapTakesEffectForTheNextEvent(t *testing.T) {
	n := startNode(t, silent)
	u := n.as(t, "ann")
	u.join("r")
	deny := newFilters().on(router.HookMessage, verdict(router.Verdict{Action: router.Deny, Code: 403, Reason: "closed"}))
	n.Swap(&router.Generation{Number: 2, Filters: deny})
	u.refusedWith("forbidden", `{"type":"room_message","room":"r","content":1}`)

	rule := router.RoomRule{Match: pattern(t, "*"), Presence: true, Announce: router.AnnounceOff}
	n.Swap(&router.Generation{Number: 3, Rooms: []router.RoomRule{rule}, Limits: router.Limits{RoomsPerConnection: 2}})
	if e := u.join("s"); e["announced"] != false {
		t.Errorf("got %v", e)
	}
	u.refusedWith("forbidden", `{"type":"join_room","room":"t"}`)
	if e := u.ask(`{"type":"presence","room":"s"}`); e["total"] != 1.0 {
		t.Errorf("got %v", e)
	}
}

func TestANodeThatLearnsToAuthenticateIsNoLongerOpen(t *testing.T) {
	n := startNode(t, silent)
	if !n.Unauthenticated() {
		t.Error("it is not open")
	}
	u := n.as(t, "ann")
	f := newFilters().on(router.HookConnect, func(*router.Event) {})
	n.Swap(&router.Generation{Number: 2, Filters: f})
	if n.Unauthenticated() {
		t.Error("it is still open")
	}
	u.refusedWith("forbidden", `{"type":"chat","content":1}`)
	u.refusedWith("forbidden", `{"type":"room_message","room":"elsewhere","content":1}`)
	if status, _, _ := n.refusal(t, "client_id=bob", nil); status != 401 {
		t.Errorf("got %d", status)
	}
}

func TestFiltersThatAreAlwaysRetiredAreGivenUpWithAnAnswer(t *testing.T) {
	f := newFilters().on(router.HookMessage, func(*router.Event) {})
	n := startNode(t, silent, withFilters(f))
	u := n.as(t, "ann")
	u.join("r")
	f.retired.Store(true)
	u.refusedWith("unavailable", `{"id":1,"type":"room_message","room":"r","content":1}`)
	if n.Stats().Retired == 0 {
		t.Error("not counted")
	}
	f.retired.Store(false)
	u.send(`{"type":"room_message","room":"r","content":1}`)
	u.expect("chat")
}

func TestAConnectIsJudgedAnewWhenTheFiltersAreReplacedMeanwhile(t *testing.T) {
	old := newFilters().on(router.HookConnect, verdict(router.Verdict{Action: router.Deny, Code: 403}))
	old.retired.Store(true)
	n := startNode(t, withFilters(old))
	if status, _, _ := n.refusal(t, "", nil); status != 503 {
		t.Errorf("got %d", status)
	}
	fresh := newFilters().on(router.HookConnect, func(e *router.Event) { e.Verdict.Identity = &router.Identity{User: fmt.Sprint("seq", e.Seq)} })
	n.Swap(&router.Generation{Number: 2, Filters: fresh})
	if u := n.connect(t, ""); u.welcome.str("user_id") != "seq1" {
		t.Errorf("got %v", u.welcome)
	}
}
