package main_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sluice/router"
)

// question is what the backend of these tests is sent.
type question struct {
	Hook, Kind, User, Room string
	Payload                json.RawMessage
	Request                *struct {
		Path    string
		Headers map[string][]string
	}
}

// backend answers as one that was written for Centrifugo's proxy would.
func backend(w http.ResponseWriter, r *http.Request) {
	var q question
	body, err := io.ReadAll(r.Body)
	if err != nil || json.Unmarshal(body, &q) != nil {
		http.Error(w, "not an event", http.StatusBadRequest)
		return
	}
	answer := `{"result":{}}`
	switch {
	case q.Hook == "connect" && q.Request != nil && len(q.Request.Headers["x-session"]) == 1 && q.Request.Headers["x-session"][0] == "s1":
		answer = `{"result":{"user":"ann","info":{"name":"Ann"},"expire_at":4102444800,"channels":["chat:1"]}}`
	case q.Hook == "connect":
		answer = `{"error":{"code":101,"message":"unknown session"}}`
	case q.Hook == "join" && q.Room == "staff":
		answer = fmt.Sprintf(`{"error":{"code":103,"message":"%s may not"}}`, q.User)
	case q.Hook == "message" && string(q.Payload) == `"spam"`:
		answer = `{"disconnect":{"code":4008,"reason":"no spam"}}`
	case q.Hook == "message" && string(q.Payload) == `"missing"`:
		w.WriteHeader(http.StatusNotFound)
	case q.Hook == "message" && string(q.Payload) == `"broken"`:
		w.WriteHeader(http.StatusInternalServerError)
	case q.Hook == "message" && string(q.Payload) == `"garbage"`:
		answer = `<html>`
	case q.Hook == "message":
		answer = `{"result":{"data":{"was":` + string(q.Payload) + `}}}`
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, answer)
}

func TestARealBackendIsAskedOnConnectJoinAndMessage(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(backend))
	t.Cleanup(server.Close)
	spec := asks(server.URL + "/sluice")
	spec.Headers = []string{"X-Session"}
	chain := load(t, spec, nil)

	connect := func(session string) router.Verdict {
		request := httptest.NewRequest("GET", "/ws", nil)
		request.Header.Set("X-Session", session)
		return judge(t, chain, &router.Event{Hook: router.HookConnect, Kind: router.KindNew, Conn: 1, Seq: 1, Time: time.Now().UnixNano(), Request: request})
	}
	v := connect("s1")
	if v.Action != router.Continue || v.Identity == nil || v.Identity.User != "ann" || string(v.Identity.Info) != `{"name":"Ann"}` ||
		v.Identity.Grants == nil || v.Identity.Expires.Unix() != 4102444800 {
		t.Errorf("connect: %+v, %+v", v, v.Identity)
	}
	if v := connect("s2"); v.Action != router.Deny || v.Code != 401 || v.Reason != "unknown session" {
		t.Errorf("connect of a stranger: %+v", v)
	}
	for room, action := range map[string]router.Action{"chat:1": router.Continue, "staff": router.Deny} {
		v := judge(t, chain, &router.Event{Hook: router.HookJoin, Room: room, User: "ann", Conn: 1, Seq: 2})
		if v.Action != action || action == router.Deny && (v.Code != 403 || v.Reason != "ann may not") {
			t.Errorf("join of %s: %+v", room, v)
		}
	}
	if v := judge(t, chain, message(`"hi"`)); v.Action != router.Continue || string(v.Payload) != `{"was":"hi"}` {
		t.Errorf("message: %+v", v)
	}
	if v := judge(t, chain, message(`"spam"`)); v.Action != router.Disconnect || v.Code != 4008 || v.Reason != "no spam" {
		t.Errorf("spam: %+v", v)
	}
	for _, content := range []string{`"missing"`, `"broken"`, `"garbage"`} {
		if v := judge(t, chain, message(content)); v.Action != router.Deny || v.Code != 503 {
			t.Errorf("%s: %+v", content, v)
		}
	}
}

func TestABackendThatIsDownRefusesAndComesBack(t *testing.T) {
	var down atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if down.Load() {
			panic(http.ErrAbortHandler) // the connection breaks
		}
		backend(w, r)
	}))
	t.Cleanup(server.Close)
	spec := asks(server.URL)
	spec.Lookup.HTTP.Breaker = -1 // never opens, so that what is seen does not depend on time
	chain := load(t, spec, nil)
	for i := range 6 {
		down.Store(i%2 == 1)
		v := judge(t, chain, message(`"hi"`))
		if want := down.Load(); (v.Action == router.Deny) != want || want && v.Code != 503 {
			t.Errorf("round %d, down is %v: %+v", i, want, v)
		}
	}
}

func TestManyEventsAtOnceGetTheirOwnAnswers(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(backend))
	t.Cleanup(server.Close)
	chain := load(t, asks(server.URL), nil)
	var all sync.WaitGroup
	for i := range 32 {
		all.Add(1)
		go func() {
			defer all.Done()
			e := message(fmt.Sprint(i))
			e.Conn = uint64(i + 1)
			e.States = new([]router.State)
			if err := chain.Judge(e); err != nil || string(e.Verdict.Payload) != fmt.Sprintf(`{"was":%d}`, i) {
				t.Errorf("%d: %v, %+v", i, err, e.Verdict)
			}
		}()
	}
	all.Wait()
}

func TestAnswersAreKeptWhereTheEntrySaysSo(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		backend(w, r)
	}))
	t.Cleanup(server.Close)
	spec := asks(server.URL)
	spec.Config = []byte(`{"on":["join"]}`)
	spec.Lookup.Hooks = []string{"join"}
	spec.Lookup.HTTP.Key = "${user} ${room}"
	spec.Lookup.TTL = time.Hour
	chain := load(t, spec, nil)
	for _, room := range []string{"a", "b", "a", "b", "a", "staff", "staff"} {
		judge(t, chain, &router.Event{Hook: router.HookJoin, Room: room, User: "ann", Conn: 1, Seq: 2})
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("the backend was asked %d times, want 3: once for each room", n)
	}
	if v := judge(t, chain, message(`"hi"`)); v.Action != router.Continue || v.Payload != nil {
		t.Errorf("a message, which it is not asked about: %+v", v)
	}
}
