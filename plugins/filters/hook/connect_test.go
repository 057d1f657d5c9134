//go:build !wasm

package main

import (
	"strings"
	"testing"

	sluice "sluice/sdk/go"
)

func TestAResultSetsTheIdentityOfAConnect(t *testing.T) {
	configure(t, `{}`)
	const listen = `","allow":["join","presence","history"]}`
	for _, c := range []struct {
		result                     string
		user, info, claims, grants string
		expires                    int64
	}{
		{result: `{"user":"ann"}`, user: "ann"},
		{result: `{"user":""}`},
		{result: `{"user":"\u0061nn","expire_at":1700000000,"data":{"welcome":1},"b64data":""}`, user: "ann", expires: 1700000000000},
		{result: `{"user":"a","expire_at":0}`, user: "a"},
		{result: `{"user":"a","info":{"name":"Ann"}}`, user: "a", info: `{"name":"Ann"}`},
		{result: `{"user":"a","meta":{"role":"x"}}`, user: "a", claims: `{"role":"x"}`},
		{result: `{"user":"a","claims":{"role":"y"}}`, user: "a", claims: `{"role":"y"}`},
		{result: `{"user":"a","channels":[]}`, user: "a"},
		{result: `{"user":"a","channels":["chat:1"]}`, user: "a", grants: `[{"rooms":"chat:1` + listen + `]`},
		{
			result: `{"user":"a","channels":["a\"b","c\\d","$e"],"subs":{"f":{"recover":true}}}`, user: "a",
			grants: `[{"rooms":"a\"b` + listen + `,{"rooms":"c\\d` + listen + `,{"rooms":"$e` + listen + `,{"rooms":"f` + listen + `]`,
		},
		{result: `{"user":"a","grants":[{"allow":["direct"]}],"channels":["x"]}`, user: "a", grants: `[{"allow":["direct"]}]`},
	} {
		v, a := answered(sluice.HookConnect, `{"result":`+c.result+`}`)
		if v != sluice.Continue || string(a.User) != c.user || string(a.Payload) != c.info || string(a.Claims) != c.claims ||
			string(a.Grants) != c.grants || a.ExpiresMillis != c.expires {
			t.Errorf("%s: verdict %d, user %q, info %s, claims %s, grants %s, expires %d",
				c.result, v, a.User, a.Payload, a.Claims, a.Grants, a.ExpiresMillis)
		}
	}
}

func TestWithoutAnAnswerEventsAreRefused(t *testing.T) {
	ask := func(hook sluice.Hook, status sluice.LookupStatus) (sluice.Verdict, sluice.Answer) {
		e := sluice.NewEvent(sluice.Input{Hook: hook, LookupStatus: status})
		v := judge(e)
		return v, e.Answer()
	}
	for _, c := range []struct {
		config string
		hook   sluice.Hook
		status sluice.LookupStatus
		want   sluice.Verdict
		metric string
	}{
		{`{}`, sluice.HookConnect, sluice.LookupMissed, denied, "answers_missed"},
		{`{}`, sluice.HookJoin, sluice.LookupFailed, denied, "answers_failed"},
		{`{}`, sluice.HookMessage, sluice.NoLookup, denied, "not_asked"},
		{`{"on":["connect"]}`, sluice.HookConnect, sluice.NoLookup, denied, "not_asked"},
		{`{"on":["connect"]}`, sluice.HookMessage, sluice.NoLookup, sluice.Continue, ""},
		{`{"on":[]}`, sluice.HookConnect, sluice.NoLookup, sluice.Continue, ""},
		{`{"on":["connect"]}`, sluice.HookMessage, sluice.LookupFailed, denied, "answers_failed"},
		{`{"on_failure":"continue"}`, sluice.HookMessage, sluice.LookupFailed, sluice.Continue, "answers_failed"},
		{`{"on_failure":"continue"}`, sluice.HookJoin, sluice.LookupMissed, sluice.Continue, "answers_missed"},
		{`{"on_failure":"continue"}`, sluice.HookConnect, sluice.LookupFailed, denied, "answers_failed"},
		{`{"on_failure":"continue"}`, sluice.HookMessage, sluice.NoLookup, denied, "not_asked"},
		{`{"on_failure":"deny"}`, sluice.HookMessage, sluice.LookupFailed, denied, "answers_failed"},
	} {
		configure(t, c.config)
		logged := ""
		sluice.TestLog = func(_ sluice.Level, text string) { logged = text }
		v, a := ask(c.hook, c.status)
		if v != c.want || v == denied && (a.Code != 503 || a.Reason != noAnswer) {
			t.Errorf("%s, hook %d, status %d: verdict %d, %+v", c.config, c.hook, c.status, v, a)
		}
		if c.metric != "" && sluice.TestKept.Metrics[c.metric] != 1 || c.metric == "" && len(sluice.TestKept.Metrics) > 0 {
			t.Errorf("%s, hook %d, status %d: counted %v", c.config, c.hook, c.status, sluice.TestKept.Metrics)
		}
		if (c.metric == "not_asked") != strings.Contains(logged, "lookup.on") {
			t.Errorf("%s, hook %d, status %d: logged %q", c.config, c.hook, c.status, logged)
		}
	}
}

func TestConfigurationsAreReadStrictly(t *testing.T) {
	for text, want := range map[string]string{
		`[]`: "has to be an object", `{"onn":[]}`: "unknown key onn: known are on, on_failure", `{"on":"connect"}`: "on has to be a list",
		`{"on":["leave"]}`: "connect, join or message", `{"on":[1]}`: "connect, join or message", `{"on_failure":"allow"}`: "deny or continue",
		`{"on_failure":true}`: "deny or continue", `{"\ud800":1}`: "cannot be read", `{"` + strings.Repeat("x", 600) + `":1}`: "unknown key xxx",
	} {
		e := sluice.NewEvent(sluice.Input{Hook: sluice.HookConfigure, Payload: text})
		if v := onConfigure(e); v != denied || !strings.Contains(e.Answer().Reason, want) || len(e.Answer().Reason) > 512 {
			t.Errorf("%.40s: verdict %d, %q, want %q", text, v, e.Answer().Reason, want)
		}
	}
}

func FuzzNoAnswerIsAllowedThatEncodingJSONRefuses(f *testing.F) {
	for _, seed := range []string{
		`{"result":{}}`, `{"result":{"user":"a","channels":["b"],"expire_at":5}}`, `{"error":{"code":1}}`, `{"disconnect":{}}`, `{"result":{"data":[1,{"a":"\u00e9"}]}}`,
		`{"result":1}`, `{`, `{"result":{}}x`, `{"result":{"a":01}}`, `{"result":{"a":"` + "\x01" + `"}}`, `{"result":{"a":1e5,"b":-0.5E-1}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		for _, hook := range hooks {
			if v, a := answered(hook, answer); v == sluice.Continue && !isAnswer(answer) {
				t.Errorf("%q goes on: %+v", answer, a)
			}
		}
	})
}
