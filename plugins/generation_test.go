package plugins

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/router"
)

func configured(config string) Spec {
	s := guest("configured")
	s.Config = []byte(config)
	return s
}

// configOf is the configuration by which the chain judges.
func configOf(t testing.TB, c *Chain) string {
	t.Helper()
	e := message(`1`)
	judge(t, c, e)
	return string((*e.States)[0].Data)
}

func TestAnUnchangedFilterKeepsItsInstancesAcrossAReload(t *testing.T) {
	// One lane: which of several is taken is left to a hint that may be lost.
	h := newTestHost(t, HostOptions{Lanes: 1})
	patient := guest("moody")
	patient.Time = MaxTime / 2
	first := h.chain(nil, patient, configured(`1`))
	agreed(t, first)
	// Rooms, rights and limits outside the guest do not touch its instances.
	same := guest("moody")
	same.OnFailure, same.Time, same.Rooms = FailContinue, time.Second, []string{"**"}
	second := h.chain(first, same, configured(`2`))
	first.Retire()
	if n := agreed(t, second); n != 2 {
		t.Errorf("the instance had agreed %d times, want 2: it is the same one", n)
	}
	if got := configOf(t, h.chain(second, configured(`2`))); got != "2" {
		t.Errorf("configuration %q", got)
	}
	if s := second.Stats(); s[0].Created != 1 || s[0].Calls != 2 || s[1].Created != 1 {
		t.Errorf("stats %+v", s)
	}
}

func TestAChangedFilterGetsNewInstancesAndTheOldOnesAreClosed(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	first := h.chain(nil, configured(`"one"`), guest("noop"))
	old := first.filters[0].pool.slots[0].in
	second := h.chain(first, configured(`"two"`), guest("noop"))
	if got := configOf(t, first); got != `"one"` {
		t.Errorf("before the swap the old chain is configured %s", got)
	}
	first.Retire()
	if !old.mod.IsClosed() {
		t.Error("the old instance is open")
	}
	if got := configOf(t, second); got != `"two"` {
		t.Errorf("the new chain is configured %s", got)
	}
	if err := first.Judge(message(`1`)); !errors.Is(err, router.ErrRetired) {
		t.Errorf("the old chain judges: %v", err)
	}
	if s := h.Stats(); s.Filters != 2 || s.Modules != 2 {
		t.Errorf("the host holds %+v, want two filters", s)
	}
	second.Retire()
	second.Retire()
	if s := h.Stats(); s.Filters != 0 || s.Modules != 0 {
		t.Errorf("the host still holds %+v", s)
	}
}

func TestADigestTellsChainsThatJudgeDifferentlyApart(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	rooms, soft, secret, other := configured(`1`), configured(`1`), configured(`1`), configured(`2`)
	rooms.Rooms = []string{"a"}
	soft.OnFailure = FailContinue
	secret.PrivateConfig, other.PrivateConfig = true, true
	seen := make(map[string]int)
	for i, specs := range [][]Spec{
		nil, {configured(`1`)}, {configured(`2`)}, {rooms}, {soft}, {secret},
		{guest("noop"), configured(`1`)}, {configured(`1`), guest("noop")},
	} {
		digest := h.chain(nil, specs...).Digest()
		if before, there := seen[digest]; there {
			t.Errorf("chains %d and %d have the same digest", before, i)
		}
		if again := h.chain(nil, specs...).Digest(); again != digest || len(digest) != 16 {
			t.Errorf("chain %d has the digests %q and %q", i, digest, again)
		}
		seen[digest] = i
	}
	if h.chain(nil, secret).Digest() != h.chain(nil, other).Digest() {
		t.Error("a configuration with secrets shows in the digest")
	}
}

func TestAChangedFileIsANewVersion(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	dir := t.TempDir()
	put := func(from string) {
		wasm, err := os.ReadFile(filepath.Join("testdata", from))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "policy.wasm"), wasm, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	spec := Spec{Name: "policy", Plugin: filepath.Join(dir, "policy.wasm")}
	put("noop.wasm")
	first := h.chain(nil, spec)
	put("trap.wasm")
	second := h.chain(first, spec)
	if first.Info()[0].Version == second.Info()[0].Version {
		t.Error("both have the same version")
	}
	if v := say(t, first, `1`); v.Action != router.Continue {
		t.Errorf("the old version: %+v", *v)
	}
	if v := say(t, second, `1`); v.Failure != "trap" {
		t.Errorf("the new version: %+v", *v)
	}
}

func TestAReloadThatFailsLeavesTheOldChainAsItWas(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	first := h.chain(nil, guest("moody"))
	agreed(t, first)
	_, err := h.Build(context.Background(), []Spec{guest("moody"), guest("mistyped"), guest("refused")}, first)
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) || len(joined.Unwrap()) != 2 {
		t.Fatalf("Build = %v, want one error for each filter that cannot be used", err)
	}
	if n := agreed(t, first); n != 2 {
		t.Errorf("the instance had agreed %d times, want 2: it is the same one", n)
	}
	if s := h.Stats(); s.Filters != 1 || s.Modules != 1 {
		t.Errorf("the host holds %+v", s)
	}
}

// Events are judged on all lanes while generations replace each other. Each
// must be judged by one chain alone, by open instances only.
func TestGenerationsReplaceEachOtherUnderLoad(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 3})
	specs := func(n int) []Spec {
		text := string(rune('a' + n%20))
		second := configured(`"` + text + `"`)
		second.Name = "second"
		return []Spec{configured(`"` + text + `"`), guest("moody"), second}
	}
	var current atomic.Pointer[Chain]
	current.Store(h.chain(nil, specs(0)...))
	var stop atomic.Bool
	var judged, again atomic.Int64
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			e := message(`"hello"`)
			for !stop.Load() {
				*e.States = (*e.States)[:0]
				for current.Load().Judge(e) != nil {
					again.Add(1)
				}
				if e.Verdict.Action != router.Continue || e.Verdict.Failure != "" {
					t.Errorf("verdict %+v", e.Verdict)
					return
				}
				first, _ := stateOf(e.States, "configured")
				second, _ := stateOf(e.States, "second")
				if string(first) != string(second) {
					t.Errorf("judged by halves of two chains: %s and %s", first, second)
					return
				}
				judged.Add(1)
			}
		})
	}
	for n := 1; n <= 30; n++ {
		old := current.Load()
		current.Store(h.chain(old, specs(n)...))
		for before := judged.Load(); judged.Load() == before && !t.Failed(); { // some events by each generation
			time.Sleep(50 * time.Microsecond)
		}
		old.Retire()
	}
	stop.Store(true)
	wg.Wait()
	if s := current.Load().Stats()[1]; s.Created != 3 {
		t.Errorf("the filter that never changed made %d instances, want one a lane", s.Created)
	}
	if s := h.Stats(); s.Filters != 3 {
		t.Errorf("the host holds %+v", s)
	}
	t.Logf("%d events, %d judged anew", judged.Load(), again.Load())
}

func TestRetireWaitsForTheEventThatIsBeingJudged(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 1})
	spec := guest("loop_message")
	spec.Time = 300 * time.Millisecond
	c := h.chain(nil, spec)
	instance := c.filters[0].pool.slots[0].in
	judged := make(chan struct{})
	go func() {
		defer close(judged)
		if v := say(t, c, `1`); v.Failure != "timeout" {
			t.Errorf("the event met %+v, not its time-out", *v)
		}
	}()
	for ln := h.lanes.probe(); ln != nil; ln = h.lanes.probe() { // until the event holds the lane
		h.lanes.release(ln)
		time.Sleep(time.Millisecond)
	}
	c.Retire()
	if n := c.filters[0].pool.slots[0].failures[CauseTimeout]; n != 1 || !instance.mod.IsClosed() {
		t.Error("Retire has returned, and the event is still being judged")
	}
	<-judged
}

func TestADearFilterIsReplacedFromItsSpare(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	c := h.chain(nil, guest("slow_start"))
	p := c.filters[0].pool
	if p.cheap {
		t.Fatal("the guest is not dear")
	}
	agreed(t, c)
	if v := say(t, c, `t`); v.Failure != "trap" {
		t.Fatalf("%+v", *v)
	}
	if n := agreed(t, c); n != 1 { // at once, by the spare
		t.Errorf("agreed %d times, want 1", n)
	}
}

func TestAnEventAfterTheHostHasClosedFails(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	c := h.chain(nil, guest("noop"))
	h.Close(context.Background())
	if v := say(t, c, `1`); v.Failure != "unavailable" {
		t.Errorf("%+v", *v)
	}
	if _, err := h.Build(context.Background(), []Spec{guest("noop")}, nil); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("Build on a closed host: %v", err)
	}
}

func TestStateFollowsTheConnection(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 2})
	c := h.chain(nil, guest("count"))
	a, b := message(`1`), message(`1`)
	for i, want := range []router.Action{router.Continue, router.Continue, router.Deny, router.Deny} {
		if v := judge(t, c, a); v.Action != want {
			t.Errorf("message %d of the first connection: %+v", i+1, *v)
		}
	}
	if a.Verdict.Code != 429 || a.Verdict.RetryAfter != 1500*time.Millisecond || a.Verdict.Reason != "too many" {
		t.Errorf("verdict %+v", a.Verdict)
	}
	if v := judge(t, c, b); v.Action != router.Continue {
		t.Errorf("another connection: %+v", *v)
	}
	s := (*a.States)[0]
	if s.Filter != "count" || s.Version != 7 || binary.LittleEndian.Uint32(s.Data) != 4 {
		t.Errorf("state %+v, want the count 4 in version 7", s)
	}
	// It outlives a reload, by the filter's name.
	changed := guest("count")
	changed.Config = []byte(`{"other":true}`)
	if v := judge(t, h.chain(c, changed), a); v.Action != router.Deny {
		t.Errorf("after a reload: %+v", *v)
	}
}

func TestAnEmptyStateIsForgotten(t *testing.T) {
	c := newTestHost(t, HostOptions{}).chain(nil, guest("outputs"))
	e := eventOf(router.HookMessage, answering(vDeny).put(outState, "kept"))
	judge(t, c, e)
	if len(*e.States) != 1 || string((*e.States)[0].Data) != "kept" {
		t.Fatalf("states %v, want what was set with a denial", *e.States)
	}
	for _, s := range []*script{answering(vContinue), answering(-3).put(outState, "failed")} {
		e.Payload = s.payload()
		judge(t, c, e)
		if len(*e.States) != 1 || string((*e.States)[0].Data) != "kept" {
			t.Errorf("states %v", *e.States)
		}
	}
	e.Payload = answering(vContinue).span(outState, scriptData, 0).payload()
	judge(t, c, e)
	if len(*e.States) != 0 {
		t.Errorf("states %v, want none", *e.States)
	}
}

func TestAParkedChainJudgesAgainWhenItIsResumed(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	first := h.chain(nil, configured(`"one"`), guest("noop"))
	second := h.chain(first, configured(`"two"`), guest("noop"))
	first.Park()
	if err := first.Judge(message(`1`)); !errors.Is(err, router.ErrRetired) {
		t.Errorf("a parked chain judges: %v", err)
	}
	if s := h.Stats(); s.Filters != 3 {
		t.Errorf("%d filters are held, want 3: one of them is shared", s.Filters)
	}
	first.Resume()
	second.Retire()
	if got := configOf(t, first); got != `"one"` {
		t.Errorf("the resumed chain is configured %s", got)
	}
	if s := h.Stats(); s.Filters != 2 {
		t.Errorf("%d filters are held, want 2", s.Filters)
	}
	first.Park()
	first.Retire()
	if s := h.Stats(); s.Filters != 0 || s.Modules != 0 {
		t.Errorf("after a parked chain was retired, %+v are held", s)
	}
}
