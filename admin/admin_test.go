package admin

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/goleak"

	"sluice/plugins"
	"sluice/plugins/filters"
	"sluice/plugins/keys"
	"sluice/router"
	"sluice/router/membroker"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// node is a router with the size filter.
type node struct {
	*router.Router
	chain *plugins.Chain
}

func newNode(t *testing.T) *node {
	t.Helper()
	return newNodeWith(t, plugins.Spec{Name: "size", Plugin: "builtin:size", Config: json.RawMessage(`{"max_bytes":10}`)})
}

func newNodeWith(t *testing.T, specs ...plugins.Spec) *node {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	host, err := plugins.NewHost(plugins.HostOptions{Log: quiet, Builtins: filters.FS})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close(context.Background()) })
	chain, err := host.Build(context.Background(), specs, nil)
	if err != nil {
		t.Fatal(err)
	}
	broker := membroker.New()
	r, err := router.New(router.Options{Broker: broker, Log: quiet}, &router.Generation{Number: 3, Limits: router.DefaultLimits(), Filters: chain})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		r.Close()
		broker.Close()
		chain.Retire()
	})
	return &node{r, chain}
}

// judge has the filter judge a message.
func (n *node) judge(t *testing.T, content string) {
	t.Helper()
	var states []router.State
	e := &router.Event{Hook: router.HookMessage, Kind: router.KindRoom, Time: time.Now().UnixNano(), Conn: 1, Seq: 1,
		Payload: []byte(content), Room: "a", User: "u", States: &states}
	if err := n.chain.Judge(e); err != nil {
		t.Fatal(err)
	}
}

func get(h http.Handler, path string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1:8081"+path, nil)
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestEveryCounterOfTheRouterIsShown(t *testing.T) {
	n := newNode(t)
	body := get(Handler(Options{Router: n.Router}), "/metrics", nil).Body.String()
	answer := get(Handler(Options{Router: n.Router}), "/stats", nil).Body.Bytes()
	var stats map[string]any
	if err := json.Unmarshal(answer, &stats); err != nil {
		t.Fatal(err)
	}
	fields := reflect.TypeFor[router.Stats]()
	if have, want := len(singles)+len(families), fields.NumField(); have != want {
		t.Errorf("there are %d metrics for %d counters", have, want)
	}
	s := n.Stats()
	values := reflect.ValueOf(s)
	for i := range fields.NumField() {
		m, ok := values.Field(i).Interface().(map[string]uint64)
		if !ok {
			continue
		}
		name := strings.ToLower(regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(fields.Field(i).Name, "${1}_$2"))
		shown, _ := stats[name].(map[string]any)
		if len(shown) != len(m) || len(m) == 0 && name != "reasons" {
			t.Errorf("%s: /stats shows %d of %d", name, len(shown), len(m))
		}
	}
	for _, f := range families {
		name := regexp.MustCompile(`fqName: "([^"]+)"`).FindStringSubmatch(f.desc.String())[1]
		if got, want := strings.Count(body, "\n"+name+"{"), len(f.read(&s)); got != want {
			t.Errorf("%s has %d series, want %d", name, got, want)
		}
	}
	if !strings.Contains(body, "\nsluice_generation 3\n") || !strings.Contains(body, `sluice_build_info{go="go1`) {
		t.Errorf("generation or version are missing:\n%s", body)
	}
}

func TestAFiltersVerdictsAndFailuresAreCountedByItsVersion(t *testing.T) {
	n := newNode(t)
	h := Handler(Options{Router: n.Router})
	n.judge(t, `1`)
	n.judge(t, `"a text that is too long"`)
	n.judge(t, `"another text that is too long"`)

	version := n.chain.Info()[0].Version
	if !regexp.MustCompile(`^[0-9a-f]{12}$`).MatchString(version) {
		t.Errorf("the version is %q", version)
	}
	body := get(h, "/metrics", nil).Body.String()
	labels := `filter="size",role="active",`
	for _, line := range []string{
		`sluice_filter_calls_total{` + labels + `version="` + version + `"} 3`,
		`sluice_filter_verdicts_total{` + labels + `verdict="deny",version="` + version + `"} 2`,
		`sluice_filter_verdicts_total{` + labels + `verdict="continue",version="` + version + `"} 1`,
		`sluice_filter_failures_total{cause="timeout",` + labels + `version="` + version + `"} 0`,
	} {
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("no series %s", line)
		}
	}
	if got, want := strings.Count(body, "\nsluice_filter_failures_total{"), len(plugins.Causes()); got != want {
		t.Errorf("%d causes of failure, want %d", got, want)
	}
	var stats struct{ Filters []filterStats }
	if err := json.Unmarshal(get(h, "/stats", nil).Body.Bytes(), &stats); err != nil {
		t.Fatal(err)
	}
	if len(stats.Filters) != 1 || stats.Filters[0].Name != "size" || stats.Filters[0].Verdicts["deny"] != 2 || stats.Filters[0].Version != version {
		t.Errorf("got %+v", stats.Filters)
	}
}

// keyed is the auth filter with a secret and two URLs that answer 503.
func keyed(t *testing.T) plugins.Spec {
	t.Helper()
	down := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
	t.Cleanup(down.Close)
	return plugins.Spec{Name: "login", Plugin: "builtin:auth", Time: plugins.MaxTime, Config: json.RawMessage(`{}`), Keys: []keys.Spec{
		{Alg: "HS256", Secret: keys.NewSecret("0123456789abcdef0123456789ABCDEF")},
		{JWKS: keys.NewSecret(down.URL + "/a"), WhenDown: keys.Wait},
		{JWKS: keys.NewSecret(down.URL + "/b"), WhenDown: keys.Wait},
	}}
}

// connect has the filters judge a client with the token.
func (n *node) connect(t *testing.T, token string) {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, "/ws", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	e := &router.Event{Hook: router.HookConnect, Kind: router.KindNew, Time: time.Now().UnixNano(), Conn: 1, Seq: 1,
		Remote: "192.0.2.1", Request: r, States: new([]router.State)}
	if err := n.chain.Judge(e); err != nil {
		t.Fatal(err)
	}
}

func token(secret, claims string) string {
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"HS256"}`)) + "." + encode([]byte(claims))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(signed))
	return signed + "." + encode(mac.Sum(nil))
}

func TestWhatCameOfAFiltersKeysIsCounted(t *testing.T) {
	n := newNodeWith(t, keyed(t), plugins.Spec{Name: "size", Plugin: "builtin:size", Config: json.RawMessage(`{"max_bytes":10}`)})
	for range 2 {
		n.connect(t, token("0123456789abcdef0123456789ABCDEF", `{"sub":"ann","exp":4102444800}`))
	}
	n.connect(t, token("another secret of thirty-two bytes", `{"sub":"ann","exp":4102444800}`))
	status := n.chain.Stats()[0].Keys
	body := get(Handler(Options{Router: n.Router}), "/metrics", nil).Body.String()
	for _, line := range []string{
		`sluice_key_verifications_total{filter="login",result="verified"} 2`,
		`sluice_key_verifications_total{filter="login",result="bad_signature"} 1`,
		`sluice_key_verifications_total{filter="login",result="no_keys"} 0`,
		`sluice_key_fetch_failures_total{cause="timeout",filter="login"} 0`,
	} {
		if !strings.Contains(body, "\n"+line+"\n") {
			t.Errorf("no series %s", line)
		}
	}
	// Each URL was tried when the filter was loaded, perhaps again since.
	count := regexp.MustCompile(`\nsluice_key_fetch_failures_total\{cause="status",filter="login"\} ([0-9]+)\n`).FindStringSubmatch(body)
	if count == nil {
		t.Fatalf("no series of failed fetches:\n%s", body)
	}
	if failed, err := strconv.Atoi(count[1]); err != nil || failed < 2 {
		t.Errorf("%d failed fetches of two URLs", failed)
	}
	if got, want := strings.Count(body, "\nsluice_key_verifications_total{"), len(status.Results); got != want {
		t.Errorf("%d results, want %d, of the filter with keys alone", got, want)
	}
	if got, want := strings.Count(body, "\nsluice_key_fetch_failures_total{"), len(keys.Causes()); got != want {
		t.Errorf("%d causes, want %d, over both URLs", got, want)
	}
	if strings.Contains(body, "127.0.0.1") {
		t.Error("a URL is shown")
	}
}

func TestMetricsFollowTheConventionsOfPrometheus(t *testing.T) {
	n := newNodeWith(t, keyed(t))
	body := get(Handler(Options{Router: n.Router}), "/metrics", nil).Body.Bytes()
	problems, err := promlint.New(bytes.NewReader(body)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "sluice_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

func TestANodeWithoutFiltersHasNoneInItsStatistics(t *testing.T) {
	n := newNode(t)
	n.Swap(&router.Generation{Number: 4})
	h := Handler(Options{Router: n.Router})
	if body := get(h, "/stats", nil).Body.String(); !strings.Contains(body, `"filters":[]`) || !strings.Contains(body, `"generation":4`) {
		t.Errorf("got %s", body)
	}
	if w := get(h, "/metrics", nil); w.Code != http.StatusOK || strings.Contains(w.Body.String(), "sluice_filter_calls_total") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

// Scrapes read while events are judged and chains are retired.
func TestScrapesMayMeetAReload(t *testing.T) {
	n := newNode(t)
	h := Handler(Options{Router: n.Router})
	var work sync.WaitGroup
	for range 2 {
		work.Go(func() {
			for range 20 {
				if w := get(h, "/metrics", nil); w.Code != http.StatusOK {
					t.Errorf("got %d %s", w.Code, w.Body)
				}
			}
		})
	}
	work.Go(func() {
		n.Swap(&router.Generation{Number: 4})
		n.chain.Retire()
	})
	work.Wait()
}

func TestTheTokenIsWantedForAllButTheProbes(t *testing.T) {
	h := Handler(Options{Router: newNode(t).Router, Token: "s3cret"})
	bearer := func(value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", value) }
	}
	for _, c := range []struct {
		path   string
		change func(*http.Request)
		want   int
	}{
		{"/healthz", nil, 200},
		{"/readyz", nil, 200},
		{"/stats", nil, 401},
		{"/metrics", nil, 401},
		{"/stats", bearer("Bearer s3cret"), 200},
		{"/stats", bearer("bearer  s3cret"), 200},
		{"/stats", bearer("Bearer s3cre"), 401},
		{"/stats", bearer("Bearer s3cret2"), 401},
		{"/stats", bearer("Bearer "), 401},
		{"/stats", bearer("Basic s3cret"), 401},
		{"/stats", bearer("s3cret"), 401},
		{"/nothing", nil, 404},
	} {
		w := get(h, c.path, c.change)
		if w.Code != c.want {
			t.Errorf("%s: %d %s", c.path, w.Code, w.Body)
		}
		if w.Code == 401 && w.Header().Get("WWW-Authenticate") == "" {
			t.Errorf("%s: the answer does not name the scheme", c.path)
		}
	}
}

func TestOnLoopbackOnlyRequestsToLoopbackAreAnswered(t *testing.T) {
	r := newNode(t).Router
	for host, want := range map[string]int{
		"127.0.0.1:8081": 200, "127.0.0.1": 200, "127.8.9.1:1": 200, "localhost:8081": 200, "LOCALHOST": 200, "[::1]:8081": 200, "[::1]": 200,
		"evil.example": 403, "127.0.0.1.evil.example:8081": 403, "localhost.evil.example": 403, "10.0.0.1:8081": 403, "": 403,
	} {
		set := func(r *http.Request) { r.Host = host }
		if w := get(Handler(Options{Router: r, Loopback: true}), "/stats", set); w.Code != want {
			t.Errorf("%q: %d", host, w.Code)
		}
		if w := get(Handler(Options{Router: r, Token: "t"}), "/healthz", set); w.Code != 200 {
			t.Errorf("%q on a public listener: %d", host, w.Code)
		}
	}
}

func TestOnlyReadingIsPossible(t *testing.T) {
	h := Handler(Options{Router: newNode(t).Router})
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions} {
		w := get(h, "/stats", func(r *http.Request) { r.Method = method })
		if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d", method, w.Code)
		}
	}
}

func TestReadinessSaysWhyNot(t *testing.T) {
	n := newNode(t)
	h := Handler(Options{Router: n.Router})
	if w := get(h, "/readyz", nil); w.Code != 200 || w.Body.String() != `{"status":"ready"}`+"\n" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	own := Handler(Options{Router: n.Router, Ready: func(context.Context) error { return errors.New("still loading") }})
	if w := get(own, "/readyz", nil); w.Code != 503 || w.Body.String() != `{"status":"not ready","reason":"still loading"}`+"\n" {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if err := n.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	if w := get(h, "/readyz", nil); w.Code != 503 || !strings.Contains(w.Body.String(), "draining") {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if w := get(h, "/healthz", nil); w.Code != 200 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestAProbeDoesNotWaitForever(t *testing.T) {
	stuck := Readiness(func(ctx context.Context) error {
		if _, ok := ctx.Deadline(); !ok {
			return errors.New("no deadline")
		}
		return nil
	})
	if w := get(stuck, "/readyz", nil); w.Code != 200 {
		body, _ := io.ReadAll(w.Body)
		t.Errorf("got %d %s", w.Code, body)
	}
}
