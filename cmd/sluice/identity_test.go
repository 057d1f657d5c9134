package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/go-jose/go-jose/v4"
)

// welcomed connects with the token in a header.
func (n *running) welcomed(token string) *client {
	n.t.Helper()
	conn, response, body := n.knock("/ws", bearer(token))
	if conn == nil {
		n.t.Fatalf("refused: %d %s", response.StatusCode, body)
	}
	c := &client{n.t, conn}
	c.await("welcome")
	return c
}

// join joins a room.
func (c *client) join(room string) *client {
	c.t.Helper()
	c.send(`{"type":"join_room","room":"` + room + `"}`)
	c.await("joined")
	return c
}

// alive checks that the connection is open and answers, and has got nothing
// before that is not mentioned here.
func (c *client) alive(unread ...string) {
	c.t.Helper()
	c.send(`{"type":"ping"}`)
	for {
		e, err := c.read()
		if err != nil {
			c.t.Fatalf("the connection has ended: %v", err)
		}
		if e.Event == "pong" {
			return
		}
		if !slices.Contains(unread, e.Event) {
			c.t.Errorf("got %+v", e)
		}
	}
}

// closed reads until the connection ends, and returns why.
func (c *client) closed() websocket.CloseError {
	c.t.Helper()
	var end websocket.CloseError
	for !errors.As(c.readError(), &end) {
	}
	return end
}

func TestATokenIsTakenFromEveryPlaceThatIsConfiguredAndNeverSentBack(t *testing.T) {
	t.Parallel()
	n := startAuth(t, authFilter("", "cookies: [session], ")+"allowed_origins: [\"https://chat.example\"]\n")
	rs := signed(t, jose.RS256, issuer().rsa, "rs", claimsOf(nil))
	hs := good(nil)
	cookie := func(token string) http.Header { return http.Header{"Cookie": {"theme=dark; session=" + token}} }
	all := []string{rs, hs}
	for _, token := range all {
		for place, knock := range map[string]func() (*websocket.Conn, *http.Response, string){
			"Authorization": func() (*websocket.Conn, *http.Response, string) { return n.knock("/ws", bearer(token), "sluice.v1") },
			"cookie":        func() (*websocket.Conn, *http.Response, string) { return n.knock("/ws", cookie(token), "sluice.v1") },
			"query":         func() (*websocket.Conn, *http.Response, string) { return n.knock("/ws?token="+token, nil, "sluice.v1") },
			"subprotocol": func() (*websocket.Conn, *http.Response, string) {
				return n.knock("/ws", nil, "sluice.v1", "sluice.token."+token)
			},
			"subprotocol, before the node's": func() (*websocket.Conn, *http.Response, string) {
				return n.knock("/ws", nil, "sluice.token."+token, "sluice.v1")
			},
			"subprotocol, without a prefix": func() (*websocket.Conn, *http.Response, string) { return n.knock("/ws", nil, "sluice.v1", token) },
			"query and Authorization, both alike": func() (*websocket.Conn, *http.Response, string) {
				return n.knock("/ws?token="+token, bearer(token), "sluice.v1")
			},
		} {
			conn, response, body := knock()
			if conn == nil {
				t.Errorf("%s: %d %s", place, response.StatusCode, body)
				continue
			}
			if got := response.Header.Values("Sec-WebSocket-Protocol"); !slices.Equal(got, []string{"sluice.v1"}) {
				t.Errorf("%s: the node selected %q", place, got)
			}
			leaks(t, place, fmt.Sprint(response.Header), token)
			if e := (&client{t, conn}).await("welcome"); e.UserID != "ann" {
				t.Errorf("%s: welcomed as %q", place, e.UserID)
			}
		}
	}
	// Offered alone it is not selected either.
	if conn, response, _ := n.knock("/ws", nil, "sluice.token."+hs); conn == nil || conn.Subprotocol() != "" {
		t.Errorf("got %d, %v", response.StatusCode, response.Header)
	}
	// Two tokens: one could be judged and the other believed.
	if conn, response, body := n.knock("/ws?token="+hs, bearer(rs)); conn != nil || response.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "more than one token was sent") {
		t.Errorf("got %d %s", response.StatusCode, body)
	}
	_, metrics := n.get(n.admin + "/metrics")
	leaks(t, "the log and /metrics", n.logText()+metrics, all...)
}

func TestAPlaceThatIsNotConfiguredIsNotLookedAt(t *testing.T) {
	t.Parallel()
	n := startAuth(t, authFilter("", "query: [access_token], "))
	token := good(nil)
	for path, header := range map[string]http.Header{
		"/ws?token=" + token: nil,
		"/ws":                {"Cookie": {"session=" + token + "; token=" + token}},
		"/ws?x=1":            {"X-Token": {token}, "Proxy-Authorization": {"Bearer " + token}},
	} {
		if conn, response, body := n.knock(path, header); conn != nil || response.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "a token is required") {
			t.Errorf("%.12s: %d %s", path, response.StatusCode, body)
		}
	}
	if conn, response, body := n.knock("/ws?access_token="+url.QueryEscape(token), nil); conn == nil {
		t.Errorf("%d %s", response.StatusCode, body)
	}
}

func TestAnIdentityEndsWith4201WhenItExpiresUnlessItWasRefreshed(t *testing.T) {
	t.Parallel()
	n := startAuth(t, identityRooms+authFilter(", leeway: 0", ""))
	soon := func(d time.Duration) string {
		return good(map[string]any{"exp": json.Number(fmt.Sprintf("%.3f", float64(time.Now().Add(d).UnixMilli())/1000))})
	}
	renewed := n.welcomed(soon(4 * time.Second))
	renewed.send(`{"type":"refresh","id":1,"token":"` + good(nil) + `"}`)
	if e := renewed.await("refreshed"); string(e.ID) != "1" {
		t.Errorf("got %+v", e)
	}
	shortened := n.welcomed(good(nil))
	shortened.send(`{"type":"refresh","token":"` + soon(4500*time.Millisecond) + `"}`)
	shortened.await("refreshed")
	// Its end is later than that of the identity which was renewed.
	expired := n.welcomed(soon(4500 * time.Millisecond)).join("a")
	for _, c := range []*client{expired, shortened} {
		if end := c.closed(); end.Code != 4201 || end.Reason == "" {
			t.Errorf("closed with %v", end)
		}
	}
	renewed.alive()
	if got := n.counter(`sluice_connections_closed_total\{code="4201"\}`); got != 2 {
		t.Errorf("%d expiries are counted", got)
	}
}

func TestARefreshIsForTheSameUserAndEndsWhatItDoesNotGrant(t *testing.T) {
	t.Parallel()
	n := startAuth(t, identityRooms+authFilter("", ""))
	may := func(user string, rooms ...string) string {
		grants := []any{}
		for _, room := range rooms {
			grants = append(grants, map[string]any{"rooms": room, "allow": []string{"join", "send"}})
		}
		return good(map[string]any{"sub": user, "grants": grants})
	}
	c := n.welcomed(may("ann", "chat:*", "staff:*")).join("chat:1").join("staff:1")

	for name, row := range map[string]struct{ token, code, reason string }{
		"another user":  {may("bob", "chat:*", "staff:*"), "forbidden", "another user's"},
		"an expired":    {good(map[string]any{"exp": 1}), "unauthorized", "token has expired"},
		"no token":      {"x", "unauthorized", "token is malformed"},
		"grants with *": {may("ann", "**"), "forbidden", "token grants are not acceptable"},
	} {
		c.send(`{"type":"refresh","id":"r","token":"` + row.token + `"}`)
		if e := c.await("error"); e.Code != row.code || !strings.Contains(e.Reason, row.reason) || string(e.ID) != `"r"` {
			t.Errorf("%s: got %+v", name, e)
		}
	}
	c.send(`{"type":"room_message","room":"staff:1","content":1,"id":"still"}`)
	c.await("ack")

	c.send(`{"type":"refresh","token":"` + may("ann", "chat:*") + `"}`)
	c.await("refreshed")
	if e := c.await("left"); e.Room != "staff:1" || e.Reason == "" {
		t.Errorf("got %+v", e)
	}
	c.send(`{"type":"room_message","room":"staff:1","content":1}`)
	if e := c.await("error"); e.Code != "forbidden" {
		t.Errorf("got %+v", e)
	}
	c.send(`{"type":"room_message","room":"chat:1","content":1,"id":"chat"}`)
	c.await("ack")
	for series, want := range map[string]int{`sluice_refreshes_total\{result="renewed"\}`: 1, `sluice_memberships_removed_total`: 1} {
		if got := n.counter(series); got != want {
			t.Errorf("%s is %d, want %d", series, got, want)
		}
	}
	if got := n.counter(`sluice_refreshes_total\{result="filter"\}`) + n.counter(`sluice_refreshes_total\{result="other_user"\}`); got != 4 {
		t.Errorf("%d refused refreshes are counted", got)
	}
	leaks(t, "the log", n.logText(), may("bob", "chat:*", "staff:*"))
}

// A command and the code of the answer, "" for one that is obeyed.
type attempt struct{ frame, code string }

func (c *client) try(who string, attempts []attempt) {
	c.t.Helper()
	for i, a := range attempts {
		c.send(fmt.Sprintf(`{"id":%d,%s`, i, a.frame[1:]))
		for {
			e, err := c.read()
			if err != nil {
				c.t.Fatal(err)
			}
			if string(e.ID) != fmt.Sprint(i) {
				continue // another's
			}
			if (e.Event == "error") != (a.code != "") || e.Code != a.code || a.code != "" && e.Reason == "" {
				c.t.Errorf("%s, %s: got %+v, want %q", who, a.frame, e, a.code)
			}
			break
		}
	}
}

const (
	joinOpen, joinShut = `{"type":"join_room","room":"open:1"}`, `{"type":"join_room","room":"shut:1"}`
	sayOpen            = `{"type":"room_message","room":"open:1","content":1}`
	sayShut            = `{"type":"chat","room":"shut:1","content":1}`
	whoOpen            = `{"type":"presence","room":"open:1"}`
	toAll, toBob       = `{"type":"chat","content":1}`, `{"type":"direct_message","target_user":"bob","content":1}`
)

func TestGrantsOfATokenHoldForEveryKindOfCommand(t *testing.T) {
	t.Parallel()
	n := startAuth(t, identityRooms+authFilter("", ""))
	for grants, attempts := range map[string][]attempt{
		`[]`:                                    {{joinOpen, "forbidden"}, {sayOpen, "forbidden"}, {whoOpen, "forbidden"}, {toAll, "forbidden"}, {toBob, "forbidden"}},
		`[{"rooms":"open:*","allow":["join"]}]`: {{joinOpen, ""}, {joinShut, "forbidden"}, {sayOpen, "forbidden"}, {whoOpen, "forbidden"}},
		`[{"rooms":"open:*","allow":["join","send"]}]`:                         {{joinOpen, ""}, {sayOpen, ""}, {sayShut, "forbidden"}, {whoOpen, "forbidden"}},
		`[{"rooms":"open:*","allow":["join","presence"]}]`:                     {{joinOpen, ""}, {sayOpen, "forbidden"}, {whoOpen, ""}},
		`[{"rooms":"open:*","allow":["send","presence"]}]`:                     {{joinOpen, "forbidden"}, {sayOpen, "forbidden"}, {whoOpen, "forbidden"}},
		`[{"rooms":"*","allow":["join"]}]`:                                     {{joinOpen, "forbidden"}, {`{"type":"join_room","room":"open"}`, ""}},
		`[{"rooms":"of:${user}:*","allow":["join"]}]`:                          {{`{"type":"join_room","room":"of:ann*:1"}`, ""}, {`{"type":"join_room","room":"of:anna:1"}`, "forbidden"}},
		`[{"allow":["broadcast"]}]`:                                            {{toAll, ""}, {toBob, "forbidden"}, {joinOpen, "forbidden"}},
		`[{"allow":["direct"]}]`:                                               {{toAll, "forbidden"}, {toBob, ""}},
		`[{"rooms":"open:*","allow":["join","send"]},{"allow":["broadcast"]}]`: {{toAll, ""}, {joinOpen, ""}, {sayOpen, ""}, {toBob, "forbidden"}},
	} {
		c := n.welcomed(good(map[string]any{"sub": "ann*", "grants": json.RawMessage(grants)}))
		c.try(grants, attempts)
		c.conn.CloseNow()
	}
}

func TestATokenWithoutGrantsGetsThoseOfTheConfiguration(t *testing.T) {
	t.Parallel()
	for config, attempts := range map[string][]attempt{
		"":                     {{joinOpen, ""}, {joinShut, ""}, {sayOpen, ""}, {whoOpen, ""}, {toBob, ""}, {toAll, "forbidden"}},
		"default_grants: []\n": {{joinOpen, "forbidden"}, {toBob, "forbidden"}, {toAll, "forbidden"}},
		"default_grants: [{rooms: \"open:*\", allow: [join]}, {allow: [broadcast]}]\n": {{joinOpen, ""}, {sayOpen, "forbidden"}, {joinShut, "forbidden"}, {toBob, "forbidden"}, {toAll, ""}},
	} {
		n := startAuth(t, config+identityRooms+authFilter("", ""))
		n.welcomed(good(nil)).try(config, attempts)
		// An empty list is grants: none.
		n.welcomed(good(map[string]any{"grants": []any{}})).try(config, []attempt{{joinOpen, "forbidden"}, {toBob, "forbidden"}})
	}
}

func TestAnonymousClientsAreAdmittedOnlyWhereAllOfItIsConfigured(t *testing.T) {
	t.Parallel()
	for config, want := range map[string]int{
		authFilter("", ""):                                       http.StatusUnauthorized,
		authFilter(", optional: true", ""):                       http.StatusUnauthorized,
		"anonymous: true\n" + authFilter("", ""):                 http.StatusUnauthorized,
		"anonymous: true\n" + authFilter(", optional: true", ""): http.StatusSwitchingProtocols,
	} {
		n := startAuth(t, "default_grants: [{rooms: \"open:*\", allow: [join]}]\n"+config)
		conn, response, body := n.knock("/ws?client_id=ann", nil)
		if response.StatusCode != want {
			t.Errorf("%.40s: %d %s", config, response.StatusCode, body)
		}
		if conn != nil {
			c := &client{t, conn}
			if e := c.await("welcome"); !strings.HasPrefix(e.UserID, "anonymous-") {
				t.Errorf("welcomed as %q", e.UserID)
			}
			c.try("anonymous", []attempt{{joinOpen, ""}, {sayOpen, "forbidden"}, {`{"type":"refresh","token":"` + good(nil) + `"}`, "forbidden"}})
		}
		if conn, response, body := n.knock("/ws", bearer(good(map[string]any{"exp": 1}))); conn != nil {
			t.Errorf("a bad token is admitted: %d %s", response.StatusCode, body)
		}
	}
}
