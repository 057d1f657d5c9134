package keys

import (
	"strings"
	"testing"
)

func FuzzAKeySetYieldsOnlySoundKeys(f *testing.F) {
	x := fixture()
	for _, key := range []string{
		jwk(f, x.rsa.Public()), jwk(f, x.p256.Public(), "kid", "k"), jwk(f, x.ed.Public(), "alg", "EdDSA"), jwk(f, x.rsa1024.Public()),
		jwk(f, []byte(strong), "alg", "HS256"), jwk(f, x.ed), jwk(f, x.p521.Public(), "use", "enc"), jwk(f, x.p384.Public(), "key_ops", []string{"verify"}),
	} {
		f.Add([]byte(jwks(key)), uint16(0))
		f.Add([]byte(jwks(key, key)), uint16(rsaAlgs))
	}
	f.Add([]byte(`{"keys":null}`), uint16(0))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"","y":""}]}`), uint16(0))
	f.Fuzz(func(t *testing.T, text []byte, allowed uint16) {
		b := binding{algs: algs(allowed) & (1<<numAlgs - 2), remote: true}
		d, err := parseSet(text, b)
		if err != nil {
			return
		}
		if len(d.keys) == 0 || len(d.keys) > maxSetKeys {
			t.Fatalf("%d keys and no error", len(d.keys))
		}
		v := &view{byKid: make(map[string][]*key)}
		for _, k := range d.keys {
			if k.algs == 0 || k.algs&hmacAlgs != 0 || b.algs != 0 && k.algs&^b.algs != 0 {
				t.Errorf("a published key is bound to %s, allowed is %s", k.algs, b.algs)
			}
			v.add(k)
		}
		s := &Set{}
		s.view.Store(v)
		for _, alg := range Algorithms() {
			if got := s.Verify([]byte(alg), nil, text, text[:min(len(text), 64)]); got == Verified {
				t.Errorf("nonsense is verified under %s", alg)
			}
		}
	})
}

func FuzzNothingButTheSignedMessageVerifies(f *testing.F) {
	var specs []Spec
	good := make(map[string]signed)
	for _, alg := range Algorithms() {
		specs = append(specs, specOf(f, alg, strings.ToLower(alg)))
		good[alg] = sign(f, alg, signerOf(alg), "hello")
		f.Add([]byte(alg), []byte(strings.ToLower(alg)), good[alg].message, good[alg].signature)
		f.Add([]byte(alg), []byte{}, good[alg].message, good[alg].signature)
	}
	f.Add([]byte("none"), []byte{}, []byte{}, []byte{})
	set, err := NewSet(specs, Options{})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, alg, kid, message, signature []byte) {
		got := set.Verify(alg, kid, message, signature)
		m, ok := good[string(alg)]
		original := ok && string(message) == string(m.message) && string(signature) == string(m.signature)
		named := len(kid) == 0 || string(kid) == strings.ToLower(string(alg))
		if want := original && named; want != (got == Verified) {
			t.Errorf("%q by %q is %v", alg, kid, got)
		}
	})
}
