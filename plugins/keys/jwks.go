package keys

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"slices"

	"github.com/go-jose/go-jose/v4"
	// Unlike encoding/json it is case-sensitive and refuses a member that comes
	// twice: two readers of a key must not see two keys.
	"github.com/go-jose/go-jose/v4/json"
)

const (
	maxDocument = 1 << 20 // bytes of a key set
	maxSetKeys  = 256     // keys of a set that are read
)

// members of a JWK that make it up. Others, certificates among them, are not
// looked at. Those of private come with a private or secret key only.
var (
	publicMembers  = []string{"kty", "kid", "use", "alg", "crv", "x", "y", "n", "e"}
	privateMembers = []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"}
)

// document is what a key set yielded.
type document struct {
	keys    []*key
	skipped map[string]int // keys that are not used, by cause
	private int            // keys of which only the public part is used
}

var (
	errNoSet  = errors.New(`it is no JWK set: a JSON object with a list "keys" is expected`)
	errNoKeys = errors.New("it has no key that can be used")
)

// parseSet reads a JWK set. A key that cannot be used is skipped and counted;
// it is an error if none remains.
func parseSet(text []byte, b binding) (*document, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &set); err != nil || set.Keys == nil {
		return nil, errNoSet
	}
	d := &document{skipped: make(map[string]int)}
	for i, raw := range set.Keys {
		if i == maxSetKeys {
			d.skipped[skipTooMany] += len(set.Keys) - i
			break
		}
		k, private, r := parseJWK(raw, "", b)
		switch {
		case r != nil:
			d.skipped[r.cause]++
		case slices.ContainsFunc(d.keys, k.same):
			d.skipped[skipDuplicate]++
		default:
			d.keys = append(d.keys, k)
			if private {
				d.private++
			}
		}
	}
	if len(d.keys) == 0 {
		return d, errNoKeys
	}
	return d, nil
}

// same reports whether other can stand for k.
func (k *key) same(other *key) bool {
	return k.id == other.id && k.kid == other.kid && k.algs == other.algs
}

// parseJWK reads one JWK. kid is what the configuration calls it, if it does;
// private reports that there was a private part, which is not kept.
func parseJWK(text []byte, kid string, b binding) (k *key, private bool, r *refusal) {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil || all == nil {
		return nil, false, refuse(skipMalformed, "it is no JWK: a JSON object with members kty and more is expected")
	}
	var head struct {
		Kty    string   `json:"kty"`
		Kid    string   `json:"kid"`
		Alg    string   `json:"alg"`
		Use    string   `json:"use"`
		KeyOps []string `json:"key_ops"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return nil, false, refuse(skipMalformed, "it is no JWK: kty, kid, alg, use or key_ops is not what it should be")
	}
	if !slices.Contains([]string{"oct", "RSA", "EC", "OKP"}, head.Kty) {
		return nil, false, refuse(skipType, "its kty is %.20q; RSA, EC, OKP and oct can be used", head.Kty)
	}
	for _, name := range privateMembers {
		_, has := all[name]
		private = private || has
	}
	if private && b.remote {
		return nil, true, refuse(skipPrivate, "it is private or secret, and yet published, so anyone may sign with it")
	}
	secret := head.Kty == "oct"
	if r := checkUse(head.Use, head.KeyOps, private && !secret); r != nil {
		return nil, private, r
	}
	own, r := ownAlgs(head.Alg)
	if r != nil {
		return nil, private, r
	}
	switch {
	case head.Kid == "":
		head.Kid = kid
	case kid != "" && kid != head.Kid:
		return nil, private, refuse(skipMalformed, "its own kid is %.60q; leave kid out of the configuration", head.Kid)
	}
	material, r := parseMaterial(all)
	if r != nil {
		return nil, private, r
	}
	if octets, ok := material.([]byte); ok {
		k, r = newSecretKey(head.Kid, octets, b, own)
		return k, false, r
	}
	k, r = newPublicKey(head.Kid, material, b, own)
	return k, private, r
}

// checkUse holds a JWK to what it says it is for. A private key that signs has
// a public part that verifies.
func checkUse(use string, operations []string, signs bool) *refusal {
	if use != "" && use != "sig" {
		return refuse(skipUse, "its use is %.20q; sig is needed", use)
	}
	if operations != nil && !slices.Contains(operations, "verify") && !(signs && slices.Contains(operations, "sign")) {
		return refuse(skipUse, "its key_ops do not have verify")
	}
	return nil
}

func ownAlgs(word string) (algs, *refusal) {
	if word == "" {
		return 0, nil
	}
	a := algOf([]byte(word))
	if a == algNone {
		return 0, refuse(skipAlg, "its alg is %.20q; one of %s can be used", word, algs(1<<numAlgs-2))
	}
	return algsOf(a), nil
}

// parseMaterial is the public key of a JWK, or the octets of a secret.
func parseMaterial(all map[string]json.RawMessage) (crypto.PublicKey, *refusal) {
	known := make(map[string]*json.RawMessage, len(publicMembers)) // pointers: only they encode as they are
	for name, value := range all {
		if slices.Contains(publicMembers, name) || slices.Contains(privateMembers, name) {
			known[name] = &value
		}
	}
	text, err := json.Marshal(known)
	if err != nil {
		return nil, refuse(skipMalformed, "it is no JWK")
	}
	var jwk jose.JSONWebKey
	switch err := jwk.UnmarshalJSON(text); {
	case errors.Is(err, jose.ErrUnsupportedKeyType):
		return nil, refuse(skipType, "its crv is not one that can be used; Ed25519 can")
	case err != nil:
		// The parser's own words may quote what it read.
		return nil, refuse(skipMalformed, "members of the key are missing, damaged, or do not belong together (too long, or not on their curve)")
	}
	switch p := jwk.Key.(type) {
	case *rsa.PrivateKey:
		return &p.PublicKey, nil
	case *ecdsa.PrivateKey:
		return &p.PublicKey, nil
	case ed25519.PrivateKey:
		return p.Public(), nil
	}
	return jwk.Key, nil
}
