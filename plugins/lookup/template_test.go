package lookup

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"
)

func TestWhatMakesNoSenseIsRefusedWithCauseAndRemedy(t *testing.T) {
	const ok = "https://policy.example.org/"
	for _, tt := range []struct {
		spec Spec
		key  string
		want string
	}{
		{Spec{}, "", "either http or redis"},
		{Spec{HTTP: &HTTP{URL: ok}, Redis: &Redis{Key: "a"}}, "", "either http or redis"},
		{get(""), "http.url", "missing"},
		{get("policy.example.org/${user}"), "http.url", "https://"},
		{get("http://policy.example.org/"), "http.url", "use https"},
		{get("https://${claims.host}/"), "http.url", "scheme, host and port"},
		{get("https://policy.example.org:${claims.port}/"), "http.url", "scheme, host and port"},
		{get("https://policy.example.org${user}"), "http.url", "scheme, host and port"},
		{get("${user}://policy.example.org"), "http.url", "scheme, host and port"},
		{get("https://${user}@policy.example.org/"), "http.url", "scheme, host and port"},
		{get("https://169.254.169.254/latest"), "http.url", "link-local"},
		{get(ok + "#${user}"), "http.url", "fragment"},
		{get(ok + "a/../b"), "http.url", ".."},
		{get(ok + "a/%2E%2e/b"), "http.url", ".."},
		{get(ok + "%zz"), "http.url", "cannot be read"},
		{get(ok + "a b"), "http.url", "percent-encode"},
		{get(ok + "ä"), "http.url", "percent-encode"},
		{get(ok + "${user"), "http.url", "not closed"},
		{get(ok + "${usr}"), "http.url", "${usr} is no field"},
		{get(ok + "${claims.}"), "http.url", "is no field"},
		{get(ok + "{user}"), "http.url", "percent-encode"},
		{get(ok + strings.Repeat("x", maxURL)), "http.url", "longer"},
		{get(ok + "${target}"), "http.url", "${target} never has a value on connect"},
		{get(ok + "${query.other}"), "http.url", "never has a value on join"},
		{Spec{HTTP: &HTTP{URL: ok + "${query.other}"}, Hooks: []string{"connect"}}, "http.url", "add query: [token, other] to the filter"},
		{Spec{HTTP: &HTTP{URL: ok + "${header.X-Other}"}, Hooks: []string{"connect"}}, "http.url", "add headers: [x-device, x-other]"},
		{Spec{HTTP: &HTTP{URL: ok, Method: "PUT"}}, "http.method", "GET and POST"},
		{Spec{HTTP: &HTTP{URL: ok, Key: "a"}}, "http.key", "method: POST"},
		{Spec{HTTP: &HTTP{URL: ok, Method: "POST", Key: "${no}"}}, "http.key", "is no field"},
		{Spec{HTTP: &HTTP{URL: ok, Method: "POST"}, TTL: time.Second}, "ttl", "add http.key"},
		{Spec{HTTP: &HTTP{URL: ok, Headers: map[string]string{"a b": "c"}}}, "http.headers", "no name"},
		{Spec{HTTP: &HTTP{URL: ok, Headers: map[string]string{"host": "c"}}}, "http.headers", "set by the node"},
		{Spec{HTTP: &HTTP{URL: ok, Headers: map[string]string{"A": "hidden\r\nB: c"}}}, "http.headers", "control characters"},
		{Spec{HTTP: &HTTP{URL: ok, Headers: map[string]string{"A": "1", "a": "2"}}}, "http.headers", "twice"},
		{Spec{HTTP: &HTTP{URL: ok, Headers: map[string]string{"A": "${user}"}}}, "http.headers", "no fields"},
		{Spec{HTTP: &HTTP{URL: ok, RetryAfter: time.Hour}}, "http.retry_after", "not between"},
		{Spec{Redis: &Redis{}}, "redis.key", "missing"},
		{Spec{Redis: &Redis{Key: "a\nb"}}, "redis.key", "not text"},
		{Spec{Redis: &Redis{Key: "${}"}}, "redis.key", "no field"},
		{Spec{HTTP: &HTTP{URL: ok}, Timeout: 11 * time.Second}, "timeout", "10s"},
		{Spec{HTTP: &HTTP{URL: ok}, Timeout: -1}, "timeout", "10s"},
		{Spec{HTTP: &HTTP{URL: ok}, TTL: 25 * time.Hour}, "ttl", "24h"},
		{Spec{HTTP: &HTTP{URL: ok}, MissTTL: -1}, "miss_ttl", "24h"},
		{Spec{HTTP: &HTTP{URL: ok}, MaxBytes: MaxBytes + 1}, "max_bytes", "256KiB"},
		{Spec{HTTP: &HTTP{URL: ok}, Concurrency: -1}, "concurrency", "1024"},
		{Spec{HTTP: &HTTP{URL: ok}, Format: "xml"}, "format", "json and bytes"},
		{Spec{HTTP: &HTTP{URL: ok}, OnMiss: "drop"}, "on_miss", "pass, deny and skip"},
		{Spec{HTTP: &HTTP{URL: ok}, OnFailure: "continue"}, "on_failure", "pass, deny and skip"},
		{Spec{HTTP: &HTTP{URL: ok}, Hooks: []string{"leave"}}, "on", "connect, join and message"},
	} {
		_, err := tt.spec.Plan(of)
		var wrong *FieldError
		if !errors.As(err, &wrong) || wrong.Key != tt.key || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "hidden") {
			t.Errorf("%+v: %v, want %s about %s", tt.spec, err, tt.want, tt.key)
		}
	}
	_, err := get(ok).Plan(For{Hooks: []string{"leave"}})
	if err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("without a hook: %v", err)
	}
	spec := get(ok)
	spec.Hooks = []string{"join"}
	if _, err = spec.Plan(For{Hooks: []string{"message"}}); err == nil || !strings.Contains(err.Error(), "no on_join (it has message)") {
		t.Errorf("without the hook: %v", err)
	}
}

func TestAPlanIsTheSameOnlyIfItAsksTheSame(t *testing.T) {
	base := func() Spec {
		return Spec{HTTP: &HTTP{URL: "https://policy.example.org/${user}", Headers: map[string]string{"A": "1"}}, TTL: time.Second}
	}
	a := planned(t, base())
	if !a.Same(planned(t, base())) {
		t.Error("an equal plan is another")
	}
	for name, change := range map[string]func(*Spec){
		"url": func(s *Spec) { s.HTTP.URL += "a" }, "header": func(s *Spec) { s.HTTP.Headers["A"] = "2" },
		"ttl": func(s *Spec) { s.TTL++ }, "timeout": func(s *Spec) { s.Timeout = time.Second }, "on": func(s *Spec) { s.Hooks = []string{"join"} },
		"redis": func(s *Spec) { s.HTTP, s.Redis = nil, &Redis{Key: "a"} }, "bytes": func(s *Spec) { s.MaxBytes = 1 }, "format": func(s *Spec) { s.Format = "bytes" },
		"breaker": func(s *Spec) { s.HTTP.Breaker = 1 }, "concurrency": func(s *Spec) { s.Concurrency = 1 },
	} {
		s := base()
		change(&s)
		if a.Same(planned(t, s)) {
			t.Errorf("with another %s it is the same", name)
		}
	}
}

func TestAFieldWithoutAValueIsAMissAndAnAmbiguousOneAFailure(t *testing.T) {
	redis := &store{}
	request := &Request{Headers: map[string][]string{"x-device": {"a", "b"}}, Query: map[string][]string{"token": {"t"}}, Cookies: map[string][]string{}}
	for key, want := range map[string]string{
		"${claims.role}": "guest", "${claims.level}": "7", "${claims.admin}": "false", "${claims.teams}": "", "${claims.none}": "", "${claims.x}": "", "${user}": "",
		"${query.token}": "t", "${cookie.session}": "", "${header.X-Device}": "!", "a${kind}": "anew",
	} {
		e := said("")
		e.Hook, e.Kind, e.Request = "connect", "new", request
		redis.asked = nil
		r := started(t, Spec{Redis: &Redis{Key: key}, Hooks: []string{"connect"}}, Deps{Redis: redis}).Resolve(e)
		switch {
		case want == "!" && r.Cause == CauseTemplate && len(redis.asked) == 0:
		case want == "" && r.Status == Missed && len(redis.asked) == 0:
		case want != "" && len(redis.asked) == 1 && redis.asked[0] == want:
		default:
			t.Errorf("%s: %+v, asked for %v", key, r, redis.asked)
		}
	}
}

func TestAValueThatWouldLeadToAnotherPathIsAFailure(t *testing.T) {
	for path, bad := range map[string][]string{
		"/a/${user}/b": {".", "..", "../x", "x/..", `..\x`, "x/../../y"},
		"/a/.${user}":  {".", "./x"},
		"/${user}.":    {".", "x/."},
	} {
		p := planned(t, get("https://policy.example.org"+path))
		for _, user := range bad {
			if _, err := p.question(said(user)); err == nil {
				t.Errorf("%s with %q can be asked", path, user)
			}
		}
		for _, user := range []string{"...", "a..b", ".a", "%2e%2e"} {
			if _, err := p.question(said(user)); err != nil {
				t.Errorf("%s with %q: %v", path, user, err)
			}
		}
	}
	if _, err := planned(t, get("https://policy.example.org/?u=${user}")).question(said("../..")); err != nil {
		t.Errorf("in a query: %v", err)
	}
	if _, err := planned(t, get("https://policy.example.org/${user}")).question(said(strings.Repeat("x", maxURL))); err == nil {
		t.Error("a URL of any length can be asked")
	}
}

func FuzzNoValueLeavesItsPlace(f *testing.F) {
	f.Add("https://policy.example.org/v1/${user}/x?r=${room}&c=${claims.a}", "../..", "a&b=c#d", `x"y`)
	f.Add("http://localhost:80?${user}", "@evil/", "", "")
	f.Add("banned:${user}:${room}", "a:b", "%3A", "{x}")
	f.Add("https://policy.example.org:8443/${user}${room}", "\\..\\", "..", "\x00")
	f.Fuzz(func(t *testing.T, text, user, room, claim string) {
		quoted := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(claim)
		e := &Event{Hook: "message", Kind: "room", User: user, Room: room, Claims: []byte(`{"a":"` + quoted + `"}`)}
		only := For{Hooks: []string{"message"}}
		if p, err := get(text).Plan(only); err == nil {
			plain, err := p.question(&Event{Hook: "message", Kind: "k", User: "k", Room: "k", Target: "k", Remote: "k", Conn: "k", Claims: []byte(`{"a":"k"}`)})
			q, err2 := p.question(e)
			if err == nil && err2 == nil {
				want, _ := url.Parse(plain.url)
				got, err := url.Parse(q.url)
				if err != nil || got.Scheme != want.Scheme || got.Host != want.Host || got.User.String() != want.User.String() || got.Fragment != "" ||
					strings.Count(got.EscapedPath(), "/") != strings.Count(want.EscapedPath(), "/") || strings.Count(got.RawQuery, "&") != strings.Count(want.RawQuery, "&") ||
					!dotless(got.EscapedPath()) || !strings.HasPrefix(q.url, p.url.fixed) {
					t.Errorf("%q became %q (%v)", text, q.url, err)
				}
			}
		}
		if p, err := (Spec{Redis: &Redis{Key: text}}).Plan(only); err == nil {
			plain, err := p.question(&Event{Hook: "message", Kind: "k", User: "k", Room: "k", Target: "k", Remote: "k", Conn: "k", Claims: []byte(`{"a":"k"}`)})
			q, err2 := p.question(e)
			if err == nil && err2 == nil && (strings.Count(q.key, ":") != strings.Count(plain.key, ":") || strings.Count(q.key, "{") != strings.Count(plain.key, "{") ||
				strings.ContainsFunc(q.key, isControl)) {
				t.Errorf("%q became %q", text, q.key)
			}
		}
	})
}
