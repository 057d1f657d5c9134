package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

const testSecret = "a secret that has more than sixty-four bytes, as HS512 needs it of its keys"

// token runs the command with one filter whose keys and config are given, and
// returns the token.
func token(t *testing.T, keys, config string, args ...string) *jwt.JSONWebToken {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	text := "filters:\n  - {name: auth, plugin: \"builtin:auth\", keys: " + keys + ", config: " + config + "}\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errOut bytes.Buffer
	args = append([]string{"token", "--config", path, "--user", "ann"}, args...)
	if code := Main(context.Background(), args, []string{"KEY=" + testSecret}, nil, &out, &errOut); code != 0 {
		t.Fatalf("exit %d: %s", code, &errOut)
	}
	parsed, err := jwt.ParseSigned(strings.TrimSuffix(out.String(), "\n"), []jose.SignatureAlgorithm{
		jose.HS256, jose.HS512, jose.RS256, jose.PS384, jose.ES256, jose.ES384, jose.EdDSA})
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestATokenSaysWhatWasAskedForAndWhatTheFilterNeeds(t *testing.T) {
	before := time.Now().Truncate(time.Second)
	parsed := token(t, `[{alg: HS256, secret: "${KEY}", kid: k1}]`,
		`{issuer: [first, second], audience: chat, required: {tenant: 7}, claims: {user: uid, grants: may, expires: until}}`,
		"--expires", "10m", "--grants", `[{"rooms":"chat:*","allow":["join"]}]`, "--claim", "name=Ann", "--claim", `roles=["a"]`)
	var claims struct {
		Issuer    string          `json:"iss"`
		Audience  string          `json:"aud"`
		UID       string          `json:"uid"`
		Until     int64           `json:"until"`
		IssuedAt  int64           `json:"iat"`
		ID        string          `json:"jti"`
		Subject   *string         `json:"sub"`
		Name      string          `json:"name"`
		Tenant    int             `json:"tenant"`
		May, Role json.RawMessage `json:"-"`
	}
	all := make(map[string]json.RawMessage)
	if err := parsed.Claims([]byte(testSecret), &claims, &all); err != nil {
		t.Fatal(err)
	}
	if claims.Issuer != "first" || claims.Audience != "chat" || claims.UID != "ann" || claims.Name != "Ann" || claims.Tenant != 7 ||
		claims.ID == "" || claims.Subject != nil || string(all["may"]) != `[{"rooms":"chat:*","allow":["join"]}]` || string(all["roles"]) != `["a"]` {
		t.Errorf("got %+v, %s", claims, all)
	}
	if until := time.Unix(claims.Until, 0); until.Before(before.Add(10*time.Minute)) || until.After(time.Now().Add(10*time.Minute)) {
		t.Errorf("it expires at %v", until)
	}
	if h := parsed.Headers[0]; h.KeyID != "k1" || h.Algorithm != "HS256" || h.ExtraHeaders["typ"] != "JWT" {
		t.Errorf("got the header %+v", h)
	}
}

func TestTwoTokensAreToldApartByTheirIDs(t *testing.T) {
	var ids [2]string
	for i := range ids {
		var c jwt.Claims
		if err := token(t, `[{alg: HS256, secret: "${KEY}"}]`, `{}`).Claims([]byte(testSecret), &c); err != nil {
			t.Fatal(err)
		}
		ids[i] = c.ID
	}
	if ids[0] == ids[1] {
		t.Errorf("both have the id %s", ids[0])
	}
}

func TestATokenIsSignedWithTheFirstKeyThatCanUnlessAKidIsNamed(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: p384, KeyID: "j", Algorithm: "ES384"})
	if err != nil {
		t.Fatal(err)
	}
	public := pemOf(t, "PUBLIC KEY", must(x509.MarshalPKIXPublicKey(&p384.PublicKey)))
	for _, test := range []struct {
		name, keys, kid string
		alg             string
		public          crypto.PublicKey
	}{
		{"a secret", `[{alg: HS512, secret: "${KEY}"}]`, "", "HS512", []byte(testSecret)},
		{"a secret in base64url", `[{alg: HS256, secret_base64: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHv8="}]`, "", "HS256", append(sequence(31), 0xff)},
		{"an RSA key, by its usual algorithm", `[{pem: ` + pemOf(t, "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(rsaKey))) + `}]`, "", "RS256", &rsaKey.PublicKey},
		{"an RSA key, by another", `[{alg: PS384, pem: ` + pemOf(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey)) + `}]`, "", "PS384", &rsaKey.PublicKey},
		{"an EC key behind a public one", `[{pem: ` + public + `}, {pem: ` + pemOf(t, "EC PRIVATE KEY", must(x509.MarshalECPrivateKey(p256))) + `}]`, "", "ES256", &p256.PublicKey},
		{"an Ed25519 key", `[{pem: ` + pemOf(t, "PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(ed))) + `}]`, "", "EdDSA", edPublic},
		{"a JSON Web Key", `[{jwk: '` + string(jwk) + `'}]`, "j", "ES384", &p384.PublicKey},
		{"the second, by its kid", `[{alg: HS256, kid: a, secret: "another secret, which is not the one that is named"}, {alg: HS256, kid: b, secret: "${KEY}"}]`, "b", "HS256", []byte(testSecret)},
	} {
		t.Run(test.name, func(t *testing.T) {
			var args []string
			if test.kid != "" {
				args = []string{"--kid", test.kid}
			}
			parsed := token(t, test.keys, `{}`, args...)
			if h := parsed.Headers[0]; h.Algorithm != test.alg || h.KeyID != test.kid {
				t.Errorf("signed by %s with the kid %q", h.Algorithm, h.KeyID)
			}
			var c jwt.Claims
			if err := parsed.Claims(test.public, &c); err != nil || c.Subject != "ann" {
				t.Errorf("%+v, %v", c, err)
			}
		})
	}
}

func sequence(n int) []byte {
	out := make([]byte, n)
	for i := range out {
		out[i] = byte(i)
	}
	return out
}

func must(der []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return der
}

// pemOf is PEM text as a quoted value of YAML.
func pemOf(t *testing.T, kind string, der []byte) string {
	t.Helper()
	quoted, err := json.Marshal(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	if err != nil {
		t.Fatal(err)
	}
	return string(quoted)
}
