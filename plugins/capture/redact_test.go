package capture

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"sluice/plugins"
	"sluice/plugins/filters"
	"sluice/plugins/keys"
	"sluice/router"
)

// connect is an upgrade request full of secrets.
func connect() *router.Event {
	r := &http.Request{
		Method: http.MethodGet, Host: "chat.example.org",
		URL: &url.URL{Path: "/ws", RawQuery: "token=planted-query-token&name=planted-query-name"},
		Header: http.Header{
			"Authorization":          {"Bearer planted-bearer-token"},
			"Sec-Websocket-Protocol": {"bearer, planted-subprotocol-token"},
			"X-User":                 {"named-by-header"},
			"X-Region":               {"planted-region"},
			"X-Api-Key":              {"planted-api-key"},
			"Cookie":                 {"s=planted-cookie-value; other=planted-other-cookie"},
			"Origin":                 {"https://example.org"},
		},
	}
	return &router.Event{Hook: router.HookConnect, Kind: router.KindNew, Time: when, Conn: 9, Seq: 1, Remote: "192.0.2.7", Request: r, States: new([]router.State)}
}

// seeing is a filter that sees all of it, and copies some into its outputs.
func seeing() plugins.Spec {
	return plugins.Spec{
		Name: "probe", Plugin: probe, Capabilities: plugins.Capabilities(), StateBytes: 4096,
		Headers: []string{"authorization", "sec-websocket-protocol", "x-user", "x-region", "x-api-key", "cookie", "x-absent"},
		Query:   []string{"token", "name"}, Cookies: []string{"s", "other"},
	}
}

func TestSecretsStayOutOfACapture(t *testing.T) {
	o := options(t)
	o.Redact = []string{"/card/number", "/people/*/mail", "email"}
	c := start(t, o)
	n := newNode(t, c, plugins.HostOptions{Builtins: filters.FS})
	chain := n.chain(seeing(), plugins.Spec{Name: "capture", Plugin: testdata + "capture.wasm", StateBytes: 4096, Headers: []string{"authorization"}})
	e := connect()
	if v := judge(t, chain, e); v.Identity == nil || v.Identity.User != "named-by-header" || string(v.Identity.Info) != `"planted-query-name"` {
		t.Fatalf("%+v", *v)
	}
	e = message(`{"card":{"number":"planted-card-number","kind":"visa"},"people":[{"mail":"planted-mail@example.org","n":1},{"mail":4111111111111111}],"text":"kept"}`)
	e.Claims = []byte(`{"email":"planted-claim@example.org","sub":"ada"}`)
	judge(t, chain, e)
	token := "planted.refresh.token"
	judge(t, chain, &router.Event{
		Hook: router.HookConnect, Kind: router.KindRefresh, Time: when, Conn: 9, Seq: 3, User: "ada", Payload: []byte(token), States: new([]router.State),
	})
	private := n.chain(
		plugins.Spec{Name: "private", Plugin: hello, Capabilities: []string{"log"}, Config: json.RawMessage(`{"word":"planted-config-word"}`), PrivateConfig: true},
		plugins.Spec{Name: "auth", Plugin: "builtin:auth", Keys: []keys.Spec{{Alg: "HS256", Secret: keys.NewSecret(verifySecret)}}},
	)
	judge(t, private, message(`"hi"`))
	judge(t, private, connect())
	chain.Retire()
	private.Retire()
	c.Close()

	text := content(t, o.File)
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		if i := strings.Index(line, "planted"); i >= 0 {
			t.Errorf("a secret: …%s…", line[max(0, i-80):min(len(line), i+60)])
		}
		if strings.Contains(line, "4111111111111111") {
			t.Errorf("a number: %s", line)
		}
	}
	for _, kept := range []string{"kept", "visa", "chat.example.org", "/ws", "https://example.org", `{\"email\":\"[removed]\",\"sub\":\"ada\"}`} {
		if !strings.Contains(text, kept) {
			t.Errorf("%s is not there", kept)
		}
	}
	all, r := events(t, o.File)
	if got := strings.Join(all[0].Removed, ", "); got != "cookie other, cookie s, copies, header authorization, header cookie, header sec-websocket-protocol, header x-api-key, header x-region, header x-user, query name, query token" {
		t.Errorf("%s", got)
	}
	if got := strings.Join(all[1].Removed, ", "); got != "claims, content, copies" {
		t.Errorf("%s", got)
	}
	if got := strings.Join(all[2].Removed, ", "); got != "copies, token" {
		t.Errorf("%s", got)
	}
	for _, s := range r.Filters() {
		if s.Private != (s.Name == "private") {
			t.Errorf("%+v", *s)
		}
	}
	// What is left can be replayed, and says of itself that it lacks something.
	report := replayed(t, o.File, ReplayOptions{Old: probe, New: probe, Filter: "probe"})
	if report.Differ != 0 || report.Incomplete != 3 || report.Reproduced+report.Excused != 3 {
		t.Errorf("%+v", *report)
	}
}

func TestHeadersAreKeptIfAskedForButNoCredentials(t *testing.T) {
	o := options(t)
	o.Headers = true
	c := start(t, o)
	chain := newNode(t, c, plugins.HostOptions{}).chain(seeing())
	judge(t, chain, connect())
	chain.Retire()
	c.Close()
	text := content(t, o.File)
	if !strings.Contains(text, `"planted-region"`) {
		t.Error("the header is not there")
	}
	text = strings.ReplaceAll(text, "planted-region", "")
	if i := strings.Index(text, "planted"); i >= 0 {
		t.Errorf("a secret: %s", text[i:min(len(text), i+60)])
	}
}

func TestConfigurationsThatLookSecretAreLeftOut(t *testing.T) {
	for config, want := range map[string]bool{
		`{}`: false, `{"word":"x"}`: false, `{"a":[{"api_key":"x"}]}`: true, `{"Password":"x"}`: true, `{"authToken":1}`: true, `nonsense`: true,
	} {
		if got := sourceOf(1, &plugins.Source{Config: json.RawMessage(config)}).Private; got != want {
			t.Errorf("%s: %v", config, got)
		}
	}
}

func TestCutTakesOutWhatPointersNameAndNothingElse(t *testing.T) {
	for _, c := range []struct{ text, pointers, want, taken string }{
		{`{"a": 1 , "b":{"c":[1, 2,{"d":null}]} }`, `/b/c/2/d`, `{"a": 1 , "b":{"c":[1, 2,{"d":"[removed]"}]} }`, `null`},
		{`{"a": 1 , "b" : 2}`, `/a /b`, `{"a": "[removed]" , "b" : "[removed]"}`, `1 2`},
		{`{"a":{"x":1},"a":{"x":2}}`, `/a/x`, `{"a":{"x":"[removed]"},"a":{"x":"[removed]"}}`, `1 2`},
		{`{"a":{"x":1,"y":[3]}}`, `/a /a/x`, `{"a":"[removed]"}`, `{"x":1,"y":[3]}`},
		{`[{"m":1},{"m":2},3]`, `/*/m`, `[{"m":"[removed]"},{"m":"[removed]"},3]`, `1 2`},
		{`{"a/b":{"~":1}}`, `/a~1b/~0`, `{"a/b":{"~":"[removed]"}}`, `1`},
		{`{"\u0061":"x"}`, `/a`, `{"\u0061":"[removed]"}`, `"x"`},
		{`{"":1}`, `/`, `{"":"[removed]"}`, `1`},
		{`{"b":1}`, `/a`, `{"b":1}`, ``},
		{`"text"`, `/a`, `"text"`, ``},
		{`no json {"a":1}`, `/a`, `no json {"a":1}`, ``},
		{``, `/a`, ``, ``},
	} {
		var pointers []pointer
		for p := range strings.FieldsSeq(c.pointers) {
			parsed, err := parsePointer(p)
			if err != nil {
				t.Fatal(err)
			}
			pointers = append(pointers, parsed)
		}
		var taken []string
		out, found := cut([]byte(c.text), pointers, func(v json.RawMessage) { taken = append(taken, string(v)) })
		if string(out) != c.want || strings.Join(taken, " ") != c.taken || found != (c.taken != "") {
			t.Errorf("%s without %s: %s, taken %q", c.text, c.pointers, out, taken)
		}
	}
}

func TestACopyOfANumberStaysANumber(t *testing.T) {
	e := &Event{Hook: "message", Payload: Text(`{"n":1234567,"copy":{"n":1234567}}`)}
	r, err := newRedactor(false, []string{"/n"})
	if err != nil {
		t.Fatal(err)
	}
	r.redact(e)
	if string(e.Payload) != `{"n":"[removed]","copy":{"n":1111111}}` {
		t.Errorf("%s", e.Payload)
	}
}
