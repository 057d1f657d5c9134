package keys

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func pemOf(t testing.TB, kind string, der []byte, err error) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func publicPEM(t testing.TB, private any) string {
	der, err := x509.MarshalPKIXPublicKey(public(private))
	return pemOf(t, "PUBLIC KEY", der, err)
}

func privatePEM(t testing.TB, private any) string {
	der, err := x509.MarshalPKCS8PrivateKey(private)
	return pemOf(t, "PRIVATE KEY", der, err)
}

func certificatePEM(t testing.TB, private any) string {
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Unix(1, 0)} // long expired
	der, err := x509.CreateCertificate(rand.Reader, template, template, public(private), private)
	return pemOf(t, "CERTIFICATE", der, err)
}

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestEveryFormOfAKeyVerifies(t *testing.T) {
	f := fixture()
	dir := t.TempDir()
	write(t, dir, "rsa.pem", publicPEM(t, f.rsa))
	write(t, dir, "ec.jwk", jwk(t, f.p256.Public()))
	write(t, dir, "all.json", jwks(jwk(t, f.p256.Public(), "kid", "e"), jwk(t, f.ed.Public(), "kid", "d")))
	sec1, sec1Err := x509.MarshalECPrivateKey(f.p256)
	ec := pemOf(t, "EC PRIVATE KEY", sec1, sec1Err)
	parameters := pemOf(t, "EC PARAMETERS", []byte{6, 8, 42, 134, 72, 206, 61, 3, 1, 7}, nil)
	for _, tt := range []struct {
		name    string
		spec    Spec
		alg     string
		warning string // what the one warning contains; "": there is none
	}{
		{"a secret", Spec{Alg: "HS512", Secret: NewSecret(strong)}, "HS512", ""},
		{"a secret in base64", Spec{Alg: "HS256", SecretBase64: NewSecret(base64.StdEncoding.EncodeToString([]byte(strong)))}, "HS256", ""},
		{"a secret in base64url without padding", Spec{Alg: "HS256", SecretBase64: NewSecret(base64.RawURLEncoding.EncodeToString([]byte(strong)))}, "HS256", ""},
		{"PEM text", Spec{Alg: "RS384", PEM: NewSecret(publicPEM(t, f.rsa))}, "RS384", ""},
		{"PEM text with space around it", Spec{Alg: "RS384", PEM: NewSecret("\n " + publicPEM(t, f.rsa) + "\n")}, "RS384", ""},
		{"PEM text, RSA in its older form", Spec{Alg: "RS384", PEM: NewSecret(pemOf(t, "RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&f.rsa.PublicKey), nil))}, "RS384", ""},
		{"a PEM file", Spec{Alg: "PS256", PEM: NewSecret("rsa.pem"), Dir: dir}, "PS256", ""},
		{"a PEM file by its full path", Spec{Alg: "PS256", PEM: NewSecret(filepath.Join(dir, "rsa.pem"))}, "PS256", ""},
		{"RSA for several algorithms", Spec{Algs: []string{"RS256", "PS512"}, PEM: NewSecret("rsa.pem"), Dir: dir}, "PS512", ""},
		{"RSA, and nothing says for which", Spec{PEM: NewSecret("rsa.pem"), Dir: dir}, "RS256", ""},
		{"EC, and nothing says for which", Spec{PEM: NewSecret(publicPEM(t, f.p521))}, "ES512", ""},
		{"Ed25519, and nothing says for which", Spec{PEM: NewSecret(publicPEM(t, f.ed))}, "EdDSA", ""},
		{"a certificate", Spec{PEM: NewSecret(certificatePEM(t, f.p384))}, "ES384", "neither its dates nor its issuer"},
		{"a certificate with its chain", Spec{PEM: NewSecret(certificatePEM(t, f.p384) + certificatePEM(t, f.p521))}, "ES384", "neither its dates nor its issuer"},
		{"a private key", Spec{PEM: NewSecret(privatePEM(t, f.ed))}, "EdDSA", "only the public part is used"},
		{"a private EC key in its older form", Spec{PEM: NewSecret(parameters + ec)}, "ES256", "only the public part is used"},
		{"a JWK", Spec{JWK: NewSecret(jwk(t, f.p384.Public()))}, "ES384", ""},
		{"a secret JWK", Spec{JWK: NewSecret(jwk(t, []byte(strong), "alg", "HS384"))}, "HS384", ""},
		{"a secret JWK, of which the configuration says for what", Spec{Alg: "HS384", JWK: NewSecret(jwk(t, []byte(strong)))}, "HS384", ""},
		{"a private JWK that signs", Spec{JWK: NewSecret(jwk(t, f.p384, "key_ops", []string{"sign"}))}, "ES384", "only the public part is used"},
		{"a JWK file", Spec{JWK: NewSecret("ec.jwk"), Dir: dir}, "ES256", ""},
		{"a JWKS file", Spec{JWKS: NewSecret("all.json"), Dir: dir}, "EdDSA", ""},
		{"JWKS text", Spec{JWKS: NewSecret(jwks(jwk(t, f.p256.Public())))}, "ES256", ""},
		{"a JWKS file with a private key", Spec{JWKS: NewSecret(jwks(jwk(t, f.p256)))}, "ES256", "1 private keys"},
		{"a JWKS file with a secret", Spec{JWKS: NewSecret(jwks(jwk(t, []byte(strong), "alg", "HS256")))}, "HS256", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := newSet(t, tt.spec)
			if got := set.try(tt.alg, "", sign(t, tt.alg, signerOf(tt.alg), "hello")); got != Verified {
				t.Errorf("%s is %v", tt.alg, got)
			}
			w := set.Warnings()
			if tt.warning == "" && len(w) > 0 || tt.warning != "" && (len(w) != 1 || !strings.Contains(w[0], tt.warning)) {
				t.Errorf("the warnings are %q, want %q", w, tt.warning)
			}
		})
	}
}

func TestABadKeyIsRefusedWithItsCauseAndRemedy(t *testing.T) {
	f := fixture()
	dir := t.TempDir()
	write(t, dir, "empty.pem", "")
	write(t, dir, "big.json", strings.Repeat(" ", maxDocument+1))
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := NewSecret(strong)
	ec := NewSecret(jwk(t, f.p256.Public()))
	url := NewSecret("https://id.example.org/keys")
	even := f.rsa.PublicKey
	even.E = 65536
	offCurve := jwk(t, f.p256.Public(), "y", base64.RawURLEncoding.EncodeToString(make([]byte, 32)))
	lowOrder := append([]byte{1}, make([]byte, 31)...)
	lowDER := append([]byte{0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00}, lowOrder...)
	for _, tt := range []struct {
		name string
		spec Spec
		want string
	}{
		{"nothing", Spec{Alg: "HS256"}, "it has no key; add secret"},
		{"an empty secret", Spec{Alg: "HS256", Secret: NewSecret("")}, "it has no key"},
		{"two at once", Spec{Alg: "HS256", Secret: good, PEM: good}, "secret and pem at once"},
		{"alg and algs", Spec{Alg: "ES256", Algs: []string{"ES256"}, JWK: ec}, "one of them is enough"},
		{"none", Spec{Alg: "none", Secret: good}, "verifies nothing"},
		{"another case", Spec{Alg: "hs256", Secret: good}, "case matters"},
		{"a secret without alg", Spec{Secret: good}, "add alg: HS256"},
		{"a secret for two", Spec{Algs: []string{"HS256", "HS512"}, Secret: good}, "for one algorithm"},
		{"a secret for RS256", Spec{Alg: "RS256", Secret: good}, "its type is for HS256, HS384, HS512"},
		{"a secret of 31 bytes", Spec{Alg: "HS256", Secret: NewSecret(strong[:31])}, "has 31 bytes, and HS256 needs at least 32"},
		{"a secret of 63 bytes", Spec{Alg: "HS512", Secret: NewSecret(strong[:63])}, "openssl rand -base64 64"},
		{"a secret that repeats", Spec{Alg: "HS256", Secret: NewSecret(strings.Repeat("secret", 10))}, "repeats a few bytes"},
		{"a public key as secret", Spec{Alg: "HS256", Secret: NewSecret(publicPEM(t, f.rsa))}, "a public key is no secret"},
		{"a public key as secret in base64", Spec{Alg: "HS256", SecretBase64: NewSecret(base64.StdEncoding.EncodeToString([]byte(publicPEM(t, f.rsa))))}, "a public key is no secret"},
		{"a secret that is not base64", Spec{Alg: "HS256", SecretBase64: NewSecret(strong + "!")}, "is not base64"},
		{"a short secret JWK", Spec{JWK: NewSecret(jwk(t, []byte(strong[:31]), "alg", "HS256"))}, "needs at least 32"},
		{"a secret JWK for nothing", Spec{JWK: NewSecret(jwk(t, []byte(strong)))}, "add alg"},
		{"RSA 1024", Spec{Alg: "RS256", PEM: NewSecret(publicPEM(t, f.rsa1024))}, "has 1024 bits, and 2048 is the least"},
		{"RSA 1024 as a JWK", Spec{Alg: "RS256", JWK: NewSecret(jwk(t, f.rsa1024.Public()))}, "has 1024 bits"},
		{"RSA with an even exponent", Spec{JWK: NewSecret(jwk(t, &even))}, "exponent"},
		{"RSA for ES256", Spec{Alg: "ES256", PEM: NewSecret(publicPEM(t, f.rsa))}, "and allowed is only ES256"},
		{"P-256 for ES384", Spec{Alg: "ES384", JWK: ec}, "and allowed is only ES384"},
		{"P-224", Spec{PEM: NewSecret(publicPEM(t, p224))}, "its curve is not"},
		{"a point off the curve", Spec{JWK: NewSecret(offCurve)}, "not on their curve"},
		{"Ed25519 of low order as a JWK", Spec{JWK: NewSecret(fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","x":%q}`, base64.RawURLEncoding.EncodeToString(lowOrder)))}, "damaged"},
		{"Ed25519 of low order", Spec{PEM: NewSecret(pemOf(t, "PUBLIC KEY", lowDER, nil))}, "not a sound public key"},
		{"a JWK for encryption", Spec{JWK: NewSecret(jwk(t, f.p256.Public(), "use", "enc"))}, "its use is"},
		{"a JWK that only signs", Spec{JWK: NewSecret(jwk(t, f.p256.Public(), "key_ops", []string{"sign"}))}, "key_ops do not have verify"},
		{"a JWK for another type's algorithm", Spec{JWK: NewSecret(jwk(t, f.p256.Public(), "alg", "RS256"))}, "its type is not for"},
		{"a JWK for another algorithm than allowed", Spec{Alg: "PS256", JWK: NewSecret(jwk(t, f.rsa.Public(), "alg", "RS256"))}, "allowed is only PS256"},
		{"a JWK with another kid", Spec{Kid: "mine", JWK: NewSecret(jwk(t, f.p256.Public(), "kid", "its"))}, `its own kid is "its"`},
		{"a JWK with a member twice", Spec{JWK: NewSecret(strings.Replace(ec.reveal(), `"kty":"EC"`, `"kty":"EC","kty":"EC"`, 1))}, "it is no JWK"},
		{"JSON that is no JWK", Spec{JWK: NewSecret(`{"keys":[]}`)}, "its kty is"},
		{"a kid that is too long", Spec{Kid: strings.Repeat("k", 256), JWK: ec}, "longer than 255"},
		{"a kid with a line break", Spec{Kid: "a\nb", JWK: ec}, "cannot be printed"},
		{"PEM without a key", Spec{PEM: NewSecret("-----BEGIN nothing")}, "holds no key"},
		{"damaged PEM", Spec{PEM: NewSecret(pemOf(t, "PUBLIC KEY", []byte("not DER"), nil))}, "damaged"},
		{"an encrypted key", Spec{PEM: NewSecret(pemOf(t, "ENCRYPTED PRIVATE KEY", []byte("x"), nil))}, "openssl pkey -pubout"},
		{"two keys in one PEM", Spec{PEM: NewSecret(publicPEM(t, f.rsa) + publicPEM(t, f.p256))}, "more than one key"},
		{"a file that is not there", Spec{PEM: NewSecret("gone.pem"), Dir: dir}, filepath.Join(dir, "gone.pem") + " does not exist"},
		{"an empty file", Spec{PEM: NewSecret("empty.pem"), Dir: dir}, "holds no key"},
		{"a file that is too large", Spec{JWKS: NewSecret("big.json"), Dir: dir}, "larger than 1MiB"},
		{"a directory", Spec{JWKS: NewSecret("."), Dir: dir}, "nor the path of a file"},
		{"an empty JWKS", Spec{JWKS: NewSecret(jwks())}, "no key that can be used: the set is empty"},
		{"a JWKS of weak keys", Spec{JWKS: NewSecret(jwks(jwk(t, f.rsa1024.Public())))}, "no key that can be used: 1 weak"},
		{"a kid for a set", Spec{Kid: "k", JWKS: url}, "leave kid out"},
		{"HS256 of a URL", Spec{Alg: "HS256", JWKS: url}, "holds no secrets"},
		{"when_down without a URL", Spec{JWK: ec, WhenDown: Wait}, "are for a jwks with a URL"},
		{"an unknown when_down", Spec{JWKS: url, WhenDown: "serve"}, "it is refuse or wait"},
		{"a refresh every second", Spec{JWKS: url, Refresh: time.Second}, "from 5m to 24h"},
		{"http", Spec{JWKS: NewSecret("http://id.example.org/keys")}, "use https"},
		{"http to a private address", Spec{JWKS: NewSecret("http://10.0.0.1/keys")}, "use https"},
		{"a name that begins as loopback", Spec{JWKS: NewSecret("http://localhost.example.org/keys")}, "use https"},
		{"file://", Spec{JWKS: NewSecret("file:///etc/passwd")}, "cannot be read"},
		{"ftp", Spec{JWKS: NewSecret("ftp://id.example.org/keys")}, `has the scheme "ftp"`},
		{"a template", Spec{JWKS: NewSecret("https://id.example.org/${user}/keys")}, "has a template"},
		{"a template for the host", Spec{JWKS: NewSecret("https://${host}/keys")}, "the URL of its jwks"},
		{"a fragment", Spec{JWKS: NewSecret("https://id.example.org/keys#1")}, "fragment"},
		{"the metadata of a cloud", Spec{JWKS: NewSecret("https://169.254.169.254/keys")}, "link-local"},
		{"the same, mapped", Spec{JWKS: NewSecret("https://[::ffff:169.254.169.254]/keys")}, "link-local"},
		{"link-local in IPv6", Spec{JWKS: NewSecret("https://[fe80::1%25eth0]/keys")}, "link-local"},
		{"no address", Spec{JWKS: NewSecret("https://0.0.0.0/keys")}, "refused"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := NewSet([]Spec{specOf(t, "EdDSA", ""), tt.spec}, Options{})
			if err == nil || !strings.HasPrefix(err.Error(), "keys[1]: ") || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("the error is %v, want %q", err, tt.want)
			}
		})
	}
}

func TestAListThatContradictsItselfIsRefused(t *testing.T) {
	url := Spec{JWKS: NewSecret("https://id.example.org/keys")}
	one := specOf(t, "ES256", "k")
	other := Spec{Kid: "k", JWK: NewSecret(jwk(t, newEC(elliptic.P256()).Public()))}
	for _, tt := range []struct {
		specs []Spec
		want  string
	}{
		{nil, "the list is empty"},
		{make([]Spec, maxSpecs+1), "64 are the most"},
		{[]Spec{one, one}, "keys[1]: its key is that of keys[0]"},
		{[]Spec{one, other}, `keys[1]: another key has the kid "k" in keys[0]`},
		{[]Spec{url, one, url}, "keys[2]: its URL is that of keys[0]"},
	} {
		if _, err := NewSet(tt.specs, Options{}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("the error is %v, want %q", err, tt.want)
		}
	}
	newSet(t, specOf(t, "ES256", "k"), specOf(t, "RS256", "k")) // one kid, never the same algorithm
}

func TestNothingPrintsAKey(t *testing.T) {
	secret, password, query := strong, "pass-word", "api-key"
	specs := []Spec{
		{Alg: "HS256", Secret: NewSecret(secret)},
		{Alg: "HS512", SecretBase64: NewSecret(base64.StdEncoding.EncodeToString([]byte(secret)))},
		{PEM: NewSecret(privatePEM(t, fixture().ed))},
		{JWK: NewSecret(jwk(t, fixture().p256))},
		{JWKS: NewSecret("https://me:" + password + "@id.example.org/keys?key=" + query), WhenDown: Wait},
	}
	var log bytes.Buffer
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	set, err := NewSet(specs, Options{Log: logger, Transport: answering(nil)})
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Start(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	set.Close()          // nothing but this test writes to the log from here on
	type holder struct { // fmt calls no method of what is in an unexported field
		specs []Spec
		one   Spec
		set   *Set
		in    any
	}
	values := []any{specs, &specs, specs[0], set, set.Status(), set.entries[0].keys[0], set.Warnings(), specs[1].SecretBase64,
		holder{specs, specs[1], set, specs[2]}, &holder{specs, specs[1], set, set}, []any{specs, set}, map[string]Spec{"a": specs[0]}}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range values {
			_, _ = fmt.Fprintf(&log, verb+"\n", v)
		}
	}
	for _, v := range values[:5] {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		log.Write(text)
		logger.Info("a value", "it", v)
		slog.New(slog.NewTextHandler(&log, nil)).Info("a value", "it", v)
	}
	private := jwk(t, fixture().p256)
	d := private[strings.Index(private, `"d":"`)+5:][:20]
	seed := fixture().ed.Seed()
	for _, hidden := range []string{
		secret, secret[1:20], fmt.Sprintf("%x", secret[:16]), fmt.Sprintf("%v", []byte(secret[:16]))[1:20],
		base64.StdEncoding.EncodeToString([]byte(secret))[:20], d, base64.StdEncoding.EncodeToString(seed)[3:20],
		fmt.Sprintf("%x", seed[:8]), password, query,
	} {
		if at := strings.Index(log.String(), hidden); at >= 0 {
			t.Errorf("%q is shown: …%s", hidden, log.String()[max(0, at-200):at+40])
		}
	}
	if !strings.Contains(log.String(), redacted) || !strings.Contains(log.String(), "id.example.org/keys") {
		t.Error("the output is not what was to be searched")
	}
}

func TestErrorsDoNotQuoteKeys(t *testing.T) {
	f := fixture()
	text := privatePEM(t, f.p256)
	body := strings.Split(text, "\n")[1]
	key := jwk(t, f.p256)
	d := key[strings.Index(key, `"d":"`)+5:][:43]
	for _, spec := range []Spec{
		{PEM: NewSecret(body)},
		{PEM: NewSecret(body + ".pem\n" + body)},
		{PEM: NewSecret("-----BEGIN PRIVATE KEY-----\n" + body + "\n-----END PRIVATE KEY-----")},
		{PEM: NewSecret("-----BEGIN " + body)},
		{JWK: NewSecret(d)},
		{JWK: NewSecret(strings.Replace(key, `"d":"`, `"d":"!`, 1))},
		{JWK: NewSecret(strings.Replace(key, `"d":"`, `"d":"AA`, 1))},
		{JWK: NewSecret(key[:len(key)-1])},
		{JWKS: NewSecret(jwks(key[:len(key)-2]))},
		{JWKS: NewSecret("https://me:" + d + "@")},
		{JWKS: NewSecret("https://me:" + d + "@%zz")},
		{JWKS: NewSecret("http://me:" + d + "@id.example.org")},
		{Alg: "HS256", Secret: NewSecret(d[:31])},
		{Alg: "HS256", SecretBase64: NewSecret(d + "!")},
	} {
		_, err := NewSet([]Spec{spec}, Options{})
		if err == nil {
			t.Errorf("%v is accepted", spec.reveals())
			continue
		}
		for _, hidden := range []string{body[:20], body[len(body)-20:], d[:15], d[15:31]} {
			if strings.Contains(err.Error(), hidden) {
				t.Errorf("%q shows %q", err, hidden)
			}
		}
	}
}

func (s Spec) reveals() string {
	return s.Secret.reveal() + s.SecretBase64.reveal() + s.PEM.reveal() + s.JWK.reveal() + s.JWKS.reveal()
}

func TestSetsAreTheSameIfTheirKeysAre(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "a.pem", publicPEM(t, fixture().ed))
	file := Spec{PEM: NewSecret("a.pem"), Dir: dir}
	url := Spec{JWKS: NewSecret("https://id.example.org/keys")}
	first := newSet(t, file, url)
	if !first.Same(newSet(t, file, url)) {
		t.Error("the same keys are not the same")
	}
	changed := map[string][]Spec{
		"a kid":     {{PEM: file.PEM, Dir: dir, Kid: "k"}, url},
		"the algs":  {file, {JWKS: url.JWKS, Alg: "RS256"}},
		"the URL":   {file, {JWKS: NewSecret("https://id.example.org/keys2")}},
		"when_down": {file, {JWKS: url.JWKS, WhenDown: Wait}},
		"one less":  {file},
	}
	for what, specs := range changed {
		if first.Same(newSet(t, specs...)) {
			t.Errorf("sets that differ in %s are the same", what)
		}
	}
	write(t, dir, "a.pem", publicPEM(t, fixture().ed2))
	if first.Same(newSet(t, file, url)) {
		t.Error("the file has another key, and the set is the same")
	}
	if first.Same(nil) {
		t.Error("it is the same as none")
	}
}
