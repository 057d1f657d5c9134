package auth_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"

	"sluice/plugins"
	"sluice/plugins/filters"
	"sluice/plugins/keys"
	"sluice/plugins/plugintest"
	"sluice/router"
)

// compiled is the folder that the hosts of all tests share, so that the filter is
// compiled once.
var compiled string

func TestMain(m *testing.M) {
	compiled = must(os.MkdirTemp("", "auth"))
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		_ = os.RemoveAll(compiled)
		os.Exit(code)
	}))
}

// now is when all events here happen.
var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

const secret = "0123456789abcdef0123456789ABCDEF0123456789abcdef0123456789ABCDEF"

// pair is a signer, and the key that verifies what it signs.
type pair struct {
	alg  jose.SignatureAlgorithm
	sign any
	spec keys.Spec
}

// pairs has one for each algorithm.
var pairs = sync.OnceValue(func() map[string]pair {
	out := make(map[string]pair)
	for _, alg := range []string{"HS256", "HS384", "HS512"} {
		out[alg] = pair{jose.SignatureAlgorithm(alg), []byte(secret), keys.Spec{Alg: alg, Secret: keys.NewSecret(secret)}}
	}
	add := func(alg string, private, public any) {
		out[alg] = pair{jose.SignatureAlgorithm(alg), private, keys.Spec{Alg: alg, PEM: keys.NewSecret(publicPEM(public))}}
	}
	rsaKey := must(rsa.GenerateKey(rand.Reader, 2048))
	for _, alg := range []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"} {
		add(alg, rsaKey, rsaKey.Public())
	}
	for alg, curve := range map[string]elliptic.Curve{"ES256": elliptic.P256(), "ES384": elliptic.P384(), "ES512": elliptic.P521()} {
		key := must(ecdsa.GenerateKey(curve, rand.Reader))
		add(alg, key, key.Public())
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	add("EdDSA", private, public)
	return out
})

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func publicPEM(public any) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(public))}))
}

// node is the real host with the built filter.
type node struct {
	host  *plugins.Host
	chain *plugins.Chain
	log   *logged
}

// logged is a log that tests may read while it is written.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func newHost(tb testing.TB) (*plugins.Host, *logged) {
	tb.Helper()
	return hostOf(tb, filters.FS)
}

// newBareHost has the filter without its schema, so that what the filter itself
// says of a configuration is heard.
func newBareHost(tb testing.TB) *plugins.Host {
	tb.Helper()
	host, _ := hostOf(tb, must(plugintest.WithoutSchema(filters.FS, "auth")))
	return host
}

func hostOf(tb testing.TB, builtins fs.FS) (*plugins.Host, *logged) {
	tb.Helper()
	log := &logged{}
	host, err := plugins.NewHost(plugins.HostOptions{
		Lanes: 1, CacheDir: compiled, Builtins: builtins, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = host.Close(context.Background()) })
	return host, log
}

// spec is an entry with more time than the default: a busy machine is not what
// these tests are about.
func spec(config string, ks ...keys.Spec) plugins.Spec {
	return plugins.Spec{Name: "auth", Plugin: "builtin:auth", Config: json.RawMessage(config), Keys: ks, Time: plugins.MaxTime}
}

// start loads the filter with the key of HS256, or those given.
func start(tb testing.TB, config string, ks ...keys.Spec) *node {
	tb.Helper()
	if ks == nil {
		ks = []keys.Spec{pairs()["HS256"].spec}
	}
	return startSpec(tb, spec(config, ks...))
}

func startSpec(tb testing.TB, specs ...plugins.Spec) *node {
	tb.Helper()
	host, log := newHost(tb)
	chain, err := host.Build(tb.Context(), specs, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return &node{host, chain, log}
}

func event(r *http.Request) *router.Event {
	return &router.Event{
		Hook: router.HookConnect, Kind: router.KindNew, Time: now.UnixNano(), Conn: 1, Seq: 1, Remote: "192.0.2.1",
		Request: r, States: new([]router.State),
	}
}

func (n *node) judge(tb testing.TB, e *router.Event) router.Verdict {
	tb.Helper()
	if err := n.chain.Judge(e); err != nil {
		tb.Fatal(err)
	}
	return e.Verdict
}

// ask connects with the token in the header Authorization.
func (n *node) ask(tb testing.TB, token string) router.Verdict {
	tb.Helper()
	return n.judge(tb, event(bearer(token)))
}

// request asks for the endpoint with headers, given by pairs of name and value.
func request(target string, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	return r
}

func bearer(token string) *http.Request {
	r := request("/ws")
	r.Header["Authorization"] = []string{"Bearer " + token}
	return r
}

func query(token string) *http.Request { return request("/ws?token=" + url.QueryEscape(token)) }

// claims are those of a good token of the user ann, with changes; nil removes.
func claims(changes map[string]any) string {
	all := map[string]any{"sub": "ann", "exp": now.Add(time.Hour).Unix()}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return string(must(json.Marshal(all)))
}

// sign makes a token by go-jose.
func sign(tb testing.TB, p pair, header map[jose.HeaderKey]any, payload string) string {
	tb.Helper()
	o := &jose.SignerOptions{ExtraHeaders: header}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: p.alg, Key: p.sign}, o)
	if err != nil {
		tb.Fatal(err)
	}
	signed, err := signer.Sign([]byte(payload))
	if err != nil {
		tb.Fatal(err)
	}
	return must(signed.CompactSerialize())
}

// hs256 signs by go-jose with the secret.
func hs256(tb testing.TB, payload string) string {
	tb.Helper()
	return sign(tb, pairs()["HS256"], nil, payload)
}

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// forge makes a token with a header of any text, and a good HMAC under the
// secret: what go-jose refuses to make.
func forge(header, payload string) string { return forgeParts(b64(header), b64(payload)) }

func forgeParts(header, payload string) string {
	return header + "." + payload + "." + hmac256(secret, header+"."+payload)
}

func admitted(tb testing.TB, v router.Verdict) *router.Identity {
	tb.Helper()
	if v.Action != router.Continue || v.Identity == nil {
		tb.Fatalf("not admitted: %d %q, failure %q", v.Code, v.Reason, v.Failure)
	}
	return v.Identity
}

// refused checks the answer, and that it says nothing but its reason.
func refused(tb testing.TB, v router.Verdict, code uint32, reason string) {
	tb.Helper()
	if v.Action != router.Deny || v.Identity != nil || v.Failure != "" {
		tb.Errorf("action %d, failure %q, an identity: %v; want it refused", v.Action, v.Failure, v.Identity != nil)
	}
	if v.Code != code || v.Reason != reason {
		tb.Errorf("got %d %q, want %d %q", v.Code, v.Reason, code, reason)
	}
}

func repeat(s string, n int) string { return strings.Repeat(s, n) }
