package auth_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	josejson "github.com/go-jose/go-jose/v4/json"

	"sluice/plugins/keys"
	"sluice/router"
	"sluice/router/wire"
)

// oracle says by go-jose, and what is written here of the policy, whom a token
// admits.
func oracle(token string) (user string, payload []byte, err error) {
	text, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil {
		return "", nil, err
	}
	var header map[string]any
	if err := josejson.Unmarshal(raw, &header); err != nil {
		return "", nil, err
	}
	if typ, ok := header["typ"].(string); ok && !strings.HasSuffix(strings.ToLower(typ), "jwt") {
		return "", nil, fmt.Errorf("typ %q", typ)
	}
	for name := range header {
		if slices.Contains([]string{"cty", "crit", "b64"}, name) {
			return "", nil, errors.New("a header that is not acceptable")
		}
	}
	if payload, err = verified(token, header); err != nil {
		return "", nil, err
	}
	// go-jose's JSON refuses names that come twice, and knows them by case.
	var claims struct {
		Sub any    `json:"sub"`
		Iss string `json:"iss"`
		Aud any    `json:"aud"`
		Exp any    `json:"exp"`
		Nbf any    `json:"nbf"`
		Iat any    `json:"iat"`
	}
	if err := josejson.Unmarshal(payload, &claims); err != nil {
		return "", nil, err
	}
	const leeway = 60
	at := float64(now.Unix())
	when := func(v any, absent float64) float64 {
		switch v := v.(type) {
		case nil:
			return absent
		case float64:
			return v
		}
		return math.NaN()
	}
	sub, _ := claims.Sub.(string)
	switch exp, nbf, iat := when(claims.Exp, math.NaN()), when(claims.Nbf, 0), when(claims.Iat, 0); {
	case !(at < exp+leeway):
		return "", nil, errors.New("expired, or no expiry")
	case !(at+leeway >= nbf && at+leeway >= iat):
		return "", nil, errors.New("too early")
	case claims.Iss != "id" || claims.Aud != nil && claims.Aud != "chat" && !has(claims.Aud, "chat") || claims.Aud == nil:
		return "", nil, errors.New("not from there, or not for us")
	case wire.CheckName([]byte(sub)) != "":
		return "", nil, errors.New("no user")
	}
	return sub, payload, nil
}

// verified is the payload of a token that go-jose verifies. Keys and
// certificates in headers are read by go-jose, and are nothing to the filter: a
// token that has some is verified by hand.
func verified(token string, header map[string]any) ([]byte, error) {
	if header["jwk"] != nil || header["x5c"] != nil {
		at := strings.LastIndexByte(token, '.')
		if header["alg"] != "HS256" || token[at+1:] != hmac256(secret, token[:at]) {
			return nil, errors.New("the signature is not valid")
		}
		return base64.RawURLEncoding.Strict().DecodeString(strings.Split(token, ".")[1])
	}
	signed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.HS256, jose.ES256})
	if err != nil {
		return nil, err
	}
	if payload, err := signed.Verify([]byte(secret)); err == nil {
		return payload, nil
	}
	return signed.Verify(mustPublic(pairs()["ES256"].sign))
}

func has(list any, item string) bool {
	all, _ := list.([]any)
	for _, v := range all {
		if v == item {
			return true
		}
	}
	return false
}

// FuzzToken signs arbitrary headers and payloads, or hands over arbitrary text:
// whom the filter admits, go-jose and the policy admit too, as the same user.
func FuzzToken(f *testing.F) {
	const good = `{"sub":"ann","iss":"id","aud":["chat"],"exp":4102444800,"nbf":1,"iat":1.5}`
	for _, header := range []string{
		hs, `{"alg":"HS256","typ":"JWT","kid":"k"}`, `{"alg":"none"}`, `{"alg":"ES256"}`, `{"alg":"HS256","crit":["x"],"x":1}`, `{"alg":"HS256","alg":"none"}`,
		`{"alg":"HS256","jwk":{"kty":"oct","k":"AA"}}`, `{"alg":"HS256","b64":false}`, `{"alg":"HS256","cty":"JWT"}`, "{\"alg\":\"HS256\",\"\\u0061\":[{}]}",
	} {
		f.Add(header, good, false)
	}
	for _, payload := range []string{
		good, `{}`, `{"sub":"ann","sub":"bob","iss":"id","aud":"chat","exp":4102444800}`, `{"sub":"\ud83d\ude00","iss":"id","aud":"chat","exp":4102444800.25}`,
		`{"sub":"a\u0000","iss":"id","aud":"chat","exp":9e9}`, `{"sub":"ann","iss":"id","aud":["chat",{"x":[1,null,true,"\n"]}],"exp":4102444800}`,
		`{"sub":"ann","iss":"id","aud":"chat","exp":4102444800,"grants":[{"rooms":"a*","allow":["join"]}],"name":{"a":[]}}`, `{"sub":"ann","exp":-1}`,
	} {
		f.Add(hs, payload, false)
	}
	f.Add(sign(f, pairs()["ES256"], nil, good), "", true)
	f.Add(hs256(f, good)+".", "", true)
	f.Add(hs256(f, good), "=", true)
	n := start(f, `{"issuer":"id","audience":"chat","max_bytes":24576}`, pairs()["HS256"].spec, pairs()["ES256"].spec)
	f.Fuzz(func(t *testing.T, header, payload string, raw bool) {
		token := header + payload
		if !raw {
			token = forge(header, payload)
		}
		v := n.ask(t, token)
		if v.Failure != "" {
			t.Fatalf("%q: failure %s", token, v.Failure)
		}
		user, claims, err := oracle(token)
		if v.Identity == nil {
			return // stricter is well
		}
		if err != nil {
			t.Fatalf("%q: admitted as %q, but: %v", token, v.Identity.User, err)
		}
		if v.Identity.User != user || !bytes.Equal(v.Identity.Claims, claims) {
			t.Fatalf("%q: admitted as %q with %s, want %q with %s", token, v.Identity.User, v.Identity.Claims, user, claims)
		}
	})
}

// FuzzGoodToken changes a good token in one place: what results is refused,
// unless it is the same.
func FuzzGoodToken(f *testing.F) {
	for _, at := range []int{0, 10, 21, 22, 50, 100, 149} {
		f.Add(at, byte('A'))
	}
	n := start(f, `{}`)
	good := hs256(f, claims(map[string]any{"name": "Ann"}))
	f.Fuzz(func(t *testing.T, at int, c byte) {
		if at < 0 || at >= len(good) || c == good[at] {
			t.Skip("no change")
		}
		for what, token := range map[string]string{
			"replaced": good[:at] + string([]byte{c}) + good[at+1:], "inserted": good[:at] + string([]byte{c}) + good[at:], "removed": good[:at] + good[at+1:],
		} {
			if v := n.judge(t, event(query(token))); v.Action != router.Deny || v.Failure != "" || v.Code != 401 {
				t.Fatalf("%s at %d: %d %q, failure %q", what, at, v.Code, v.Reason, v.Failure)
			}
		}
	})
}

func TestTheOracleAdmitsWhatIsGood(t *testing.T) {
	token := hs256(t, claims(map[string]any{"iss": "id", "aud": "chat"}))
	if user, _, err := oracle(token); err != nil || user != "ann" {
		t.Errorf("%q, %v", user, err)
	}
	n := start(t, `{"issuer":"id","audience":"chat"}`, []keys.Spec{pairs()["HS256"].spec}...)
	if id := admitted(t, n.ask(t, token)); id.User != "ann" || id.Expires.Sub(now) != time.Hour+time.Minute {
		t.Errorf("%+v", id)
	}
}
