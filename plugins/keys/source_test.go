package keys

import (
	"bytes"
	"context"
	"io"
	"log"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func newQuietLog() *log.Logger { return log.New(io.Discard, "", 0) }

// roundTripper is an issuer without a network, for tests in which time is virtual.
type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func answer(text string, headers ...string) *http.Response {
	r := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text))}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// answering gives the text of its keys, or nothing to connect to.
func answering(text *string) roundTripper {
	return func(*http.Request) (*http.Response, error) {
		if text == nil {
			return nil, io.ErrUnexpectedEOF
		}
		return answer(*text), nil
	}
}

// issuer counts when it was asked.
type issuer struct {
	mu      sync.Mutex
	text    string // "": it is down
	headers []string
	asked   []time.Time
}

func (i *issuer) RoundTrip(*http.Request) (*http.Response, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.asked = append(i.asked, time.Now())
	if i.text == "" {
		return nil, io.ErrUnexpectedEOF
	}
	return answer(i.text, i.headers...), nil
}

func (i *issuer) set(text string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.text = text
}

func (i *issuer) times() []time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]time.Time(nil), i.asked...)
}

// begin starts a set of one URL at an issuer. It is to be closed within the bubble.
func begin(t *testing.T, i *issuer, spec Spec) *Set {
	t.Helper()
	spec.JWKS = NewSecret("https://id.example.org/keys")
	s, err := NewSet([]Spec{spec}, Options{Transport: i})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	return s
}

func within(t *testing.T, what string, got, low, high time.Duration) {
	t.Helper()
	if got < low || got > high {
		t.Errorf("%s: after %v, want %v to %v", what, got, low, high)
	}
}

func TestAKeySetIsRefreshedEvery15MinutesOrAsItSays(t *testing.T) {
	keys := jwks(jwk(t, fixture().p256.Public()))
	for _, tt := range []struct {
		name    string
		headers []string
		refresh time.Duration
		want    time.Duration
	}{
		{"by default", nil, 0, 15 * time.Minute},
		{"max-age", []string{"Cache-Control", "max-age=3600"}, 0, time.Hour},
		{"a short max-age", []string{"Cache-Control", "max-age=1"}, 0, 5 * time.Minute},
		{"a long max-age", []string{"Cache-Control", "max-age=31536000"}, 0, 24 * time.Hour},
		{"as configured", []string{"Cache-Control", "max-age=3600"}, 30 * time.Minute, 30 * time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := &issuer{text: keys, headers: tt.headers}
				s := begin(t, i, Spec{Refresh: tt.refresh})
				defer s.Close()
				time.Sleep(10 * tt.want)
				synctest.Wait()
				times := i.times()
				if len(times) < 9 || len(times) > 12 {
					t.Errorf("it was asked %d times", len(times))
				}
				different := false
				for n := 1; n < len(times); n++ {
					gap := times[n].Sub(times[n-1])
					within(t, "a refresh", gap, tt.want*9/10, tt.want*11/10)
					different = different || gap != times[1].Sub(times[0])
				}
				if !different {
					t.Error("there is no jitter")
				}
			})
		})
	}
}

func TestTheLastGoodKeysServeWhileTheIssuerIsAwayAndItIsAskedEverLessOften(t *testing.T) {
	m := sign(t, "ES256", fixture().p256, "x")
	keys := jwks(jwk(t, fixture().p256.Public(), "kid", "e"))
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{text: keys}
		s := begin(t, i, Spec{})
		defer s.Close()
		i.set("")
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		if got := s.try("ES256", "e", m); got != Verified {
			t.Errorf("after 3 hours a signature is %v", got)
		}
		times := i.times()[1:]
		for n := 1; n < len(times); n++ {
			want := min(time.Second<<min(n-1, 16), 5*time.Minute)
			within(t, "an attempt", times[n].Sub(times[n-1]), want/2, want)
		}
		if len(times) < 30 || len(times) > 90 {
			t.Errorf("it was asked %d times", len(times))
		}
		status := s.Status().Sources[0]
		if status.Failures["protocol"] != uint64(len(times)) || status.Error == "" || !status.Loaded || time.Since(status.Fetched) != 3*time.Hour {
			t.Errorf("the status is %+v", status)
		}
		i.set(`{"keys":[{"kty":"nonsense"}]}`)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if got := s.try("ES256", "e", m); got != Verified {
			t.Errorf("once it answers with nonsense, a signature is %v", got)
		}
		i.set(keys)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if status := s.Status().Sources[0]; status.Error != "" || status.Failures["no_keys"] == 0 {
			t.Errorf("once it is back, the status is %+v", status)
		}
	})
}

func TestAnUnknownKidFetchesAtMostOnceAMinuteAndNobodyWaits(t *testing.T) {
	f := fixture()
	before, after := jwks(jwk(t, f.ed.Public(), "kid", "old")), jwks(jwk(t, f.ed2.Public(), "kid", "new"))
	old, rotated := sign(t, "EdDSA", f.ed, "x"), sign(t, "EdDSA", f.ed2, "x")
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{text: before}
		s := begin(t, i, Spec{})
		defer s.Close()
		i.set(after)
		begun := time.Now()
		for range 1000 {
			if got := s.try("EdDSA", "new", rotated); got != UnknownKid {
				t.Fatalf("before it came the new key is %v", got)
			}
		}
		if time.Since(begun) != 0 {
			t.Error("somebody waited")
		}
		time.Sleep(59 * time.Second)
		synctest.Wait()
		if n := len(i.times()); n != 1 {
			t.Errorf("within a minute of the first fetch there were %d", n)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if n := len(i.times()); n != 2 {
			t.Errorf("after a minute there were %d fetches, want 2", n)
		}
		if got := s.try("EdDSA", "new", rotated); got != Verified {
			t.Errorf("the new key is %v", got)
		}
		if got := s.try("EdDSA", "old", old); got != UnknownKid {
			t.Errorf("the old key is %v", got)
		}
		for range 600 { // ten minutes of a flood
			s.try("EdDSA", "bogus", old)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		times := i.times()
		if len(times) < 10 || len(times) > 13 {
			t.Errorf("in eleven minutes it was asked %d times", len(times))
		}
		for n := 1; n < len(times); n++ {
			if gap := times[n].Sub(times[n-1]); gap < time.Minute {
				t.Errorf("two fetches are %v apart", gap)
			}
		}
	})
}

func TestAGoodOrForgedSignatureOfAKnownKidFetchesNothing(t *testing.T) {
	f := fixture()
	good, forged := sign(t, "EdDSA", f.ed, "x"), sign(t, "EdDSA", f.ed2, "x")
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{text: jwks(jwk(t, f.ed.Public(), "kid", "k"))}
		s := begin(t, i, Spec{})
		defer s.Close()
		for range 10 {
			s.try("EdDSA", "k", good)
			s.try("EdDSA", "k", forged)
			s.try("EdDSA", "", forged)
			s.try("HS256", "k", forged)
			s.try("none", "other", forged)
			time.Sleep(time.Minute)
		}
		if n := len(i.times()); n != 1 {
			t.Errorf("there were %d fetches", n)
		}
	})
}

func TestARotatedKeyWithoutAKidIsFetchedToo(t *testing.T) {
	f := fixture()
	m := sign(t, "EdDSA", f.ed2, "x")
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{text: jwks(jwk(t, f.ed.Public()))}
		s := begin(t, i, Spec{})
		defer s.Close()
		i.set(jwks(jwk(t, f.ed2.Public())))
		if got := s.try("EdDSA", "", m); got != BadSignature {
			t.Errorf("before it came the new key is %v", got)
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if got := s.try("EdDSA", "", m); got != Verified {
			t.Errorf("the new key is %v", got)
		}
	})
}

func TestASetThatWaitsAdmitsNobodyUntilItsKeysHaveCome(t *testing.T) {
	m := sign(t, "ES256", fixture().p256, "x")
	keys := jwks(jwk(t, fixture().p256.Public(), "kid", "e"))
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{}
		s := begin(t, i, Spec{WhenDown: Wait})
		defer s.Close()
		time.Sleep(time.Hour)
		if got := s.try("ES256", "e", m); got != NoKeys {
			t.Errorf("without keys a signature is %v", got)
		}
		i.set(keys)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if got := s.try("ES256", "e", m); got != Verified {
			t.Errorf("with keys it is %v", got)
		}
	})
}

func TestAKeyWithoutAKidDoesNotStandInForASetThatHasNotCome(t *testing.T) {
	f := fixture()
	m := sign(t, "EdDSA", f.ed, "x")
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{}
		s, err := NewSet([]Spec{
			{JWK: NewSecret(jwk(t, f.ed.Public()))},
			{JWKS: NewSecret("https://id.example.org/keys"), WhenDown: Wait},
		}, Options{Transport: i})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for _, text := range []string{"", jwks(jwk(t, f.ed2.Public(), "kid", "k"))} {
			i.set(text)
			time.Sleep(time.Hour)
			synctest.Wait()
			if got := s.try("EdDSA", "unknown", m); got != UnknownKid {
				t.Errorf("with %q a kid that no key has is %v", text, got)
			}
			if got := s.try("EdDSA", "", m); got != Verified {
				t.Errorf("with %q no kid is %v", text, got)
			}
		}
	})
}

func TestAReloadTakesOverWhatWasFetched(t *testing.T) {
	m := sign(t, "ES256", fixture().p256, "x")
	keys := jwks(jwk(t, fixture().p256.Public(), "kid", "e"))
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{text: keys}
		s := begin(t, i, Spec{})
		defer s.Close()
		i.set("")
		u := Spec{JWKS: NewSecret("https://id.example.org/keys")}
		for _, tt := range []struct {
			name  string
			specs []Spec
			ok    bool
		}{
			{"another key beside it", []Spec{specOf(t, "EdDSA", "d"), u}, true},
			{"other algs", []Spec{{JWKS: u.JWKS, Alg: "ES256"}}, false},
			{"another URL", []Spec{{JWKS: NewSecret("https://id.example.org/other")}}, false},
		} {
			next, err := NewSet(tt.specs, Options{Transport: i})
			if err != nil {
				t.Fatal(err)
			}
			if err := next.Start(t.Context(), s); (err == nil) != tt.ok {
				t.Errorf("%s: the error is %v", tt.name, err)
			}
			if got := next.try("ES256", "e", m); (got == Verified) != tt.ok {
				t.Errorf("%s: a signature is %v", tt.name, got)
			}
			asked := len(i.times())
			time.Sleep(17 * time.Minute)
			if tt.ok && len(i.times()) <= asked {
				t.Errorf("%s: it is not refreshed", tt.name)
			}
			next.Close()
		}
	})
}

func TestCloseEndsAFetchAndTheLastKeysStay(t *testing.T) {
	m := sign(t, "ES256", fixture().p256, "x")
	keys := jwks(jwk(t, fixture().p256.Public()))
	asked := make(chan struct{}, 1)
	first := true
	s, err := NewSet([]Spec{{JWKS: NewSecret("https://id.example.org/keys")}}, Options{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		if first {
			first = false
			return answer(keys), nil
		}
		asked <- struct{}{}
		<-r.Context().Done()
		return nil, r.Context().Err()
	})})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.sources[0].tried = time.Now().Add(-time.Hour) // so that a demand fetches at once
	s.mu.Unlock()
	s.demand()
	<-asked
	s.Close()
	s.Close()
	if got := s.try("ES256", "", m); got != Verified {
		t.Errorf("after Close a signature is %v", got)
	}
	if failures := s.Status().Sources[0].Failures; failures["timeout"]+failures["protocol"] != 0 {
		t.Errorf("Close is counted as a failure: %v", failures)
	}
	if err := s.Start(t.Context(), nil); err == nil {
		t.Error("it can be started again")
	}
}

func TestAStartThatIsGivenUpFails(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, err := NewSet([]Spec{{JWKS: NewSecret("https://id.example.org/keys"), WhenDown: Wait}}, Options{Transport: roundTripper(func(r *http.Request) (*http.Response, error) {
		cancel()
		<-r.Context().Done()
		return nil, r.Context().Err()
	})})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(ctx, nil); err == nil {
		t.Error("Start succeeds")
	}
}

func TestFailuresAndRecoveriesAreLogged(t *testing.T) {
	keys := jwks(jwk(t, fixture().p256.Public()), jwk(t, fixture().rsa1024.Public()))
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer // read once the set is closed
		i := &issuer{}
		s, err := NewSet([]Spec{{JWKS: NewSecret("https://me:hidden@id.example.org/keys?hidden"), WhenDown: Wait}},
			Options{Transport: i, Log: slog.New(slog.NewTextHandler(&out, nil))})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Start(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		i.set(keys)
		time.Sleep(time.Minute)
		synctest.Wait()
		s.Close()
		for _, want := range []string{"key set cannot be fetched", "cause=protocol", "key set answers again", `skipped="1 weak"`} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q is not in the log:\n%s", want, &out)
			}
		}
		if strings.Contains(out.String(), "hidden") {
			t.Errorf("the log has the password:\n%s", &out)
		}
	})
}
