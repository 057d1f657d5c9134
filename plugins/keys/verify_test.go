package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

func TestWhatGoJoseSignsVerifiesUnderItsAlgorithmAndNoOther(t *testing.T) {
	for _, alg := range Algorithms() {
		t.Run(alg, func(t *testing.T) {
			m := sign(t, alg, signerOf(alg), "hello")
			for _, bound := range Algorithms() {
				key := signerOf(bound)
				if fmt.Sprintf("%T", key) != fmt.Sprintf("%T", signerOf(alg)) {
					continue // another type of key: see the test of confusions
				}
				set := newSet(t, specOf(t, bound, ""))
				want := UnknownAlg
				if bound == alg {
					want = Verified
				}
				if got := set.try(alg, "", m); got != want {
					t.Errorf("a key for %s: %v, want %v", bound, got, want)
				}
				if bound == alg {
					continue
				}
				if got := set.try(bound, "", m); got != BadSignature {
					t.Errorf("as %s: %v, want %v", bound, got, BadSignature)
				}
			}
		})
	}
}

func TestVerifyAgreesWithGoJoseOnTamperedSignatures(t *testing.T) {
	for _, alg := range Algorithms() {
		t.Run(alg, func(t *testing.T) {
			signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.SignatureAlgorithm(alg), Key: signerOf(alg)}, nil)
			if err != nil {
				t.Fatal(err)
			}
			jws, err := signer.Sign([]byte("a message"))
			if err != nil {
				t.Fatal(err)
			}
			compact, err := jws.CompactSerialize()
			if err != nil {
				t.Fatal(err)
			}
			set := newSet(t, specOf(t, alg, ""))
			good := 0
			at := strings.LastIndexByte(compact, '.') + 1
			for i := len(compact); i >= at; i -= 1 + i%3 {
				text := []byte(compact)
				if i < len(compact) {
					text[i] = 'A' + (text[i]+1)%26 // the last may have bits that do not count
				}
				parsed, err := jose.ParseSignedCompact(string(text), []jose.SignatureAlgorithm{jose.SignatureAlgorithm(alg)})
				if err != nil {
					continue
				}
				_, err = parsed.Verify(public(signerOf(alg)))
				if got := set.try(alg, "", split(t, string(text))); (got == Verified) != (err == nil) {
					t.Errorf("%s: %v, and go-jose says %v", text[at:], got, err)
				}
				if err == nil {
					good++
				}
			}
			if good == 0 || good > 4 {
				t.Errorf("%d of the signatures are good: the comparison compares nothing", good)
			}
		})
	}
}

func TestAlgorithmsCannotBeConfused(t *testing.T) {
	f := fixture()
	rsaSpec := Spec{Alg: "RS256", JWK: NewSecret(jwk(t, f.rsa.Public()))}
	message := []byte("header.payload")
	hashed := sha256.Sum256(message)
	der, err := x509.MarshalPKIXPublicKey(f.rsa.Public())
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	mac := func(secret []byte) []byte {
		h := hmac.New(sha256.New, secret)
		h.Write(message)
		return h.Sum(nil)
	}
	ecRaw := sign(t, "ES256", f.p256, "x")
	ecDER, err := ecdsa.SignASN1(rand.Reader, f.p256, hashed[:])
	if err != nil {
		t.Fatal(err)
	}
	rs256, err := rsa.SignPKCS1v15(nil, f.rsa, crypto.SHA256, hashed[:])
	if err != nil {
		t.Fatal(err)
	}
	longSalt, err := rsa.SignPSS(rand.Reader, f.rsa, crypto.SHA256, hashed[:], &rsa.PSSOptions{SaltLength: 64})
	if err != nil {
		t.Fatal(err)
	}
	ecSpec := specOf(t, "ES256", "")
	for _, tt := range []struct {
		name      string
		spec      Spec
		alg       string
		message   []byte
		signature []byte
		want      Result
	}{
		{"the control: the signature is good", rsaSpec, "RS256", message, rs256, Verified},
		{"HS256 with the PEM text of the public key as secret", rsaSpec, "HS256", message, mac(text), UnknownAlg},
		{"HS256 with the DER of the public key as secret", rsaSpec, "HS256", message, mac(der), UnknownAlg},
		{"HS256 with the modulus as secret", rsaSpec, "HS256", message, mac(f.rsa.N.Bytes()), UnknownAlg},
		{"the HMAC of the public key under RS256", rsaSpec, "RS256", message, mac(text), BadSignature},
		{"an ES256 signature under RS256", rsaSpec, "RS256", ecRaw.message, ecRaw.signature, BadSignature},
		{"RS256 under PS256", rsaSpec, "PS256", message, rs256, UnknownAlg},
		{"PS256 with a salt of another length", Spec{Alg: "PS256", JWK: rsaSpec.JWK}, "PS256", message, longSalt, BadSignature},
		{"ES256 by a key on P-384", specOf(t, "ES384", ""), "ES256", ecRaw.message, ecRaw.signature, UnknownAlg},
		{"ES256 in ASN.1", ecSpec, "ES256", message, ecDER, BadSignature},
		{"ES256 of zeros", ecSpec, "ES256", message, make([]byte, 64), BadSignature},
		{"none", rsaSpec, "none", message, nil, UnknownAlg},
		{"None", rsaSpec, "None", message, nil, UnknownAlg},
		{"no algorithm", rsaSpec, "", message, rs256, UnknownAlg},
		{"another case", rsaSpec, "rs256", message, rs256, UnknownAlg},
		{"a NUL after it", rsaSpec, "RS256\x00", message, rs256, UnknownAlg},
		{"an algorithm of encryption", rsaSpec, "RSA-OAEP", message, rs256, UnknownAlg},
		{"EdDSA by an RSA key", rsaSpec, "EdDSA", message, rs256, UnknownAlg},
	} {
		t.Run(tt.name, func(t *testing.T) {
			set := newSet(t, tt.spec)
			if got := set.Verify([]byte(tt.alg), nil, tt.message, tt.signature); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
			if got := set.Status().Results[tt.want.String()]; got != 1 {
				t.Errorf("it was counted %d times", got)
			}
		})
	}
}

func TestSignaturesOfEveryOtherLengthAreRefused(t *testing.T) {
	for _, alg := range Algorithms() {
		set := newSet(t, specOf(t, alg, ""))
		m := sign(t, alg, signerOf(alg), "hello")
		for n := range len(m.signature) + 9 {
			padded := signed{m.message, append(m.signature[:len(m.signature):len(m.signature)], make([]byte, 9)...)[:n]}
			want := BadSignature
			if n == len(m.signature) {
				want = Verified
			}
			if got := set.try(alg, "", padded); got != want {
				t.Errorf("%s with %d bytes: %v, want %v", alg, n, got, want)
			}
		}
		for _, at := range []int{0, len(m.signature) / 2} { // where a number begins, if it has two
			longer := signed{m.message, slices.Insert(slices.Clone(m.signature), at, 0)}
			if got := set.try(alg, "", longer); got != BadSignature {
				t.Errorf("%s with a zero put in at %d: %v", alg, at, got)
			}
		}
	}
}

func TestAKidChoosesAmongKeysOfTheSameAlgorithm(t *testing.T) {
	f := fixture()
	one, two := Spec{Kid: "one", JWK: NewSecret(jwk(t, f.ed.Public()))}, Spec{Kid: "two", JWK: NewSecret(jwk(t, f.ed2.Public()))}
	unnamed := Spec{JWK: two.JWK}
	byOne, byTwo := sign(t, "EdDSA", f.ed, "x"), sign(t, "EdDSA", f.ed2, "x")
	for _, tt := range []struct {
		name  string
		specs []Spec
		kid   string
		m     signed
		want  Result
	}{
		{"its own", []Spec{one, two}, "two", byTwo, Verified},
		{"that of another key", []Spec{one, two}, "one", byTwo, BadSignature},
		{"an unknown one", []Spec{one, two}, "three", byTwo, UnknownKid},
		{"a path", []Spec{one, two}, "../../dev/null", byTwo, UnknownKid},
		{"SQL", []Spec{one, two}, "one' OR '1'='1", byTwo, UnknownKid},
		{"a prefix", []Spec{one, two}, "tw", byTwo, UnknownKid},
		{"one of a megabyte", []Spec{one, two}, strings.Repeat("two", 1<<18), byTwo, UnknownKid},
		{"none: all are tried", []Spec{one, two}, "", byTwo, Verified},
		{"an unknown one, where no key has one", []Spec{unnamed}, "three", byTwo, Verified},
		{"an unknown one, where only another key has one", []Spec{one, unnamed}, "three", byTwo, UnknownKid},
		{"none, where only another key has one", []Spec{one, unnamed}, "", byTwo, Verified},
		{"that of a key, signed by one without", []Spec{one, unnamed}, "one", byTwo, BadSignature},
		{"its own, the control", []Spec{one, unnamed}, "one", byOne, Verified},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := newSet(t, tt.specs...).try("EdDSA", tt.kid, tt.m); got != tt.want {
				t.Errorf("%v, want %v", got, tt.want)
			}
		})
	}
}

func TestAKidOfAKeyForAnotherAlgorithmIsAnUnknownAlgorithm(t *testing.T) {
	set := newSet(t, specOf(t, "RS256", "r"), specOf(t, "EdDSA", "e"))
	if got := set.try("EdDSA", "r", sign(t, "EdDSA", fixture().ed, "x")); got != UnknownAlg {
		t.Errorf("%v, want %v", got, UnknownAlg)
	}
}

func TestWithoutAKidABoundedNumberOfKeysIsTried(t *testing.T) {
	newEd := func() crypto.Signer {
		_, k, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	for _, tt := range []struct {
		alg   string
		make  func() crypto.Signer
		tried int
	}{
		{"EdDSA", newEd, 16},
		{"ES256", func() crypto.Signer { return newEC(elliptic.P256()) }, 16},
		{"ES384", func() crypto.Signer { return newEC(elliptic.P384()) }, 4},
		{"ES512", func() crypto.Signer { return newEC(elliptic.P521()) }, 2},
	} {
		for _, sameKid := range []bool{false, true} {
			var list []string
			var private []crypto.Signer
			for i := range tt.tried + 2 {
				k, kid := tt.make(), fmt.Sprint(i)
				if sameKid {
					kid = "k"
				}
				private = append(private, k)
				list = append(list, jwk(t, k.Public(), "kid", kid))
			}
			set := newSet(t, Spec{JWKS: NewSecret(jwks(list...))})
			for i, k := range private {
				m := sign(t, tt.alg, k, "x")
				beyond := Verified
				if i >= tt.tried {
					beyond = BadSignature
				}
				if got := set.try(tt.alg, "", m); got != beyond {
					t.Errorf("%s: key %d without its kid: %v, want %v", tt.alg, i, got, beyond)
				}
				kid, want := fmt.Sprint(i), Verified
				if sameKid {
					kid, want = "k", beyond
				}
				if got := set.try(tt.alg, kid, m); got != want {
					t.Errorf("%s: key %d by the kid %q: %v, want %v", tt.alg, i, kid, got, want)
				}
			}
			if w := set.Warnings(); len(w) != 1 || !strings.Contains(w[0], "2 keys are beyond") {
				t.Errorf("%s: the warnings are %q", tt.alg, w)
			}
		}
	}
}

func TestVerifyIsSafeFromManyGoroutines(t *testing.T) {
	set := newSet(t, specOf(t, "HS256", "h"), specOf(t, "ES256", "e"))
	good := map[string]signed{"HS256": sign(t, "HS256", signerOf("HS256"), "x"), "ES256": sign(t, "ES256", signerOf("ES256"), "x")}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 50 {
				for alg, m := range good {
					bad := signed{append([]byte("no"), m.message...), m.signature}
					if got := set.try(alg, "", m); got != Verified {
						t.Errorf("%s: %v", alg, got)
					}
					if got := set.try(alg, "", bad); got != BadSignature {
						t.Errorf("%s with another message: %v", alg, got)
					}
				}
			}
		})
	}
	all.Wait()
}

func TestVerifyAllocatesNothingWhereTheLibraryDoesNot(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector drops what is pooled")
	}
	for _, alg := range []string{"HS256", "HS384", "HS512", "EdDSA"} {
		set := newSet(t, specOf(t, alg, "the-kid"))
		m := sign(t, alg, signerOf(alg), "hello")
		name, kid, wrong, unknown := []byte(alg), []byte("the-kid"), make([]byte, len(m.signature)), []byte("unknown")
		tries := map[string]func() Result{
			"good":    func() Result { return set.Verify(name, kid, m.message, m.signature) },
			"unknown": func() Result { return set.Verify(name, unknown, m.message, m.signature) },
		}
		if alg != "EdDSA" { // the library makes an error of it
			tries["bad"] = func() Result { return set.Verify(name, kid, m.message, wrong) }
		}
		for what, try := range tries {
			if n := testing.AllocsPerRun(100, func() { try() }); n != 0 {
				t.Errorf("%s, %s: %v allocations", alg, what, n)
			}
		}
	}
}
