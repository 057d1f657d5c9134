package router_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sluice/router"
	"sluice/router/membroker"
)

func verdict(v router.Verdict) func(*router.Event) {
	return func(e *router.Event) { e.Verdict = v }
}

func TestARefusedConnectIsAnsweredByHTTPWithTheReason(t *testing.T) {
	for _, c := range []struct {
		name   string
		v      router.Verdict
		status int
		code   string
	}{
		{"unauthorized", router.Verdict{Action: router.Deny, Code: 401, Reason: "no", Filter: "auth"}, 401, "unauthorized"},
		{"forbidden", router.Verdict{Action: router.Deny, Code: 403, Reason: "no", Filter: "auth"}, 403, "forbidden"},
		{"a filter's own code", router.Verdict{Action: router.Deny, Code: 1234, Reason: "no", Filter: "auth"}, 403, "filter_1234"},
		{"rate", router.Verdict{Action: router.Deny, Code: 429, Reason: "no", Filter: "auth", RetryAfter: 1500 * time.Millisecond}, 429, "rate_limited"},
		{"failure", router.Verdict{Action: router.Deny, Code: 503, Reason: "no", Filter: "auth", Failure: "trap"}, 503, "unavailable"},
		{"disconnect", router.Verdict{Action: router.Disconnect, Code: 4321, Reason: "no", Filter: "auth"}, 403, "forbidden"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := startNode(t, withFilters(newFilters().on(router.HookConnect, verdict(c.v))))
			status, body, h := n.refusal(t, "", nil)
			if status != c.status || body.name() != "error" || body.str("code") != c.code || body.str("reason") != "no" || body.str("filter") != "auth" {
				t.Errorf("got %d %v", status, body)
			}
			if c.v.RetryAfter > 0 && (h.Get("Retry-After") != "2" || body["retry_after_ms"] != 1500.0) {
				t.Errorf("got %v, Retry-After %q", body, h.Get("Retry-After"))
			}
			if s := n.Stats(); s.Refused[router.RefusedFilter] != 1 || s.Accepted != 0 || s.Users != 0 || s.Reasons["auth/no"] != 1 {
				t.Errorf("got %+v", s)
			}
		})
	}
}

func TestARefusalCanBeReadByABrowserThatAsksForIt(t *testing.T) {
	for _, c := range []struct {
		v     router.Verdict
		close int
	}{
		{router.Verdict{Action: router.Deny, Code: 401, Reason: "no"}, 4001},
		{router.Verdict{Action: router.Deny, Code: 403, Reason: "no"}, 4003},
		{router.Verdict{Action: router.Deny, Code: 1000, Reason: "no"}, 4003},
		{router.Verdict{Action: router.Deny, Code: 429, Reason: "no"}, 4101},
		{router.Verdict{Action: router.Disconnect, Code: 4444, Reason: "no"}, 4444},
	} {
		n := startNode(t, withFilters(newFilters().on(router.HookConnect, verdict(c.v))))
		ws, resp, err := n.dialRaw("refusal=close", http.Header{"Sec-Websocket-Protocol": {"sluice.v1"}})
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Sec-WebSocket-Protocol"); got != "sluice.v1" {
			t.Errorf("subprotocol %q", got)
		}
		u := newClient(t, ws)
		if e := u.expect("error"); e.str("reason") != "no" {
			t.Errorf("got %v", e)
		}
		u.closedWith(c.close)
		if s := n.Stats(); s.Accepted != 0 || s.Connections != 0 {
			t.Errorf("it was registered: %+v", s)
		}
	}
}

func TestWithoutAnIdentityThereIsNoConnectionUnlessAnonymousOnesAreAllowed(t *testing.T) {
	f := newFilters().on(router.HookConnect, func(*router.Event) {})
	n := startNode(t, withFilters(f))
	if status, body, _ := n.refusal(t, "client_id=ann", nil); status != 401 || body.str("code") != "unauthorized" {
		t.Errorf("got %d %v", status, body)
	}
	n = startNode(t, withFilters(f), func(o *router.Options, _ *router.Generation) { o.Anonymous = true })
	a, b := n.connect(t, "client_id=ann"), n.connect(t, "client_id=ann")
	u, v := a.welcome.str("user_id"), b.welcome.str("user_id")
	if !strings.HasPrefix(u, "anonymous-") || u == v {
		t.Errorf("users %q and %q", u, v)
	}
}

func TestAConnectFilterSeesTheRequest(t *testing.T) {
	var seen recorded
	var path, cookie string
	f := newFilters().on(router.HookConnect, func(e *router.Event) {
		seen.hook(e)
		path, cookie = e.Request.URL.RequestURI(), e.Request.Header.Get("Cookie")
		e.Verdict.Identity = &router.Identity{User: "ann"}
	})
	n := startNode(t, withFilters(f))
	ws, _, err := n.dialRaw("token=t", http.Header{"Cookie": {"a=b"}})
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	e := seen.all()[0]
	if e.Hook != router.HookConnect || e.Kind != router.KindNew || e.Remote != "127.0.0.1" || e.Seq != 1 || e.Conn == 0 || e.Time == 0 {
		t.Errorf("got %+v", e)
	}
	if path != "/ws?token=t" || cookie != "a=b" {
		t.Errorf("got %q and %q", path, cookie)
	}
}

func TestAClientIDMustBeAUserName(t *testing.T) {
	n := startNode(t)
	for _, id := range []string{"a%00b", "%ff", strings.Repeat("a", 256)} {
		if status, body, _ := n.refusal(t, "client_id="+id, nil); status != 400 || !strings.HasPrefix(body.str("reason"), "client_id ") {
			t.Errorf("%.10s: got %d %v", id, status, body)
		}
	}
	n.connect(t, "client_id="+strings.Repeat("a", 255))
}

func TestALimitOfConnectionsHoldsAtItsEdge(t *testing.T) {
	n := startNode(t, withLimits(func(l *router.Limits) { l.Connections = 2 }))
	a := n.as(t, "ann")
	n.as(t, "bob")
	status, body, h := n.refusal(t, "client_id=cat", nil)
	if status != 503 || body.str("code") != "unavailable" || h.Get("Retry-After") == "" {
		t.Errorf("got %d %v", status, body)
	}
	a.leaveNow()
	eventually(t, "there is a place again", func() bool {
		ws, _, err := n.dialRaw("client_id=cat", nil)
		if err == nil {
			ws.CloseNow()
		}
		return err == nil
	})
}

func TestALimitOfConnectionsPerUserHoldsAtItsEdge(t *testing.T) {
	n := startNode(t, withLimits(func(l *router.Limits) { l.ConnectionsPerUser = 2 }))
	a := n.as(t, "ann")
	n.as(t, "ann")
	if status, body, _ := n.refusal(t, "client_id=ann", nil); status != 429 || body.str("code") != "rate_limited" {
		t.Errorf("got %d %v", status, body)
	}
	n.as(t, "bob")
	a.leaveNow()
	eventually(t, "there is a place again", func() bool {
		ws, _, err := n.dialRaw("client_id=ann", nil)
		if err == nil {
			ws.CloseNow()
		}
		return err == nil
	})
}

func TestWhatIsNotAWebSocketHandshakeIsToldSo(t *testing.T) {
	n := startNode(t)
	for _, c := range []struct {
		method string
		status int
		header string
	}{
		{http.MethodPost, http.StatusMethodNotAllowed, "Allow"},
		{http.MethodGet, http.StatusUpgradeRequired, "Upgrade"},
	} {
		req, _ := http.NewRequest(c.method, n.server.URL+"/ws?refusal=close", nil)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.status || resp.Header.Get(c.header) == "" || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: got %v", c.method, resp)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestANodeWhoseBrokerFailsRefusesConnects(t *testing.T) {
	b := &broker{subscribe: func(context.Context, router.Topic) error { return errOut }}
	n := startNodeWith(t, b, membroker.New())
	if status, body, _ := n.refusal(t, "", nil); status != 503 || body.str("code") != "unavailable" {
		t.Errorf("got %d %v", status, body)
	}
	if s := n.Stats(); s.Users != 0 || s.Refused[router.RefusedUnavailable] != 1 {
		t.Errorf("got %+v", s)
	}
}

func TestTheSubprotocolIsSpokenWhetherAskedForOrNot(t *testing.T) {
	n := startNode(t)
	for _, c := range []struct{ offer, want string }{{"", ""}, {"sluice.v1", "sluice.v1"}, {"bearer.secret, sluice.v1", "sluice.v1"}, {"bearer.secret", ""}} {
		h := http.Header{}
		if c.offer != "" {
			h.Set("Sec-WebSocket-Protocol", c.offer)
		}
		ws, resp, err := n.dialRaw("", h)
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Sec-WebSocket-Protocol"); got != c.want {
			t.Errorf("offered %q: got %q", c.offer, got)
		}
		newClient(t, ws).expect("welcome")
	}
}

func TestOptionsThatCannotBeMeantAreRefused(t *testing.T) {
	b := membroker.New()
	defer b.Close()
	g := &router.Generation{}
	for _, c := range []struct {
		o    router.Options
		g    *router.Generation
		says string
	}{
		{router.Options{}, g, "Broker is missing"},
		{router.Options{Broker: b}, nil, "generation is nil"},
		{router.Options{Broker: b, NodeID: "a b"}, g, "letters, digits"},
		{router.Options{Broker: b, NodeID: strings.Repeat("a", 33)}, g, "at most 32"},
		{router.Options{Broker: b, AllowedOrigins: []string{"https://a.b/path"}}, g, "without a path"},
		{router.Options{Broker: b, AllowedOrigins: []string{""}}, g, "empty"},
	} {
		if _, err := router.New(c.o, c.g); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("got %v, want %q", err, c.says)
		}
	}
}

func TestRefusedConnectionsThatAreUpgradedAreBounded(t *testing.T) {
	f := newFilters().on(router.HookConnect, verdict(router.Verdict{Action: router.Deny, Code: 403, Reason: "no"}))
	n := startNode(t, withFilters(f))
	// Each of these is upgraded and then does not answer the close.
	var open []*websocket.Conn
	defer func() {
		for _, ws := range open {
			ws.CloseNow()
		}
	}()
	results := make(chan error, 100)
	conns := make(chan *websocket.Conn, 100)
	for range 100 {
		go func() {
			ws, resp, err := n.dialRaw("refusal=close", nil)
			if err != nil && (resp == nil || resp.StatusCode != 403) {
				results <- fmt.Errorf("%v %v", resp, err)
				return
			}
			if ws != nil {
				conns <- ws
			}
			results <- nil
		}()
	}
	for range 100 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	close(conns)
	for ws := range conns {
		open = append(open, ws)
	}
	if len(open) == 0 {
		t.Error("none was upgraded")
	}
	eventually(t, "all are refused", func() bool { return n.Stats().Refused[router.RefusedFilter] == 100 })
}

func TestRefusedClientsThatLingerLeaveTheirPlacesToOthers(t *testing.T) {
	f := newFilters().on(router.HookConnect, func(e *router.Event) {
		if e.Request.URL.Query().Get("client_id") == "honest" {
			e.Verdict.Identity = &router.Identity{User: "honest"}
			return
		}
		e.Verdict = router.Verdict{Action: router.Deny, Code: 403, Reason: "no"}
	})
	n := startNode(t, withFilters(f), withLimits(func(l *router.Limits) { l.Connections = 2 }))
	for range 5 { // each is upgraded, and does not answer the close
		ws, _, err := n.dialRaw("refusal=close", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer ws.CloseNow()
	}
	n.connect(t, "client_id=honest")
	if s := n.Stats(); s.Refused[router.RefusedFilter] != 5 || s.Refused[router.RefusedCapacity] != 0 {
		t.Errorf("got %v", s.Refused)
	}
}

func TestAHandshakeThatIsNotByTheRFCIsRefusedInTheNodesForm(t *testing.T) {
	n := startNode(t)
	for _, c := range []struct {
		name, query, header, value string
		status                     int
		says                       string
	}{
		{"another version", "", "Sec-WebSocket-Version", "8", 426, "must be 13"},
		{"a short key", "", "Sec-WebSocket-Key", "AAAA", 400, "16 bytes"},
		{"no key", "", "Sec-WebSocket-Key", "", 400, "16 bytes"},
		{"a broken escape", "client_id=%zz", "", "", 400, "%zz"},
		{"a semicolon", "client_id=a;b=c", "", "", 400, "semicolon"},
	} {
		t.Run(c.name, func(t *testing.T) {
			req, _ := http.NewRequest(http.MethodGet, n.server.URL+"/ws?"+c.query, nil)
			for name, value := range map[string]string{"Connection": "Upgrade", "Upgrade": "websocket",
				"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="} {
				req.Header.Set(name, value)
			}
			if c.header != "" {
				req.Header.Set(c.header, c.value)
			}
			if c.value == "" {
				req.Header.Del(c.header)
			}
			resp, err := http.DefaultTransport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			var body event
			if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != c.status || body.str("code") != "bad_request" || !strings.Contains(body.str("reason"), c.says) {
				t.Errorf("got %d %v", resp.StatusCode, body)
			}
			if c.status == 426 && resp.Header.Get("Sec-WebSocket-Version") != "13" {
				t.Errorf("the version is not offered: %v", resp.Header)
			}
		})
	}
	http.DefaultClient.CloseIdleConnections()
	if got := n.Stats().Refused; got[router.RefusedNotUpgrade] != 3 || got[router.RefusedQuery] != 2 {
		t.Errorf("got %v", got)
	}
}
