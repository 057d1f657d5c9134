package admin

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

func enabled(t *testing.T) *Profiling {
	t.Helper()
	p := new(Profiling)
	p.Set(true)
	t.Cleanup(func() { p.Set(false) })
	return p
}

// profiled is a listener on which profiles are served.
func profiled(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(Handler(Options{Router: newNode(t).Router, Profiling: enabled(t)}))
	t.Cleanup(s.Close)
	return s
}

// ask requests a profile, until ctx ends.
func ask(ctx context.Context, s *httptest.Server, name string) (status int, body []byte, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+pprofPath+name, nil)
	if err != nil {
		return 0, nil, err
	}
	answer, err := s.Client().Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	body, err = io.ReadAll(answer.Body)
	return answer.StatusCode, body, err
}

func TestProfilesAreServedOnlyWhileTheyAreEnabled(t *testing.T) {
	p := enabled(t)
	h := Handler(Options{Router: newNode(t).Router, Profiling: p})
	for _, on := range []bool{false, true, false} {
		want := map[bool]int{true: 200, false: 404}[on]
		p.Set(on)
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/symbol"} {
			if w := get(h, path, nil); w.Code != want || want == 404 && !strings.Contains(w.Body.String(), "admin.pprof: true") {
				t.Errorf("enabled %t: %s is answered %d %s", on, path, w.Code, w.Body)
			}
		}
	}
	if w := get(Handler(Options{Router: newNode(t).Router}), "/debug/pprof/heap", nil); w.Code != 404 {
		t.Errorf("a node that says nothing of them serves them: %d", w.Code)
	}
}

func TestProfilesWantTheTokenAndAKnownHostAndNoForeignPage(t *testing.T) {
	h := Handler(Options{Router: newNode(t).Router, Profiling: enabled(t), Token: "s3cret", Loopback: true})
	for what, c := range map[string]struct {
		change func(*http.Request)
		want   int
	}{
		"nothing":       {func(r *http.Request) {}, 401},
		"another token": {func(r *http.Request) { r.Header.Set("Authorization", "Bearer s3cret2") }, 401},
		"the token":     {func(r *http.Request) { r.Header.Set("Authorization", "Bearer s3cret") }, 200},
		"another host":  {func(r *http.Request) { r.Header.Set("Authorization", "Bearer s3cret"); r.Host = "evil.example" }, 403},
		"a page's request": {func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer s3cret")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		}, 403},
		"a foreign origin": {func(r *http.Request) {
			r.Header.Set("Authorization", "Bearer s3cret")
			r.Header.Set("Origin", "https://evil.example")
		}, 403},
		"something changing": {func(r *http.Request) { r.Header.Set("Authorization", "Bearer s3cret"); r.Method = http.MethodPost }, 405},
		"a look":             {func(r *http.Request) { r.Header.Set("Authorization", "Bearer s3cret"); r.Method = http.MethodHead }, 405},
	} {
		for _, path := range []string{"/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/goroutine"} {
			if w := get(h, path, c.change); w.Code != c.want {
				t.Errorf("%s with %s: %d %s", path, what, w.Code, w.Body)
			}
		}
	}
}

func TestTheIndexNamesEveryProfileAndWhatItCosts(t *testing.T) {
	s := profiled(t)
	_, body, err := ask(t.Context(), s, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"profile", "heap", "allocs", "goroutine", "mutex", "block", "threadcreate", "trace", "symbol"} {
		if !bytes.Contains(body, []byte("\n"+pprofPath+name+" ")) && !bytes.HasPrefix(body, []byte(pprofPath+name+" ")) {
			t.Errorf("%s is not in the index:\n%s", name, body)
		}
	}
	if bytes.Count(body, []byte("costs: ")) != bytes.Count(body, []byte(pprofPath)) {
		t.Errorf("some profile's cost is not said:\n%s", body)
	}
	for _, name := range []string{"cmdline", "nothing", "heap/x"} {
		if status, answer, err := ask(t.Context(), s, name); err != nil || status != 404 || !bytes.Contains(answer, []byte("there are profile, heap")) {
			t.Errorf("%s: %d %s %v", name, status, answer, err)
		}
	}
}

func TestAProfileOfOddSecondsIsRefused(t *testing.T) {
	s := profiled(t)
	for path, why := range map[string]string{
		"profile?seconds=0":        "from 1 to 300",
		"profile?seconds=301":      "from 1 to 300",
		"mutex?seconds=-1":         "from 1 to 300",
		"trace?seconds=1.5":        "from 1 to 300",
		"heap?seconds=x":           "from 1 to 300",
		"symbol?seconds=1":         "not taken over seconds",
		"block?debug=1":            "leave out debug",
		"heap?seconds=1&debug=1":   "leave out debug",
		"profile?seconds=1&debug=": "",
	} {
		status, answer, err := ask(t.Context(), s, path)
		if want := map[bool]int{true: 200, false: 400}[why == ""]; err != nil || status != want || !bytes.Contains(answer, []byte(why)) {
			t.Errorf("%s: %d %.200s %v", path, status, answer, err)
		}
	}
}

func TestWhoHangsUpEndsHisProfile(t *testing.T) {
	s := profiled(t)
	for _, name := range []string{"profile", "trace"} {
		ctx, hangUp := context.WithCancel(t.Context())
		first := make(chan error, 1)
		go func() {
			for {
				status, _, err := ask(ctx, s, name+"?seconds=300")
				if status != 409 { // of the second, which may be quicker
					first <- err
					return
				}
			}
		}()
		// Only one is taken at a time: the second is refused, once the first has begun.
		until(t, func() bool {
			status, _, err := ask(t.Context(), s, name+"?seconds=1")
			if err != nil || status != 200 && status != 409 {
				t.Fatal(status, err)
			}
			return status == 409
		})
		hangUp()
		if err := <-first; err == nil {
			t.Errorf("%s: the first was answered", name)
		}
		until(t, func() bool {
			status, _, err := ask(t.Context(), s, name+"?seconds=1")
			return err == nil && status == 200
		})
	}
}

// until waits for the condition.
func until(t *testing.T, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); {
		if time.Now().After(end) {
			t.Fatal("it does not happen")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// fightOverALock has goroutines wait for a lock that is held for long, until stop.
func fightOverALock(t *testing.T) (stop func()) {
	t.Helper()
	var lock sync.Mutex
	var fighters sync.WaitGroup
	ended := make(chan struct{})
	for range 4 {
		fighters.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
					holdTheLock(&lock)
				}
			}
		})
	}
	return func() { close(ended); fighters.Wait() }
}

//go:noinline
func holdTheLock(lock *sync.Mutex) {
	lock.Lock()
	time.Sleep(time.Millisecond)
	lock.Unlock()
}

// holds reports whether a profile in pprof's format names the function.
func holds(t *testing.T, profile []byte, function string) bool {
	t.Helper()
	unzipped, err := gzip.NewReader(bytes.NewReader(profile))
	if err != nil {
		t.Fatalf("%v: %.200s", err, profile)
	}
	plain, err := io.ReadAll(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Contains(plain, []byte(function))
}

// The rates at which contention is sampled are the process's. One who takes a short
// profile must not end another's sampling.
func TestBlockedGoroutinesAreSampledWhileSomebodyAsks(t *testing.T) {
	s := profiled(t)
	defer fightOverALock(t)()
	rates := make(map[int]int) // by rate, how often it was set
	set := blockSampling.set
	defer func() { blockSampling.set = set }()
	blockSampling.set = func(rate int) { rates[rate]++; set(rate) }
	var all sync.WaitGroup
	for _, seconds := range []string{"1", "4", "2"} {
		all.Go(func() {
			status, body, err := ask(t.Context(), s, "block?seconds="+seconds)
			if err != nil || status != 200 {
				t.Errorf("%d %.200s %v", status, body, err)
			} else if !holds(t, body, "holdTheLock") {
				t.Errorf("of %s seconds: it does not show who waits for a lock", seconds)
			}
		})
	}
	all.Wait()
	blockSampling.mu.Lock()
	defer blockSampling.mu.Unlock()
	if blockSampling.users != 0 || rates[0] != rates[blockRate] || rates[0] == 0 {
		t.Errorf("there are %d users in the end; rates were set %v times", blockSampling.users, rates)
	}
}

func TestAProfileOfBlockedGoroutinesThatIsGivenUpEndsTheSampling(t *testing.T) {
	s := profiled(t)
	ctx, hangUp := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _, _ = ask(ctx, s, "block?seconds=300")
	}()
	users := func() int {
		blockSampling.mu.Lock()
		defer blockSampling.mu.Unlock()
		return blockSampling.users
	}
	until(t, func() bool { return users() == 1 })
	hangUp()
	<-ended
	until(t, func() bool { return users() == 0 })
}

func TestWaitsForLocksAreSampledWhileSomeNodeServesProfiles(t *testing.T) {
	rate := func() int { return runtime.SetMutexProfileFraction(-1) }
	if rate() != 0 {
		t.Fatal("they are sampled before anybody wants it")
	}
	s, other := profiled(t), new(Profiling)
	other.Set(true)
	other.Set(true)
	other.Set(false)
	if rate() != mutexFraction {
		t.Fatalf("one of two nodes serves profiles, and the rate is %d", rate())
	}
	defer fightOverALock(t)()
	for _, query := range []string{"?seconds=4", ""} {
		if status, body, err := ask(t.Context(), s, "mutex"+query); err != nil || status != 200 || !holds(t, body, "holdTheLock") {
			t.Errorf("mutex%s does not show who fights over a lock: %d %v", query, status, err)
		}
	}
	before := rate()
	t.Run("of one more", func(t *testing.T) { profiled(t) })
	if rate() != before {
		t.Errorf("a node that ended took the rate from %d to %d", before, rate())
	}
}
