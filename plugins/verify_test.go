package plugins

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"sluice/plugins/keys"
	"sluice/router"
)

const testSecret = "0123456789abcdef0123456789ABCDEF"

func secretKey(kid, secret string) keys.Spec {
	return keys.Spec{Alg: "HS256", Kid: kid, Secret: keys.NewSecret(secret)}
}

// verifying is verify.wat with keys.
func verifying(ks ...keys.Spec) Spec {
	s := guest("verify")
	s.Keys = ks
	return s
}

func hs256(secret, message string) string {
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(message))
	return string(h.Sum(nil))
}

func verification(alg, kid, text, signature string) *router.Event {
	e := message(text)
	e.Kind, e.User, e.Room, e.Target = router.KindDirect, alg, kid, signature
	return e
}

// result is what verify returned.
func result(t testing.TB, c *Chain, e *router.Event) int32 {
	t.Helper()
	if v := judge(t, c, e); v.Action != router.Continue || v.Failure != "" {
		t.Fatalf("verdict %+v", *v)
	}
	return int32(binary.LittleEndian.Uint32((*e.States)[0].Data))
}

func TestAFilterVerifiesWithTheKeysOfItsEntry(t *testing.T) {
	c := newTestHost(t, HostOptions{}).chain(nil, verifying(secretKey("a", testSecret)))
	const text = `"text"`
	good := hs256(testSecret, text)
	for _, v := range []struct {
		name string
		e    *router.Event
		want int32
	}{
		{"good", verification("HS256", "a", text, good), 1},
		{"without a kid", verification("HS256", "", text, good), 1},
		{"another kid", verification("HS256", "b", text, good), 0},
		{"another algorithm", verification("HS384", "a", text, good), 0},
		{"an unknown algorithm", verification("none", "a", text, ""), 0},
		{"no algorithm", verification("", "a", text, good), resultArgument},
		{"another text", verification("HS256", "a", `"Text"`, good), 0},
		{"no signature", verification("HS256", "a", text, ""), 0},
		{"half a signature", verification("HS256", "a", text, good[:16]), 0},
	} {
		if got := result(t, c, v.e); got != v.want {
			t.Errorf("%s: %d, want %d", v.name, got, v.want)
		}
	}
	counted := stats(c).Keys.Results
	if counted["verified"] != 2 || counted["unknown_kid"] != 1 || counted["unknown_alg"] != 2 || counted["bad_signature"] != 3 {
		t.Errorf("counted %v", counted)
	}
}

func TestVerifyWithAWildPointerTraps(t *testing.T) {
	c := newTestHost(t, HostOptions{}).chain(nil, verifying(secretKey("", testSecret)))
	v := judge(t, c, &router.Event{Hook: router.HookJoin, Room: "r", User: "ada", States: new([]router.State)})
	if v.Action != router.Deny || v.Failure != "trap" {
		t.Errorf("verdict %+v", *v)
	}
}

func TestAFilterThatVerifiesWithoutEndRunsOutOfTime(t *testing.T) {
	// RFC 7515, A.3
	c := newTestHost(t, HostOptions{}).chain(nil, verifying(keys.Spec{JWK: keys.NewSecret(
		`{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`)}))
	within(t, "its time", func() {
		judge(t, c, &router.Event{Hook: router.HookDisconnect, User: "ada", States: new([]router.State)})
	})
	if s := stats(c); s.Failures["timeout"] != 1 || s.Keys.Results["bad_signature"] < minSlices {
		t.Errorf("failures %v, keys %v", s.Failures, s.Keys.Results)
	}
}

func TestAFilterThatVerifiesDearSignaturesLeavesLanesToOthers(t *testing.T) {
	private, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&private.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	es512 := keys.Spec{Alg: "ES512", PEM: keys.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})))}
	c := newTestHost(t, HostOptions{Lanes: 4}).chain(nil, verifying(es512, secretKey("", testSecret)))
	p := c.filters[0].pool
	for _, cheap := range []*router.Event{
		verification("HS256", "", `1`, hs256(testSecret, `1`)), verification("ES384", "", `1`, strings.Repeat("x", 96)), verification("", "", `1`, ""),
	} {
		judge(t, c, cheap)
		if p.slow.Load() {
			t.Fatalf("after %q it passes the gate", cheap.User)
		}
	}
	forged := verification("ES512", "", `1`, strings.Repeat("x", 132))
	if got := result(t, c, forged); got != 0 || !p.slow.Load() {
		t.Errorf("a forged signature under ES512: %d, and slow is %v", got, p.slow.Load())
	}
}

func TestWithoutKeysVerifyIsNotGranted(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	_, err := h.Build(t.Context(), []Spec{guest("verify")}, nil)
	if err == nil || !strings.Contains(err.Error(), "it imports sluice.verify, which is not granted; give the filter keys to verify with: keys: [...]") {
		t.Errorf("got %v", err)
	}
	s := guest("verify")
	s.Capabilities = []string{"verify"}
	c := h.chain(nil, s)
	if got := result(t, c, verification("HS256", "", `1`, "")); got != resultUnsupported {
		t.Errorf("granted, but without keys: %d", got)
	}
	if stats(c).Keys != nil {
		t.Error("it has keys")
	}
}

func TestBadKeysAreRefusedWithoutBeingShown(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	_, err := h.Build(t.Context(), []Spec{verifying(secretKey("", "too-short"))}, nil)
	if err == nil || !strings.Contains(err.Error(), "keys[0]: the secret has 9 bytes") || strings.Contains(err.Error(), "too-short") {
		t.Errorf("got %v", err)
	}
	s := verifying(secretKey("k", testSecret))
	text := fmt.Sprintf("%v %+v %#v %v", s, s, s, []Spec{s})
	asJSON, _ := json.Marshal(s)
	if strings.Contains(text+string(asJSON), testSecret) {
		t.Errorf("a printed Spec shows its keys: %s %s", text, asJSON)
	}
}

func TestAFilterKeepsItsInstancesOnlyWhileItsKeysAreTheSame(t *testing.T) {
	h := newTestHost(t, HostOptions{})
	a := h.chain(nil, verifying(secretKey("", testSecret)))
	same := h.chain(a, verifying(secretKey("", testSecret)))
	if same.filters[0].pool != a.filters[0].pool {
		t.Error("with the same keys it was started anew")
	}
	a.Retire()
	other := h.chain(same, verifying(secretKey("", strings.ToUpper(testSecret))))
	if other.filters[0].pool == same.filters[0].pool {
		t.Fatal("with other keys it was not started anew")
	}
	same.Retire()
	good := verification("HS256", "", `1`, hs256(testSecret, `1`))
	if got := result(t, other, good); got != 0 {
		t.Errorf("a key that was taken away: %d", got)
	}
	none := verifying()
	none.Capabilities = []string{"verify"}
	c := h.chain(other, none)
	other.Retire()
	if got := result(t, c, good); got != resultUnsupported {
		t.Errorf("all keys were taken away: %d", got)
	}
}

// jwks serves a key set, while up.
type jwks struct {
	*httptest.Server
	asked atomic.Int32
	down  atomic.Bool
}

func newJWKS(t *testing.T) *jwks {
	t.Helper()
	j := &jwks{}
	j.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		j.asked.Add(1)
		if j.down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		// RFC 8037, A.2
		_, _ = w.Write([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	}))
	t.Cleanup(j.Close)
	return j
}

func TestAReloadTakesOverWhatWasFetched(t *testing.T) {
	h, j := newTestHost(t, HostOptions{}), newJWKS(t)
	url := keys.Spec{JWKS: keys.NewSecret(j.URL)}
	first := h.chain(nil, verifying(url))
	j.down.Store(true)
	changed := verifying(url)
	changed.Config = []byte(`{"changed":true}`)
	second := h.chain(first, changed)
	first.Retire()
	if n := j.asked.Load(); n != 1 || stats(second).Keys.Keys != 1 {
		t.Errorf("asked %d times, %d keys", n, stats(second).Keys.Keys)
	}
	second.Retire()
}

func TestKeysThatCannotBeFetchedFailTheBuildOrAreWaitedFor(t *testing.T) {
	h, j := newTestHost(t, HostOptions{}), newJWKS(t)
	j.down.Store(true)
	if _, err := h.Build(t.Context(), []Spec{verifying(keys.Spec{JWKS: keys.NewSecret(j.URL)})}, nil); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("got %v", err)
	}
	if s := h.Stats(); s.Filters != 0 || s.Modules != 0 {
		t.Errorf("the failed build left %+v", s)
	}
	c := h.chain(nil, verifying(keys.Spec{JWKS: keys.NewSecret(j.URL), WhenDown: keys.Wait}))
	if got := result(t, c, verification("EdDSA", "ed", `1`, "")); got != resultUnavailable {
		t.Errorf("before the keys have come: %d", got)
	}
}

func TestVerifyDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop what is put into it")
	}
	c := newTestHost(t, HostOptions{}).chain(nil, verifying(secretKey("a", testSecret)))
	e := verification("HS256", "a", `"text"`, hs256(testSecret, `"text"`))
	result(t, c, e) // the state is allocated once
	if n := testing.AllocsPerRun(1000, func() {
		if c.Judge(e) != nil || e.Verdict.Action != router.Continue {
			t.Fatal(e.Verdict)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestAVerificationTakesFuel(t *testing.T) {
	c := newTestHost(t, HostOptions{}).chain(nil, verifying(secretKey("", testSecret)))
	in := c.filters[0].pool.slots[0].in
	spent := func(alg, text string) int64 {
		before := int64(in.fuel.Get())
		result(t, c, verification(alg, "", text, "signature"))
		return before - int64(in.fuel.Get())
	}
	small, large := spent("HS256", `""`), spent("HS256", content(1002))
	if large-small < 1000*verifyByteCost {
		t.Errorf("1000 bytes more took %d fuel more", large-small)
	}
	if public := spent("ES256", `""`); public-small < verifyKeyCost/2 {
		t.Errorf("a public key took %d fuel, a secret %d", public, small)
	}
}

// bundled is a file system with verify.wasm under the name of a bundled filter,
// with a section sluice.meta.
func bundled(t *testing.T, meta string) fstest.MapFS {
	t.Helper()
	wasm, err := os.ReadFile("testdata/capable.wasm")
	if err != nil {
		t.Fatal(err)
	}
	section := append([]byte{byte(len("sluice.meta"))}, "sluice.meta"+meta...)
	wasm = append(wasm, 0)
	wasm = binary.AppendUvarint(wasm, uint64(len(section)))
	return fstest.MapFS{"capable/capable.wasm": {Data: append(wasm, section...)}}
}

func TestABundledFilterBringsItsDefaults(t *testing.T) {
	const meta = `{"headers":["X-Auth"],"query":["token"],"cookies":["c"],"capabilities":["log","now","random"]}`
	h := newTestHost(t, HostOptions{Builtins: bundled(t, meta)})
	f := h.chain(nil, Spec{Name: "a", Plugin: "builtin:capable"}).filters[0]
	if fmt.Sprint(f.Headers, f.Query, f.Cookies) != "[x-auth] [token] [c]" {
		t.Errorf("it sees %v %v %v", f.Headers, f.Query, f.Cookies)
	}
	f = h.chain(nil, Spec{Name: "a", Plugin: "builtin:capable", Headers: []string{"Own"}, Query: []string{}}).filters[0]
	if fmt.Sprint(f.Headers, f.Query, f.Cookies) != "[own] [] [c]" {
		t.Errorf("what the entry names does not count: %v %v %v", f.Headers, f.Query, f.Cookies)
	}
	_, err := h.Build(t.Context(), []Spec{{Name: "a", Plugin: "builtin:capable", Capabilities: []string{"log"}}}, nil)
	if err == nil || !strings.Contains(err.Error(), "now, sluice.random, which is not granted") {
		t.Errorf("what the entry grants does not count: %v", err)
	}
}

func TestAFilterFromAFileBringsNoDefaults(t *testing.T) {
	const meta = `{"headers":["x-auth"],"capabilities":["log","now","random"]}`
	file := t.TempDir() + "/capable.wasm"
	if err := os.WriteFile(file, bundled(t, meta)["capable/capable.wasm"].Data, 0o600); err != nil {
		t.Fatal(err)
	}
	h := newTestHost(t, HostOptions{})
	if _, err := h.Build(t.Context(), []Spec{{Name: "a", Plugin: file}}, nil); err == nil || !strings.Contains(err.Error(), "which is not granted") {
		t.Errorf("it granted itself capabilities: %v", err)
	}
	if f := h.chain(nil, Spec{Name: "a", Plugin: file, Capabilities: []string{"log", "now", "random"}}).filters[0]; f.Headers != nil {
		t.Errorf("it sees %v", f.Headers)
	}
}

func TestARefreshThatNamesNoUserProvesNone(t *testing.T) {
	c := newTestHost(t, HostOptions{}).chain(nil, guest("outputs"))
	e := eventOf(router.HookConnect, answering(vContinue).put(outClaims, `{}`))
	e.Kind, e.User = router.KindRefresh, "ada"
	if id := judge(t, c, e).Identity; id == nil || id.User != "" {
		t.Errorf("identity %+v", id)
	}
}

func TestTheTimeOfAVerificationIsNotTheGuests(t *testing.T) {
	c := newTestHost(t, HostOptions{}).chain(nil, verifying(secretKey("a", testSecret)))
	in := c.filters[0].pool.slots[0].in
	const text = `"text"`
	if got := result(t, c, verification("HS256", "a", text, hs256(testSecret, text))); got != 1 {
		t.Fatalf("verify returned %d", got)
	}
	if in.excused <= 0 || in.excused > maxExcuse {
		t.Errorf("the deadline was moved by %s", in.excused)
	}
	in.begin(DefaultTime)
	in.startClock()
	deadline := in.deadline
	for _, step := range []struct{ took, moved time.Duration }{
		{4 * time.Millisecond, 4 * time.Millisecond}, {5 * time.Millisecond, 9 * time.Millisecond},
		{time.Minute, maxExcuse}, {time.Minute, maxExcuse},
	} {
		in.excuse(step.took)
		if moved := time.Duration(in.deadline - deadline); moved != step.moved {
			t.Errorf("after another %s the deadline was moved by %s, want %s", step.took, moved, step.moved)
		}
	}
	in.begin(DefaultTime)
	if in.excused != 0 {
		t.Error("the next call begins with the last one's")
	}
}
