package router_test

import (
	"sync"
	"testing"

	"sluice/router"
)

// issuer is a chain of filters with tokens that the test issues: the query
// field token of a connect, the payload of a refresh.
type issuer struct {
	*filters
	mu     sync.Mutex
	tokens map[string]*router.Identity
	seen   recorded // the connect events
	before func(e *router.Event)
}

func newIssuer() *issuer {
	is := &issuer{filters: newFilters(), tokens: make(map[string]*router.Identity)}
	is.on(router.HookConnect, is.connect)
	return is
}

func (is *issuer) connect(e *router.Event) {
	is.seen.hook(e)
	token := string(e.Payload)
	if e.Kind == router.KindNew {
		token = e.Request.URL.Query().Get("token")
	}
	if is.before != nil {
		is.before(e)
	}
	is.mu.Lock()
	defer is.mu.Unlock()
	if id, known := is.tokens[token]; known {
		e.Verdict.Identity = id
		return
	}
	e.Verdict = router.Verdict{Action: router.Deny, Code: 401, Reason: "unknown token", Filter: "auth"}
}

// issue makes a token that stands for the identity.
func (is *issuer) issue(token string, id router.Identity) {
	is.mu.Lock()
	defer is.mu.Unlock()
	is.tokens[token] = &id
}

func refreshCommand(token string) string {
	return `{"id":"f","type":"refresh","token":"` + token + `"}`
}

// refresh renews the identity, which must succeed.
func (c *client) refresh(token string) event {
	c.t.Helper()
	e := c.ask(refreshCommand(token))
	if e.name() != "refreshed" || e["id"] != "f" {
		c.t.Fatalf("refreshing with %s: got %v", token, e)
	}
	return e
}

func grantsOf(t testing.TB, text, user string) *router.Grants {
	t.Helper()
	g, err := router.ParseGrants([]byte(text), user)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

var quietRooms = withRule("**", func(r *router.RoomRule) { r.Presence, r.Announce = true, router.AnnounceOff })
