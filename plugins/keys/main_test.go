package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// strong is a secret that is long enough for every algorithm.
const strong = "0rq7Xw-vT2Lk9ZsYb4NhJ6eQcGfD8mAiUoPz5KxV3tRyB1nSgWlHjEuMaCdFhIpO"

// fixture has one key of each type; making them is slow.
var fixture = sync.OnceValue(func() (f struct {
	rsa, rsa2, rsa1024 *rsa.PrivateKey
	p256, p384, p521   *ecdsa.PrivateKey
	ed, ed2            ed25519.PrivateKey
}) {
	f.rsa, f.rsa2, f.rsa1024 = newRSA(2048), newRSA(2048), newRSA(1024)
	f.p256, f.p384, f.p521 = newEC(elliptic.P256()), newEC(elliptic.P384()), newEC(elliptic.P521())
	_, f.ed, _ = ed25519.GenerateKey(rand.Reader)
	_, f.ed2, _ = ed25519.GenerateKey(rand.Reader)
	return f
})

func newRSA(bits int) *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		panic(err)
	}
	return k
}

func newEC(curve elliptic.Curve) *ecdsa.PrivateKey {
	k, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		panic(err)
	}
	return k
}

// signerOf is the key that signs for an algorithm.
func signerOf(alg string) any {
	f := fixture()
	switch alg {
	case "HS256", "HS384", "HS512":
		return []byte(strong)
	case "ES256":
		return f.p256
	case "ES384":
		return f.p384
	case "ES512":
		return f.p521
	case "EdDSA":
		return f.ed
	}
	return f.rsa
}

// signed is a message as it is signed in a JWS, and its signature.
type signed struct{ message, signature []byte }

// sign lets go-jose make a JWS.
func sign(t testing.TB, alg string, key any, payload string) signed {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: key}, nil)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign([]byte(payload))
	if err != nil {
		t.Fatal(err)
	}
	compact, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return split(t, compact)
}

func split(t testing.TB, compact string) signed {
	t.Helper()
	at := strings.LastIndexByte(compact, '.')
	signature, err := base64.RawURLEncoding.DecodeString(compact[at+1:])
	if err != nil {
		t.Fatal(err)
	}
	return signed{[]byte(compact[:at]), signature}
}

func (s *Set) try(alg, kid string, m signed) Result {
	return s.Verify([]byte(alg), []byte(kid), m.message, m.signature)
}

func public(private any) any {
	if octets, ok := private.([]byte); ok {
		return octets
	}
	return private.(crypto.Signer).Public()
}

// jwk is the JWK of a key, with more members, or other ones: name, value, ….
func jwk(t testing.TB, key any, more ...any) string {
	t.Helper()
	text, err := jose.JSONWebKey{Key: key}.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(more); i += 2 {
		members[more[i].(string)] = more[i+1]
	}
	if text, err = json.Marshal(members); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func jwks(list ...string) string { return fmt.Sprintf(`{"keys":[%s]}`, strings.Join(list, ",")) }

func newSet(t testing.TB, specs ...Spec) *Set {
	t.Helper()
	s, err := NewSet(specs, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// specOf is a key of the configuration for what signerOf signs.
func specOf(t testing.TB, alg, kid string) Spec {
	key := signerOf(alg)
	if secret, ok := key.([]byte); ok {
		return Spec{Alg: alg, Kid: kid, Secret: NewSecret(string(secret))}
	}
	return Spec{Alg: alg, Kid: kid, JWK: NewSecret(jwk(t, public(key)))}
}
