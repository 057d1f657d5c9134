package lookup

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestAnAnswerIsFoundMissedOrFailedByItsStatusAndForm(t *testing.T) {
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("u") {
		case "ann":
			_, _ = io.WriteString(w, ` {"ok": true}`)
		case "created":
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `1`)
		case "nobody":
			http.NotFound(w, r)
		case "nothing":
			w.WriteHeader(http.StatusNoContent)
		case "empty":
		case "garbage":
			_, _ = io.WriteString(w, "<html>\x00\xff")
		case "huge":
			_, _ = io.WriteString(w, `"`+strings.Repeat("x", 100)+`"`)
		case "away":
			http.Redirect(w, r, "/?u=ann", http.StatusFound)
		default:
			w.WriteHeader(http.StatusForbidden)
		}
	})
	spec := get(srv.URL + "/?u=${user}")
	spec.MaxBytes = 100
	l := started(t, spec, Deps{})
	expect(t, l, said("ann"), Found, ` {"ok": true}`)
	expect(t, l, said("created"), Found, `1`)
	expect(t, l, said("nobody"), Missed, "")
	expect(t, l, said("nothing"), Missed, "")
	expect(t, l, said(""), Missed, "")
	for user, cause := range map[string]string{"empty": CauseJSON, "garbage": CauseJSON, "huge": "too_big", "away": "redirect", "bob": CauseStatus} {
		expectCause(t, l, said(user), cause)
	}
	s := l.Stats()
	for word, n := range map[string]uint64{"found": 2, "missed": 2, "absent": 1, "cached": 0, CauseJSON: 2, "too_big": 1, "redirect": 1, CauseStatus: 1} {
		if s.Results[word] != n {
			t.Errorf("%s is counted %d times, want %d", word, s.Results[word], n)
		}
	}
	if len(s.Results) != len(Causes())+5 || s.InFlight != 0 || s.Breaker != "closed" || s.Target != srv.URL {
		t.Errorf("stats %+v", s)
	}
	spec.Format = "bytes"
	l = started(t, spec, Deps{})
	expect(t, l, said("garbage"), Found, "<html>\x00\xff")
	expect(t, l, said("empty"), Found, "")
}

func TestAGetHasItsURLAndItsHeaders(t *testing.T) {
	seen := make(chan *http.Request, 1)
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		seen <- r
		_, _ = io.WriteString(w, `1`)
	})
	spec := Spec{HTTP: &HTTP{URL: srv.URL + "/v1/${kind}/${room}?u=${user}&l=${claims.level}&a=${claims.admin}&r=${remote}&c=${conn}&h=${hook}",
		Headers: map[string]string{"authorization": "Bearer abc"}}, Hooks: []string{"message"}}
	expect(t, started(t, spec, Deps{}), said(`a/b c?&#+%"`+"\n"), Found, "1")
	r := <-seen
	if want := "/v1/room/chat%3Alobby?u=a%2Fb%20c%3F%26%23%2B%25%22%0A&l=7&a=false&r=192.0.2.1&c=7f&h=message"; r.RequestURI != want {
		t.Errorf("asked for %s\nwant      %s", r.RequestURI, want)
	}
	if r.Header.Get("Authorization") != "Bearer abc" || r.Header.Get("User-Agent") != "sluice" || r.Header.Get("Accept") != "application/json" {
		t.Errorf("headers %v", r.Header)
	}
}

func TestAPostSendsTheEvent(t *testing.T) {
	bodies := make(chan string, 2)
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		text, _ := io.ReadAll(r.Body)
		bodies <- r.Header.Get("Content-Type") + " " + string(text)
		_, _ = io.WriteString(w, `1`)
	})
	l := started(t, Spec{HTTP: &HTTP{URL: srv.URL, Method: "POST"}}, Deps{})
	expect(t, l, said("ann \"<\xff"), Found, "1")
	want := `application/json {"hook":"message","kind":"room","time":1700000000123,"conn":"7f","seq":3,"user":"ann \"<\ufffd","room":"chat:lobby","target":"",` +
		`"claims":{"role":"guest","level":7,"admin":false,"teams":["a"],"none":null},"remote":"192.0.2.1","payload":{"text":"hello"},"request":null}`
	if got := <-bodies; got != want {
		t.Errorf("sent %s\nwant %s", got, want)
	}
	connect := &Event{Hook: "connect", Kind: "new", Request: &Request{Path: "/ws", Host: "chat.example.org", Headers: map[string][]string{"x-device": {"a", "b"}}}}
	expect(t, l, connect, Found, "1")
	got := <-bodies
	if want := `"claims":null,"remote":"","payload":null,"request":{"path":"/ws","host":"chat.example.org","origin":"","headers":{"x-device":["a","b"]},"query":{},"cookies":{}}}`; !strings.HasSuffix(got, want) {
		t.Errorf("sent %s\nwant %s", got, want)
	}
	if !json.Valid([]byte(strings.TrimPrefix(got, "application/json "))) {
		t.Errorf("%s is not JSON", got)
	}
	if s := l.Stats(); s.Results["found"] != 2 || s.Entries != 0 {
		t.Errorf("answers without a key are kept: %+v", s)
	}
}

func TestAnswersToPostsAreKeptByTheirKeyAndHook(t *testing.T) {
	var asked atomic.Int64
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, asked.Add(1)) })
	l := started(t, Spec{HTTP: &HTTP{URL: srv.URL, Method: "POST", Key: "${user}${claims.role}"}, TTL: time.Minute}, Deps{})
	with := func(hook, user, role string) *Event {
		return &Event{Hook: hook, User: user, Claims: fmt.Appendf(nil, `{"role":%q}`, role)}
	}
	expect(t, l, with("message", "ab", "c"), Found, "1")
	expect(t, l, with("message", "ab", "c"), Found, "1")
	expect(t, l, with("message", "a", "bc"), Found, "2") // another user, whose key reads alike
	expect(t, l, with("connect", "ab", "c"), Found, "3") // to which the answer may be another
	if s := l.Stats(); s.Results["cached"] != 1 || s.Entries != 3 {
		t.Errorf("%+v", s)
	}
}

func TestAnAnswerIsKeptForItsTimeByTheClockOfTheHost(t *testing.T) {
	var asked atomic.Int64
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if n := asked.Add(1); r.URL.Path == "/ann" {
			fmt.Fprint(w, n)
		} else {
			http.NotFound(w, r)
		}
	})
	c := &clock{now: time.Unix(0, 0)}
	spec := get(srv.URL + "/${user}")
	spec.TTL, spec.MissTTL = 10*time.Second, 2*time.Second
	l := started(t, spec, Deps{Now: c.Now})
	expect(t, l, said("ann"), Found, "1")
	expect(t, l, said("bob"), Missed, "")
	c.add(2*time.Second - 1)
	expect(t, l, said("bob"), Missed, "")
	c.add(1)
	expect(t, l, said("bob"), Missed, "") // asked anew
	c.add(8*time.Second - 1)
	expect(t, l, said("ann"), Found, "1")
	c.add(1)
	expect(t, l, said("ann"), Found, "4")
	if n := asked.Load(); n != 4 {
		t.Errorf("asked %d times, want 4", n)
	}
}

func TestAFailureIsNotKept(t *testing.T) {
	var asked atomic.Int64
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == 1 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		fmt.Fprint(w, "1")
	})
	spec := get(srv.URL + "/${user}")
	spec.TTL = time.Hour
	l := started(t, spec, Deps{})
	expectCause(t, l, said("ann"), CauseStatus)
	expect(t, l, said("ann"), Found, "1")
}

func TestAThousandEqualQuestionsAtOneTimeAreOneRequest(t *testing.T) {
	for _, ttl := range []time.Duration{0, time.Hour} {
		var asked atomic.Int64
		hang := make(chan struct{})
		srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			<-hang
			fmt.Fprint(w, "1")
		})
		spec := get(srv.URL + "/${user}")
		spec.TTL, spec.Timeout = ttl, MaxTimeout
		l := started(t, spec, Deps{})
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() { expect(t, l, said("ann"), Found, "1") })
		}
		for { // until all but the one that asks share its question
			l.mu.Lock()
			f := l.flights[srv.URL+"/ann"]
			l.mu.Unlock()
			if f != nil && l.waiting.Load() == 999 {
				break
			}
			time.Sleep(time.Millisecond)
		}
		close(hang)
		all.Wait()
		if s := l.Stats(); asked.Load() != 1 || s.Results["found"] != 1 || s.Results["shared"] != 999 {
			t.Errorf("ttl %v: asked %d times: %+v", ttl, asked.Load(), s)
		}
		expect(t, l, said("ann"), Found, "1")
		if want := map[bool]int64{true: 1, false: 2}[ttl > 0]; asked.Load() != want {
			t.Errorf("ttl %v: asked %d times, want %d", ttl, asked.Load(), want)
		}
	}
}

func TestTheCacheIsBoundedInEntriesAndBytes(t *testing.T) {
	value := strings.Repeat("x", 4000)
	redis := &store{keys: map[string]string{}}
	l := started(t, Spec{Redis: &Redis{Key: "${user}"}, TTL: time.Hour}, Deps{Redis: redis})
	for i := range 12_000 {
		user := fmt.Sprint("user", i)
		redis.keys[user] = "x"
		expect(t, l, said(user), Found, "x")
	}
	if s := l.Stats(); s.Entries != maxEntries || s.Bytes > maxCacheBytes {
		t.Errorf("%d entries of %d bytes", s.Entries, s.Bytes)
	}
	for i := range 10_000 {
		user := fmt.Sprint("large", i)
		redis.keys[user] = value
		expect(t, l, said(user), Found, value)
		if s := l.Stats(); s.Bytes > maxCacheBytes || s.Bytes < 0 {
			t.Fatalf("%d entries of %d bytes", s.Entries, s.Bytes)
		}
	}
	s := l.Stats()
	if want := maxCacheBytes / (4000 + entryBytes + len("large9999")); s.Entries < want-1 || s.Entries > want+1 {
		t.Errorf("%d large entries are kept, want about %d", s.Entries, want)
	}
	before := len(redis.asked)
	expect(t, l, said("large9999"), Found, value)
	if len(redis.asked) != before {
		t.Error("what was used last is not kept")
	}
	l.cache.lru.Purge()
	if l.cache.bytes != 0 {
		t.Errorf("an empty cache has %d bytes", l.cache.bytes)
	}
}

func TestMoreQuestionsThanMayBeOnTheirWayWaitTheirTurnAndThenFailAsBusy(t *testing.T) {
	redis := &store{keys: map[string]string{"ann": "1"}, hang: make(chan struct{})}
	l := started(t, Spec{Redis: &Redis{Key: "${user}"}, Concurrency: 1, Timeout: 10 * time.Second}, Deps{Redis: redis})
	var all sync.WaitGroup
	all.Go(func() { expect(t, l, said("ann"), Found, "1") })
	for l.Stats().InFlight == 0 {
		time.Sleep(time.Millisecond)
	}
	all.Go(func() { expect(t, l, said("bob"), Missed, "") }) // comes in time
	close(redis.hang)
	all.Wait()

	redis.hang = make(chan struct{})
	short := started(t, Spec{Redis: &Redis{Key: "${user}"}, Concurrency: 1, Timeout: 50 * time.Millisecond}, Deps{Redis: redis})
	short.turns <- struct{}{} // a question that is on its way for longer
	expectCause(t, short, said("bob"), CauseBusy)
	if len(redis.asked) != 2 {
		t.Errorf("asked for %v", redis.asked)
	}
	<-short.turns
}

func TestASlowAnswerIsATimeOut(t *testing.T) {
	redis := &store{hang: make(chan struct{})}
	l := started(t, Spec{Redis: &Redis{Key: "${user}"}, Timeout: 20 * time.Millisecond}, Deps{Redis: redis})
	expectCause(t, l, said("ann"), "timeout")
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	spec := get(srv.URL + "/${user}")
	spec.Timeout = 20 * time.Millisecond
	expectCause(t, started(t, spec, Deps{}), said("ann"), "timeout")
}

func TestATargetThatIsDownOrForbiddenIsAFailure(t *testing.T) {
	srv := serve(t, http.NotFound)
	srv.Close()
	expectCause(t, started(t, get(srv.URL+"/${user}"), Deps{}), said("ann"), "connect")
}

func TestTheBreakerOpensAfterFailuresInARowAndClosesAfterAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, status := 0, http.StatusInternalServerError
		transport := roundTripper(func(*http.Request) (*http.Response, error) {
			asked++
			return answer(status, "1"), nil
		})
		spec := get("https://policy.example.org/${user}")
		spec.HTTP.Breaker, spec.HTTP.RetryAfter = 3, time.Minute
		l := New(planned(t, spec), Deps{Transport: transport})
		defer l.Close()
		for range 3 {
			expectCause(t, l, said("ann"), CauseStatus)
		}
		for range 10 {
			expectCause(t, l, said("ann"), CauseOpen)
		}
		if s := l.Stats(); asked != 3 || s.Breaker != "open" || s.Results[CauseOpen] != 10 {
			t.Errorf("asked %d times: %+v", asked, s)
		}
		time.Sleep(time.Minute + 1) // virtual
		expectCause(t, l, said("ann"), CauseStatus)
		expectCause(t, l, said("ann"), CauseOpen)
		status = http.StatusOK
		time.Sleep(time.Minute + 1)
		expect(t, l, said("ann"), Found, "1")
		expect(t, l, said("ann"), Found, "1")
		if s := l.Stats(); asked != 6 || s.Breaker != "closed" {
			t.Errorf("asked %d times: %+v", asked, s)
		}
	})
}

// Otherwise whoever can choose a name could have everybody refused.
func TestRefusalsOfOneQuestionDoNotOpenTheBreaker(t *testing.T) {
	texts := map[string]*http.Response{}
	transport := roundTripper(func(r *http.Request) (*http.Response, error) { return texts[r.URL.Path], nil })
	spec := get("https://policy.example.org/${user}")
	spec.HTTP.Breaker, spec.MaxBytes = 1, 10
	l := started(t, spec, Deps{Transport: transport})
	for range 5 {
		texts["/a"], texts["/b"], texts["/c"], texts["/d"] = answer(400, ""), answer(302, ""), answer(200, "<>"), answer(200, strings.Repeat("1", 11))
		expectCause(t, l, said("a"), CauseStatus)
		expectCause(t, l, said("b"), "redirect")
		expectCause(t, l, said("c"), CauseJSON)
		expectCause(t, l, said("d"), "too_big")
		expectCause(t, l, said(".."), CauseTemplate)
	}
	texts["/a"] = answer(200, "1")
	expect(t, l, said("a"), Found, "1")
}

func TestCloseEndsWhatIsOnItsWayAndWaitsForIt(t *testing.T) {
	arrived := make(chan struct{})
	srv := serve(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})
	spec := get(srv.URL + "/${user}")
	spec.Timeout = MaxTimeout
	l := New(planned(t, spec), Deps{})
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() { expectCause(t, l, said("ann"), "canceled") })
	}
	<-arrived
	l.Close()
	if n := l.Stats().InFlight; n != 0 {
		t.Errorf("Close has returned, and %d questions are on their way", n)
	}
	all.Wait()
	expectCause(t, l, said("bob"), "canceled")
	l.Close()
}

func TestNoErrorSaysWhatMayBeSecret(t *testing.T) {
	const hidden = "hidden"
	for _, status := range []int{400, 302, 500, 200} {
		transport := roundTripper(func(*http.Request) (*http.Response, error) { return answer(status, hidden), nil })
		spec := Spec{HTTP: &HTTP{URL: "https://me:hidden@policy.example.org/hidden?token=hidden&u=${user}", Headers: map[string]string{"X": hidden}}}
		r := started(t, spec, Deps{Transport: transport}).Resolve(said("hidden"))
		if r.Status != Failed || strings.Contains(r.Err.Error(), hidden) || !strings.Contains(r.Err.Error(), "policy.example.org") {
			t.Errorf("status %d: %v", status, r.Err)
		}
	}
	redis := &store{err: fmt.Errorf("password %s", hidden)}
	if r := started(t, Spec{Redis: &Redis{Key: "${user}"}}, Deps{Redis: redis}).Resolve(said(hidden)); r.Status != Failed || strings.Contains(r.Err.Error(), hidden) {
		t.Errorf("%+v", r)
	}
}

func TestARedisValueIsFoundMissedOrTooBig(t *testing.T) {
	redis := &store{keys: map[string]string{"banned:ann": "spam", "banned:a%3Ab%25": "1", "banned:big": strings.Repeat("x", 11), "banned:empty": ""}}
	l := started(t, Spec{Redis: &Redis{Key: "banned:${user}"}, MaxBytes: 10}, Deps{Redis: redis})
	expect(t, l, said("ann"), Found, "spam")
	expect(t, l, said("a:b%"), Found, "1")
	expect(t, l, said("empty"), Found, "")
	expect(t, l, said("bob"), Missed, "")
	expectCause(t, l, said("big"), "too_big")
	asJSON := started(t, Spec{Redis: &Redis{Key: "banned:${user}"}, Format: "json"}, Deps{Redis: redis})
	expectCause(t, asJSON, said("ann"), CauseJSON)
}
