package keys

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkVerify is one verification of a message the size of a token.
func BenchmarkVerify(b *testing.B) {
	for _, alg := range Algorithms() {
		b.Run(alg, func(b *testing.B) {
			set := newSet(b, specOf(b, alg, "a-kid"))
			m := sign(b, alg, signerOf(alg), strings.Repeat("x", 200))
			name, kid := []byte(alg), []byte("a-kid")
			b.ReportAllocs()
			for b.Loop() {
				if set.Verify(name, kid, m.message, m.signature) != Verified {
					b.Fatal("not verified")
				}
			}
		})
	}
}

// BenchmarkRefuse is what a message costs that is refused before any cryptography.
func BenchmarkRefuse(b *testing.B) {
	set := newSet(b, specOf(b, "HS256", "a-kid"))
	m := sign(b, "HS256", signerOf("HS256"), strings.Repeat("x", 200))
	for name, alg := range map[string]string{"unknown alg": "none", "unknown kid": "HS256"} {
		b.Run(name, func(b *testing.B) {
			alg, kid := []byte(alg), []byte("another")
			b.ReportAllocs()
			for b.Loop() {
				if set.Verify(alg, kid, m.message, m.signature) == Verified {
					b.Fatal("verified")
				}
			}
		})
	}
}

// BenchmarkParseSet is the reading of a fetched key set.
func BenchmarkParseSet(b *testing.B) {
	for _, n := range []int{1, 8} {
		var list []string
		for i := range n {
			list = append(list, jwk(b, fixture().rsa.Public(), "kid", fmt.Sprint(i)))
		}
		text := []byte(jwks(list...))
		b.Run(fmt.Sprintf("%d keys", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := parseSet(text, binding{remote: true}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
