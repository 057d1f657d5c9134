package keys

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"fmt"
	"hash"
	"math/big"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/go-jose/go-jose/v4"
)

const (
	minRSABits    = 2048
	maxRSABits    = 4096
	maxKid        = 255     // bytes
	maxSecret     = 4 << 10 // bytes
	distinctBytes = 8       // that a secret has at least
)

// key is one key, bound to its algorithms. Static after construction.
type key struct {
	kid      string // "": none
	algs     algs
	id       [32]byte // of the material: the same for the same key
	verifier verifier
}

// Format prints nothing of the material.
func (k *key) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "key %q for %s", k.kid, k.algs) }

// verifier checks a signature. The algorithm is one that the key is bound to.
type verifier interface {
	verify(a alg, message, signature []byte) bool
}

// Why a key is not used; the words under which keys of a set are counted.
const (
	skipType      = "type"      // a kty or curve that no algorithm here uses
	skipMalformed = "malformed" // members missing, or not what they should be
	skipWeak      = "weak"      // too short, or off its curve
	skipUse       = "use"       // its use or key_ops is not the verification of signatures
	skipAlg       = "alg"       // bound to no algorithm that is allowed
	skipPrivate   = "private"   // private or secret, and yet published
	skipDuplicate = "duplicate" // the same key again
	skipTooMany   = "too_many"  // beyond the keys that a set may have
)

// refusal is why a key is not used. Its text names no material.
type refusal struct {
	cause string
	text  string
}

func (r *refusal) Error() string { return r.text }

func refuse(cause, format string, args ...any) *refusal {
	return &refusal{cause, fmt.Sprintf(format, args...)}
}

// binding is what a configuration says about the algorithms of keys.
type binding struct {
	algs   algs // allowed; empty: the key's own, or what is usual for its type
	remote bool // the keys come from elsewhere: they must be public
}

// bind restricts what the type of a key can carry to what the key itself (own)
// and the configuration allow. usual is what it is bound to if neither says.
func (b binding) bind(possible, own, usual algs) (algs, *refusal) {
	if own != 0 && own&possible == 0 {
		return 0, refuse(skipAlg, "it says that it is for %s, which its type is not for", own)
	}
	bound := possible
	switch {
	case own != 0 && b.algs != 0:
		bound &= own & b.algs
	case own != 0:
		bound &= own
	case b.algs != 0:
		bound &= b.algs
	default:
		bound &= usual
	}
	switch {
	case bound != 0:
		return bound, nil
	case b.algs == 0:
		return 0, refuse(skipAlg, "nothing says which algorithm it is for; add alg, one of %s", possible)
	case own != 0:
		return 0, refuse(skipAlg, "it is for %s, and allowed is only %s; correct algs", own&possible, b.algs)
	}
	return 0, refuse(skipAlg, "its type is for %s, and allowed is only %s; correct alg", possible, b.algs)
}

func checkKid(kid string) *refusal {
	if len(kid) > maxKid {
		return refuse(skipMalformed, "its kid is longer than %d bytes", maxKid)
	}
	if !utf8.ValidString(kid) {
		return refuse(skipMalformed, "its kid is not UTF-8")
	}
	for _, r := range kid {
		if !unicode.IsPrint(r) {
			return refuse(skipMalformed, "its kid has a character that cannot be printed")
		}
	}
	return nil
}

// newSecretKey is a key for HMAC.
func newSecretKey(kid string, secret []byte, b binding, own algs) (*key, *refusal) {
	if r := checkKid(kid); r != nil {
		return nil, r
	}
	bound, r := b.bind(hmacAlgs, own, 0)
	if r != nil {
		return nil, r
	}
	if bytes.Contains(secret, []byte("-----BEGIN ")) {
		return nil, refuse(skipWeak, "the secret is PEM text, and a public key is no secret; write it as pem: with an alg like RS256")
	}
	for a := hs512; a >= hs256; a-- {
		if need := a.hash().Size(); bound.has(a) && len(secret) < need {
			return nil, refuse(skipWeak, "the secret has %d bytes, and %s needs at least %d (RFC 7518, 3.2); make one with `openssl rand -base64 %d` and give it as secret_base64", len(secret), a, need, need)
		}
	}
	if len(secret) > maxSecret {
		return nil, refuse(skipMalformed, "the secret is longer than %d bytes", maxSecret)
	}
	var seen [256]bool
	distinct := 0
	for _, c := range secret {
		if !seen[c] {
			seen[c] = true
			distinct++
		}
	}
	if distinct < distinctBytes {
		return nil, refuse(skipWeak, "the secret repeats a few bytes; make a random one with `openssl rand -base64 %d` and give it as secret_base64", len(secret))
	}
	k := &key{kid: kid, algs: bound, id: sha256.Sum256(secret)}
	k.verifier = newHMACVerifier(bytes.Clone(secret), bound)
	return k, nil
}

// newPublicKey is a key that verifies what its private half has signed.
func newPublicKey(kid string, public crypto.PublicKey, b binding, own algs) (*key, *refusal) {
	if r := checkKid(kid); r != nil {
		return nil, r
	}
	var possible, usual algs
	var v verifier
	switch p := public.(type) {
	case *rsa.PublicKey:
		if r := checkRSA(p); r != nil {
			return nil, r
		}
		possible, usual, v = rsaAlgs, algsOf(rs256), rsaVerifier{p}
	case *ecdsa.PublicKey:
		a, r := checkECDSA(p)
		if r != nil {
			return nil, r
		}
		possible, usual, v = algsOf(a), algsOf(a), ecdsaVerifier{p, (p.Curve.Params().BitSize + 7) / 8}
	case ed25519.PublicKey:
		possible, usual, v = eddsaAlgs, eddsaAlgs, eddsaVerifier{p}
	default:
		return nil, refuse(skipType, "it is neither RSA, nor EC on P-256, P-384 or P-521, nor Ed25519")
	}
	bound, r := b.bind(possible, own, usual)
	if r != nil {
		return nil, r
	}
	// The thumbprint also looks for points of low order.
	thumbprint, err := (&jose.JSONWebKey{Key: public}).Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, refuse(skipWeak, "it is not a sound public key; make a new one")
	}
	return &key{kid: kid, algs: bound, id: [32]byte(thumbprint), verifier: v}, nil
}

func checkRSA(p *rsa.PublicKey) *refusal {
	switch bits := p.N.BitLen(); {
	case bits < minRSABits:
		return refuse(skipWeak, "its RSA modulus has %d bits, and %d is the least; make a new one with `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072`", bits, minRSABits)
	case bits > maxRSABits:
		return refuse(skipWeak, "its RSA modulus has %d bits, and %d is the most, which bounds the time of a verification; use a shorter one, or an EC key", bits, maxRSABits)
	case p.N.Bit(0) == 0:
		return refuse(skipWeak, "its RSA modulus is even, so it is no RSA key")
	}
	if p.E < 3 || p.E&1 == 0 || p.E > 1<<31-1 {
		return refuse(skipWeak, "its RSA exponent is not an odd number from 3 to 2^31-1; 65537 is the usual one")
	}
	return nil
}

func checkECDSA(p *ecdsa.PublicKey) (alg, *refusal) {
	var a alg
	switch p.Curve {
	case elliptic.P256():
		a = es256
	case elliptic.P384():
		a = es384
	case elliptic.P521():
		a = es512
	default:
		return algNone, refuse(skipType, "its curve is not P-256, P-384 or P-521")
	}
	if _, err := p.ECDH(); err != nil {
		return algNone, refuse(skipWeak, "its point is not on its curve")
	}
	return a, nil
}

// hmacVerifier keeps states that have taken in the secret, so that verifying
// allocates nothing.
type hmacVerifier struct{ pools [hs512 + 1]*sync.Pool }

type hmacState struct {
	mac hash.Hash
	sum [64]byte
}

func newHMACVerifier(secret []byte, bound algs) *hmacVerifier {
	v := &hmacVerifier{}
	for a := hs256; a <= hs512; a++ {
		if bound.has(a) {
			v.pools[a] = &sync.Pool{New: func() any { return &hmacState{mac: hmac.New(a.hash().New, secret)} }}
		}
	}
	return v
}

func (v *hmacVerifier) verify(a alg, message, signature []byte) bool {
	state := v.pools[a].Get().(*hmacState)
	state.mac.Reset()
	_, _ = state.mac.Write(message)
	ok := hmac.Equal(state.mac.Sum(state.sum[:0]), signature)
	v.pools[a].Put(state)
	return ok
}

type rsaVerifier struct{ public *rsa.PublicKey }

func (v rsaVerifier) verify(a alg, message, signature []byte) bool {
	if len(signature) != v.public.Size() {
		return false
	}
	h := a.hash()
	if a >= ps256 {
		options := rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: h} // RFC 7518, 3.5
		return rsa.VerifyPSS(v.public, h, digest(h, message), signature, &options) == nil
	}
	return rsa.VerifyPKCS1v15(v.public, h, digest(h, message), signature) == nil
}

type ecdsaVerifier struct {
	public *ecdsa.PublicKey
	size   int // bytes of a coordinate
}

func (v ecdsaVerifier) verify(a alg, message, signature []byte) bool {
	if len(signature) != 2*v.size {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:v.size]), new(big.Int).SetBytes(signature[v.size:])
	return ecdsa.Verify(v.public, digest(a.hash(), message), r, s)
}

type eddsaVerifier struct{ public ed25519.PublicKey }

func (v eddsaVerifier) verify(_ alg, message, signature []byte) bool {
	return ed25519.Verify(v.public, message, signature)
}

func digest(h crypto.Hash, message []byte) []byte {
	d := h.New()
	_, _ = d.Write(message)
	return d.Sum(nil)
}
