package plugins

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"sluice/plugins/lookup"
	"sluice/plugins/store"
	"sluice/router"
)

func TestAShadowThatIsTheSameNeverDiffersAndChangesNothingThatIsKept(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 1})
	spec := keeping("keep")
	spec.Candidate = twin(t, "keep")
	c := h.chain(nil, spec)
	for range 3 {
		counter("n", 2, 0).ask(t, c)
		take("b", 1, 5, 0).ask(t, c)
		metric("m", 3).ask(t, c)
		get("k", 8).ask(t, c)
		set("k", "value", 0).ask(t, c)
		beside(t, c)
	}
	counter("n", 0, 0).want(t, c, 6)
	take("b", 3, 5, 0).want(t, c, math64)
	take("b", 2, 5, 0).want(t, c, 0)
	s := beside(t, c)
	if differences(s) != 0 || s.Shadow.Compared != 18 {
		t.Errorf("%+v", s.Shadow)
	}
	all := stats(c)
	if all.Series["m"] != 9 || s.Series["m"] != 9 || all.Store.Calls != (store.Calls{Counters: 4, Buckets: 5, Values: 6}) {
		t.Errorf("the filter's series %v and calls %+v, the candidate's series %v", all.Series, all.Store.Calls, s.Series)
	}
}

const math64 = 1<<63 - 1 // never: the bucket gets no refill

func TestAShadowBeginsWithWhatTheFilterKeepsAndWritesToItsOwn(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 1})
	spec := shadowing100("noop", "keep")
	spec.Capabilities = keepCapabilities
	c := h.chain(nil, spec)
	active := h.Space("policy")
	own := c.filters[0].candidate().pool.space
	key := []byte("k")
	_, _ = active.CounterAdd(key, 40, 0)
	_, _ = active.BucketTake(key, 4, 5, 0)
	_ = active.Set(key, []byte("kept"), 0)
	before := active.Stats()
	for _, o := range []op{counter("k", 2, 0), take("k", 1, 5, 0), set("other", "mine", 0), get("k", 8), set("k", "", -1), get("k", 8), get("other", 8)} {
		if v := judge(t, c, o.event()); v.Failure != "" {
			t.Fatal(*v)
		}
		beside(t, c)
	}
	if n, _ := own.CounterAdd(key, 0, 0); n != 42 {
		t.Errorf("the candidate's counter is %d, want the filter's 40 and its own 2", n)
	}
	if wait, _ := own.BucketTake(key, 1, 5, 0); wait != math64 {
		t.Errorf("the candidate's bucket has more than the filter's one token: %d", wait)
	}
	if v := own.Values(); len(v) != 1 || string(v["other"]) != "mine" {
		t.Errorf("the candidate's values: %q, want its own, and not the one that it has forgotten", v)
	}
	after := active.Stats()
	if n, _ := active.CounterAdd(key, 0, 0); n != 40 || string(active.Values()["k"]) != "kept" || len(active.Values()) != 1 || after.Calls != before.Calls {
		t.Errorf("the filter's: counter %d, values %q, calls %+v", n, active.Values(), after.Calls)
	}
	if s := beside(t, c); s.Failures["trap"] != 0 || s.Calls != 7 {
		t.Errorf("%+v", s)
	}
}

func TestAShadowLogsNothingAndGetsTheTimeAndRandomBytesOfTheFilter(t *testing.T) {
	h := newTestHost(t, HostOptions{Lanes: 1})
	spec := capable(guest("capable"))
	spec.Candidate = twin(t, "capable")
	c := h.chain(nil, spec)
	for i := range 10 {
		judge(t, c, of(uint64(i), `1`))
	}
	if s := beside(t, c); s.Shadow.Lines != 10 || differences(s) != 0 || s.Shadow.Compared != 10 {
		t.Errorf("%+v", s.Shadow)
	}
	if err := h.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(h.log.String(), "msg=hello"); n != 10 {
		t.Errorf("%d lines are logged, want the 10 of the filter", n)
	}
	// Alone, it has real ones.
	h = newTestHost(t, HostOptions{Lanes: 1})
	c = h.chain(nil, capable(shadowing100("noop", "capable")))
	judge(t, c, message(`1`))
	if s := beside(t, c); s.Shadow.Differences["output"] != 1 || s.Verdicts["continue"] != 1 {
		t.Errorf("%+v", s)
	}
}

func TestACandidateThatSetsAValueReadsItsOwn(t *testing.T) {
	var n notes
	n.add(askValue, []byte("k"), [3]uint64{}, 1, []byte("a"))
	n.add(askValue, []byte("k"), [3]uint64{}, 2, []byte("ab"))
	n.add(askValue, []byte("other"), [3]uint64{}, 3, []byte("abc"))
	if got := n.find(askValue, []byte("k"), [3]uint64{}); got == nil || got.result != 1 {
		t.Errorf("%+v", got)
	}
	n.forget([]byte("k"))
	if got := n.find(askValue, []byte("k"), [3]uint64{}); got != nil {
		t.Errorf("%+v", got)
	}
	if got := n.find(askValue, []byte("other"), [3]uint64{}); got == nil || got.result != 3 {
		t.Errorf("%+v", got)
	}
	for range 2 * maxNotes {
		n.add(askNow, nil, [3]uint64{}, 1, nil)
	}
	big := notes{}
	for range 10 {
		big.add(askRandom, nil, [3]uint64{}, 1, make([]byte, maxNoteBytes/4))
	}
	if len(n.list) != maxNotes || big.bytes > maxNoteBytes {
		t.Errorf("%d notes, %d bytes", len(n.list), big.bytes)
	}
}

func TestALookupIsMadeOnceForBothVersions(t *testing.T) {
	var asked atomic.Int64
	srv := target(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		_, _ = io.WriteString(w, `{"state":"`+strings.Repeat("x", int(asked.Load()))+`"}`)
	})
	for _, role := range []string{RoleShadow, RoleCanary} {
		asked.Store(0)
		h := newTestHost(t, HostOptions{})
		spec := asking(srv.URL)
		spec.Candidate = twin(t, "lookup")
		spec.Candidate.Role = role
		c := h.chain(nil, spec)
		for i := range 5 {
			e := by("ann")
			e.Conn = uint64(i + 1)
			if v := judge(t, c, e); v.Action != router.Continue || len(v.Payload) == 0 {
				t.Fatalf("%+v", *v)
			}
		}
		if role == RoleShadow {
			if s := beside(t, c); differences(s) != 0 || s.Shadow.Compared != 5 {
				t.Errorf("%+v", s.Shadow)
			}
		}
		if asked.Load() != 5 {
			t.Errorf("%s: asked %d times for 5 messages", role, asked.Load())
		}
		if s := stats(c); s.Lookup == nil || s.Candidate.Lookup != nil || s.Lookup.Results["found"] != 5 || s.Calls+s.Candidate.Calls != map[string]uint64{RoleShadow: 10, RoleCanary: 5}[role] {
			t.Errorf("%s: %+v", role, s)
		}
		c.Retire()
		if n := len(h.lookers); n != 0 {
			t.Errorf("%s: %d lookups are left", role, n)
		}
	}
}

func TestACanaryWhoseLookupFailsIsCountedForTheCandidateAlone(t *testing.T) {
	srv := target(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	spec := asking(srv.URL)
	spec.Candidate = twin(t, "lookup")
	spec.Candidate.Role = RoleCanary
	spec.Lookup.OnFailure = lookup.Deny
	c := newTestHost(t, HostOptions{}).chain(nil, spec)
	judge(t, c, by("ann"))
	if s := stats(c); s.Failures["lookup"] != 0 || s.Candidate.Failures["lookup"] != 1 {
		t.Errorf("%v, candidate %v", s.Failures, s.Candidate.Failures)
	}
}
