package conformance

import (
	"bytes"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"sluice/plugins"
	"sluice/router"
)

// probes are the same filter by each SDK.
func probes(t *testing.T, test func(t *testing.T, g guest)) {
	for _, sdk := range []struct {
		name string
		file func() string
	}{
		{"C", func() string { return "testdata/probe.wasm" }},
		{"Go", func() string { return goGuest(t, "testdata/probe_go") }},
	} {
		t.Run(sdk.name, func(t *testing.T) {
			test(t, load(t, plugins.Spec{
				Name: "probe", Plugin: sdk.file(), Capabilities: []string{"log", "now", "random"},
				Headers: []string{"X-User"}, Query: []string{"name"}, Cookies: []string{"s"},
				May: plugins.May{Allow: true, Reroute: []string{"other"}},
			}))
		})
	}
}

func TestEverySDKShowsTheWholeEvent(t *testing.T) {
	probes(t, func(t *testing.T, g guest) {
		e := &router.Event{
			Hook: router.HookMessage, Kind: router.KindDirect, FromServer: true, Time: 1700000000123456789, Conn: 1 << 40, Seq: 3,
			Payload: []byte(`{"hi":1}`), User: "ann", Target: "bob", Claims: []byte(`{"role":"x"}`), Expires: 1700000001000,
			Remote: "192.0.2.7", States: &[]router.State{{Filter: "probe", Version: 6, Data: []byte("before")}},
		}
		v := g.judge(t, e)
		want := `[4,3,1,1700000000123456789,1099511627776,3,{"hi":1},"","ann","bob",{"role":"x"},"before",6,"192.0.2.7",1700000001000]`
		if v.Action != router.Continue || string(v.Payload) != want {
			t.Errorf("got %d %s\nwant %s", v.Action, v.Payload, want)
		}
		s := *e.States
		if len(s) != 1 || string(s[0].Data) != "kept" || s[0].Version != 7 {
			t.Errorf("the state is %+v, want kept by version 7", s)
		}
	})
}

func TestEverySDKGivesEveryVerdict(t *testing.T) {
	probes(t, func(t *testing.T, g guest) {
		for _, c := range []struct {
			content string
			want    router.Verdict
		}{
			{`"allow"`, router.Verdict{Action: router.Allow, Filter: "probe"}},
			{`"deny"`, router.Verdict{Action: router.Deny, Code: 1234, Reason: "no", Filter: "probe"}},
			{`"drop"`, router.Verdict{Action: router.Drop, Filter: "probe"}},
			{`"close"`, router.Verdict{Action: router.Disconnect, Code: 4003, Reason: "bye", Filter: "probe"}},
			{`"reroute"`, router.Verdict{Room: "other"}},
			{`"now"`, router.Verdict{Payload: []byte("1700000000000000000")}},
		} {
			got := g.judge(t, message(c.content))
			if got.Action != c.want.Action || got.Code != c.want.Code || got.Reason != c.want.Reason || got.Filter != c.want.Filter ||
				got.Room != c.want.Room || !bytes.Equal(got.Payload, c.want.Payload) || got.Failure != "" {
				t.Errorf("%s: got %+v\nwant %+v", c.content, got, c.want)
			}
		}
	})
}

func TestEverySDKGetsRandomBytes(t *testing.T) {
	probes(t, func(t *testing.T, g guest) {
		// It answers how many of 16 bytes are not zero: nearly all, if they are random.
		v := g.judge(t, message(`"random"`))
		if n, err := strconv.Atoi(string(v.Payload)); err != nil || n < 8 || n > 16 {
			t.Errorf("got %s of 16, %v", v.Payload, err)
		}
	})
}

func TestEverySDKReportsItsOwnFailure(t *testing.T) {
	probes(t, func(t *testing.T, g guest) {
		if v := g.judge(t, message(`"fail"`)); v.Action != router.Deny || v.Failure != "guest_error" {
			t.Errorf("got %+v", v)
		}
		if v := g.judge(t, message(`"drop"`)); v.Action != router.Drop {
			t.Errorf("after it the instance answers %+v", v)
		}
	})
}

func TestEverySDKForgetsState(t *testing.T) {
	probes(t, func(t *testing.T, g guest) {
		e := message(`"forget"`)
		*e.States = []router.State{{Filter: "probe", Data: []byte("x")}}
		g.judge(t, e)
		if len(*e.States) != 0 {
			t.Errorf("the state is %+v", *e.States)
		}
	})
}

func TestEverySDKSetsAnIdentity(t *testing.T) {
	probes(t, func(t *testing.T, g guest) {
		request := httptest.NewRequest("GET", "/ws?name=Ann&other=1", nil)
		request.Header.Set("X-User", "ann")
		request.Header.Set("X-Hidden", "1")
		request.Header.Set("Cookie", "s=42; t=43")
		e := &router.Event{
			Hook: router.HookConnect, Kind: router.KindNew, Time: now.UnixNano(), Remote: "192.0.2.7", Request: request,
			States: new([]router.State),
		}
		v := g.judge(t, e)
		id := v.Identity
		if v.Action != router.Continue || id == nil {
			t.Fatalf("got %+v", v)
		}
		if id.User != "ann" || string(id.Info) != `"Ann"` || string(id.Claims) != `{"path":"/ws","cookie":"42","remote":"192.0.2.7"}` ||
			id.Grants == nil || !id.Expires.Equal(now.Add(time.Minute)) {
			t.Errorf("got %+v", id)
		}
	})
}

func TestEverySDKRefusesAConnectWithARetry(t *testing.T) {
	probes(t, func(t *testing.T, g guest) {
		v := g.judge(t, &router.Event{
			Hook: router.HookConnect, Kind: router.KindNew, Request: httptest.NewRequest("GET", "/ws", nil), States: new([]router.State),
		})
		if v.Action != router.Deny || v.Code != 401 || v.RetryAfter != 1500*time.Millisecond || v.Reason != "who are you?" {
			t.Errorf("got %+v", v)
		}
	})
}

func TestEverySDKSeesATokenOnRefresh(t *testing.T) {
	probes(t, func(t *testing.T, g guest) {
		v := g.judge(t, &router.Event{
			Hook: router.HookConnect, Kind: router.KindRefresh, User: "ann", Payload: []byte("ann"), States: new([]router.State),
		})
		if v.Action != router.Continue || v.Identity == nil || v.Identity.User != "ann" {
			t.Errorf("got %+v", v)
		}
	})
}

func TestEverySDKHasTheOtherHooks(t *testing.T) {
	probes(t, func(t *testing.T, g guest) {
		join := &router.Event{Hook: router.HookJoin, Room: "closed", User: "ann", States: new([]router.State)}
		if v := g.judge(t, join); v.Action != router.Deny || v.Code != 403 || v.Reason != "closed" {
			t.Errorf("join: %+v", v)
		}
		join.Room = "open"
		if v := g.judge(t, join); v.Action != router.Continue {
			t.Errorf("join: %+v", v)
		}
		g.judge(t, &router.Event{Hook: router.HookLeave, Room: "open", Cause: router.CauseRemoved, States: new([]router.State)})
		g.judge(t, &router.Event{Hook: router.HookDisconnect, Cause: 4001, States: new([]router.State)})
		g.close(t) // what filters log is written aside
		for _, want := range []string{"level=WARN", "left open,2", "gone ,4001"} {
			if !strings.Contains(g.log.String(), want) {
				t.Errorf("the log lacks %q:\n%s", want, g.log)
			}
		}
	})
}
