//go:build !wasm

package main

import (
	"strings"
	"testing"

	sluice "sluice/sdk/go"
)

// configure configures the filter, and resets what stands for the host.
func configure(t *testing.T, text string) {
	t.Helper()
	sluice.ResetTest()
	t.Cleanup(sluice.ResetTest)
	e := sluice.NewEvent(sluice.Input{Hook: sluice.HookConfigure, Payload: text})
	if v := onConfigure(e); v != sluice.Continue {
		t.Fatalf("%s: %s", text, e.Answer().Reason)
	}
}

// The verdicts that have no name of their own.
var (
	denied = sluice.NewEvent(sluice.Input{}).Deny(0, "")
	closed = sluice.NewEvent(sluice.Input{}).Disconnect(0, "")
)

// answered asks about one event that the backend has answered.
func answered(hook sluice.Hook, answer string) (sluice.Verdict, sluice.Answer) {
	e := sluice.NewEvent(sluice.Input{Hook: hook, Payload: `"hi"`, Lookup: answer, LookupStatus: sluice.LookupFound})
	v := map[sluice.Hook]func(*sluice.Event) sluice.Verdict{
		sluice.HookConnect: onConnect, sluice.HookJoin: onJoin, sluice.HookMessage: onMessage,
	}[hook](e)
	return v, e.Answer()
}

var hooks = []sluice.Hook{sluice.HookConnect, sluice.HookJoin, sluice.HookMessage}

func TestAnEmptyResultLetsTheEventGoOnUnchanged(t *testing.T) {
	configure(t, `{}`)
	for _, hook := range hooks {
		for _, answer := range []string{
			`{"result":{}}`, ` { "result" : { } } `, `{"result":{},"error":null,"disconnect":null}`, `{"result":{"unknown":[1]},"more":{}}`,
			`{"result":{"data":null,"user":null,"info":null,"channels":null}}`,
		} {
			v, a := answered(hook, answer)
			if v != sluice.Continue || a.Payload != nil || a.User != nil || a.Grants != nil || a.Claims != nil || a.ExpiresMillis != 0 {
				t.Errorf("hook %d, %s: verdict %d, %+v", hook, answer, v, a)
			}
		}
	}
	if n := len(sluice.TestKept.Metrics); n != 0 {
		t.Errorf("%d metrics were counted, want none", n)
	}
}

func TestAnAnswerThatMakesNoSenseIsARefusalThatIsCountedAndLogged(t *testing.T) {
	for _, c := range []struct {
		hooks        []sluice.Hook
		answer, says string
	}{
		{hooks, ``, "has to be a JSON object"},
		{hooks, `null`, "has to be a JSON object"},
		{hooks, `[]`, "has to be a JSON object"},
		{hooks, `"ok"`, "has to be a JSON object"},
		{hooks, `{`, "not valid JSON"},
		{hooks, `{"result":{}`, "not valid JSON"},
		{hooks, `{"result":{}}}`, "not valid JSON"},
		{hooks, `{"result":{}} {}`, "not valid JSON"},
		{hooks, `{"result":{},}`, "not valid JSON"},
		{hooks, `{"result":{"a":tru}}`, "not valid JSON"},
		{hooks, `<html>`, "has to be a JSON object"},
		{hooks, `{}`, "none of result, error and disconnect"},
		{hooks, `{"result":null}`, "none of result, error and disconnect"},
		{hooks, `{"allow":true}`, "none of result, error and disconnect"},
		{hooks, `{"result":true}`, "result has to be an object"},
		{hooks[:1], `{"result":{"user":"ann","\ud800":0,"expire_at":1900000000}}`, "has a name that cannot be read"},
		{hooks[:1], `{"result":{"user":"ann","subs":{"\ud800":{}},"expire_at":1900000000}}`, "has a name that cannot be read"},
		{hooks[2:], `{"result":{"\ud800":0,"data":"other"}}`, "has a name that cannot be read"},
		{hooks, `{"result":[]}`, "result has to be an object"},
		{hooks, `{"error":true}`, "error has to be"},
		{hooks, `{"error":{"code":"403"}}`, "error has to be"},
		{hooks, `{"error":{"code":4.5}}`, "error has to be"},
		{hooks, `{"error":{"code":99999999999999999999}}`, "error has to be"},
		{hooks, `{"error":{"message":["x"]}}`, "error has to be"},
		{hooks, `{"error":{"temporary":1}}`, "error has to be"},
		{hooks, `{"error":{"retry_ms":-1}}`, "error has to be"},
		{hooks, `{"error":{"retry_ms":4294967296}}`, "error has to be"},
		{hooks, `{"disconnect":4000}`, "disconnect has to be"},
		{hooks, `{"disconnect":{"code":"4000"}}`, "disconnect has to be"},
		{hooks[2:], `{"result":{"b64data":"eA=="}}`, "b64data is not supported"},
		{hooks[:1], `{"result":{"b64info":"eA=="}}`, "b64info is not supported"},
		{hooks[:1], `{"result":{"user":7}}`, "user has to be a string"},
		{hooks[:1], `{"result":{"user":"\ud800"}}`, "user has to be a string"},
		{hooks[:1], `{"result":{"expire_at":"2030-01-01"}}`, "Unix seconds"},
		{hooks[:1], `{"result":{"expire_at":-1}}`, "Unix seconds"},
		{hooks[:1], `{"result":{"expire_at":1700000000000}}`, "Unix seconds"},
		{hooks[:1], `{"result":{"claims":[]}}`, "claims, or meta, has to be an object"},
		{hooks[:1], `{"result":{"channels":"a"}}`, "channels has to be a list"},
		{hooks[:1], `{"result":{"channels":[1]}}`, "channels has to be a list"},
		{hooks[:1], `{"result":{"channels":["a*"]}}`, "send grants"},
		{hooks[:1], `{"result":{"channels":["inbox:${user}"]}}`, "send grants"},
		{hooks[:1], `{"result":{"channels":["a\u0007"]}}`, "control character"},
		{hooks[:1], `{"result":{"channels":[""]}}`, "empty"},
		{hooks[:1], `{"result":{"channels":["` + strings.Repeat("x", 256) + `"]}}`, "more than 255 bytes"},
		{hooks[:1], `{"result":{"channels":["` + strings.Repeat("x", 255) + strings.Repeat(`","`+strings.Repeat("x", 255), 60) + `"]}}`, "more names than"},
		{hooks[:1], `{"result":{"subs":["a"]}}`, "subs has to be an object"},
		{hooks[:1], `{"result":{"subs":{"**":{}}}}`, "send grants"},
	} {
		for _, hook := range c.hooks {
			configure(t, `{"on_failure":"continue"}`) // which is of no help to them
			logged := ""
			sluice.TestLog = func(_ sluice.Level, text string) { logged = text }
			v, a := answered(hook, c.answer)
			if v != denied || a.Code != 503 || a.Reason != badAnswer {
				t.Errorf("hook %d, %.80s: verdict %d, %d %q", hook, c.answer, v, a.Code, a.Reason)
			}
			if sluice.TestKept.Metrics["answers_malformed"] != 1 || !strings.Contains(logged, c.says) {
				t.Errorf("hook %d, %.80s: counted %v, logged %q, want %q", hook, c.answer, sluice.TestKept.Metrics, logged, c.says)
			}
		}
	}
}

func TestAnErrorRefusesWithTheCodeThatClientsKnow(t *testing.T) {
	configure(t, `{}`)
	for _, c := range []struct {
		answer string
		code   uint32
		reason string
		retry  uint32
	}{
		{`{"error":{"code":100,"message":"internal server error","temporary":true}}`, 503, "internal server error", 1000},
		{`{"error":{"code":101,"message":"unauthorized"}}`, 401, "unauthorized", 0},
		{`{"error":{"code":102}}`, 404, "", 0},
		{`{"error":{"code":103}}`, 403, "", 0},
		{`{"error":{"code":104}}`, 400, "", 0},
		{`{"error":{"code":105}}`, 409, "", 0},
		{`{"error":{"code":106}}`, 429, "", 0},
		{`{"error":{"code":107}}`, 400, "", 0},
		{`{"error":{"code":108}}`, 403, "", 0},
		{`{"error":{"code":109}}`, 401, "", 0},
		{`{"error":{"code":110}}`, 401, "", 0},
		{`{"error":{"code":111}}`, 429, "", 0},
		{`{"error":{"code":112}}`, 409, "", 0},
		{`{"error":{"code":400}}`, 400, "", 0},
		{`{"error":{"code":422,"message":"caf\u00e9","more":[{}]}}`, 422, "café", 0},
		{`{"error":{"code":429,"retry_ms":250,"temporary":true}}`, 429, "", 250},
		{`{"error":{"code":450}}`, 403, "", 0},
		{`{"error":{"code":502}}`, 503, "", 0},
		{`{"error":{"code":999}}`, 403, "", 0},
		{`{"error":{"code":1000,"message":"mine"}}`, 1000, "mine", 0},
		{`{"error":{"code":3999}}`, 3999, "", 0},
		{`{"error":{"code":4000}}`, 403, "", 0},
		{`{"error":{"code":-1}}`, 403, "", 0},
		{`{"error":{}}`, 403, "", 0},
		{`{"error":{"code":1,"message":"` + strings.Repeat("é", 300) + `"}}`, 403, strings.Repeat("é", 256), 0},
		{`{"error":{"code":1,"message":"x` + strings.Repeat("é", 300) + `"}}`, 403, "x" + strings.Repeat("é", 255), 0},
		{`{"result":{"data":1},"error":{"code":403,"message":"no"}}`, 403, "no", 0},
	} {
		for _, hook := range hooks {
			v, a := answered(hook, c.answer)
			if v != denied || a.Code != c.code || a.Reason != c.reason || a.RetryMillis != c.retry || a.Payload != nil {
				t.Errorf("hook %d, %.80s: verdict %d, %+v", hook, c.answer, v, a)
			}
		}
	}
}

func TestADisconnectClosesTheConnection(t *testing.T) {
	configure(t, `{}`)
	for _, c := range []struct {
		answer string
		code   uint32 // of the close
		denied uint32 // of a connect
		reason string
	}{
		{`{"disconnect":{"code":4500,"reason":"disconnected"}}`, 4500, 403, "disconnected"},
		{`{"disconnect":{"code":4001,"reason":"who?"}}`, 4001, 401, "who?"},
		{`{"disconnect":{"code":4101}}`, 4101, 429, ""},
		{`{"disconnect":{"code":4100}}`, 4100, 503, ""},
		{`{"disconnect":{"code":3501}}`, 0, 403, ""},
		{`{"disconnect":{"code":5000}}`, 0, 403, ""},
		{`{"disconnect":{},"error":{"code":101},"result":{}}`, 0, 403, ""},
	} {
		for _, hook := range hooks[1:] {
			if v, a := answered(hook, c.answer); v != closed || a.Code != c.code || a.Reason != c.reason {
				t.Errorf("hook %d, %s: verdict %d, %+v", hook, c.answer, v, a)
			}
		}
		if v, a := answered(sluice.HookConnect, c.answer); v != denied || a.Code != c.denied || a.Reason != c.reason {
			t.Errorf("connect, %s: verdict %d, %+v", c.answer, v, a)
		}
	}
}

func TestDataReplacesTheContentOfAMessageAlone(t *testing.T) {
	configure(t, `{}`)
	for _, hook := range hooks {
		v, a := answered(hook, `{"result":{"data": {"text" : "hi"} ,"skip_history":true}}`)
		want := ""
		if hook == sluice.HookMessage {
			want = `{"text" : "hi"}`
		}
		if v != sluice.Continue || string(a.Payload) != want {
			t.Errorf("hook %d: verdict %d, %s", hook, v, a.Payload)
		}
	}
}
