package keys

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// start makes a set of one URL and starts it, with a time-out that a test can wait for.
func start(t *testing.T, spec Spec) (*Set, error) {
	t.Helper()
	set, err := NewSet([]Spec{spec}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(set.Close)
	set.sources[0].fetcher.timeout = 500 * time.Millisecond
	return set, set.Start(t.Context(), nil)
}

func TestKeysOfAURLVerify(t *testing.T) {
	f := fixture()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "me" || password != "pw" || r.URL.RawQuery != "a=b" || r.Method != "GET" {
			w.WriteHeader(http.StatusForbidden)
		}
		_, _ = io.WriteString(w, jwks(jwk(t, f.p256.Public(), "kid", "e"), jwk(t, f.rsa.Public(), "kid", "r"), jwk(t, []byte(strong), "alg", "HS256", "kid", "s"),
			jwk(t, f.ed, "kid", "p"), jwk(t, f.rsa1024.Public(), "kid", "w"), jwk(t, f.p384.Public(), "use", "enc"), `{"kty":"AKP"}`, `7`))
	}))
	defer srv.Close()
	set, err := start(t, Spec{JWKS: NewSecret(strings.Replace(srv.URL, "//", "//me:pw@", 1) + "/jwks?a=b")})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		alg, kid string
		want     Result
	}{
		{"ES256", "e", Verified},
		{"RS256", "r", Verified},
		{"PS256", "r", UnknownAlg}, // a published RSA key that does not say for what is for RS256
		{"HS256", "s", UnknownKid}, // a published secret is none
		{"EdDSA", "p", UnknownKid}, // nor is a published private key private
	} {
		if got := set.try(tt.alg, tt.kid, sign(t, tt.alg, signerOf(tt.alg), "x")); got != tt.want {
			t.Errorf("%s by %s is %v, want %v", tt.alg, tt.kid, got, tt.want)
		}
	}
	status := set.Status().Sources[0]
	want := map[string]int{skipPrivate: 2, skipWeak: 1, skipUse: 1, skipType: 1, skipMalformed: 1}
	if fmt.Sprint(status.Skipped) != fmt.Sprint(want) {
		t.Errorf("skipped are %v, want %v", status.Skipped, want)
	}
	if !status.Loaded || status.Keys != 2 || status.Error != "" || fmt.Sprint(status.Kids) != "[e r]" || status.Source != srv.URL+"/jwks?[redacted]" {
		t.Errorf("the status is %+v", status)
	}
}

func TestAURLThatDoesNotServeKeysIsRefusedAtTheStartAndCountedByCause(t *testing.T) {
	hang := make(chan struct{})
	weak, good := jwk(t, fixture().rsa1024.Public()), jwks(jwk(t, fixture().p256.Public()))
	endless := func(w http.ResponseWriter, chunk string) {
		for {
			if _, err := io.WriteString(w, chunk); err != nil {
				return
			}
		}
	}
	for _, tt := range []struct {
		name  string
		serve http.HandlerFunc
		cause string
	}{
		{"slow to begin", func(http.ResponseWriter, *http.Request) { <-hang }, "timeout"},
		{"slow to end", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"keys":[`)
			w.(http.Flusher).Flush()
			<-hang
		}, "timeout"},
		{"huge", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, good+strings.Repeat(" ", maxDocument))
		}, "too_big"},
		{"endless", func(w http.ResponseWriter, r *http.Request) { endless(w, strings.Repeat(" ", 1<<16)) }, "too_big"},
		{"garbage", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "<html>\x00\xff") }, "malformed"},
		{"empty", func(w http.ResponseWriter, r *http.Request) {}, "malformed"},
		{"null", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "null") }, "malformed"},
		{"a megabyte of brackets", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("[", maxDocument))
		}, "malformed"},
		{"a key of brackets", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, `{"keys":[`+strings.Repeat("[", 500_000)+strings.Repeat("]", 500_000)+`]}`)
		}, "malformed"},
		{"half a set", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, good[:len(good)/2]) }, "malformed"},
		{"a set without keys", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, `{"keys":[]}`) }, "no_keys"},
		{"weak keys", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, jwks(weak, weak)) }, "no_keys"},
		{"redirecting", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) }, "redirect"},
		{"not there", http.NotFound, "status"},
		{"failing", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = io.WriteString(w, good)
		}, "status"},
		{"no HTTP", func(w http.ResponseWriter, r *http.Request) {
			c, _, _ := w.(http.Hijacker).Hijack()
			_, _ = io.WriteString(c, "SSH-2.0-secret\r\n\r\n")
			_ = c.Close()
		}, "protocol"},
		{"endless header", func(w http.ResponseWriter, r *http.Request) {
			c, _, _ := w.(http.Hijacker).Hijack()
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := io.WriteString(c, "A: "+strings.Repeat("b", 1000)+"\r\n"); err != nil {
					break
				}
			}
			_ = c.Close()
		}, "protocol"},
		{"ending early", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, good[:10])
		}, "protocol"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			elsewhere := false
			mux := http.NewServeMux()
			mux.HandleFunc("/keys", tt.serve)
			mux.HandleFunc("/elsewhere", func(http.ResponseWriter, *http.Request) { elsewhere = true })
			srv := httptest.NewServer(mux)
			defer srv.Close()
			if strings.HasPrefix(tt.name, "slow") {
				defer func() { hang <- struct{}{} }()
			}
			set, err := start(t, Spec{JWKS: NewSecret(srv.URL + "/keys")})
			expectFailure(t, set, err, tt.cause)
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("%q quotes the answer", err)
			}
			if elsewhere {
				t.Error("the redirect was followed")
			}
			if got := set.try("ES256", "", sign(t, "ES256", fixture().p256, "x")); got != NoKeys {
				t.Errorf("a signature is %v, want %v", got, NoKeys)
			}
		})
	}
}

func expectFailure(t *testing.T, set *Set, err error, cause string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), "when_down: wait") {
		t.Errorf("the error of Start is %v", err)
	}
	status := set.Status().Sources[0]
	if status.Failures[cause] != 1 || status.Error == "" || status.Loaded {
		t.Errorf("the status is %+v, want one %s", status, cause)
	}
}

func TestAURLThatIsDownIsRefusedAtTheStart(t *testing.T) {
	srv := httptest.NewServer(nil)
	srv.Close()
	set, err := start(t, Spec{JWKS: NewSecret(srv.URL)})
	expectFailure(t, set, err, "connect")
}

func TestACertificateThatNobodyTrustsIsRefused(t *testing.T) {
	srv := httptest.NewUnstartedServer(nil)
	srv.Config.ErrorLog = newQuietLog()
	srv.StartTLS()
	defer srv.Close()
	set, err := start(t, Spec{JWKS: NewSecret(srv.URL)})
	expectFailure(t, set, err, "tls")
}

func TestHTTPOnAPortForHTTPSIsRefused(t *testing.T) {
	srv := httptest.NewServer(nil)
	defer srv.Close()
	set, err := start(t, Spec{JWKS: NewSecret(strings.Replace(srv.URL, "http:", "https:", 1))})
	expectFailure(t, set, err, "tls")
}

func TestOldTLSIsRefused(t *testing.T) {
	srv := httptest.NewUnstartedServer(nil)
	srv.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	srv.Config.ErrorLog = newQuietLog()
	srv.StartTLS()
	defer srv.Close()
	set, err := start(t, Spec{JWKS: NewSecret(srv.URL)})
	expectFailure(t, set, err, "tls")
}

func TestMaxAgeIsReadFromCacheControl(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"":                                    0,
		"public, max-age=3600":                time.Hour,
		"Max-Age=60,must-revalidate":          time.Minute,
		`max-age="7"`:                         7 * time.Second,
		"max-age=":                            0,
		"max-age=-1":                          0,
		"max-age=999999999999999999999999999": 0,
		"s-maxage=60":                         0,
		"no-store":                            0,
	} {
		if got := parseMaxAge([]string{value}); got != want {
			t.Errorf("%q: %v, want %v", value, got, want)
		}
	}
}
