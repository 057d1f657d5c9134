package main

import (
	"bytes"
	"context"
	"crypto"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// keyServer publishes a key set, or what its answer is set to.
type keyServer struct {
	*httptest.Server
	fetches atomic.Int64
	answer  atomic.Pointer[http.HandlerFunc]
}

func newKeyServer(t *testing.T, answer http.HandlerFunc) *keyServer {
	t.Helper()
	s := new(keyServer)
	s.answer.Store(&answer)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.fetches.Add(1)
		(*s.answer.Load())(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func publish(keys ...jose.JSONWebKey) http.HandlerFunc {
	text := must(json.Marshal(jose.JSONWebKeySet{Keys: keys}))
	return func(w http.ResponseWriter, _ *http.Request) { w.Write(text) }
}

func publicKey(key crypto.PublicKey, kid string) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key, KeyID: kid, Use: "sig"}
}

func goodSet() http.HandlerFunc { return publish(publicKey(&issuer().rsa.PublicKey, "rs")) }

func jwksFilter(url, more string) string {
	return fmt.Sprintf("filters:\n  - {name: auth, plugin: \"builtin:auth\", limits: {time: 1s}, keys: [{jwks: \"%s\"%s}], config: {audience: chat}}\n", url, more)
}

func ofIssuer(t *testing.T) string {
	t.Helper()
	return signed(t, jose.RS256, issuer().rsa, "rs", claimsOf(nil))
}

// hangUp is the answer of a server that is on its way up or down.
func hangUp(w http.ResponseWriter, _ *http.Request) {
	if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
		conn.Close()
	}
}

// fails runs serve with a configuration that it cannot start with, and returns
// its error and its log.
func fails(t *testing.T, config string) (message, log string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte("listen: 127.0.0.1:0\nadmin: {listen: off}\nlog: {format: json, level: debug}\ncache: "+compiled()+"\n"+config), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var out, errOut bytes.Buffer
	if code := Main(ctx, []string{"serve", "--config", path}, nil, nil, &out, &errOut); code != 1 || ctx.Err() != nil {
		t.Fatalf("exit %d: %s", code, &errOut)
	}
	for line := range strings.Lines(errOut.String()) {
		if strings.HasPrefix(line, "{") {
			log += line
		} else {
			message += line
		}
	}
	if strings.Count(message, "\n") != 1 || !strings.HasPrefix(message, path+":6: filters[0]: filter \"auth\"") {
		t.Errorf("it is not one line with its place: %s", message)
	}
	return message, log
}

func TestANodeDoesNotStartWithAKeySetThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	const hidden = "hidden-in-the-answer"
	target := newKeyServer(t, goodSet())
	respond := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
	}
	done := make(chan struct{})
	for name, row := range map[string]struct {
		answer http.HandlerFunc // nil: nothing listens
		want   string
	}{
		"down":     {nil, "it refuses the connection"},
		"huge":     {respond(`{"keys":[],"x":"` + hidden + strings.Repeat("x", 2<<20) + `"}`), "larger than 1MiB"},
		"garbage":  {respond("\x00\xff<html>" + hidden), "no JWK set"},
		"deep":     {respond(`{"keys":` + strings.Repeat("[", 100_000)), "no JWK set"},
		"no keys":  {respond(`{"keys":[]}`), "no key that can be used: the set is empty"},
		"an error": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, hidden, http.StatusInternalServerError) }, "status 500"},
		"redirecting": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, target.URL+"/"+hidden, http.StatusFound)
		}, "redirects"},
		"a weak RSA key": {publish(publicKey(&issuer().weak.PublicKey, "rs")), "no key that can be used: 1 "},
		"a secret":       {publish(jose.JSONWebKey{Key: []byte(testSecret), KeyID: "hs", Algorithm: "HS256"}), "no key that can be used: 1 "},
		"cut off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, hidden)
		}, "not HTTP, or ended early"},
		"slow": {func(_ http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-done:
			}
		}, "did not answer in full within 5s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := "http://127.0.0.1:1"
			if row.answer != nil {
				url = newKeyServer(t, row.answer).URL
			}
			message, log := fails(t, jwksFilter(url+"/keys?secret="+hidden, ""))
			for _, part := range []string{url + "/keys", row.want, "when_down: wait"} {
				if !strings.Contains(message, part) {
					t.Errorf("%q is not in %s", part, message)
				}
			}
			if strings.Contains(message+log, hidden) {
				t.Errorf("what is not to be shown is: %s%s", message, log)
			}
			leaks(t, "what it wrote", message+log)
		})
	}
	t.Cleanup(func() {
		close(done)
		if n := target.fetches.Load(); n != 0 {
			t.Errorf("the redirect was followed %d times", n)
		}
	})
}

func TestANodeThatWaitsForItsKeysRefusesWith503AndAdmitsOnceTheyHaveCome(t *testing.T) {
	t.Parallel()
	server := newKeyServer(t, hangUp)
	n := start(t, jwksFilter(server.URL, ", when_down: wait"))
	token := ofIssuer(t)
	conn, response, body := n.knock("/ws", bearer(token))
	if conn != nil || response.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, "tokens cannot be verified now") {
		t.Errorf("got %d %s", response.StatusCode, body)
	}
	if conn, _, _ := n.knock("/ws?refusal=close", bearer(token)); conn == nil {
		t.Error("not upgraded")
	} else if end := (&client{t, conn}).closed(); end.Code != 4101 {
		t.Errorf("closed with %v, which tells the client not to try again", end)
	}
	// An intruder's token is not let in meanwhile, whatever signed it.
	for _, token := range []string{forged(`{"alg":"HS256","kid":"rs"}`, claimsOf(nil), issuer().public), forged(`{"alg":"HS256"}`, claimsOf(nil), "")} {
		if conn, response, _ := n.knock("/ws", bearer(token)); conn != nil || response.StatusCode < 400 {
			t.Errorf("got %d", response.StatusCode)
		}
	}

	up := goodSet()
	server.answer.Store(&up)
	deadline := time.Now().Add(patience)
	for conn == nil {
		if time.Now().After(deadline) {
			t.Fatalf("still refused after %d fetches", server.fetches.Load())
		}
		conn, response, body = n.knock("/ws", bearer(token))
		if conn == nil && response.StatusCode != http.StatusServiceUnavailable {
			t.Fatalf("got %d %s", response.StatusCode, body)
		}
	}
	(&client{t, conn}).await("welcome")
	if got := n.counter(`sluice_key_fetch_failures_total\{cause="protocol",filter="auth"\}`); got == 0 {
		t.Error("no failed fetch is counted")
	}
	if !strings.Contains(n.logText(), "key set answers again") {
		t.Error("the log does not say that the key set answers again")
	}
	leaks(t, "the log", n.logText(), token)
}

func TestTheLastGoodKeySetServesWhileItsSourceIsAwayOrBroken(t *testing.T) {
	t.Parallel()
	server := newKeyServer(t, goodSet())
	n := start(t, jwksFilter(server.URL, ""))
	token := ofIssuer(t)
	n.welcomed(token)
	broken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	server.answer.Store(&broken)
	n.welcomed(token)
	server.Close()
	n.welcomed(token)
	if conn, response, body := n.knock("/ws", bearer(signed(t, jose.RS256, issuer().weak, "rs", claimsOf(nil)))); conn != nil || response.StatusCode != http.StatusUnauthorized {
		t.Errorf("another key: %d %s", response.StatusCode, body)
	}
}

func TestAnUnknownKidAsksForTheKeysAtMostOnceAMinuteHoweverOftenItComes(t *testing.T) {
	t.Parallel()
	server := newKeyServer(t, goodSet())
	n := start(t, jwksFilter(server.URL, ""))
	for i := range 200 {
		token := forged(fmt.Sprintf(`{"alg":"RS256","kid":"of-an-intruder-%d"}`, i), claimsOf(nil), "x")
		if conn, response, body := n.knock("/ws", bearer(token)); conn != nil || response.StatusCode != http.StatusUnauthorized {
			t.Fatalf("got %d %s", response.StatusCode, body)
		}
	}
	n.welcomed(ofIssuer(t))
	if fetches := server.fetches.Load(); fetches < 1 || fetches > 2 {
		t.Errorf("the key set was fetched %d times", fetches)
	}
	if got := n.counter(`sluice_key_verifications_total\{filter="auth",result="unknown_kid"\}`); got != 200 {
		t.Errorf("%d unknown kids are counted", got)
	}
	if strings.Contains(n.logText(), "of-an-intruder") {
		t.Error("the log shows what an intruder chose")
	}
}

func TestAKeyThatIsTooWeakIsLeftOutOfASetAndVerifiesNothing(t *testing.T) {
	t.Parallel()
	server := newKeyServer(t, publish(publicKey(&issuer().rsa.PublicKey, "rs"), publicKey(&issuer().weak.PublicKey, "weak"),
		jose.JSONWebKey{Key: []byte(testSecret), KeyID: "hs", Algorithm: "HS256"}))
	n := start(t, jwksFilter(server.URL, ""))
	n.welcomed(ofIssuer(t))
	for _, token := range []string{signed(t, jose.RS256, issuer().weak, "weak", claimsOf(nil)), signed(t, jose.RS256, issuer().weak, "", claimsOf(nil)), good(nil)} {
		if conn, response, body := n.knock("/ws", bearer(token)); conn != nil || response.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "token signature is not valid") {
			t.Errorf("got %d %s", response.StatusCode, body)
		}
	}
	if !strings.Contains(n.logText(), "keys of a key set are not used") {
		t.Error("the log does not say that keys are not used")
	}
	leaks(t, "the log", n.logText())
}

// failing are filters for connects that fail, made of test guests for messages:
// the names of both hooks have the same length.
func failing(t *testing.T, guest string) string {
	t.Helper()
	module, err := os.ReadFile("../../plugins/testdata/" + guest + ".wasm")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(module, []byte("on_message")) {
		t.Fatalf("%s has no on_message", guest)
	}
	path := filepath.Join(t.TempDir(), guest+".wasm")
	if err := os.WriteFile(path, bytes.ReplaceAll(module, []byte("on_message"), []byte("on_connect")), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestAnAuthThatFailsForWhateverCauseAdmitsNobody(t *testing.T) {
	t.Parallel()
	token := good(nil)
	for guest, cause := range map[string]string{"trap": "trap", "loop_message": "timeout", "recurse": "stack", "exit": "exit", "abort": "exit"} {
		t.Run(guest, func(t *testing.T) {
			t.Parallel()
			entry := "{name: fails, plugin: " + failing(t, guest) + "}"
			for place, config := range map[string]string{
				"alone":  "filters:\n  - " + entry + "\n",
				"behind": authFilter(", optional: true", "") + "  - " + entry + "\n",
				"before": strings.Replace(authFilter(", optional: true", ""), "filters:\n", "filters:\n  - "+entry+"\n", 1),
			} {
				n := startAuth(t, "anonymous: true\n"+config)
				for _, header := range []http.Header{bearer(token), nil} {
					conn, response, body := n.knock("/ws?client_id=ann", header)
					if conn != nil || response.StatusCode < 400 || !strings.Contains(body, `"filter":"fails"`) {
						t.Fatalf("%s: got %d %s", place, response.StatusCode, body)
					}
					leaks(t, place, fmt.Sprint(response.Header, body), token)
				}
				failures := 0
				for _, c := range []string{cause, "unavailable"} { // the latter until its next instance is ready
					failures += n.counter(`sluice_filter_failures_total\{cause="` + c + `",filter="fails",role="active",version="[0-9a-f]{12}"\}`)
				}
				if refused := n.counter(refusedByFilter); failures != 2 || refused != 2 {
					t.Errorf("%s: %d failures and %d refusals are counted, want 2", place, failures, refused)
				}
				leaks(t, "the log", n.logText(), token)
			}
		})
	}
	const auth = "filters:\n  - {name: auth, plugin: \"builtin:auth\", keys: [{alg: HS256, secret: \"a secret of thirty-two bytes or more\"}], "
	for entry, want := range map[string]string{"limits: {memory: 64KiB}": "memory", "on_failure: continue": "on_failure"} {
		if message, _ := fails(t, auth+entry+"}\n"); !strings.Contains(message, want) {
			t.Errorf("%s: got %s", entry, message)
		}
	}
}
