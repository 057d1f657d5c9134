package plugins

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/plugins/lookup"
	"sluice/router"
)

// asking is the guest that judges by its lookup of the user at the server.
func asking(url string) Spec {
	s := guest("lookup")
	// The longest times, for a busy machine.
	s.Lookup = &lookup.Spec{HTTP: &lookup.HTTP{URL: url + "/${user}"}, Timeout: lookup.MaxTimeout}
	s.Time = MaxTime
	return s
}

// target is a server that a test's lookups go to.
func target(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return srv
}

func answering200(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// by is a message of the user.
func by(user string) *router.Event {
	e := message(`"hello"`)
	e.User = user
	return e
}

func TestAFilterJudgesByItsLookup(t *testing.T) {
	srv := target(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/mallory":
			_, _ = io.WriteString(w, `{"state":"banned"}`)
		case "/ann":
			_, _ = io.WriteString(w, `{"state":"fine"}`)
		default:
			http.NotFound(w, r)
		}
	})
	spec := asking(srv.URL)
	spec.Lookup.OnFailure = lookup.Pass
	c := newTestHost(t, HostOptions{}).chain(nil, spec)
	if v := judge(t, c, by("mallory")); v.Action != router.Deny || v.Code != 422 || v.Filter != "lookup" || v.Failure != "" {
		t.Errorf("%+v", *v)
	}
	for user, want := range map[string]string{"ann": `{"s":1,"v":{"state":"fine"}}`, "bob": `{"s":2,"v":null}`, "": `{"s":2,"v":null}`, "..": `{"s":3,"v":null}`} {
		if v := judge(t, c, by(user)); v.Action != router.Continue || string(v.Payload) != want {
			t.Errorf("%q: %+v with %s, want %s", user, *v, v.Payload, want)
		}
	}
	s := stats(c)
	if r := s.Lookup.Results; r["found"] != 2 || r["missed"] != 1 || r["absent"] != 1 || r["template"] != 1 || s.Failures["lookup"] != 0 || s.Calls != 5 {
		t.Errorf("%+v", s)
	}
}

func TestAnEventWithoutAnAnswerPassesIsDeniedOrSkipsTheFilterAsConfigured(t *testing.T) {
	missing := target(t, http.NotFound)
	broken := target(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) })
	for _, tt := range []struct {
		url, onMiss, onFailure string
		want                   router.Verdict
		payload                string
		failures               uint64
	}{
		{missing.URL, "", "", router.Verdict{}, `{"s":2,"v":null}`, 0},
		{missing.URL, lookup.Deny, "", router.Verdict{Action: router.Deny, Code: 404, Filter: "lookup"}, "", 0},
		{missing.URL, lookup.Skip, "", router.Verdict{}, "", 0},
		{broken.URL, "", "", router.Verdict{Action: router.Deny, Code: 503, Filter: "lookup", Failure: "lookup"}, "", 1},
		{broken.URL, "", lookup.Pass, router.Verdict{}, `{"s":3,"v":null}`, 0},
		{broken.URL, "", lookup.Skip, router.Verdict{}, "", 1},
	} {
		h := newTestHost(t, HostOptions{})
		spec := asking(tt.url)
		spec.Lookup.OnMiss, spec.Lookup.OnFailure = tt.onMiss, tt.onFailure
		after := guest("moody")
		c := h.chain(nil, spec, after)
		v := judge(t, c, by("ann"))
		if v.Action != tt.want.Action || v.Code != tt.want.Code || v.Filter != tt.want.Filter || v.Failure != tt.want.Failure || string(v.Payload) != tt.payload {
			t.Errorf("%+v: %+v with %s", tt, *v, v.Payload)
		}
		all := c.Stats()
		if all[0].Failures["lookup"] != tt.failures || all[1].Calls != map[bool]uint64{true: 0, false: 1}[v.Action == router.Deny] {
			t.Errorf("%+v: %+v", tt, all)
		}
		if v.Code == 404 && all[0].Verdicts["deny"] != 1 {
			t.Errorf("the denial is not counted: %+v", all[0])
		}
		// The filter after one that was skipped sees no lookup of another's.
		if again := judge(t, c, by("ann")); again.Action != v.Action {
			t.Errorf("%+v: then %+v", tt, *again)
		}
	}
}

func TestWhatAClientSaysCannotMakeItsFilterBeSkipped(t *testing.T) {
	spec := asking(target(t, answering200(`{"state":"fine"}`)).URL)
	spec.Lookup.OnFailure = lookup.Skip
	c := newTestHost(t, HostOptions{}).chain(nil, spec)
	if v := judge(t, c, by("..")); v.Action != router.Deny || v.Code != 503 || v.Failure != "lookup" {
		t.Errorf("%+v", *v)
	}
	if s := stats(c); s.Lookup.Results["template"] != 1 || s.Failures["lookup"] != 1 {
		t.Errorf("%+v", s)
	}
}

func TestAConnectIsJudgedByItsLookup(t *testing.T) {
	srv := target(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("t") == "good" || strings.HasPrefix(r.URL.Path, "/join/ann/chat:") {
			_, _ = io.WriteString(w, "ann")
		} else {
			http.NotFound(w, r)
		}
	})
	spec := guest("lookup_connect")
	spec.Query = []string{"token"}
	spec.Lookup = &lookup.Spec{HTTP: &lookup.HTTP{URL: srv.URL + "/?t=${query.token}"}, Format: "bytes", Hooks: []string{"connect"}}
	join := guest("lookup_connect")
	join.Name = "joins"
	join.Lookup = &lookup.Spec{HTTP: &lookup.HTTP{URL: srv.URL + "/join/${user}/${room}"}, Format: "bytes", Hooks: []string{"join"}}
	h := newTestHost(t, HostOptions{})
	c := h.chain(nil, spec)
	for target, want := range map[string]uint32{"/ws?token=good": 0, "/ws?token=bad": 401, "/ws": 401, "/ws?token=good&token=bad": 503} {
		e := &router.Event{Hook: router.HookConnect, Kind: router.KindNew, Request: httptest.NewRequest("GET", target, nil), States: new([]router.State)}
		v := judge(t, c, e)
		if v.Code != want || want == 0 && (v.Identity == nil || v.Identity.User != "ann") {
			t.Errorf("%s: %+v", target, *v)
		}
	}
	c = h.chain(nil, join)
	for room, want := range map[string]router.Action{"chat:lobby": router.Continue, "other": router.Deny} {
		e := &router.Event{Hook: router.HookJoin, User: "ann", Room: room, States: new([]router.State)}
		if v := judge(t, c, e); v.Action != want {
			t.Errorf("%s: %+v", room, *v)
		}
	}
}

func TestAFilterBeforeDecidesBeforeAnyRequestGoesOut(t *testing.T) {
	var asked atomic.Int64
	srv := target(t, func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.WriteString(w, "1")
	})
	c := newTestHost(t, HostOptions{}).chain(nil, guest("count"), asking(srv.URL))
	e := by("ann")
	for i := range 5 {
		v := judge(t, c, e)
		if i < 2 != (v.Action == router.Continue) {
			t.Errorf("message %d: %+v", i, *v)
		}
	}
	if asked.Load() != 2 {
		t.Errorf("asked %d times for the 2 messages that count let through", asked.Load())
	}
}

func TestALookupSeesWhatTheFiltersBeforeHaveChanged(t *testing.T) {
	bodies := make(chan string, 1)
	srv := target(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		bodies <- string(text)
		_, _ = io.WriteString(w, "2")
	})
	first := guest("outputs")
	first.May.Reroute = []string{"**"}
	second := guest("lookup")
	second.Lookup = &lookup.Spec{HTTP: &lookup.HTTP{URL: srv.URL, Method: "POST"}}
	second.Rooms = []string{"moved"}
	c := newTestHost(t, HostOptions{}).chain(nil, first, second)
	e := eventOf(router.HookMessage, answering(vContinue).put(outPayload, `{"new":1}`).put(outRoom, "moved"))
	v := judge(t, c, e)
	var sent struct {
		Hook, Room string
		Payload    json.RawMessage
	}
	if err := json.Unmarshal([]byte(<-bodies), &sent); err != nil || sent.Hook != "message" || sent.Room != "moved" || string(sent.Payload) != `{"new":1}` {
		t.Errorf("sent %+v, %v", sent, err)
	}
	if v.Room != "moved" || string(v.Payload) != `{"s":1,"v":2}` {
		t.Errorf("%+v with %s", *v, v.Payload)
	}
}

// hanging is a target that holds answers back until it is told to.
type hanging struct {
	*httptest.Server
	arrived, release chan struct{}
}

func newHanging(t testing.TB) *hanging {
	t.Helper()
	h := &hanging{arrived: make(chan struct{}, 16), release: make(chan struct{})}
	h.Server = target(t, func(w http.ResponseWriter, r *http.Request) {
		h.arrived <- struct{}{}
		select {
		case <-h.release:
			_, _ = io.WriteString(w, "1")
		case <-r.Context().Done():
		}
	})
	return h
}

func TestALookupThatHangsKeepsNobodyElseWaiting(t *testing.T) {
	srv := newHanging(t)
	spec := asking(srv.URL)
	spec.Lookup.Timeout = lookup.MaxTimeout
	spec.Rooms = []string{"slow"}
	h := newTestHost(t, HostOptions{Lanes: 1})
	c := h.chain(nil, spec, guest("moody"))
	c.filters[0].pool.holdSlow(nanotime()) // it passes the gate as well, which has room for one
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			e := by(fmt.Sprint("user", i))
			e.Room = "slow"
			if v := judge(t, c, e); v.Action != router.Continue {
				t.Errorf("%+v", *v)
			}
		})
		<-srv.arrived
	}
	for range 100 { // while four lookups are under way, on a host with one lane
		agreed(t, c)
	}
	if !h.lanes.all[0].mu.TryLock() {
		t.Error("the lane is held while lookups are under way")
	} else {
		h.lanes.all[0].mu.Unlock()
	}
	if len(h.slow) != 0 {
		t.Error("the gate is held while lookups are under way")
	}
	close(srv.release)
	all.Wait()
}

func TestAnEventWhoseLookupIsUnderWayIsJudgedByItsOwnGeneration(t *testing.T) {
	srv := newHanging(t)
	spec := asking(srv.URL)
	spec.Lookup.Timeout = lookup.MaxTimeout
	h := newTestHost(t, HostOptions{Lanes: 2})
	first := h.chain(nil, configured(`"one"`), spec, func() Spec { s := configured(`"one"`); s.Name = "last"; return s }())
	e := by("ann")
	judged := make(chan struct{})
	go func() {
		defer close(judged)
		if err := first.Judge(e); err != nil || e.Verdict.Action != router.Continue {
			t.Errorf("%v, %+v", err, e.Verdict)
		}
	}()
	<-srv.arrived
	second := h.chain(first, configured(`"two"`))
	retired := make(chan struct{})
	go func() {
		defer close(retired)
		first.Retire()
	}()
	for !first.retired.Load() {
		time.Sleep(time.Millisecond)
	}
	if got := configOf(t, second); got != `"two"` {
		t.Errorf("meanwhile the new chain is configured %s", got)
	}
	if err := first.Judge(by("bob")); !errors.Is(err, router.ErrRetired) {
		t.Errorf("the old chain takes a new event: %v", err)
	}
	select {
	case <-retired:
		t.Error("Retire has returned, and an event's lookup is under way")
	default:
	}
	close(srv.release)
	<-judged
	<-retired
	one, _ := stateOf(e.States, "configured")
	last, _ := stateOf(e.States, "last")
	if string(one) != `"one"` || string(last) != `"one"` || string(e.Verdict.Payload) != `{"s":1,"v":1}` {
		t.Errorf("judged by %s, %s and %s", one, e.Verdict.Payload, last)
	}
	if s := h.Stats(); s.Filters != 1 {
		t.Errorf("the host holds %+v", s)
	}
}

func TestClosingTheHostEndsLookupsThatAreUnderWay(t *testing.T) {
	srv := newHanging(t)
	spec := asking(srv.URL)
	spec.Lookup.Timeout = lookup.MaxTimeout
	h := newTestHost(t, HostOptions{Lanes: 1})
	c := h.chain(nil, spec)
	var all sync.WaitGroup
	for i := range 3 {
		all.Go(func() {
			if v := judge(t, c, by(fmt.Sprint(i))); v.Failure != "lookup" {
				t.Errorf("%+v", *v)
			}
		})
		<-srv.arrived
	}
	if err := h.Close(context.Background()); err != nil {
		t.Error(err)
	}
	all.Wait()
	c.Retire() // whatever the order
}

func TestALookupIsKeptAcrossAReloadIfItAsksTheSame(t *testing.T) {
	var asked atomic.Int64
	srv := target(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, asked.Add(1)) })
	spec := asking(srv.URL)
	spec.Lookup.TTL = time.Hour
	h := newTestHost(t, HostOptions{})
	first := h.chain(nil, spec)
	judge(t, first, by("ann"))
	same := spec
	same.Config = []byte(`{"other":true}`)
	copied := *spec.Lookup
	copied.OnMiss = lookup.Deny // asks the same
	same.Lookup = &copied
	second := h.chain(first, same)
	first.Retire()
	if v := judge(t, second, by("ann")); string(v.Payload) != `{"s":1,"v":1}` {
		t.Errorf("%s: the answer was not kept", v.Payload)
	}
	if v := judge(t, second, by("..")); v.Failure != "lookup" {
		t.Errorf("%+v", *v)
	}
	other := spec
	changed := *spec.Lookup
	changed.TTL = time.Minute
	other.Lookup = &changed
	third := h.chain(second, other)
	second.Retire()
	if v := judge(t, third, by("ann")); string(v.Payload) != `{"s":1,"v":2}` {
		t.Errorf("%s: another question has the old answer", v.Payload)
	}
	if n := len(h.lookers); n != 1 {
		t.Errorf("the host holds %d lookups", n)
	}
	third.Retire()
	if n := len(h.lookers); n != 0 {
		t.Errorf("the host holds %d lookups", n)
	}
}

func TestALookupThatDoesNotGoWithItsFilterIsRefused(t *testing.T) {
	const url = "https://policy.example.org/${user}"
	for want, change := range map[string]func(*Spec){
		"lookup.on: the filter has no on_join (it has message); take join out":       func(s *Spec) { s.Lookup.Hooks = []string{"join"} },
		"lookup.http.url: scheme, host and port cannot have fields":                  func(s *Spec) { s.Lookup.HTTP.URL = "https://${user}/" },
		"lookup.redis: the node has no Redis for lookups; set lookups.redis.address": func(s *Spec) { s.Lookup = &lookup.Spec{Redis: &lookup.Redis{Key: "a"}} },
		"lookup.timeout: 11s is not between":                                         func(s *Spec) { s.Lookup.Timeout = 11 * time.Second },
		"it has either http or redis; write one of them":                             func(s *Spec) { s.Lookup.HTTP = nil },
		"anyone would be let in":                                                     func(s *Spec) { s.Plugin = "lookup_connect.wasm"; s.Lookup.OnMiss = lookup.Skip },
		"if the filter were skipped":                                                 func(s *Spec) { s.Plugin = "lookup_connect.wasm"; s.Lookup.OnFailure = lookup.Skip },
		"add cookies: [session] to the filter": func(s *Spec) {
			s.Plugin = "lookup_connect.wasm"
			s.Lookup.HTTP.URL, s.Lookup.Hooks = "https://policy.example.org/${cookie.session}", []string{"connect"}
		},
	} {
		h := newTestHost(t, HostOptions{})
		s := asking("")
		s.Lookup.HTTP.URL = url
		change(&s)
		_, err := h.Build(context.Background(), []Spec{s}, nil)
		var load *LoadError
		if !errors.As(err, &load) || !strings.Contains(err.Error(), strings.Replace(want, "it has either", "has to have either", 1)) {
			t.Errorf("%v, want %s", err, want)
		}
		if s := h.Stats(); s.Filters != 0 || s.Modules != 0 || len(h.lookers) != 0 {
			t.Errorf("%s: the host holds %+v", want, s)
		}
	}
}

func TestTheBufferHasRoomForTheContentAndTheLookup(t *testing.T) {
	spec := asking("https://policy.example.org")
	spec.Lookup.MaxBytes = lookup.MaxBytes
	c := newTestHost(t, HostOptions{}).chain(nil, spec)
	if err := c.CheckPayload(MaxPayload - lookup.MaxBytes); err != nil {
		t.Error(err)
	}
	if c.CheckPayload(MaxPayload-lookup.MaxBytes+1) == nil {
		t.Error("content is allowed for which there is no room beside the lookup")
	}
}

func TestALongAnswerReachesTheFilterWhole(t *testing.T) {
	long := `"` + strings.Repeat("x", 60_000) + `"`
	spec := asking(target(t, answering200(long)).URL)
	spec.Lookup.MaxBytes = lookup.MaxBytes
	c := newTestHost(t, HostOptions{}).chain(nil, spec)
	if v := judge(t, c, by("ann")); string(v.Payload) != `{"s":1,"v":`+long+`}` {
		t.Errorf("%+v with %d bytes", v.Action, len(v.Payload))
	}
}

func TestATestAnswersLookupsItself(t *testing.T) {
	answers := map[string]lookup.Result{"ann": {Status: lookup.Found, Value: []byte(`7`)}, "bob": {Status: lookup.Missed}, "eve": {Status: lookup.Failed, Cause: "timeout"}}
	h := newTestHost(t, HostOptions{Lookup: func(filter string, e *router.Event) lookup.Result {
		if filter != "lookup" {
			t.Errorf("asked for %s", filter)
		}
		return answers[e.User]
	}})
	spec := guest("lookup")
	spec.Lookup = &lookup.Spec{Redis: &lookup.Redis{Key: "${user}"}}
	c := h.chain(nil, spec)
	for user, want := range map[string]string{"ann": `{"s":1,"v":7}`, "bob": `{"s":2,"v":null}`, "eve": ""} {
		if v := judge(t, c, by(user)); string(v.Payload) != want || (v.Failure == "lookup") != (want == "") {
			t.Errorf("%s: %+v with %s", user, *v, v.Payload)
		}
	}
}

func TestAFailedLookupIsLoggedOnceAndWithoutSecrets(t *testing.T) {
	broken := target(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	spec := guest("lookup")
	spec.Lookup = &lookup.Spec{HTTP: &lookup.HTTP{URL: broken.URL + "/hidden?key=hidden&u=${user}", Headers: map[string]string{"Authorization": "Bearer hidden"}}}
	h := newTestHost(t, HostOptions{})
	c := h.chain(nil, spec)
	for range 5 {
		judge(t, c, by("hidden"))
	}
	h.Close(context.Background())
	text := h.log.String()
	if strings.Contains(text, "hidden") || strings.Count(text, "a lookup of a filter failed") != 1 || !strings.Contains(text, "status 403") || !strings.Contains(text, broken.URL) {
		t.Errorf("the log: %s", text)
	}
	if n := stats(c).Failures["lookup"]; n != 5 {
		t.Errorf("%d failures are counted", n)
	}
}

// Generations replace each other while lookups are under way on all lanes.
func TestGenerationsReplaceEachOtherWhileLookupsAreUnderWay(t *testing.T) {
	srv := target(t, answering200("1"))
	h := newTestHost(t, HostOptions{Lanes: 2})
	specs := func(n int) []Spec {
		text := fmt.Sprintf(`"%d"`, n%20)
		last := configured(text)
		last.Name = "last"
		asks := asking(srv.URL)
		asks.Config = []byte(text)
		return []Spec{configured(text), asks, last}
	}
	var current atomic.Pointer[Chain]
	current.Store(h.chain(nil, specs(0)...))
	var stop atomic.Bool
	var judged atomic.Int64
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			e := by(fmt.Sprint("user", i))
			for !stop.Load() {
				*e.States = (*e.States)[:0]
				for current.Load().Judge(e) != nil {
					if len(*e.States) != 0 {
						t.Error("ErrRetired, and something has happened")
					}
				}
				first, _ := stateOf(e.States, "configured")
				last, _ := stateOf(e.States, "last")
				if e.Verdict.Action != router.Continue || e.Verdict.Failure != "" || string(first) != string(last) {
					t.Errorf("%+v, by halves of two chains: %s and %s", e.Verdict, first, last)
					return
				}
				judged.Add(1)
			}
		})
	}
	for n := 1; n <= 20; n++ {
		old := current.Load()
		current.Store(h.chain(old, specs(n)...))
		for before := judged.Load(); judged.Load() == before && !t.Failed(); {
			time.Sleep(50 * time.Microsecond)
		}
		old.Retire()
	}
	stop.Store(true)
	wg.Wait()
}

func BenchmarkAKeptLookup(b *testing.B) {
	spec := asking(target(b, answering200("1")).URL)
	spec.Lookup.TTL = time.Hour
	c := newTestHost(b, HostOptions{}).chain(nil, spec)
	e := by("ann")
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Judge(e); err != nil || e.Verdict.Action != router.Continue {
			b.Fatal(err, e.Verdict)
		}
	}
}
