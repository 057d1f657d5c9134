package router_test

import (
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"sluice/router"
)

func TestForeignOriginsAreRefused(t *testing.T) {
	n := startNode(t, func(o *router.Options, _ *router.Generation) {
		o.AllowedOrigins = []string{"https://app.example.com", "*.example.org", "localhost:3000"}
	})
	own := strings.TrimPrefix(n.server.URL, "http://")
	for _, c := range []struct {
		origin string
		ok     bool
	}{
		{"", true},
		{"http://" + own, true},
		{"https://app.example.com", true},
		{"https://APP.example.com", true},
		{"http://app.example.com", false},
		{"https://app.example.com:8443", false},
		{"https://evil.com", false},
		{"https://app.example.com.evil.com", false},
		{"http://a.example.org", true},
		{"http://a.b.example.org", true},
		{"http://example.org", false},
		{"http://localhost:3000", true},
		{"http://localhost:3001", false},
		{"null", false},
		{"::", false},
	} {
		h := http.Header{}
		if c.origin != "" {
			h.Set("Origin", c.origin)
		}
		ws, resp, err := n.dialRaw("", h)
		if err == nil {
			ws.CloseNow()
		}
		if (err == nil) != c.ok {
			t.Errorf("origin %q: admitted %v, want %v", c.origin, err == nil, c.ok)
		}
		if err != nil && resp.StatusCode != 403 {
			t.Errorf("origin %q: status %d", c.origin, resp.StatusCode)
		}
	}
	n = startNode(t, func(o *router.Options, _ *router.Generation) { o.AllowedOrigins = []string{"*"} })
	for _, origin := range []string{"https://evil.com", "null"} {
		ws, _, err := n.dialRaw("", http.Header{"Origin": {origin}})
		if err != nil {
			t.Fatalf("%s: %v", origin, err)
		}
		ws.CloseNow()
	}
}

func TestTheClientsAddressIsReadThroughTrustedProxiesOnly(t *testing.T) {
	var remote string
	f := newFilters().on(router.HookConnect, func(e *router.Event) {
		remote = e.Remote
		e.Verdict = router.Verdict{Action: router.Deny, Code: 403}
	})
	trusting := startNode(t, withFilters(f), func(o *router.Options, _ *router.Generation) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	})
	wary := startNode(t, withFilters(f))
	for _, c := range []struct {
		forwarded []string
		want      string
	}{
		{nil, "127.0.0.1"},
		{[]string{"192.0.2.1"}, "192.0.2.1"},
		{[]string{"6.6.6.6, 192.0.2.1"}, "192.0.2.1"}, // the client wrote the first
		{[]string{"6.6.6.6, 192.0.2.1, 10.1.2.3"}, "192.0.2.1"},
		{[]string{"6.6.6.6, 192.0.2.1", "10.1.2.3, fd00::1"}, "192.0.2.1"},
		{[]string{"10.9.9.9, 10.1.2.3"}, "10.9.9.9"},
		{[]string{"nonsense, 10.1.2.3"}, "10.1.2.3"},
		{[]string{""}, "127.0.0.1"},
		{[]string{"192.0.2.1:4711"}, "192.0.2.1"},
		{[]string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{[]string{"::ffff:192.0.2.1"}, "192.0.2.1"},
	} {
		trusting.refusal(t, "", http.Header{"X-Forwarded-For": c.forwarded})
		if remote != c.want {
			t.Errorf("%q: got %s, want %s", c.forwarded, remote, c.want)
		}
		wary.refusal(t, "", http.Header{"X-Forwarded-For": c.forwarded})
		if remote != "127.0.0.1" {
			t.Errorf("%q: believed %s", c.forwarded, remote)
		}
	}
}

func TestHandshakesAreLimitedByAddress(t *testing.T) {
	n := startNode(t, withLimits(func(l *router.Limits) { l.HandshakesPerAddr = 0.001 }), func(o *router.Options, _ *router.Generation) {
		o.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	})
	from := func(addr string) http.Header { return http.Header{"X-Forwarded-For": {addr}} }
	admit := func(addr string) {
		t.Helper()
		ws, _, err := n.dialRaw("", from(addr))
		if err != nil {
			t.Fatalf("%s: %v", addr, err)
		}
		ws.CloseNow()
	}
	admit("192.0.2.1")
	status, body, h := n.refusal(t, "", from("192.0.2.1"))
	if status != 429 || body.str("code") != "rate_limited" || h.Get("Retry-After") == "" {
		t.Errorf("got %d %v", status, body)
	}
	admit("192.0.2.2")
	admit("2001:db8::1")
	if status, _, _ := n.refusal(t, "", from("2001:db8::2")); status != 429 {
		t.Errorf("another address of the same network: got %d", status)
	}
	admit("2001:db8:0:1::1")
}

func trustLoopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} }

// A page of evil.example that has its name resolve to 127.0.0.1 is of the same
// origin as a node there.
func TestAPageThatRebindsItsNameToLoopbackIsNotAdmittedWhereEveryoneIs(t *testing.T) {
	const evil = "http://evil.example:8080"
	open := func(*router.Options, *router.Generation) {}
	asked := withFilters(newFilters().on(router.HookConnect, func(e *router.Event) {
		e.Verdict.Identity = &router.Identity{User: "ann"}
	}))
	stranger := withFilters(newFilters().on(router.HookConnect, func(*router.Event) {}))
	anonymous := func(o *router.Options, _ *router.Generation) { o.Anonymous = true }
	listed := func(o *router.Options, _ *router.Generation) { o.AllowedOrigins = []string{"http://*.example:8080"} }
	for _, c := range []struct {
		name         string
		setups       []setup
		host, origin string
		header       http.Header
		ok           bool
	}{
		{"a rebound name", []setup{open}, "evil.example:8080", evil, nil, false},
		{"a rebound name on a node with anonymous clients", []setup{stranger, anonymous}, "evil.example:8080", evil, nil, false},
		{"a rebound name on a node that asks", []setup{asked}, "evil.example:8080", evil, nil, true},
		{"a name that is allowed", []setup{listed}, "evil.example:8080", evil, nil, true},
		{"no browser", []setup{open}, "evil.example:8080", "", nil, true},
		{"localhost", []setup{open}, "localhost:8080", "http://localhost:8080", nil, true},
		{"another address of loopback", []setup{open}, "127.9.9.9", "http://127.9.9.9", nil, true},
		{"loopback by IPv6", []setup{open}, "[::1]:8080", "http://[::1]:8080", nil, true},
		{"a name that begins like loopback", []setup{open}, "localhost.evil.example", "http://localhost.evil.example", nil, false},
		{"a proxy with TLS", []setup{open}, "example.org", "https://example.org", nil, true},
		{"a proxy without TLS", []setup{open}, "example.org", "http://example.org", http.Header{"X-Forwarded-For": {"192.0.2.1"}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := startNode(t, c.setups...)
			h := c.header.Clone()
			if h == nil {
				h = http.Header{}
			}
			if c.origin != "" {
				h.Set("Origin", c.origin)
			}
			ws, resp, err := websocket.Dial(t.Context(), n.target(""), &websocket.DialOptions{Host: c.host, HTTPHeader: h})
			if err == nil {
				ws.CloseNow()
			}
			if (err == nil) != c.ok {
				t.Fatalf("admitted %v, want %v", err == nil, c.ok)
			}
			if c.ok {
				return
			}
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != 403 || !strings.Contains(string(body), "allowed_origins") || n.Stats().Refused[router.RefusedOrigin] != 1 {
				t.Errorf("got %d %s", resp.StatusCode, body)
			}
		})
	}
}
