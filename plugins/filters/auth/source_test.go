package auth_test

import (
	"net/http"
	"net/url"
	"testing"

	"sluice/plugins"
	"sluice/router"
)

func TestATokenIsFoundWhereClientsCanPutIt(t *testing.T) {
	n := start(t, `{}`)
	token := hs256(t, claims(nil))
	for name, r := range map[string]*http.Request{
		"Authorization":                  request("/ws", "Authorization", "Bearer "+token),
		"the scheme in any case":         request("/ws", "Authorization", "bEARER "+token),
		"several blanks":                 request("/ws", "Authorization", "Bearer   "+token),
		"query":                          request("/ws?token=" + token),
		"query among others":             request("/ws?a=1&token=" + token + "&client_id=root"),
		"subprotocol":                    request("/ws", "Sec-WebSocket-Protocol", "sluice.v1, sluice.token."+token),
		"subprotocol alone":              request("/ws", "Sec-WebSocket-Protocol", "sluice.token."+token),
		"subprotocol without a prefix":   request("/ws", "Sec-WebSocket-Protocol", "sluice.v1,\t"+token),
		"subprotocol in a second header": request("/ws", "Sec-WebSocket-Protocol", "sluice.v1", "Sec-WebSocket-Protocol", token),
		"the same token in all places":   request("/ws?token="+token, "Authorization", "Bearer "+token, "Sec-WebSocket-Protocol", token),
		"another scheme beside":          request("/ws?token="+token, "Authorization", "Basic dXNlcjpwYXNz"),
		"a scheme of a similar name":     request("/ws?token="+token, "Authorization", "BearerX abc"),
		"other subprotocols beside":      request("/ws?token="+token, "Sec-WebSocket-Protocol", "sluice.v1, mqtt, v2.eyJ.x, ey"),
	} {
		t.Run(name, func(t *testing.T) {
			if id := admitted(t, n.judge(t, event(r))); id.User != "ann" {
				t.Errorf("user %q", id.User)
			}
		})
	}
}

func TestWithoutATokenNobodyIsAdmitted(t *testing.T) {
	n := start(t, `{}`)
	token := hs256(t, claims(nil))
	for name, r := range map[string]*http.Request{
		"nothing":                request("/ws"),
		"a client_id":            request("/ws?client_id=root"),
		"another scheme":         request("/ws", "Authorization", "Basic "+token),
		"no scheme":              request("/ws", "Authorization", token),
		"a scheme without blank": request("/ws", "Authorization", "Bearer"+token),
		"another query field":    request("/ws?Token=" + token + "&access_token=" + token),
		"a cookie not named":     request("/ws", "Cookie", "token="+token),
		"another header":         request("/ws", "X-Token", token, "Proxy-Authorization", "Bearer "+token),
		"another subprotocol":    request("/ws", "Sec-WebSocket-Protocol", "sluice.v1, jwt."+token),
		"a body":                 request("/ws#token=" + token),
		"unsigned grants":        request("/ws?grants=" + url.QueryEscape(`[{"rooms":"*","allow":["join"]}]`)),
	} {
		t.Run(name, func(t *testing.T) { refused(t, n.judge(t, event(r)), 401, missing) })
	}
	for name, r := range map[string]*http.Request{
		"an empty query field": request("/ws?token="), "a scheme alone": request("/ws", "Authorization", "Bearer"),
		"a scheme and blanks": request("/ws", "Authorization", "Bearer  "), "an empty subprotocol": request("/ws", "Sec-WebSocket-Protocol", "sluice.token."),
	} {
		t.Run(name, func(t *testing.T) { refused(t, n.judge(t, event(r)), 401, malformed) })
	}
}

func TestGrantsOutsideOfTheTokenAreNone(t *testing.T) {
	n := start(t, `{}`)
	token := hs256(t, claims(nil))
	r := request("/ws?token="+token+"&grants="+url.QueryEscape(`[{"rooms":"*","allow":["join"]}]`), "X-Grants", `[{"allow":["broadcast"]}]`)
	if id := admitted(t, n.judge(t, event(r))); id.Grants != nil {
		t.Errorf("grants %+v", id.Grants)
	}
}

func TestSeveralTokensAreRefused(t *testing.T) {
	n := start(t, `{"optional":true}`)
	ann, bob := hs256(t, claims(nil)), hs256(t, claims(map[string]any{"sub": "bob"}))
	twice := request("/ws")
	twice.Header["Authorization"] = []string{"Bearer " + ann, "Bearer " + bob}
	for name, r := range map[string]*http.Request{
		"header and query":       request("/ws?token="+bob, "Authorization", "Bearer "+ann),
		"two headers":            twice,
		"two query fields":       request("/ws?token=" + ann + "&token=" + bob),
		"header and subprotocol": request("/ws", "Authorization", "Bearer "+ann, "Sec-WebSocket-Protocol", "sluice.token."+bob),
		"two subprotocols":       request("/ws", "Sec-WebSocket-Protocol", ann+", "+bob),
		"a token and an empty":   request("/ws?token=", "Authorization", "Bearer "+ann),
		"back to the first":      request("/ws?token=" + ann + "&token=" + bob + "&token=" + ann),
	} {
		t.Run(name, func(t *testing.T) { refused(t, n.judge(t, event(r)), 401, several) })
	}
	joined := request("/ws", "Authorization", "Bearer "+ann+", Bearer "+bob)
	refused(t, n.judge(t, event(joined)), 401, malformed)
}

func TestTheEntrySaysWhereTokensAreLookedFor(t *testing.T) {
	token := hs256(t, claims(nil))
	s := spec(`{}`, pairs()["HS256"].spec)
	s.Headers, s.Query, s.Cookies = []string{}, []string{"access_token"}, []string{"session"}
	n := startSpec(t, s)
	admitted(t, n.judge(t, event(request("/ws?access_token="+token))))
	admitted(t, n.judge(t, event(request("/ws", "Cookie", "a=b; session="+token))))
	refused(t, n.judge(t, event(request("/ws?token="+token))), 401, missing)
	refused(t, n.judge(t, event(request("/ws", "Authorization", "Bearer "+token))), 401, missing)
	refused(t, n.judge(t, event(request("/ws", "Cookie", "session="))), 401, malformed)
	refused(t, n.judge(t, event(request("/ws", "Cookie", "session="+token+"; session=x"))), 401, several)
	refused(t, n.judge(t, event(request("/ws", "Cookie", "Session="+token))), 401, missing)

	s = spec(`{}`, pairs()["HS256"].spec)
	s.Cookies = []string{"session"} // what is not named keeps its default
	n = startSpec(t, s)
	admitted(t, n.judge(t, event(request("/ws", "Cookie", "session="+token))))
	admitted(t, n.ask(t, token))
}

func TestAnOptionalTokenMayBeAbsentButNotBad(t *testing.T) {
	n := start(t, `{"optional":true}`)
	if v := n.judge(t, event(request("/ws"))); v.Action != router.Continue || v.Identity != nil {
		t.Errorf("without a token: %+v", v)
	}
	admitted(t, n.ask(t, hs256(t, claims(nil))))
	refused(t, n.ask(t, "x"), 401, malformed)
	refused(t, n.ask(t, ""), 401, malformed)
	refused(t, n.ask(t, hs256(t, claims(map[string]any{"exp": 1}))), 401, expired)
}

func TestNothingOfAnEarlierFiltersIdentityStays(t *testing.T) {
	first, second := pairs()["HS256"], pairs()["ES256"]
	a, b := spec(`{"claims":{"grants":"rights"}}`, first.spec), spec(`{"claims":{"user":"name","grants":"none"},"optional":true}`, second.spec)
	a.Name, b.Name = "first", "second"
	a.Query, b.Query = []string{"a"}, []string{"b"}
	n := startSpec(t, a, b)
	ann := hs256(t, claims(map[string]any{"name": "Ann", "rights": []any{map[string]any{"allow": []string{"broadcast"}}}}))
	bob := sign(t, second, nil, claims(map[string]any{"name": "bob"}))

	id := admitted(t, n.judge(t, event(request("/ws?a="+ann))))
	if id.User != "ann" || id.Grants == nil {
		t.Errorf("the first alone: %+v", id)
	}
	id = admitted(t, n.judge(t, event(request("/ws?a="+ann+"&b="+bob))))
	if id.User != "bob" || id.Grants != nil {
		t.Errorf("the second has the last word: %+v", id)
	}
}

func TestFailingForAnyCauseAdmitsNobody(t *testing.T) {
	s := spec(`{}`, pairs()["HS256"].spec)
	s.OnFailure = plugins.FailContinue
	host, _ := newHost(t)
	if _, err := host.Build(t.Context(), []plugins.Spec{s}, nil); err == nil {
		t.Error("on_failure: continue was accepted")
	}
}
