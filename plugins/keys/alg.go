package keys

import (
	"crypto"
	"fmt"
	"slices"
	"strings"
)

// alg is a signature algorithm of RFC 7518 or RFC 8037.
type alg uint8

const (
	algNone alg = iota // no algorithm that we know; never one that a key is bound to
	hs256
	hs384
	hs512
	rs256
	rs384
	rs512
	ps256
	ps384
	ps512
	es256
	es384
	es512
	edDSA
	numAlgs
)

var algWords = [numAlgs]string{
	hs256: "HS256", hs384: "HS384", hs512: "HS512",
	rs256: "RS256", rs384: "RS384", rs512: "RS512",
	ps256: "PS256", ps384: "PS384", ps512: "PS512",
	es256: "ES256", es384: "ES384", es512: "ES512",
	edDSA: "EdDSA",
}

// Algorithms are the names of the algorithms that can be verified.
func Algorithms() []string { return slices.Clone(algWords[1:]) }

func (a alg) String() string { return algWords[a] }

// algOf is the algorithm of that very name: they are case-sensitive.
func algOf(word []byte) alg {
	for a := hs256; a < numAlgs; a++ {
		if string(word) == algWords[a] {
			return a
		}
	}
	return algNone
}

// hash is what a hashes a message with; zero for EdDSA, which takes it whole.
func (a alg) hash() crypto.Hash {
	switch a {
	case hs256, rs256, ps256, es256:
		return crypto.SHA256
	case hs384, rs384, ps384, es384:
		return crypto.SHA384
	case hs512, rs512, ps512, es512:
		return crypto.SHA512
	}
	return 0
}

// tries bounds the keys that one signature is tried with, and so its time:
// a verification on the larger curves takes ten and fifty times that of the others.
func (a alg) tries() int {
	switch a {
	case es384:
		return 4
	case es512:
		return 2
	}
	return 16
}

// algs is a set of algorithms, one bit each.
type algs uint16

func algsOf(list ...alg) algs {
	var s algs
	for _, a := range list {
		s |= 1 << a
	}
	return s
}

var (
	hmacAlgs  = algsOf(hs256, hs384, hs512)
	rsaAlgs   = algsOf(rs256, rs384, rs512, ps256, ps384, ps512)
	eddsaAlgs = algsOf(edDSA)
)

func (s algs) has(a alg) bool { return a != algNone && s&(1<<a) != 0 }

func (s algs) String() string {
	var words []string
	for a := hs256; a < numAlgs; a++ {
		if s.has(a) {
			words = append(words, a.String())
		}
	}
	return strings.Join(words, ", ")
}

// parseAlgs reads what a configuration lists.
func parseAlgs(words []string) (algs, error) {
	var s algs
	for _, word := range words {
		a := algOf([]byte(word))
		if a == algNone {
			if strings.EqualFold(word, "none") {
				return 0, fmt.Errorf("the algorithm none verifies nothing and does not exist here; use one of %s", algs(1<<numAlgs-2))
			}
			return 0, fmt.Errorf("unknown algorithm %.20q; use one of %s (case matters)", word, algs(1<<numAlgs-2))
		}
		s |= 1 << a
	}
	return s, nil
}
