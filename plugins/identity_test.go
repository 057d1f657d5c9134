package plugins

import (
	"net/http/httptest"
	"testing"
	"time"

	"sluice/router"
)

// connectFilter is outputs.wat under another name. It answers what the
// connect event's payload says, so its answer is the same for each.
func connectFilter(name string) Spec {
	s := guest("outputs")
	s.Name = name
	return s
}

func TestAConnectFilterSetsAnIdentity(t *testing.T) {
	c := newTestHost(t, HostOptions{}).chain(nil, guest("outputs"))
	expires := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	v := judge(t, c, eventOf(router.HookConnect, answering(vContinue).
		put(outUser, "ada").put(outClaims, `{"role":"mod"}`).put(outPayload, `{"name":"Ada"}`).
		put(outGrants, `[{"rooms":"home:${user}","allow":["join"]}]`).u64(outExpires, expires.UnixMilli())))
	id := v.Identity
	if v.Action != router.Continue || id == nil {
		t.Fatalf("verdict %+v", *v)
	}
	if id.User != "ada" || string(id.Claims) != `{"role":"mod"}` || string(id.Info) != `{"name":"Ada"}` || !id.Expires.Equal(expires) || id.Grants == nil {
		t.Errorf("identity %+v", *id)
	}
}

func TestAConnectFilterThatSaysNothingSetsNoIdentity(t *testing.T) {
	c := newTestHost(t, HostOptions{}).chain(nil, guest("outputs"))
	for _, s := range []*script{answering(vContinue), answering(vAllow), answering(vDeny).put(outUser, "ada"), answering(-1).put(outUser, "ada")} {
		if v := judge(t, c, eventOf(router.HookConnect, s)); v.Identity != nil {
			t.Errorf("verdict %d: identity %+v", s.verdict, *v.Identity)
		}
	}
}

func TestLaterConnectFiltersSeeTheIdentitySoFar(t *testing.T) {
	c := newTestHost(t, HostOptions{}).chain(nil, connectFilter("auth"), captureSpec())
	e := eventOf(router.HookConnect, answering(vContinue).put(outUser, "ada").put(outClaims, `{"a":1}`).u64(outExpires, 1_900_000_000_000))
	e.Request = httptest.NewRequest("GET", "/ws", nil)
	judge(t, c, e)
	got := readCapture(t, e, "capture")
	if got.text(inUser) != "ada" || got.text(inClaims) != `{"a":1}` || got.u64(inExpires) != 1_900_000_000_000 {
		t.Errorf("the next filter saw %q, %s, %d", got.text(inUser), got.text(inClaims), got.u64(inExpires))
	}
	if id := e.Verdict.Identity; id == nil || id.User != "ada" {
		t.Errorf("identity %+v", id)
	}
}

func TestALaterConnectFilterChangesOnlyWhatItSets(t *testing.T) {
	var id identity
	e := &router.Event{Hook: router.HookConnect}
	q := question{event: e}
	grants := []byte(`[{"rooms":"home:${user}","allow":["join"]}]`)
	forAda, err := router.ParseGrants(grants, "ada")
	if err != nil {
		t.Fatal(err)
	}
	set := func(s string) output { return output{true, []byte(s)} }
	id.take(&answer{user: set("ada"), claims: set(`{}`), payload: set(`1`), grants: output{true, grants}, parsed: forAda}, &q)
	id.take(&answer{}, &q)
	id.take(&answer{user: set("bob"), claims: set(""), expires: 5}, &q)
	id.conclude(e, &q)
	got := e.Verdict.Identity
	if got.User != "bob" || got.Claims != nil || string(got.Info) != "1" || got.Expires.UnixMilli() != 5 {
		t.Errorf("identity %+v", *got)
	}
	// Patterns name the user that the chain ended with.
	if got.Grants == nil || got.Grants == forAda {
		t.Error("the grants are still those of the first user")
	}
}

func TestClearedOutputsOfConnectTakeTheIdentityBack(t *testing.T) {
	c := newTestHost(t, HostOptions{}).chain(nil, guest("outputs"))
	e := eventOf(router.HookConnect, answering(vContinue).span(outUser, scriptData, 0).span(outGrants, scriptData, 0).span(outClaims, scriptData, 0))
	e.Kind, e.User, e.Claims = router.KindNew, "guest-1", []byte(`{}`)
	v := judge(t, c, e)
	if id := v.Identity; id == nil || id.User != "" || id.Claims != nil || id.Grants != nil {
		t.Errorf("verdict %+v", *v)
	}
}

func TestARefreshKeepsTheUser(t *testing.T) {
	c := newTestHost(t, HostOptions{}).chain(nil, guest("outputs"))
	refresh := func(user string) *router.Verdict {
		e := eventOf(router.HookConnect, answering(vContinue).put(outUser, user).u64(outExpires, 99))
		e.Kind, e.User = router.KindRefresh, "ada"
		return judge(t, c, e)
	}
	if v := refresh("ada"); v.Identity == nil || v.Identity.User != "ada" || v.Identity.Expires.UnixMilli() != 99 {
		t.Errorf("the same user: %+v", *v)
	}
	if v := refresh("bob"); v.Action != router.Deny || v.Code != 403 || v.Failure != "" || v.Identity != nil {
		t.Errorf("another user: %+v", *v)
	}
	if s := stats(c); s.Verdicts["deny"] != 1 || s.Verdicts["continue"] != 1 {
		t.Errorf("counted %v", s.Verdicts)
	}
}
