package router_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"sluice/router"
)

func TestAnonymousClientsCannotPassForAnybody(t *testing.T) {
	is := newIssuer()
	is.tokens[""] = nil
	is.issue("claims", router.Identity{Claims: []byte(`{"v":1}`), Info: []byte(`"guest"`), Grants: grantsOf(t, `[{"rooms":"${user}","allow":["join","send"]}]`, "")})
	is.issue("forged", router.Identity{User: "anonymous-somebody"})
	is.issue("expired", router.Identity{Expires: time.Now().Add(-time.Second)})
	n := startNode(t, withFilters(is), quietRooms, func(o *router.Options, _ *router.Generation) { o.Anonymous = true })

	a, b := n.connect(t, "client_id=ann"), n.connect(t, "client_id=ann")
	name := a.welcome.str("user_id")
	if !strings.HasPrefix(name, router.AnonymousPrefix) || name == b.welcome.str("user_id") || len(name) < 30 {
		t.Errorf("users %q and %q", name, b.welcome.str("user_id"))
	}
	// The default grants hold.
	a.join("any:room")
	a.refusedWith("forbidden", `{"type":"chat","content":1}`)

	// What the filters say of an unnamed client is kept.
	c := n.connect(t, "token=claims")
	c.join(c.welcome.str("user_id"))
	c.refusedWith("forbidden", `{"type":"join_room","room":"`+name+`"}`)
	c.send(`{"type":"room_message","room":"` + c.welcome.str("user_id") + `","content":1}`)
	if e := c.expect("chat"); e["info"] != "guest" {
		t.Errorf("got %v", e)
	}

	for token, cause := range map[string]string{"forged": router.RefusedReserved, "expired": router.RefusedExpired} {
		if status, body, _ := n.refusal(t, "token="+token, nil); status != 401 || body.str("code") != "unauthorized" || n.Stats().Refused[cause] != 1 {
			t.Errorf("%s: got %d %v", token, status, body)
		}
	}
}

func TestNoTokenGivesAnAnonymousNameWhereNobodyIsAnonymous(t *testing.T) {
	is := newIssuer()
	is.issue("forged", router.Identity{User: "anonymous-somebody"})
	n := startNode(t, withFilters(is))
	if status, _, _ := n.refusal(t, "token=forged", nil); status != 401 || n.Stats().Refused[router.RefusedReserved] != 1 {
		t.Errorf("got %d", status)
	}
}

func TestAnExpiryInTheFarFutureIsNoneForNow(t *testing.T) {
	is := newIssuer()
	n := startNode(t, withFilters(is))
	for name, expires := range map[string]time.Time{
		"9999": time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		"last": time.UnixMilli(math.MaxInt64),
		"292y": time.Now().Add(math.MaxInt64),
	} {
		is.issue(name, router.Identity{User: "ann", Expires: expires})
		u := n.connect(t, "token="+name)
		if u.welcome["expires_at"] != float64(expires.Unix()) {
			t.Errorf("%s: got %v", name, u.welcome)
		}
		u.quiet()
	}
	if s := n.Stats(); s.Connections != 3 {
		t.Errorf("%d are open", s.Connections)
	}
}

func TestAnIdentityIsSharedByConnectionsAndNotChanged(t *testing.T) {
	given := &router.Identity{User: "ann", Claims: []byte(`{"jti":"t1","tags":["x"]}`), Expires: time.Now().Round(0).Add(time.Hour)}
	before := *given
	f := newFilters().on(router.HookConnect, func(e *router.Event) { e.Verdict.Identity = given })
	n := startNode(t, withFilters(f))
	n.connect(t, "").quiet()
	n.connect(t, "").quiet()
	if given.TokenID != "" || given.Tags != nil || given.Expires != before.Expires {
		t.Errorf("got %+v", given)
	}
}
