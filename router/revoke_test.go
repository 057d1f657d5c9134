package router_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"sluice/router"
	"sluice/router/membroker"
)

// bearers is a node with a connection each of ann (token t1, tag staff), ann
// (token 7, tags staff and night), and bob (no token, no tag).
func bearers(t *testing.T) (n *node, is *issuer, ann1, ann2, bob *client) {
	t.Helper()
	is = newIssuer()
	is.issue("a1", router.Identity{User: "ann", Claims: []byte(`{"jti":"t1","tags":["staff"]}`)})
	is.issue("a2", router.Identity{User: "ann", Claims: []byte(`{"jti":7,"tags":["staff",{"x":1},"night",""]}`)})
	is.issue("b", router.Identity{User: "bob", Claims: []byte(`{"JTI":"t1","tags":"staff"}`)})
	n = startNode(t, withFilters(is))
	return n, is, n.connect(t, "token=a1"), n.connect(t, "token=a2"), n.connect(t, "token=b")
}

func TestARevocationClosesWhomItNamesAndNobodyElse(t *testing.T) {
	for _, c := range []struct {
		v      router.Revocation
		ann1   int // the close code; 0: not closed
		ann2   int
		bob    int
		kind   string
		reason string
	}{
		{router.Revocation{User: "ann"}, 4003, 4003, 0, "user", "the user has been revoked"},
		{router.Revocation{User: "bob", Reason: "spam"}, 0, 0, 4003, "user", "spam"},
		{router.Revocation{TokenID: "t1"}, 4001, 0, 0, "token", "the token has been revoked"},
		{router.Revocation{TokenID: "7"}, 0, 4001, 0, "token", ""},
		{router.Revocation{Tag: "staff"}, 4003, 4003, 0, "tag", "your access has been revoked"},
		{router.Revocation{Tag: "night"}, 0, 4003, 0, "tag", ""},
		{router.Revocation{Tag: "t1"}, 0, 0, 0, "tag", ""},
		{router.Revocation{TokenID: "ann"}, 0, 0, 0, "token", ""},
	} {
		n, _, ann1, ann2, bob := bearers(t)
		closed, err := n.Revoke(c.v)
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		for u, code := range map[*client]int{ann1: c.ann1, ann2: c.ann2, bob: c.bob} {
			if code == 0 {
				u.quiet()
				continue
			}
			want++
			u.closedWith(code)
			if !strings.Contains(u.ended.Error(), c.reason) {
				t.Errorf("%+v: %v does not say %q", c.v, u.ended, c.reason)
			}
		}
		if s := n.Stats(); closed != want || s.Revoked[c.kind] != uint64(want) {
			t.Errorf("%+v: %d are closed and %v counted, want %d", c.v, closed, s.Revoked, want)
		}
	}
}

func TestWithoutAnEndARevocationClosesOnlyWhatIsOpen(t *testing.T) {
	n, _, ann1, _, _ := bearers(t)
	if closed, err := n.Revoke(router.Revocation{User: "ann"}); closed != 2 || err != nil {
		t.Errorf("%d closed, %v", closed, err)
	}
	ann1.closedWith(4003)
	n.connect(t, "token=a1").quiet()
}

func TestConnectsAreRefusedUntilTheRevocationEnds(t *testing.T) {
	n, _, _, _, _ := bearers(t)
	hour := time.Now().Add(time.Hour)
	for _, c := range []struct {
		v        router.Revocation
		token    string
		status   int
		code     string
		close    int
		admitted string // another token
	}{
		{router.Revocation{TokenID: "t1", Until: hour}, "a1", 401, "unauthorized", 4001, "a2"},
		{router.Revocation{Tag: "night", Until: hour}, "a2", 403, "forbidden", 4003, "a1"},
		{router.Revocation{User: "bob", Until: hour, Reason: "spam"}, "b", 403, "forbidden", 4003, "a1"},
	} {
		before := n.Stats().Refused[router.RefusedRevoked]
		if _, err := n.Revoke(c.v); err != nil {
			t.Fatal(err)
		}
		status, body, _ := n.refusal(t, "token="+c.token, nil)
		if status != c.status || body.str("code") != c.code || c.v.Reason != "" && body.str("reason") != c.v.Reason {
			t.Errorf("%+v: got %d %v", c.v, status, body)
		}
		ws, _, err := n.dialRaw("refusal=close&token="+c.token, nil)
		if err != nil {
			t.Fatal(err)
		}
		u := newClient(t, ws)
		u.expect("error")
		u.closedWith(c.close)
		n.connect(t, "token="+c.admitted)
		if got := n.Stats().Refused[router.RefusedRevoked] - before; got != 2 {
			t.Errorf("%+v: %d are counted", c.v, got)
		}
		c.v.Until = time.Now().Add(50 * time.Millisecond) // replaces the earlier one
		if _, err := n.Revoke(c.v); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it has ended", func() bool {
			ws, _, err := n.dialRaw("token="+c.token, nil)
			if err == nil {
				ws.CloseNow()
			}
			return err == nil
		})
	}
}

func TestAUserIsRevokedOnANodeThatAsksNobody(t *testing.T) {
	n := startNode(t, silent)
	u := n.as(t, "ann")
	if closed, err := n.Revoke(router.Revocation{User: "ann", Until: time.Now().Add(time.Hour)}); closed != 1 || err != nil {
		t.Errorf("%d closed, %v", closed, err)
	}
	u.closedWith(4003)
	if status, _, _ := n.refusal(t, "client_id=ann", nil); status != 403 {
		t.Errorf("got %d", status)
	}
}

func TestARevocationThatCannotBeMeantIsRefused(t *testing.T) {
	n, _, ann1, _, _ := bearers(t)
	for _, c := range []struct {
		v    router.Revocation
		says string
	}{
		{router.Revocation{}, "0 are set"},
		{router.Revocation{User: "ann", Tag: "staff"}, "2 are set"},
		{router.Revocation{User: "ann", Until: time.Now().Add(-time.Second)}, "leave Until out"},
	} {
		if closed, err := n.Revoke(c.v); closed != 0 || err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %d closed, %v", c.v, closed, err)
		}
	}
	ann1.quiet()
}

func TestRevocationsAreBoundedAndMakeRoomWhenTheyEnd(t *testing.T) {
	n, _, ann1, _, _ := bearers(t)
	hour := time.Now().Add(time.Hour)
	for i := range router.MaxRevocations {
		if _, err := n.Revoke(router.Revocation{TokenID: fmt.Sprint("old", i), Until: hour}); err != nil {
			t.Fatal(i, err)
		}
	}
	last := router.Revocation{TokenID: "t1", Until: hour}
	if closed, err := n.Revoke(last); closed != 1 || !errors.Is(err, router.ErrRevocations) {
		t.Errorf("%d closed, %v", closed, err)
	}
	ann1.closedWith(4001)
	if _, err := n.Revoke(router.Revocation{TokenID: "old7", Until: time.Now().Add(20 * time.Millisecond)}); err != nil {
		t.Errorf("one that is there already: %v", err)
	}
	eventually(t, "there is room", func() bool {
		_, err := n.Revoke(last)
		return err == nil
	})
	if status, _, _ := n.refusal(t, "token=a1", nil); status != 401 {
		t.Errorf("got %d", status)
	}
}

// The connect has passed the check of its identity, and is not registered yet.
func TestARevocationMissesNoConnectThatIsUnderWay(t *testing.T) {
	under, release := make(chan struct{}), make(chan struct{})
	b := &broker{subscribe: func(_ context.Context, topic router.Topic) error {
		if topic.User {
			close(under)
			<-release
		}
		return nil
	}}
	is := newIssuer()
	is.issue("a1", router.Identity{User: "ann", Claims: []byte(`{"jti":"t1"}`)})
	n := startNodeWith(t, b, membroker.New(), withFilters(is))
	go func() {
		<-under
		if closed, err := n.Revoke(router.Revocation{TokenID: "t1", Until: time.Now().Add(time.Hour)}); closed != 0 || err != nil {
			t.Errorf("%d closed, %v", closed, err)
		}
		close(release)
	}()
	ws, _, err := n.dialRaw("token=a1", nil)
	if err != nil {
		t.Fatal(err)
	}
	newClient(t, ws).closedWith(4001)
	eventually(t, "nothing is left", func() bool { s := n.Stats(); return s.Connections == 0 && s.Revoked["token"] == 1 })
}

// Clients connect without a pause while their user is revoked: whoever gets in
// before is closed, and nobody gets in afterwards.
func TestARevocationMissesNobodyAmongManyConnects(t *testing.T) {
	is := newIssuer()
	n := startNode(t, withFilters(is))
	for round := range 4 {
		user := fmt.Sprint("u", round)
		is.issue(user, router.Identity{User: user})
		var clients sync.WaitGroup
		open := make(chan *websocket.Conn, 1<<16)
		for range 8 {
			clients.Go(func() {
				for {
					ws, resp, err := n.dialRaw("token="+user, nil)
					if err != nil {
						if resp == nil || resp.StatusCode != 403 {
							t.Errorf("refused with %v: %v", resp, err)
						}
						return
					}
					open <- ws
				}
			})
		}
		accepted := n.Stats().Accepted
		eventually(t, "some are in", func() bool { return n.Stats().Accepted > accepted+150 }) // closing them takes time
		if _, err := n.Revoke(router.Revocation{User: user, Until: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		clients.Wait()
		eventually(t, "all are closed, while their clients stay", func() bool { return n.Stats().Users == 0 })
		close(open)
		for ws := range open {
			ws.CloseNow()
		}
	}
}

// The refresh has passed the check of its identity, which is not in force yet.
func TestARevocationMissesNoIdentityThatIsAboutToBeInForce(t *testing.T) {
	is := newIssuer()
	is.issue("old", router.Identity{User: "ann"})
	n := startNode(t, withFilters(is))
	u := n.connect(t, "token=old")
	if closed, err := n.Revoke(router.Revocation{TokenID: "t1", Until: time.Now().Add(time.Hour)}); closed != 0 || err != nil {
		t.Errorf("%d closed, %v", closed, err)
	}
	n.Renew(&router.Identity{User: "ann", TokenID: "t1"})
	u.closedWith(4001)
	if s := n.Stats(); s.Revoked["token"] != 1 || s.Refreshes[router.RefusedRevoked] != 1 || s.Refreshes[router.RefreshRenewed] != 0 {
		t.Errorf("counted %v, %v", s.Revoked, s.Refreshes)
	}
}

// A token is revoked while a connection is renewed with it: either the refresh
// is refused, or the connection is closed.
func TestARevocationMissesNoRefreshThatIsUnderWay(t *testing.T) {
	is := newIssuer()
	is.issue("old", router.Identity{User: "ann"})
	n := startNode(t, withFilters(is))
	for round := range 300 {
		token := fmt.Sprint("t", round)
		is.issue(token, router.Identity{User: "ann", Claims: []byte(`{"jti":"` + token + `"}`)})
		u := n.connect(t, "token=old")
		judged := make(chan struct{})
		is.before = func(e *router.Event) {
			if e.Kind == router.KindRefresh {
				close(judged)
			}
		}
		u.send(refreshCommand(token))
		<-judged
		if _, err := n.Revoke(router.Revocation{TokenID: token, Until: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		e, open := <-u.events
		if open && e.name() == "error" {
			u.quiet()
			continue
		}
		u.closedWith(4001)
	}
	s := n.Stats()
	t.Logf("%d were refused, %d closed", s.Refreshes[router.RefusedRevoked], s.Revoked["token"])
}
