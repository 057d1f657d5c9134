package router_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sluice/router"
	"sluice/router/membroker"
	"sluice/router/wire"
)

// says is a message with the content.
func says(content string) *router.ServerMessage {
	return &router.ServerMessage{Content: []byte(content)}
}

// wantRefused checks that a request was refused with the code, for a cause that the
// text is part of.
func wantRefused(t testing.TB, err error, code wire.Code, text string) *router.ServerError {
	t.Helper()
	var refused *router.ServerError
	if !errors.As(err, &refused) {
		t.Fatalf("got %v, not a refusal", err)
	}
	if refused.Code != code || !strings.Contains(refused.Error(), text) {
		t.Errorf("refused as %s: %s; want %s: … %s …", refused.Code, refused, code, text)
	}
	return refused
}

func TestAServersMessageReachesTheRoomOnEveryNode(t *testing.T) {
	a, b := twoNodes(t)
	ann, bob, eve := a.as(t, "ann"), b.as(t, "bob"), b.as(t, "eve")
	for _, c := range []*client{ann, bob} {
		c.send(`{"type":"join_room","room":"lobby"}`)
		c.until("joined")
	}
	p, err := a.Publish(t.Context(), "lobby", &router.ServerMessage{Content: []byte(`{"n": 1}`), Info: []byte(`{"name":"News"}`)})
	if err != nil {
		t.Fatal(err)
	}
	if p.Room != "lobby" || p.ID == "" || p.Repeated || p.Offset != 0 {
		t.Errorf("the answer is %+v", p)
	}
	for _, c := range []*client{ann, bob} {
		e := c.until("chat")
		info, _ := e["info"].(map[string]any)
		if e.str("from") != router.ServerUser || e.str("room") != "lobby" || e.str("message_id") != p.ID || info["name"] != "News" {
			t.Errorf("got %v", e)
		}
		if content, _ := e["content"].(map[string]any); content["n"] != 1.0 {
			t.Errorf("the content is %v", e["content"])
		}
	}
	eve.quiet()
}

func TestAServersMessageReachesEveryoneOrOneUser(t *testing.T) {
	a, b := twoNodes(t)
	ann1, ann2, bob := a.as(t, "ann"), b.as(t, "ann"), b.as(t, "bob")
	if _, err := a.Direct(t.Context(), "ann", &router.ServerMessage{From: "shop", Content: []byte(`"yours"`)}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*client{ann1, ann2} {
		if e := c.until("chat"); e["direct"] != true || e.str("from") != "shop" || e.str("content") != "yours" {
			t.Errorf("got %v", e)
		}
	}
	bob.quiet()
	if _, err := b.Direct(t.Context(), "nobody", says(`1`)); err != nil {
		t.Errorf("to a user without connections: %v", err)
	}
	p, err := b.Broadcast(t.Context(), says(`"all"`))
	if err != nil || p.Room != "" {
		t.Fatalf("got %+v, %v", p, err)
	}
	for _, c := range []*client{ann1, ann2, bob} {
		if e := c.until("chat"); e.str("content") != "all" || e["room"] != nil || e["direct"] != nil {
			t.Errorf("got %v", e)
		}
	}
	if got := a.Stats().Published["direct"] + b.Stats().Published["broadcast"]; got != 2 {
		t.Errorf("%d are counted as published", got)
	}
}

func TestSeveralRoomsGetAMessageEachAndFailByThemselves(t *testing.T) {
	f := newFilters().on(router.HookMessage, func(e *router.Event) {
		if e.Room == "room 7" {
			e.Verdict = router.Verdict{Action: router.Deny, Code: 422, Reason: "not there", Filter: "f"}
		}
	})
	a, b := twoNodes(t, withFilters(f))
	ann := b.as(t, "ann")
	rooms := make([]string, 50)
	for i := range rooms {
		rooms[i] = fmt.Sprint("room ", i)
		ann.send(`{"type":"join_room","room":"` + rooms[i] + `"}`)
		ann.until("joined")
	}
	ids := make(map[string]string)
	for i, r := range a.PublishAll(t.Context(), rooms, says(`1`)) {
		switch {
		case i == 7:
			wantRefused(t, r.Err, wire.Invalid, "not there")
		case r.Err != nil || r.Room != rooms[i]:
			t.Errorf("room %d: %+v", i, r)
		default:
			ids[r.ID] = r.Room
		}
	}
	if len(ids) != len(rooms)-1 {
		t.Errorf("%d different ids", len(ids))
	}
	for len(ids) > 0 {
		e := ann.until("chat")
		if ids[e.str("message_id")] != e.str("room") {
			t.Fatalf("got %v, with %v to come", e, ids)
		}
		delete(ids, e.str("message_id"))
	}
	ann.send(`{"type":"ping"}`)
	for e := ann.next(); e.name() != "pong"; e = ann.next() {
		if e.name() == "chat" {
			t.Errorf("too much: %v", e)
		}
	}
}

func TestFiltersSeeThatAMessageComesFromTheServer(t *testing.T) {
	seen := new(recorded)
	n := startNode(t, withFilters(newFilters().on(router.HookMessage, seen.hook)))
	m := &router.ServerMessage{From: "shop", Content: []byte(`{"a":1}`)}
	_, err1 := n.Publish(t.Context(), "lobby", m)
	_, err2 := n.Broadcast(t.Context(), m)
	_, err3 := n.Direct(t.Context(), "ann", m)
	if err := errors.Join(err1, err2, err3); err != nil {
		t.Fatal(err)
	}
	want := []router.Event{
		{Kind: router.KindRoom, Room: "lobby"},
		{Kind: router.KindBroadcast},
		{Kind: router.KindDirect, Target: "ann"},
	}
	got := seen.all()
	if len(got) != len(want) {
		t.Fatalf("%d events", len(got))
	}
	for i, e := range got {
		w := want[i]
		if e.Hook != router.HookMessage || e.Kind != w.Kind || e.Room != w.Room || e.Target != w.Target || !e.FromServer ||
			e.User != "shop" || e.Conn != 0 || e.Seq != 0 || e.Remote != "" || e.Claims != nil || e.Time == 0 || string(e.Payload) != `{"a":1}` {
			t.Errorf("event %d: %+v", i, e)
		}
	}
}

func TestVerdictsDecideWhatBecomesOfAServersMessage(t *testing.T) {
	var verdict router.Verdict
	f := newFilters().on(router.HookMessage, func(e *router.Event) { e.Verdict = verdict })
	n := startNode(t, silent, withFilters(f))
	ann := n.as(t, "ann")
	ann.join("lobby")
	ann.join("aside")
	for _, c := range []struct {
		verdict router.Verdict
		code    wire.Code
		says    string
	}{
		{router.Verdict{Action: router.Deny, Code: 429, Reason: "too many", Filter: "rate", RetryAfter: 3 * time.Second}, wire.RateLimited, "rate: too many"},
		{router.Verdict{Action: router.Deny, Code: 1234, Filter: "own"}, "filter_1234", "own: refused by a filter"},
		{router.Verdict{Action: router.Deny, Code: 503, Reason: "timeout", Filter: "slow", Failure: "timeout"}, wire.Unavailable, "slow: timeout"},
		{router.Verdict{Action: router.Disconnect, Code: 4010, Reason: "go away", Filter: "guard"}, wire.Forbidden, "guard: go away"},
		{router.Verdict{Room: "bad\x00name"}, wire.Forbidden, "control character"},
	} {
		verdict = c.verdict
		_, err := n.Publish(t.Context(), "lobby", says(`1`))
		if refused := wantRefused(t, err, c.code, c.says); refused.RetryAfter != c.verdict.RetryAfter {
			t.Errorf("try again after %s, want %s", refused.RetryAfter, c.verdict.RetryAfter)
		}
	}
	verdict = router.Verdict{Action: router.Drop, Filter: "quiet"}
	if p, err := n.Publish(t.Context(), "lobby", says(`1`)); err != nil || p.ID == "" || p.Room != "lobby" {
		t.Errorf("a dropped message is answered %+v, %v", p, err)
	}
	ann.quiet()

	verdict = router.Verdict{Payload: []byte(`"rewritten"`), Room: "aside"}
	p, err := n.Publish(t.Context(), "lobby", says(`"said"`))
	if err != nil || p.Room != "aside" {
		t.Errorf("got %+v, %v", p, err)
	}
	if e := ann.expect("chat"); e.str("room") != "aside" || e.str("content") != "rewritten" {
		t.Errorf("got %v", e)
	}
	verdict = router.Verdict{Room: "aside"} // of a broadcast no room can be changed
	if p, err = n.Broadcast(t.Context(), says(`"b"`)); err != nil || p.Room != "" || ann.expect("chat")["room"] != nil {
		t.Errorf("got %+v, %v", p, err)
	}
	s := n.Stats()
	if s.Verdicts["message/deny"] != 3 || s.Verdicts["message/disconnect"] != 1 || s.Verdicts["message/drop"] != 1 || s.Dropped[router.DroppedFilter] != 1 {
		t.Errorf("counted %v, %v", s.Verdicts, s.Dropped)
	}
}

// retiring is a chain that is replaced the first times that it is asked.
type retiring struct {
	*filters
	times atomic.Int64
}

func (f *retiring) Judge(e *router.Event) error {
	if f.times.Add(-1) >= 0 {
		return router.ErrRetired
	}
	return f.filters.Judge(e)
}

func TestAServersMessageIsJudgedAnewWhileFiltersAreReplaced(t *testing.T) {
	f := &retiring{filters: newFilters().on(router.HookMessage, func(e *router.Event) { e.Verdict = router.Verdict{Payload: []byte(`"judged"`)} })}
	f.times.Store(3)
	n := startNode(t, silent, withFilters(f))
	ann := n.as(t, "ann")
	ann.join("lobby")
	if _, err := n.Publish(t.Context(), "lobby", says(`1`)); err != nil {
		t.Fatal(err)
	}
	if e := ann.expect("chat"); e.str("content") != "judged" || n.Stats().Retired != 3 {
		t.Errorf("got %v after %d attempts", e, n.Stats().Retired)
	}
	f.times.Store(1000)
	_, err := n.Publish(t.Context(), "lobby", says(`1`))
	wantRefused(t, err, wire.Unavailable, "try again")
}

func TestAServersMessageEntersTheHistoryOfItsRoomOnce(t *testing.T) {
	a, b := twoNodes(t, keeping("lobby", 10))
	m := &router.ServerMessage{Content: []byte(`"x"`), Key: "k1"}
	first, err := a.Publish(t.Context(), "lobby", m)
	if err != nil || first.Offset != 1 || first.Epoch == "" || first.Repeated {
		t.Fatalf("got %+v, %v", first, err)
	}
	again, err := b.Publish(t.Context(), "lobby", m)
	if err != nil || !again.Repeated || again.ID != first.ID {
		t.Errorf("the same key: %+v, %v; first %+v", again, err, first)
	}
	for _, other := range []struct {
		room string
		m    router.ServerMessage
	}{
		{"lobby", router.ServerMessage{Content: []byte(`1`), Key: "k2"}},
		{"lobby", router.ServerMessage{Content: []byte(`2`), Key: "k1", From: "another"}},
		{"other", router.ServerMessage{Content: []byte(`3`), Key: "k1"}},
		{"lobby", router.ServerMessage{Content: []byte(`4`)}},
		{"lobby", router.ServerMessage{Content: []byte(`5`)}},
	} {
		if p, err := b.Publish(t.Context(), other.room, &other.m); err != nil || p.Repeated {
			t.Errorf("%+v: %+v, %v", other, p, err)
		}
	}
	page, err := b.RoomHistory(t.Context(), "lobby", router.HistoryQuery{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for i, m := range page.Messages {
		said = append(said, m.From+" "+string(m.Content))
		if m.Offset != uint64(i+1) || m.Time < time.Now().Add(-time.Hour).UnixMilli() {
			t.Errorf("message %d: %+v", i, m)
		}
	}
	if want := []string{`server "x"`, "server 1", "another 2", "server 4", "server 5"}; !slices.Equal(said, want) {
		t.Errorf("in the history are %q", said)
	}
	page, err = a.RoomHistory(t.Context(), "lobby", router.HistoryQuery{After: &first.Position, Limit: 2})
	if err != nil || len(page.Messages) != 2 || page.Messages[0].Offset != 2 || !page.More || !page.Gapless || page.Newest.Offset != 5 {
		t.Errorf("got %+v, %v", page, err)
	}
}

func TestAReroutedMessageEntersTheHistoryOfTheRoomThatItWentTo(t *testing.T) {
	f := newFilters().on(router.HookMessage, func(e *router.Event) { e.Verdict = router.Verdict{Room: "kept"} })
	n := startNode(t, withFilters(f), keeping("kept", 10))
	p, err := n.Publish(t.Context(), "fleeting", says(`1`))
	if err != nil || p.Room != "kept" || p.Offset != 1 {
		t.Errorf("got %+v, %v", p, err)
	}
}

func TestWhatAClientCouldNotSendAServerCannotEither(t *testing.T) {
	n := startNode(t, withLimits(func(l *router.Limits) { l.Frame = 100 }))
	long := strings.Repeat("x", 256)
	publish := func(room string, m *router.ServerMessage) error {
		_, err := n.Publish(t.Context(), room, m)
		return err
	}
	wantRefused(t, publish("", says(`1`)), wire.BadRequest, "room must not be empty")
	wantRefused(t, publish(long, says(`1`)), wire.BadRequest, "room is longer than 255 bytes")
	wantRefused(t, publish("a\nb", says(`1`)), wire.BadRequest, "control character U+000A")
	wantRefused(t, publish("a\xff", says(`1`)), wire.BadRequest, "UTF-8")
	wantRefused(t, publish("a", says(``)), wire.BadRequest, "content is not valid JSON")
	wantRefused(t, publish("a", says(`{"a":1} 2`)), wire.BadRequest, "content is not valid JSON")
	wantRefused(t, publish("a", says("\"\xff\"")), wire.BadRequest, "UTF-8")
	wantRefused(t, publish("a", says(strings.Repeat("[", 65)+strings.Repeat("]", 65))), wire.TooLarge, "limits.frame")
	wantRefused(t, publish("a", says(`"`+long+`"`)), wire.TooLarge, "limits.frame allows 100")
	wantRefused(t, publish("a", &router.ServerMessage{Content: []byte(`1`), From: "\x7f"}), wire.BadRequest, "from contains the control character")
	wantRefused(t, publish("a", &router.ServerMessage{Content: []byte(`1`), Info: []byte(`{`)}), wire.BadRequest, "info is not valid JSON")
	wantRefused(t, publish("a", &router.ServerMessage{Content: []byte(`1`), Key: long}), wire.BadRequest, "key is longer than 128 bytes")
	_, err := n.Direct(t.Context(), "", says(`1`))
	wantRefused(t, err, wire.BadRequest, "user must not be empty")
	if s := n.Stats(); s.Published["room"]+s.Published["direct"] != 0 {
		t.Errorf("published %v", s.Published)
	}
}

func TestWhileTheBrokerIsAwayAServerIsToldSoAtOnce(t *testing.T) {
	b := &broker{publish: func(*router.Message) error { return fmt.Errorf("shard 1: %w", router.ErrUnavailable) }}
	n := startNodeWith(t, b, membroker.New())
	_, err := n.Publish(t.Context(), "a", says(`1`))
	if refused := wantRefused(t, err, wire.Unavailable, "shard 1"); refused.RetryAfter <= 0 {
		t.Error("nothing says when to try again")
	}
	if n.Stats().Broker != 1 {
		t.Errorf("%d failures are counted", n.Stats().Broker)
	}
}

func TestAStoppedNodeRefusesWhatAServerWants(t *testing.T) {
	n := startNode(t, withPresence("**"), keeping("**", 10))
	n.Close()
	ctx := context.Background()
	_, err := n.Publish(ctx, "a", says(`1`))
	wantRefused(t, err, wire.Unavailable, "")
	_, err = n.Control(ctx, router.Control{Do: router.ControlReload})
	wantRefused(t, err, wire.Unavailable, "")
	_, err = n.Rooms(ctx, 1, "")
	wantRefused(t, err, wire.Unavailable, "")
}

func TestAServerReadsWhoIsInARoomOnAnyNode(t *testing.T) {
	a, b := twoNodes(t, withPresence("lobby"))
	for i, n := range []*node{a, b, b} {
		c := n.as(t, []string{"ann", "ann", "bob"}[i])
		c.send(`{"type":"join_room","room":"lobby"}`)
		c.until("joined")
	}
	page, err := b.Present(t.Context(), "lobby", 1, "")
	if err != nil || page.Total != 2 || len(page.Users) != 1 || page.Users[0].User != "ann" || page.Users[0].Connections != 2 {
		t.Fatalf("got %+v, %v", page, err)
	}
	page, err = a.Present(t.Context(), "lobby", 1, page.Cursor)
	if err != nil || len(page.Users) != 1 || page.Users[0].User != "bob" || page.Cursor != "" {
		t.Errorf("got %+v, %v", page, err)
	}
	_, err = a.Present(t.Context(), "other", 1, "")
	wantRefused(t, err, wire.Unsupported, "presence: true")
	_, err = a.RoomHistory(t.Context(), "lobby", router.HistoryQuery{Limit: 1})
	wantRefused(t, err, wire.Unsupported, "history: {size, ttl}")
	for _, limit := range []int{0, -1, 1001} {
		_, err = a.Present(t.Context(), "lobby", limit, "")
		wantRefused(t, err, wire.BadRequest, "limit must be 1 to 1000")
	}
	_, err = a.Rooms(t.Context(), 1, strings.Repeat("c", 1025))
	wantRefused(t, err, wire.BadRequest, "cursor is longer")
}

func TestAPageOfPresenceIsShorterWhereInfosAreLarge(t *testing.T) {
	f := newFilters().on(router.HookConnect, func(e *router.Event) {
		user := e.Request.URL.Query().Get("as")
		e.Verdict = router.Verdict{Identity: &router.Identity{User: user, Info: []byte(`"` + strings.Repeat("i", 300<<10) + `"`)}}
	})
	n := startNode(t, silent, withFilters(f), withRule("lobby", func(r *router.RoomRule) { r.Presence, r.Announce = true, router.AnnounceOff }))
	for i := range 8 {
		c := n.connect(t, fmt.Sprint("as=user", i))
		c.send(`{"type":"join_room","room":"lobby"}`)
		c.until("joined")
	}
	var users []string
	for cursor := ""; ; {
		page, err := n.Present(t.Context(), "lobby", 100, cursor)
		if err != nil || page.Total != 8 || len(page.Users) > 3 {
			t.Fatalf("%d users, %v", len(page.Users), err)
		}
		for _, u := range page.Users {
			users = append(users, u.User)
		}
		if cursor = page.Cursor; cursor == "" {
			break
		}
	}
	if len(users) != 8 || !slices.IsSorted(users) {
		t.Errorf("over all pages: %v", users)
	}
}

func TestAServerReadsRoomsAndNodes(t *testing.T) {
	a, b := twoNodes(t)
	for i, n := range []*node{a, b, b} {
		c := n.as(t, "ann")
		c.send(fmt.Sprintf(`{"type":"join_room","room":"room%d"}`, i))
		c.until("joined")
	}
	first, err := a.Rooms(t.Context(), 2, "")
	if err != nil || !slices.Equal(first.Rooms, []string{"room0", "room1"}) || first.Cursor == "" {
		t.Fatalf("got %+v, %v", first, err)
	}
	if rest, err := b.Rooms(t.Context(), 2, first.Cursor); err != nil || !slices.Equal(rest.Rooms, []string{"room2"}) || rest.Cursor != "" {
		t.Errorf("got %+v, %v", rest, err)
	}
	nodes, err := a.Nodes(t.Context())
	if err != nil || len(nodes) != 2 || nodes[0].ID != "n1" || nodes[1].ID != "n2" || nodes[1].Connections != 2 || nodes[1].Rooms != 2 || nodes[0].Generation != 1 {
		t.Errorf("got %+v, %v", nodes, err)
	}
}
