package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"sluice/router"
)

func TestAMessageOfTheAPIReachesTheClientsOfEveryNode(t *testing.T) {
	s := newService(t)
	ann, bob := s.as(t, 0, "ann", "lobby"), s.as(t, 1, "bob", "lobby")
	var p published
	s.post(t, "publish", `{"room":"lobby","content":{"text":"hello"},"from":"news","info":{"name":"News"}}`, &p)
	for _, c := range []*client{ann, bob} {
		e := c.until("chat")
		if e["from"] != "news" || e["message_id"] != p.MessageID || e["offset"] != float64(p.Offset) || fmt.Sprint(e["content"]) != "map[text:hello]" || fmt.Sprint(e["info"]) != "map[name:News]" {
			t.Errorf("got %v, answered %+v", e, p)
		}
	}
	if p.Room != "lobby" || p.Offset != 1 || p.Epoch == "" {
		t.Errorf("answered %+v", p)
	}
	s.post(t, "direct", `{"user":"bob","content":1}`, &p)
	if e := bob.until("chat"); e["direct"] != true || e["from"] != "server" {
		t.Errorf("got %v", e)
	}
	s.post(t, "broadcast", `{"content":2}`, &p)
	for _, c := range []*client{ann, bob} {
		if e := c.until("chat"); e["content"] != 2.0 {
			t.Errorf("got %v", e)
		}
	}
}

func TestTheContentIsSentByteForByte(t *testing.T) {
	s := newService(t)
	content := `{ "b":1.50,	"a":"é é \/","b":1e400 }`
	var p published
	s.post(t, "publish", `{"content":`+content+`,"room":"lobby"}`, &p)
	page, err := s.nodes[1].RoomHistory(t.Context(), "lobby", router.HistoryQuery{Limit: 1})
	if err != nil || len(page.Messages) != 1 || string(page.Messages[0].Content) != content {
		t.Errorf("got %+v, %v", page, err)
	}
}

func TestAKeySendsAMessageOnce(t *testing.T) {
	s := newService(t)
	var first, again published
	s.post(t, "publish", `{"room":"lobby","content":1}`, &first, "Idempotency-Key", "k")
	s.post(t, "publish", `{"room":"lobby","content":1,"key":"k"}`, &again)
	if first.Repeated || !again.Repeated || again.MessageID != first.MessageID || again.Offset != first.Offset {
		t.Errorf("first %+v, then %+v", first, again)
	}
	s.refused(t, 400, "bad_request", "POST", "/api/publish", `{"room":"lobby","content":1,"key":"k"}`, "Idempotency-Key", "l")
	s.refused(t, 400, "bad_request", "POST", "/api/direct", `{"user":"ann","content":1}`, "Idempotency-Key", strings.Repeat("k", 129))

	// Over several rooms it is a key for each, and in a batch for each command.
	type answers struct{ Results []struct{ Answer published } }
	for repeated := range 2 {
		var rooms answers
		s.post(t, "publish", `{"rooms":["a","b"],"content":1,"key":"k"}`, &rooms)
		for _, r := range rooms.Results {
			if r.Answer.Repeated != (repeated == 1) || r.Answer.Offset != 1 {
				t.Errorf("got %+v", rooms)
			}
		}
	}
	batch := `{"commands":[{"publish":{"room":"c","content":1}},{"publish":{"room":"c","content":1}},{"publish":{"room":"c","content":1,"key":"own"}}]}`
	for repeated := range 2 {
		var rooms answers
		s.post(t, "batch", batch, &rooms, "Idempotency-Key", "k")
		for i, r := range rooms.Results {
			if r.Answer.Repeated != (repeated == 1) || r.Answer.Offset != uint64(i+1) {
				t.Errorf("got %+v", rooms)
			}
		}
	}
	s.refused(t, 400, "bad_request", "POST", "/api/batch", batch, "Idempotency-Key", strings.Repeat("k", 124))
}

func TestTheCommandsOfABatchAreCarriedOutInTheirOrderEachByItself(t *testing.T) {
	s := newService(t)
	ann := s.as(t, 1, "ann", "lobby")
	var commands []string
	for i := range 200 {
		commands = append(commands, fmt.Sprintf(`{"publish":{"room":"lobby","content":%d}}`, i))
	}
	bad := []string{`{}`, `7`, `{"publish":{"room":"lobby","content":1},"info":{}}`, `{"batch":{"commands":[]}}`, `{"publish":{"room":"lobby"}}`,
		`{"publish":{"room":"lobby","content":1,"room":"x"}}`, `{"info":null}`, `{"presence":{"room":"plain:1"}}`}
	body := `{"commands":[` + strings.Join(append(slices.Insert(commands, 100, bad...), `{"info":{}}`), ",") + `]}`
	var all results
	s.post(t, "batch", body, &all)
	if len(all.Results) != 209 || all.Failed != len(bad) {
		t.Fatalf("%d results, %d failed", len(all.Results), all.Failed)
	}
	for i, r := range all.Results {
		if failed := i >= 100 && i < 100+len(bad); failed != (r.Error != nil) || failed == (r.Answer != nil) {
			t.Errorf("command %d: %+v", i, r)
		}
	}
	if code := all.Results[107].Error.Code; code != "unsupported" {
		t.Errorf("the last bad one is refused as %s", code)
	}
	for i := range 200 {
		if e := ann.until("chat"); e["content"] != float64(i) {
			t.Fatalf("message %d is %v", i, e)
		}
	}
}

func TestABatchThatTakesTooLongIsAnsweredWithWhatWasNotBegun(t *testing.T) {
	o := Options{Router: newService(t).nodes[0]}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	one := o.one(ctx, json.RawMessage(`{"broadcast":{"content":1}}`), "", false, newAPICounts())
	if one.Error == nil || one.Error.Code != "unavailable" || !strings.Contains(one.Error.Reason, "not begun") {
		t.Errorf("got %+v", one)
	}
}

func TestABatchReadsNoMoreThanFitsIntoAnAnswer(t *testing.T) {
	s := newService(t)
	for range 20 {
		s.post(t, "publish", `{"room":"lobby","content":"`+strings.Repeat("x", 60<<10)+`"}`, new(published))
	}
	commands := strings.Repeat(`{"history":{"room":"lobby"}},`, 30) + `{"publish":{"room":"lobby","content":1}}`
	var all results
	s.post(t, "batch", `{"commands":[`+commands+`]}`, &all)
	size := 0
	for i, r := range all.Results[:30] {
		if size += len(r.Answer); (i < 10) != (r.Error == nil) && (i < 10 || i > 25) {
			t.Errorf("command %d: %+v", i, r.Error)
		}
		if r.Error != nil && (r.Error.Code != "too_large" || size < maxBatchAnswers) {
			t.Errorf("command %d after %d bytes: %+v", i, size, r.Error)
		}
	}
	if all.Results[30].Error != nil || size > maxBatchAnswers+2<<20 {
		t.Errorf("%d bytes; the message: %+v", size, all.Results[30].Error)
	}
}

func TestABatchWhoseAnswersAreFullSendsToNoFurtherListsOfRooms(t *testing.T) {
	o := Options{Router: newService(t).nodes[0]}
	one := o.one(t.Context(), json.RawMessage(`{"publish":{"rooms":["a","b"],"content":1}}`), "", true, newAPICounts())
	if one.Error == nil || one.Error.Code != "too_large" {
		t.Errorf("got %+v", one)
	}
	if sent := o.Router.Stats().Published["room"]; sent != 0 {
		t.Errorf("%d were sent", sent)
	}
}

func TestOrdersOfTheAPIReachEveryNode(t *testing.T) {
	s := newService(t)
	ann, bob := s.as(t, 1, "ann", "lobby", "other"), s.as(t, 1, "bob")
	var o ordered
	s.post(t, "unsubscribe", `{"user":"ann","room":"lobby","reason":"closed"}`, &o)
	if e := ann.until("left"); e["room"] != "lobby" || e["reason"] != "closed" || o.OrderID == "" {
		t.Errorf("got %v, answered %+v", e, o)
	}
	s.post(t, "unsubscribe", `{"user":"ann","all_rooms":true}`, &o)
	if e := ann.until("left"); e["room"] != "other" {
		t.Errorf("got %v", e)
	}
	s.post(t, "disconnect", `{"user":"ann","for":"1h","reason":"bye"}`, &o)
	ann.closedWith(4003)
	resp, err := http.Get(s.clients[1].URL + "/ws?client_id=ann")
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode == http.StatusSwitchingProtocols {
		t.Errorf("she is let in again: %d %s", resp.StatusCode, body)
	}
	s.post(t, "disconnect", `{"user":"bob","node":"n1"}`, &o)
	s.post(t, "direct", `{"user":"bob","content":1}`, new(published))
	bob.until("chat")
}

func TestReloadIsForThisNodeOrForAll(t *testing.T) {
	s := newService(t)
	var here struct{ Generation uint64 }
	for _, body := range []string{``, `{}`, `{"everywhere":false}`} {
		s.post(t, "reload", body, &here)
		if here.Generation != 7 {
			t.Errorf("answered %+v", here)
		}
	}
	var o ordered
	s.post(t, "reload", `{"everywhere":true}`, &o)
	for i, loads := range s.reloads {
		eventually(t, "each node has reloaded", func() bool { return loads.everywhere.Load() == 1 })
		if want := []int64{3, 0}[i]; loads.here.Load() != want {
			t.Errorf("node %d reloaded %d times by itself, want %d", i+1, loads.here.Load(), want)
		}
	}
	if o.OrderID == "" {
		t.Error("there is no order id")
	}
}

func TestWhoIsWhereAndWhatWasSaidIsReadInPages(t *testing.T) {
	s := newService(t)
	for i, user := range []string{"ann", "ann", "bob"} {
		s.as(t, i%2, user, "lobby", "chat:"+user)
	}
	for i := range 5 {
		s.post(t, "publish", fmt.Sprintf(`{"room":"lobby","content":%d}`, i), new(published))
	}
	var who presencePage
	s.get(t, "/api/presence?room=lobby&limit=1", &who)
	if who.Total != 2 || len(who.Users) != 1 || who.Users[0].User != "ann" || who.Users[0].Connections != 2 || who.Cursor == "" {
		t.Errorf("got %+v", who)
	}
	next := who.Cursor
	who = presencePage{}
	s.get(t, "/api/presence?room=lobby&limit=1&cursor="+next, &who)
	if len(who.Users) != 1 || who.Users[0].User != "bob" || who.Cursor != "" {
		t.Errorf("got %+v", who)
	}
	var newest, before, after historyPage
	s.get(t, "/api/history?room=lobby&limit=2", &newest)
	if contents(newest) != "3 4" || newest.Offset != 5 || !newest.More || newest.Epoch == "" {
		t.Errorf("got %+v", newest)
	}
	s.get(t, fmt.Sprintf("/api/history?room=lobby&limit=2&before=%d", newest.Messages[0].Offset), &before)
	if contents(before) != "1 2" || !before.More {
		t.Errorf("got %+v", before)
	}
	s.get(t, fmt.Sprintf("/api/history?room=lobby&epoch=%s&offset=2", newest.Epoch), &after)
	if contents(after) != "2 3 4" || after.More || !after.Gapless {
		t.Errorf("got %+v", after)
	}
	var some, rest roomsPage
	s.get(t, "/api/rooms?limit=2", &some)
	s.get(t, "/api/rooms?limit=2&cursor="+some.Cursor, &rest)
	if got := append(some.Rooms, rest.Rooms...); !slices.Equal(got, []string{"chat:ann", "chat:bob", "lobby"}) || rest.Cursor != "" {
		t.Errorf("got %q", got)
	}
	var nodes infoAnswer
	s.get(t, "/api/info", &nodes)
	if nodes.Node != "n1" || len(nodes.Nodes) != 2 || nodes.Nodes[1].ID != "n2" || nodes.Nodes[0].Connections != 2 || nodes.Nodes[1].Version != "test" {
		t.Errorf("got %+v", nodes)
	}
	var empty historyPage
	s.get(t, "/api/history?room=silent", &empty)
	if len(empty.Messages) != 0 || empty.More {
		t.Errorf("got %+v", empty)
	}
	if _, text, _ := s.call(t, "GET", "/api/presence?room=silent", nil); !strings.Contains(string(text), `"users":[]`) {
		t.Errorf("an empty list is %s", text)
	}
}

func contents(p historyPage) string {
	var all []string
	for _, m := range p.Messages {
		all = append(all, string(m.Content))
	}
	return strings.Join(all, " ")
}

// away is a broker that can be made to be away.
type away struct {
	router.Broker
	err error // static
}

func (b *away) Publish(context.Context, *router.Message) (router.Receipt, error) {
	return router.Receipt{}, b.err
}

func (b *away) Nodes(context.Context) ([]router.NodeInfo, error) { return nil, b.err }

func TestWhileTheBrokerIsAwayRequestsAreAskedToComeBack(t *testing.T) {
	s := newService(t, func(o *router.Options, _ *router.Generation, _ *Options) {
		o.Broker = &away{o.Broker, fmt.Errorf("shard 2 does not answer: %w", router.ErrUnavailable)}
	})
	for _, c := range []struct{ method, path, body string }{
		{"POST", "/api/publish", `{"room":"a","content":1}`},
		{"POST", "/api/broadcast", `{"content":1}`},
		{"POST", "/api/disconnect", `{"user":"ann"}`},
		{"POST", "/api/reload", `{"everywhere":true}`},
		{"GET", "/api/info", ""},
	} {
		var body any
		if c.body != "" {
			body = c.body
		}
		reason, h := s.refused(t, 503, "unavailable", c.method, c.path, body)
		if h.Get("Retry-After") != "1" || !strings.Contains(reason, "shard 2 does not answer") || !strings.Contains(reason, "try again") {
			t.Errorf("%s: %q, Retry-After %q", c.path, reason, h.Get("Retry-After"))
		}
	}
	var all results
	s.post(t, "batch", `{"commands":[{"broadcast":{"content":1}},{"rooms":{}}]}`, &all)
	if all.Failed != 1 || all.Results[0].Error.RetryAfterMS != 1000 || all.Results[1].Error != nil {
		t.Errorf("got %+v", all)
	}
}

func TestNoWebPageCanPost(t *testing.T) {
	s := newService(t, func(_ *router.Options, _ *router.Generation, a *Options) { a.Loopback = true })
	body := `{"content":1}`
	for _, headers := range [][]string{
		{"Content-Type", "text/plain"},
		{"Content-Type", "application/x-www-form-urlencoded"},
		{"Content-Type", ""},
	} {
		s.refused(t, 415, "bad_request", "POST", "/api/broadcast", body, headers...)
	}
	s.refused(t, 403, "forbidden", "POST", "/api/broadcast", body, "Origin", "https://evil.example")
	s.refused(t, 403, "forbidden", "POST", "/api/broadcast", body, "Sec-Fetch-Site", "cross-site")
	s.post(t, "broadcast", body, new(published), "Content-Type", "application/json; charset=utf-8")
	if got := s.nodes[0].Stats().Published["broadcast"]; got != 1 {
		t.Errorf("%d were sent", got)
	}
}

func TestWhatTheAPISaysWentWrongSaysWhatToDo(t *testing.T) {
	s := newService(t)
	for _, c := range []struct{ path, body, says string }{
		{"publish", ``, "not valid JSON"},
		{"publish", `[]`, "must be an object with room, rooms, content"},
		{"publish", `{"room":"a","contents":1}`, `unknown field "contents"; known are room, rooms, content, from, info, key`},
		{"publish", `{"room":"a","content":1,"content":2}`, "content is there twice"},
		{"publish", `{"room":"a","content":1}{}`, "something follows"},
		{"publish", `{"room":"\ud83d","content":1}`, "room must be a string"},
		{"publish", `{"room":"a` + "\\n" + `","content":1}`, "room contains the control character U+000A"},
		{"publish", `{"rooms":["a","b","a"],"content":1}`, `rooms names "a" twice`},
		{"publish", `{"content":1}`, "name one room with room, or several with rooms"},
		{"publish", `{"room":"a","content":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, "nested deeper than 64"},
		{"direct", `{"user":null,"content":1}`, "user must be a string"},
		{"disconnect", `{"user":"a","for":"-1h"}`, `for must be a duration such as "90s"`},
		{"disconnect", `{"user":"a","until":"2001-01-01T00:00:00Z"}`, "until is 2001-01-01T00:00:00Z, which has passed"},
		{"batch", `{"commands":{}}`, "commands must be a list"},
	} {
		reason, _ := s.refused(t, 400, "bad_request", "POST", "/api/"+c.path, c.body)
		if !strings.Contains(reason, c.says) {
			t.Errorf("%s %s: %q does not say %q", c.path, c.body, reason, c.says)
		}
	}
	reason, _ := s.refused(t, 400, "bad_request", "POST", "/api/broadcast?room=a", `{"content":1}`)
	if !strings.Contains(reason, "body") {
		t.Errorf("a parameter of a POST: %q", reason)
	}
	rooms, _ := json.Marshal(slices.Collect(func(yield func(string) bool) {
		for i := range maxRooms + 1 {
			if !yield(fmt.Sprint("r", i)) {
				return
			}
		}
	}))
	if reason, _ = s.refused(t, 400, "bad_request", "POST", "/api/publish", `{"content":1,"rooms":`+string(rooms)+`}`); !strings.Contains(reason, "1000 are allowed") {
		t.Errorf("too many rooms: %q", reason)
	}
	big := `{"content":1,"room":"` + strings.Repeat("r", 3<<20) + `"}`
	s.refused(t, 413, "too_large", "POST", "/api/publish", big)
	s.refused(t, 413, "too_large", "POST", "/api/batch", strings.Repeat(" ", 9<<20))
}

func TestRequestsAreCountedByOperationAndCode(t *testing.T) {
	s := newService(t, func(_ *router.Options, g *router.Generation, _ *Options) { g.Filters = new(verdicts) })
	s.post(t, "publish", `{"room":"a","content":1}`, new(published))
	s.refused(t, 400, "bad_request", "POST", "/api/publish", `{}`)
	s.refused(t, 403, "filter_1234", "POST", "/api/publish", `{"room":"deny 1234","content":1}`)
	s.post(t, "batch", `{"commands":[{"publish":{"room":"a","content":1}},{"direct":{}},{}]}`, new(results))
	_, text, _ := s.call(t, "GET", "/metrics", nil)
	for _, line := range []string{
		`sluice_api_requests_total{code="ok",operation="publish"} 2`,
		`sluice_api_requests_total{code="bad_request",operation="publish"} 1`,
		`sluice_api_requests_total{code="filter",operation="publish"} 1`,
		`sluice_api_requests_total{code="bad_request",operation="direct"} 1`,
		`sluice_api_requests_total{code="ok",operation="batch"} 1`,
		`sluice_api_requests_total{code="unavailable",operation="info"} 0`,
		`sluice_messages_published_total{kind="room"} 2`,
		`sluice_orders_total{order="disconnect"} 0`,
	} {
		if !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("no series %s", line)
		}
	}
	var stats struct {
		API map[string]map[string]uint64
	}
	s.get(t, "/stats", &stats)
	if stats.API["publish"]["ok"] != 2 || stats.API["publish"]["filter"] != 1 || len(stats.API) != len(operations)+1 {
		t.Errorf("got %v", stats.API)
	}
}

// Without the handler's own deadline the server's would end the request.
func TestARequestHasItsTimeWhateverTheListenersDeadlinesAre(t *testing.T) {
	goOn := make(chan struct{})
	s := newService(t, func(o *router.Options, _ *router.Generation, _ *Options) { o.Broker = &slow{o.Broker, goOn} })
	server := httptest.NewUnstartedServer(s.admins[0].Config.Handler)
	server.Config.ReadTimeout, server.Config.WriteTimeout = 50*time.Millisecond, 50*time.Millisecond
	server.Start()
	defer server.Close()
	timer := time.AfterFunc(500*time.Millisecond, func() { close(goOn) })
	defer timer.Stop()
	resp, err := http.Post(server.URL+"/api/broadcast", "application/json", strings.NewReader(`{"content":1}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("%d %s, %v", resp.StatusCode, body, err)
	}
}

// slow is a broker that takes its time to publish.
type slow struct {
	router.Broker
	goOn chan struct{}
}

func (b *slow) Publish(ctx context.Context, m *router.Message) (router.Receipt, error) {
	select {
	case <-b.goOn:
		return b.Broker.Publish(ctx, m)
	case <-ctx.Done():
		return router.Receipt{}, ctx.Err()
	}
}

func FuzzNoBodyHarmsTheAPI(f *testing.F) {
	for _, body := range []string{
		`{"room":"a","content":{"x":[1,2]},"from":"b","info":null,"key":"k"}`, `{"rooms":["a","b"],"content":1}`,
		`{"user":"a","until":"2100-01-01T00:00:00Z"}`, `{"user":"a","for":"1h","reason":"r"}`, `{"user":"\ud800\udc00","all_rooms":true}`,
		`{"commands":[{"publish":{"room":"a","content":1}},{"history":{"room":"a","limit":1}}]}`,
	} {
		for op := range uint8(6) {
			f.Add(op, body)
		}
	}
	s := newService(f)
	handler := s.admins[0].Config.Handler
	paths := []string{"/api/publish", "/api/broadcast", "/api/direct", "/api/disconnect", "/api/unsubscribe", "/api/batch"}
	d := readDescription(f)
	f.Fuzz(func(t *testing.T, op uint8, body string) {
		d.t = t
		path := paths[int(op)%len(paths)]
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8081"+path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if !json.Valid(w.Body.Bytes()) {
			t.Fatalf("%s %q is answered %s", path, body, w.Body)
		}
		d.check(path, "POST", w.Code, w.Header().Get("Content-Type"), w.Body.Bytes())
		// What is taken is as described; the commands of a batch are refused one by one.
		if w.Code == http.StatusOK && !strings.Contains(w.Body.String(), `"error"`) {
			if err := d.request(path, json.RawMessage(body)); err != nil {
				t.Errorf("%s %q is taken: %v", path, body, err)
			}
		}
	})
}
