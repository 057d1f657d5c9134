package bench

import (
	"crypto/x509"
	"encoding/json"
	"io"
	"log"
	"math"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// valid are options that have nothing wrong.
func valid(scenario Scenario) *Options {
	return &Options{Scenario: scenario, URL: "ws://127.0.0.1:8080/ws", Connections: 10, Concurrency: 1, ConnectTimeout: time.Second,
		Rate: 1, Size: 128, Duration: time.Second, RoomPrefix: "bench:"}
}

func TestOptionsThatCannotBeAreRefusedWithTheirFlag(t *testing.T) {
	for _, scenario := range []Scenario{Fanout, Rooms, Idle, Connect} {
		if err := valid(scenario).Check(); err != nil {
			t.Errorf("%s: %v", scenario, err)
		}
	}
	for want, change := range map[string]func(*Options){
		"--connections":        func(o *Options) { o.Connections = 0 },
		"--connections must":   func(o *Options) { o.Connections = maxConnections + 1 },
		"--rooms":              func(o *Options) { o.Rooms = 11 },
		"--concurrency":        func(o *Options) { o.Concurrency = 0 },
		"--connect-rate":       func(o *Options) { o.ConnectRate = -1 },
		"--connect-rate must":  func(o *Options) { o.ConnectRate = math.NaN() },
		"least 0.001":          func(o *Options) { o.ConnectRate = 1e-300 },
		"--connect-timeout":    func(o *Options) { o.ConnectTimeout = 0 },
		"--slow":               func(o *Options) { o.Slow = 9 },
		"--key-config":         func(o *Options) { o.Tokens, o.Sign = []string{"x"}, func(string) (string, error) { return "", nil } },
		"--token-query":        func(o *Options) { o.TokenQuery = "x" },
		"--room-prefix":        func(o *Options) { o.RoomPrefix = `"` },
		"--duration":           func(o *Options) { o.Duration = 0 },
		"--window":             func(o *Options) { o.Window = -1 },
		"--rate":               func(o *Options) { o.Rate = 0 },
		"--rate must":          func(o *Options) { o.Rate = math.NaN() },
		"--rate must be 0.001": func(o *Options) { o.Rate = 1e-12 },
		"--warmup":             func(o *Options) { o.Warmup = -1 },
		"must not be longer":   func(o *Options) { o.Duration = 100 * time.Hour },
		"--size must be 33":    func(o *Options) { o.Size = 10 },
		"--content":            func(o *Options) { o.Shape = "xml" },
		"it is not JSON":       func(o *Options) { o.Payload = []byte("hello") },
		`{"id":"{{bench}}"}`:   func(o *Options) { o.Payload = []byte(`{"a":1}`) },
		"more than once":       func(o *Options) { o.Payload = []byte(`["{{bench}}","{{bench}}"]`) },
	} {
		o := valid(Fanout)
		change(o)
		if err := o.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v", want, err)
		}
	}
}

func TestContentIsJSONOfTheSizeThatWasAskedFor(t *testing.T) {
	for _, c := range []struct {
		options Options
		bytes   int // of the text
	}{
		{Options{Size: MinSize}, MinSize},
		{Options{Size: 4096}, 4096},
		{Options{Size: 128, Shape: ContentObject}, 128},
		{Options{Payload: []byte(` "hello" `)}, markerSize + 5},
		{Options{Payload: []byte(`{"text":"hi {{bench}}"}`)}, markerSize + 3},
	} {
		tmpl, err := c.options.template()
		if err != nil {
			t.Fatal(err)
		}
		content := append(appendMark(append([]byte{}, tmpl.before...), markerPrefix("abcdef"), mark{1, 2, 3}), tmpl.after...)
		var text string
		if json.Unmarshal(content, &text) != nil {
			var object struct{ Text string }
			if err := json.Unmarshal(content, &object); err != nil {
				t.Errorf("%s: %v", content, err)
			}
			text = object.Text
		}
		if len(text) != c.bytes {
			t.Errorf("the text has %d bytes, not %d: %s", len(text), c.bytes, content)
		}
	}
}

func TestOtherMachinesAreTargetsOnlyOnRequest(t *testing.T) {
	for url, want := range map[string]string{
		"ws://127.0.0.1:8080/ws": "", "ws://localhost/ws": "", "wss://[::1]:1/": "", "ws://127.9.9.9": "",
		"ws://192.0.2.1/ws":          "add --remote",
		"ws://[2001:db8::1]/":        "add --remote",
		"http://127.0.0.1/":          "is not a URL such as",
		"127.0.0.1:8080":             "is not a URL such as",
		"ws://":                      "is not a URL such as",
		"ws://a:b@127.0.0.1/":        "has a user or a fragment",
		"ws://127.0.0.1/#x":          "has a user or a fragment",
		"ws://nosuchhost.invalid/ws": "has no address",
	} {
		_, err := resolveTarget(t.Context(), "url", url, false)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "--url: ")) {
			t.Errorf("%s: %v", url, err)
		}
	}
	if tg, err := resolveTarget(t.Context(), "url", "wss://192.0.2.1/ws", true); err != nil || tg.addr.String() != "192.0.2.1:443" {
		t.Errorf("with --remote: %v, %v", tg, err)
	}
}

func TestTheRequestNamesTheUserUnlessSomethingElseDoes(t *testing.T) {
	for _, c := range []struct{ url, token, query, line, header string }{
		{"ws://127.0.0.1/ws", "", "", "/ws?client_id=ann", ""},
		{"ws://127.0.0.1/ws?ping=json", "", "", "/ws?ping=json&client_id=ann", ""},
		{"ws://127.0.0.1/ws?client_id=bob", "", "", "/ws?client_id=bob", ""},
		{"ws://127.0.0.1/ws", "tok", "", "/ws", "Authorization: Bearer tok\r\n"},
		{"ws://127.0.0.1/ws", "tok", "access", "/ws?access=tok", ""},
	} {
		tg, err := resolveTarget(t.Context(), "url", c.url, false)
		if err != nil {
			t.Fatal(err)
		}
		text := string(tg.request("ann", c.token, c.query, false))
		if !strings.HasPrefix(text, "GET "+c.line+" HTTP/1.1\r\nHost: 127.0.0.1\r\n") || strings.Contains(text, "Authorization") != (c.header != "") || !strings.Contains(text, c.header) {
			t.Errorf("%+v: %s", c, text)
		}
	}
}

func TestConnectionsThatNeedTooManyFilesAreRefusedBeforeAnyIsOpened(t *testing.T) {
	o := valid(Connect)
	o.Connections = maxConnections
	if err := o.checkDescriptors(); err == nil || !strings.Contains(err.Error(), "ulimit -n") {
		if limit, known := raiseFileLimit(0); known && limit < maxConnections {
			t.Errorf("got %v", err)
		}
	}
}

func TestWSSIsServed(t *testing.T) {
	f := newFake(t)
	f.server = httptest.NewUnstartedServer(f)
	f.server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of a client that does not know it
	f.server.StartTLS()
	t.Cleanup(f.close)
	o := f.options(Fanout)
	o.roots = x509.NewCertPool()
	o.roots.AddCert(f.server.Certificate())
	if !strings.HasPrefix(o.URL, "wss://") {
		t.Fatal(o.URL)
	}
	if res := o.run(t); res.Failed() || res.Delivered == 0 {
		t.Errorf("%d delivered, refused %v %v", res.Delivered, res.Refused, res.Reasons)
	}
	o.roots = x509.NewCertPool() // which do not know it
	if res := o.run(t); res.Connect.Joined != 0 || !strings.Contains(res.Reasons["certificate"], "certificate") {
		t.Errorf("refused %v %v", res.Refused, res.Reasons)
	}
}
