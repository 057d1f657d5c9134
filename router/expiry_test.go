package router_test

import (
	"testing"
	"time"

	"github.com/coder/websocket"

	"sluice/router"
)

func TestAnIdentityThatExpiresClosesTheConnection(t *testing.T) {
	expires := time.Now().Add(400 * time.Millisecond)
	f := newFilters().on(router.HookConnect, func(e *router.Event) {
		e.Verdict.Identity = &router.Identity{User: "ann", Expires: expires}
	})
	n := startNode(t, withFilters(f))
	u := n.connect(t, "")
	if u.welcome["expires_at"] != float64(expires.Unix()) {
		t.Errorf("got %v", u.welcome)
	}
	u.closedWith(4201)
	if time.Now().Before(expires) {
		t.Error("closed too early")
	}
	if status, body, _ := n.refusal(t, "", nil); status != 401 || n.Stats().Refused[router.RefusedExpired] != 1 {
		t.Errorf("an expired identity: got %d %v", status, body)
	}
}

func TestARefreshMovesTheExpiryInBothDirections(t *testing.T) {
	is := newIssuer()
	n := startNode(t, withFilters(is))
	soon := time.Now().Add(time.Second)
	is.issue("soon", router.Identity{User: "ann", Expires: soon})
	is.issue("later", router.Identity{User: "ann", Expires: time.Now().Add(time.Hour)})
	is.issue("never", router.Identity{User: "ann"})
	later, never := n.connect(t, "token=soon"), n.connect(t, "token=soon")
	back, control := n.connect(t, "token=later"), n.connect(t, "token=soon")
	later.refresh("later")
	never.refresh("never")
	back.refresh("soon")
	control.closedWith(4201)
	back.closedWith(4201)
	later.quiet()
	never.quiet()
}

// Time that has passed in a queue, in a filter or until the timer fires is no
// time of grace.
func TestNoCommandTakesEffectOnceTheIdentityHasExpired(t *testing.T) {
	var messages recorded
	is := newIssuer()
	is.on(router.HookMessage, messages.hook)
	n := startNode(t, withFilters(is), quietRooms)
	expires := time.Now().Add(500 * time.Millisecond)
	is.issue("one", router.Identity{User: "ann", Expires: expires})
	ws, _, err := n.dialRaw("token=one", nil)
	if err != nil {
		t.Fatal(err)
	}
	u := newClient(t, ws)
	u.send(`{"type":"join_room","room":"r"}`)
	for open := true; open; _, open = <-u.events {
		ws.Write(t.Context(), websocket.MessageText, []byte(`{"type":"room_message","room":"r","content":1}`))
	}
	u.closedWith(4201)
	seen := messages.all()
	if len(seen) == 0 {
		t.Fatal("no message was judged before")
	}
	// The event's time is taken a moment after the expiry was looked at.
	if late := time.Unix(0, seen[len(seen)-1].Time).Sub(expires); late > 50*time.Millisecond {
		t.Errorf("a message was judged %v after the expiry", late)
	}
}

func TestARefreshThatTakesUntilTheOldIdentityHasExpiredComesTooLate(t *testing.T) {
	is := newIssuer()
	is.issue("one", router.Identity{User: "ann", Expires: time.Now().Add(500 * time.Millisecond)})
	is.issue("two", router.Identity{User: "ann"})
	n := startNode(t, withFilters(is))
	u := n.connect(t, "token=one")
	judging := make(chan struct{})
	release := make(chan struct{})
	is.before = func(*router.Event) { close(judging); <-release }
	u.send(refreshCommand("two"))
	<-judging
	u.closedWith(4201)
	close(release)
	eventually(t, "it is counted", func() bool { return n.Stats().Refreshes[router.RefusedExpired] == 1 })
}
