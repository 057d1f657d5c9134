package main

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/go-jose/go-jose/v4"
)

// issuer is what the tokens of these tests are signed with: a secret and an RSA
// key, with the kids hs and rs.
var issuer = sync.OnceValue(func() (keys struct {
	rsa, weak *rsa.PrivateKey
	public    string // PEM
}) {
	var err error
	if keys.rsa, err = rsa.GenerateKey(rand.Reader, 2048); err != nil {
		panic(err)
	}
	if keys.weak, err = rsa.GenerateKey(rand.Reader, 1024); err != nil {
		panic(err)
	}
	keys.public = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(&keys.rsa.PublicKey))}))
	return keys
})

// claimsOf are those of a good token of ann, with changes; nil removes one.
func claimsOf(changes map[string]any) string {
	all := map[string]any{"sub": "ann", "iss": "https://id.example", "aud": "chat", "exp": time.Now().Add(time.Hour).Unix(), "name": "Ann"}
	maps.Copy(all, changes)
	maps.DeleteFunc(all, func(_ string, v any) bool { return v == nil })
	return string(must(json.Marshal(all)))
}

// signed makes a token by go-jose.
func signed(t *testing.T, alg jose.SignatureAlgorithm, key any, kid, claims string) string {
	t.Helper()
	options := new(jose.SignerOptions)
	if kid != "" {
		options.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	signature, err := signer.Sign([]byte(claims))
	if err != nil {
		t.Fatal(err)
	}
	text, err := signature.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// forged is a token with a header of any text and an HMAC under the secret:
// what go-jose refuses to make.
func forged(header, claims, secret string) string {
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(header)) + "." + encode([]byte(claims))
	mac := hmac.New(crypto.SHA256.New, []byte(secret))
	mac.Write([]byte(text))
	return text + "." + encode(mac.Sum(nil))
}

// good is a token of the secret, with changed claims.
func good(changes map[string]any) string {
	return forged(`{"alg":"HS256","kid":"hs"}`, claimsOf(changes), testSecret)
}

const identityRooms = "rooms: [{match: \"**\", presence: true}]\n"

// authFilter is the entry of auth with both keys, and more of its configuration
// and of the entry.
func authFilter(config, entry string) string {
	public := string(must(json.Marshal(issuer().public)))
	return "filters:\n  - {name: auth, plugin: \"builtin:auth\", limits: {time: 1s}, " + entry + "keys: [{alg: HS256, kid: hs, secret: \"${KEY}\"}, {alg: RS256, kid: rs, pem: " + public +
		"}], config: {issuer: \"https://id.example\", audience: chat" + config + "}}\n"
}

func startAuth(t *testing.T, config string) *running {
	t.Helper()
	return start(t, config, "KEY="+testSecret)
}

// knock asks for a connection, and returns the node's answer, whose body has
// been read, and the connection if there is one.
func (n *running) knock(path string, header http.Header, subprotocols ...string) (*websocket.Conn, *http.Response, string) {
	n.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, response, err := websocket.Dial(ctx, "ws://"+n.clients+path, &websocket.DialOptions{HTTPHeader: header, Subprotocols: subprotocols})
	if response == nil {
		n.t.Fatal(err)
	}
	if err == nil {
		n.t.Cleanup(func() { conn.CloseNow() })
		return conn, response, ""
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		n.t.Fatal(err)
	}
	return nil, response, string(body)
}

func bearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// counter reads a series of /metrics; one that is not there counts 0.
func (n *running) counter(series string) int {
	n.t.Helper()
	return n.counters(series)[0]
}

func (n *running) counters(series ...string) []int {
	n.t.Helper()
	_, body := n.get(n.admin + "/metrics")
	counts := make([]int, len(series))
	for i, s := range series {
		m := regexp.MustCompile(`(?m)^` + s + ` (\d+)$`).FindStringSubmatch(body)
		if m == nil {
			continue
		}
		var err error
		if counts[i], err = strconv.Atoi(m[1]); err != nil {
			n.t.Fatal(err)
		}
	}
	return counts
}

const (
	refusedByFilter = `sluice_connections_refused_total\{cause="filter"\}`
	refusedReserved = `sluice_connections_refused_total\{cause="reserved_user"\}`
	deniedByAuth    = `sluice_filter_verdicts_total\{filter="auth",role="active",verdict="deny",version="[0-9a-f]{12}"\}`
)

// leaks fails the test if a text shows a part of a token that is not what all
// tokens share, or a key.
func leaks(t *testing.T, where, text string, tokens ...string) {
	t.Helper()
	secrets := []string{testSecret, base64.StdEncoding.EncodeToString([]byte(testSecret)), base64.RawURLEncoding.EncodeToString([]byte(testSecret)), issuer().public[40:100], issuer().rsa.N.String()}
	for _, token := range tokens {
		for part := range strings.SplitSeq(token, ".") {
			if len(part) >= 8 {
				secrets = append(secrets, part[:min(len(part), 40)])
			}
		}
	}
	for _, secret := range secrets {
		if at := strings.Index(text, secret); at >= 0 {
			t.Errorf("%s shows %q: …%.200s", where, secret, text[max(0, at-80):])
			return
		}
	}
}

// badTokens are those of an intruder or of an honest client's mistake. Where
// none is said the status is 401.
func badTokens(t *testing.T) []badToken {
	const hs = `{"alg":"HS256","kid":"hs"}`
	grants := func(rooms string) map[string]any {
		return map[string]any{"grants": []any{map[string]any{"rooms": rooms, "allow": []string{"join"}}}}
	}
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	public, other := issuer().public, strings.Repeat("another secret ", 5)
	parts := strings.Split(good(grants("chat:*")), ".")
	altered := parts[0] + "." + base64.RawURLEncoding.EncodeToString([]byte(claimsOf(grants("staff:*")))) + "." + parts[2]
	ownKey := string(must(json.Marshal(jose.JSONWebKey{Key: &issuer().weak.PublicKey})))
	const (
		malformed = "token is malformed"
		signature = "token signature is not valid"
		algorithm = "token algorithm is not acceptable"
		header    = "token header is not acceptable"
		may       = "token grants are not acceptable"
		tooLarge  = "token is too large"
		noUser    = "token has no acceptable user"
	)
	return []badToken{
		{name: "absent", reason: "a token is required"},
		{name: "malformed: a word", token: "nonsense", reason: malformed},
		{name: "malformed: two parts", token: parts[0] + "." + parts[1], reason: malformed},
		{name: "malformed: four parts", token: good(nil) + ".x", reason: malformed},
		{name: "malformed: empty parts", token: "..", reason: malformed},
		{name: "malformed: padded", token: good(nil) + "=", reason: malformed},
		{name: "malformed: a header that is no object", token: forged(`["HS256"]`, claimsOf(nil), testSecret), reason: malformed},
		{name: "malformed: claims that are no object", token: forged(hs, `"ann"`, testSecret), reason: malformed},
		{name: "huge: 9 KB", token: good(map[string]any{"x": strings.Repeat("x", 7000)}), reason: tooLarge},
		{name: "huge: 9 KB that are no token", token: strings.Repeat("x", 9<<10), reason: tooLarge},
		{name: "claims of 3,000 brackets", token: forged(hs, strings.Repeat("[", 3000), testSecret), reason: malformed},
		{name: "expired", token: good(map[string]any{"exp": in(-2 * time.Minute)}), reason: "token has expired"},
		{name: "without an expiry", token: good(map[string]any{"exp": nil}), reason: "token lacks a required claim"},
		{name: "an expiry in milliseconds", token: good(map[string]any{"exp": in(time.Hour) * 1000}), reason: malformed},
		{name: "not valid yet", token: good(map[string]any{"nbf": in(time.Hour)}), reason: "token is not valid yet"},
		{name: "issued in the future", token: good(map[string]any{"iat": in(time.Hour)}), reason: "token is not valid yet"},
		{name: "the wrong issuer", token: good(map[string]any{"iss": "https://id.example.evil"}), reason: "token issuer is not acceptable"},
		{name: "no issuer", token: good(map[string]any{"iss": nil}), reason: "token issuer is not acceptable"},
		{name: "the wrong audience", token: good(map[string]any{"aud": []string{"mail", "chats"}}), reason: "token audience is not acceptable"},
		{name: "no audience", token: good(map[string]any{"aud": nil}), reason: "token audience is not acceptable"},
		{name: "the wrong algorithm: HS512 under the secret of HS256", token: signed(t, jose.HS512, []byte(testSecret), "hs", claimsOf(nil)), reason: signature},
		{name: "the wrong algorithm: PS256 under the key of RS256", token: signed(t, jose.PS256, issuer().rsa, "rs", claimsOf(nil)), reason: signature},
		{name: "the wrong algorithm: one that does not exist", token: forged(`{"alg":"HS257"}`, claimsOf(nil), testSecret), reason: algorithm},
		{name: "none", token: base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + parts[1] + ".", reason: malformed},
		{name: "none, with a signature", token: forged(`{"alg":"none"}`, claimsOf(nil), testSecret), reason: algorithm},
		{name: "none, in other letters", token: forged(`{"alg":"nOnE","kid":"hs"}`, claimsOf(nil), testSecret), reason: algorithm},
		{name: "no signature", token: parts[0] + "." + parts[1] + ".", reason: malformed},
		{name: "HS256 signed with the RSA public key", token: forged(`{"alg":"HS256","kid":"rs"}`, claimsOf(nil), public), reason: signature},
		{name: "HS256 signed with the RSA public key, without a kid", token: forged(`{"alg":"HS256"}`, claimsOf(nil), public), reason: signature},
		{name: "HS256 signed with the RSA public key in DER", token: forged(`{"alg":"HS256"}`, claimsOf(nil), string(must(x509.MarshalPKIXPublicKey(&issuer().rsa.PublicKey)))), reason: signature},
		{name: "RS256 under another key", token: signed(t, jose.RS256, issuer().weak, "rs", claimsOf(nil)), reason: signature},
		{name: "another secret", token: forged(hs, claimsOf(nil), other), reason: signature},
		{name: "an empty secret", token: forged(hs, claimsOf(nil), ""), reason: signature},
		{name: "an unknown kid", token: forged(`{"alg":"HS256","kid":"hs2"}`, claimsOf(nil), testSecret), reason: signature},
		{name: "a kid with a path", token: forged(`{"alg":"HS256","kid":"../../../../dev/null"}`, claimsOf(nil), ""), reason: signature},
		{name: "a kid with SQL", token: forged(`{"alg":"HS256","kid":"x' UNION SELECT 'k' -- "}`, claimsOf(nil), "k"), reason: signature},
		{name: "a kid that is a number", token: forged(`{"alg":"HS256","kid":1}`, claimsOf(nil), testSecret), reason: malformed},
		{name: "a key of its own", token: forged(`{"alg":"RS256","jwk":`+ownKey+`}`, claimsOf(nil), "x"), reason: signature},
		{name: "a critical header", token: forged(`{"alg":"HS256","crit":["x"],"x":1}`, claimsOf(nil), testSecret), reason: header},
		{name: "an algorithm that comes twice", token: forged(`{"alg":"none","alg":"HS256"}`, claimsOf(nil), testSecret), reason: malformed},
		{name: "duplicate claims", token: forged(hs, `{"sub":"bob",`+claimsOf(nil)[1:], testSecret), reason: malformed},
		{name: "duplicate claims, one escaped", token: forged(hs, `{"s\u0075b":"bob",`+claimsOf(nil)[1:], testSecret), reason: malformed},
		{name: "a nested JWT", token: forged(`{"alg":"HS256","kid":"hs","cty":"JWT"}`, good(nil), testSecret), reason: header},
		{name: "a nested JWT that does not say so", token: forged(hs, good(nil), testSecret), reason: malformed},
		{name: "an encrypted JWT", token: "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..MDEyMzQ1Njc4OTAx.AAAAAAAA.MDEyMzQ1Njc4OTAxMjM0NQ", reason: malformed},
		{name: "unsigned grants", token: altered, reason: signature},
		{name: "grants with **", token: good(grants("**")), status: http.StatusForbidden, reason: may},
		{name: "grants with ** behind a prefix", token: good(grants("chat:**")), status: http.StatusForbidden, reason: may},
		{name: "grants that are none", token: good(map[string]any{"grants": "all"}), status: http.StatusForbidden, reason: may},
		{name: "grants of a word that is unknown", token: good(map[string]any{"grants": []any{map[string]any{"rooms": "a", "allow": []string{"admin"}}}}), status: http.StatusForbidden, reason: may},
		{name: "nobody", token: good(map[string]any{"sub": nil}), reason: noUser},
		{name: "a user with a control character", token: good(map[string]any{"sub": "ann\n"}), reason: noUser},
		{name: "a user that is a number", token: good(map[string]any{"sub": 7}), reason: noUser},
		{name: "a user with a name that is reserved", token: good(map[string]any{"sub": "anonymous-ann"}), byRouter: true, reason: "user names that begin with anonymous- are reserved"},
	}
}

type badToken struct {
	name, token, reason string
	status              int
	byRouter            bool // the filter lets it pass
}

func TestABadTokenIsRefusedBeforeTheUpgradeWithAReasonThatLeaksNothing(t *testing.T) {
	t.Parallel()
	n := startAuth(t, identityRooms+authFilter("", ""))
	tokens := badTokens(t)
	shown := make(map[string]int)
	counted := n.counters(refusedByFilter, deniedByAuth, refusedReserved)
	for i := range tokens {
		if tokens[i].status == 0 {
			tokens[i].status = http.StatusUnauthorized
		}
		row := &tokens[i]
		t.Run(row.name, func(t *testing.T) {
			n.refusedBefore(t, row)
			n.refusedByClose(t, row)
			now := n.counters(refusedByFilter, deniedByAuth, refusedReserved)
			want := []int{counted[0] + 2, counted[1] + 2, counted[2]}
			if row.byRouter {
				want = []int{counted[0], counted[1], counted[2] + 2}
			}
			if !slices.Equal(now, want) {
				t.Errorf("refused by a filter, denied by auth and reserved are counted %v, want %v", now, want)
			}
			counted = now
			shown[row.reason]++
		})
	}
	var all []string
	for _, row := range tokens {
		all = append(all, row.token)
	}
	_, metrics := n.get(n.admin + "/metrics")
	_, stats := n.get(n.admin + "/stats")
	leaks(t, "/metrics", metrics, all...)
	leaks(t, "/stats", stats, all...)
	leaks(t, "the log", n.logText(), all...)
	if got := n.counter("sluice_connections_accepted_total"); got != 0 {
		t.Errorf("%d were admitted", got)
	}
	if len(shown) < 12 {
		t.Errorf("the rows meet only %d reasons", len(shown))
	}
}

// refusedBefore checks what an HTTP client sees.
func (n *running) refusedBefore(t *testing.T, row *badToken) {
	t.Helper()
	header := bearer(row.token)
	if row.token == "" {
		header = nil
	}
	conn, response, body := n.knock("/ws", header, "sluice.v1")
	if conn != nil {
		t.Fatal("admitted")
	}
	checkError(t, row, body)
	if response.StatusCode != row.status || response.Header.Get("Sec-WebSocket-Accept") != "" || response.Header.Get("Content-Type") != "application/json" {
		t.Errorf("got %d, %v", response.StatusCode, response.Header)
	}
	leaks(t, "the response", fmt.Sprint(response.Header, body), row.token)
}

// refusedByClose checks what a browser sees that offers the token as a
// subprotocol.
func (n *running) refusedByClose(t *testing.T, row *badToken) {
	t.Helper()
	path := "/ws?refusal=close"
	if row.token != "" {
		path += "&token=" + url.QueryEscape(row.token)
	}
	conn, response, body := n.knock(path, nil, "sluice.v1")
	if conn == nil {
		t.Fatalf("not upgraded: %d %s", response.StatusCode, body)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_, data, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	checkError(t, row, string(data))
	_, _, err = conn.Read(ctx)
	want := websocket.StatusCode(4001)
	if row.status == http.StatusForbidden {
		want = 4003
	}
	if websocket.CloseStatus(err) != want {
		t.Errorf("closed with %v, want %d", err, want)
	}
	leaks(t, "the response", fmt.Sprint(response.Header, string(data), err), row.token)
}

func checkError(t *testing.T, row *badToken, text string) {
	t.Helper()
	var e event
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatalf("%v: %q", err, text)
	}
	code, filter := "unauthorized", "auth"
	if row.status == http.StatusForbidden {
		code = "forbidden"
	}
	if row.byRouter {
		filter = ""
	}
	if e.Event != "error" || e.Code != code || e.Reason != row.reason || e.Filter != filter {
		t.Errorf("got %s, want %s of %q: %s", text, code, filter, row.reason)
	}
}

func TestATokenTooLargeForARequestIsRefusedByTheServerAndNotShown(t *testing.T) {
	t.Parallel()
	n := startAuth(t, authFilter("", ""))
	token := strings.Repeat("0123456789", 6<<10)
	conn, response, body := n.knock("/ws?refusal=close", bearer(token), "sluice.v1")
	if conn != nil || response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %d %s", response.StatusCode, body)
	}
	leaks(t, "the answer and the log", fmt.Sprint(response.Header, body, n.logText()), token)
}
