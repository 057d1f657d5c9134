package plugins

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/router"
)

// trying is a filter called name of the active guest, with a candidate.
func trying(active, candidate, role string, share float64) Spec {
	s := guest(active)
	s.Name, s.OnFailure = "policy", FailDeny
	s.Candidate = &Candidate{Plugin: candidate + ".wasm", Dir: "testdata", Role: role, Share: share}
	return s
}

// of is a message of a connection.
func of(conn uint64, content string) *router.Event {
	e := message(content)
	e.Conn = conn
	return e
}

func TestACanaryJudgesTheConnectionsOfItsShareAndNoOthers(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 2})
	c := h.chain(nil, trying("noop", "trap", RoleCanary, 0.25))
	const n = 4000
	trapped := make(map[uint64]bool)
	for conn := uint64(1); conn <= n; conn++ {
		trapped[conn] = judge(t, c, of(conn, `1`)).Failure == "trap"
	}
	share := 0
	for conn := uint64(1); conn <= n; conn++ {
		if again := judge(t, c, of(conn, `2`)).Failure == "trap"; again != trapped[conn] {
			t.Fatalf("connection %d was flipped", conn)
		}
		if trapped[conn] {
			share++
		}
	}
	if share < n/5 || share > n*3/10 {
		t.Errorf("the candidate has %d connections of %d, want about a quarter", share, n)
	}
	if v := judge(t, c, of(0, `1`)); v.Failure != "" {
		t.Errorf("a message of the server was judged by the candidate: %+v", *v)
	}
	s := stats(c)
	if s.Role != RoleActive || s.Candidate == nil || s.Candidate.Role != RoleCanary || s.Candidate.Share != 0.25 || s.Version == s.Candidate.Version {
		t.Fatalf("stats %+v", s)
	}
	if got := s.Candidate.Failures["trap"]; got != uint64(2*share) || s.Failures["trap"] != 0 || s.Calls+s.Candidate.Calls != 2*n+1 {
		t.Errorf("%d failures of the candidate, want %d; %d and %d calls", got, 2*share, s.Calls, s.Candidate.Calls)
	}
	if s.Candidate.Timed == 0 || s.Candidate.TimedTime <= 0 || s.Timed == 0 || s.TimedTime <= 0 {
		t.Errorf("no calls were timed: %+v", s)
	}
}

func TestNoConnectionGoesBackWhileTheShareOfACanaryGrows(t *testing.T) {
	shares := []float64{0, 0.0001, 0.01, 0.05, 0.0500001, 0.3, 0.5, 0.99, 1}
	for _, name := range []string{"a", "b"} {
		salt := saltOf(name, [32]byte{1, 2, 3})
		counts := make([]int, len(shares))
		const n = 200_000
		for i := range n {
			conn := rand.Uint64()
			if i%2 == 0 {
				conn = uint64(i + 1) // and those that follow each other
			}
			had := false
			for j, share := range shares {
				has := (&canary{salt: salt, below: below(share)}).has(conn)
				if had && !has {
					t.Fatalf("connection %x is the candidate's at %v, and not at %v", conn, shares[j-1], share)
				}
				if had = has; has {
					counts[j]++
				}
			}
		}
		for j, share := range shares {
			if got := float64(counts[j]) / n; got < share-0.01 || got > share+0.01 {
				t.Errorf("a share of %v has %v of the connections", share, got)
			}
		}
		if counts[0] != 0 || counts[len(counts)-1] != n {
			t.Errorf("0%% has %d, 100%% has %d of %d", counts[0], counts[len(counts)-1], n)
		}
	}
}

func TestTheCanariesOfTwoFiltersDrawDifferentConnections(t *testing.T) {
	a, b := canary{salt: saltOf("a", [32]byte{1}), below: below(0.5)}, canary{salt: saltOf("b", [32]byte{1}), below: below(0.5)}
	both := 0
	for conn := uint64(1); conn <= 10_000; conn++ {
		if a.has(conn) && b.has(conn) {
			both++
		}
	}
	if both < 2000 || both > 3000 {
		t.Errorf("%d of 10,000 connections are the candidates' of both, want about a quarter", both)
	}
}

func TestAReloadThatChangesOnlyTheShareKeepsBothPools(t *testing.T) {
	for _, role := range []string{RoleCanary, RoleShadow} {
		h := newTestHost(t, HostOptions{Lanes: 2})
		first := h.chain(nil, trying("noop", "moody", role, 0.1))
		active, candidate := first.filters[0].pool, first.filters[0].candidate().pool
		second := h.chain(first, trying("noop", "moody", role, 0.9))
		first.Retire()
		if second.filters[0].pool != active || second.filters[0].candidate().pool != candidate {
			t.Errorf("%s: a pool was made anew", role)
		}
		say(t, second, `1`)
		if s := stats(second); s.Candidate.Share != 0.9 || s.Candidate.Created != candidate.created.Load() || candidate.closed.Load() {
			t.Errorf("%s: %+v", role, s.Candidate)
		}
		// Without the candidate its pool goes, and the active one stays.
		third := h.chain(second, func() Spec { s := trying("noop", "moody", role, 0); s.Candidate = nil; return s }())
		second.Retire()
		if third.filters[0].pool != active || !candidate.closed.Load() || candidate.slots[0].in != nil {
			t.Errorf("%s: the candidate is still there, or the filter is not", role)
		}
		if s := h.Stats(); s.Filters != 1 || s.Modules != 1 {
			t.Errorf("%s: the host holds %+v", role, s)
		}
		third.Retire()
	}
}

func TestACanaryThatBecomesTheFilterKeepsItsInstances(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	first := h.chain(nil, trying("noop", "moody", RoleCanary, 1))
	agreed(t, first)
	promoted := guest("moody")
	promoted.Name = "policy"
	second := h.chain(first, promoted)
	first.Retire()
	if n := agreed(t, second); n != 2 {
		t.Errorf("the instance had agreed %d times, want 2: it is the same one", n)
	}
	// And the version that was active may come back as the candidate's.
	back := trying("moody", "noop", RoleCanary, 0.5)
	third := h.chain(second, back)
	if n := len(versionsOf(third.filters)); n != 2 || third.filters[0].pool != second.filters[0].pool {
		t.Errorf("%d versions", n)
	}
}

func TestAConnectionsStateIsSharedByTheVersionsWithTheNumberOfTheOneThatWroteIt(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	only := guest("count") // its state has version 7
	only.Name = "policy"
	first := h.chain(nil, only)
	e := of(9, `1`)
	judge(t, first, e)
	second := h.chain(first, trying("count", "moody", RoleCanary, 1))
	first.Retire()
	judge(t, second, e)
	if s := (*e.States); len(s) != 1 || s[0].Version != 0 || len(s[0].Data) != 4 {
		t.Fatalf("states %+v, want the candidate's in version 0", s)
	}
	// A candidate with the same version goes on with it.
	same := h.chain(second, trying("noop", "count", RoleCanary, 1))
	*e.States = []router.State{{Filter: "policy", Version: 7, Data: []byte{2, 0, 0, 0}}}
	if v := judge(t, same, e); v.Action != router.Deny || v.Code != 429 {
		t.Errorf("the third message: %+v", *v)
	}
}

func TestACandidateThatCannotBeLoadedRefusesTheGeneration(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	first := h.chain(nil, guest("noop"))
	for _, role := range []string{RoleCanary, RoleShadow} {
		for file, want := range map[string]string{
			"absent": "the file does not exist", "refused": "it refuses its configuration", "trap_configure": "trap",
			"unmarked": "it is not a Sluice filter", "ungranted": "which is not granted",
		} {
			spec := trying("noop", file, role, 0.5)
			_, err := h.Build(context.Background(), []Spec{guest("noop"), spec}, first)
			var load *LoadError
			if !errors.As(err, &load) || !load.Candidate || load.Filter != "policy" || !strings.Contains(load.Cause, want) ||
				!strings.HasPrefix(load.Error(), "the candidate of filter") || !strings.HasSuffix(load.File, file+".wasm") {
				t.Errorf("%s %s: %v", role, file, err)
			}
		}
		for _, share := range []float64{-0.1, 1.1} {
			if _, err := h.Build(context.Background(), []Spec{trying("noop", "trap", role, share)}, first); err == nil {
				t.Errorf("a share of %v is accepted", share)
			}
		}
	}
	if s := h.Stats(); s.Filters != 1 || s.Modules != 1 {
		t.Errorf("the host holds %+v", s)
	}
	if v := say(t, first, `1`); v.Action != router.Continue {
		t.Errorf("%+v", *v)
	}
}

func TestACanaryCannotChangeWhetherClientsAreLookedAt(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	for _, pair := range [][2]string{{"outputs", "noop"}, {"noop", "outputs"}} {
		_, err := h.Build(context.Background(), []Spec{trying(pair[0], pair[1], RoleCanary, 0.5)}, nil)
		if err == nil || !strings.Contains(err.Error(), "on_connect") {
			t.Errorf("%v: %v", pair, err)
		}
		c, err := h.Build(context.Background(), []Spec{trying(pair[0], pair[1], RoleShadow, 1)}, nil)
		if err != nil {
			t.Errorf("%v as a shadow: %v", pair, err)
			continue
		}
		if has := c.Handles(router.HookConnect); has != (pair[0] == "outputs") {
			t.Errorf("%v as a shadow: the chain has on_connect: %v", pair, has)
		}
		c.Retire()
	}
	if s := h.Stats(); s.Filters != 0 || s.Modules != 0 {
		t.Errorf("the host holds %+v", s)
	}
}

func TestACanaryCannotLeaveOutAHookThatTheFilterJudges(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	spec := trying("verify", "noop", RoleCanary, 0.5)
	spec.Capabilities = []string{"verify", "log", "now", "random"}
	_, err := h.Build(context.Background(), []Spec{spec}, nil)
	if err == nil || !strings.Contains(err.Error(), "the filter has on_join, and its candidate has not") {
		t.Errorf("got %v", err)
	}
	spec.Candidate.Role = RoleShadow
	h.chain(nil, spec).Retire()
	if s := h.Stats(); s.Filters != 0 || s.Modules != 0 {
		t.Errorf("the host holds %+v", s)
	}
}

func TestACandidateWithoutAConfigurationHasTheFilters(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	spec := trying("noop", "configured", RoleCanary, 1)
	spec.Config = []byte(`{"a":1}`)
	c := h.chain(nil, spec)
	if got := configOf(t, c); got != `{"a":1}` {
		t.Errorf("the candidate is configured %s", got)
	}
	spec.Candidate.Config = []byte(`{"b":2}`)
	if got := configOf(t, h.chain(c, spec)); got != `{"b":2}` {
		t.Errorf("the candidate is configured %s", got)
	}
}

func TestAFilterAndACandidateThatAreTheSameCountApart(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	spec := trying("noop", "noop", RoleCanary, 1)
	first := h.chain(nil, spec)
	second := h.chain(first, spec)
	first.Retire()
	a, b := second.filters[0].pool, second.filters[0].candidate().pool
	if a == b || a != first.filters[0].pool || b != first.filters[0].candidate().pool {
		t.Error("the two share instances, or have new ones")
	}
	say(t, second, `1`)
	if s := stats(second); s.Calls != 0 || s.Candidate.Calls != 1 {
		t.Errorf("%d and %d calls", s.Calls, s.Candidate.Calls)
	}
}

// Events are judged on all lanes while candidates come and go.
func TestCandidatesComeAndGoUnderLoad(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 2})
	var current = make(chan *Chain, 1)
	current <- h.chain(nil, trying("noop", "moody", RoleShadow, 1))
	stop := make(chan struct{})
	ended := make(chan int)
	var judged atomic.Int64
	for range 3 {
		go func() {
			n := 0
			defer func() { ended <- n }()
			for e := of(5, `"x"`); ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				e.Seq++
				for {
					c := <-current
					current <- c
					if c.Judge(e) == nil {
						break
					}
				}
				if e.Verdict.Action != router.Continue || e.Verdict.Failure != "" {
					t.Errorf("%+v", e.Verdict)
					return
				}
				judged.Add(1)
			}
		}()
	}
	specs := []Spec{trying("noop", "moody", RoleCanary, 0.5), trying("noop", "moody", RoleShadow, 0.5), guest("noop"), trying("noop", "capable", RoleShadow, 1)}
	specs[3].Capabilities = []string{"log", "now", "random"}
	for i := range 24 {
		old := <-current
		current <- h.chain(old, specs[i%len(specs)])
		for before := judged.Load(); judged.Load() == before && !t.Failed(); { // some events by each generation
			time.Sleep(50 * time.Microsecond)
		}
		old.Retire()
	}
	close(stop)
	total := 0
	for range 3 {
		total += <-ended
	}
	if total == 0 {
		t.Error("nothing was judged")
	}
	last := <-current
	last.Retire()
	if s := h.Stats(); s.Filters != 0 || s.Modules != 0 {
		t.Errorf("the host holds %+v", s)
	}
}
