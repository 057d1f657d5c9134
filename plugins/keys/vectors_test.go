package keys

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/go-jose/go-jose/v4"
)

func TestTheExamplesOfTheStandardsVerify(t *testing.T) {
	text, err := os.ReadFile("testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors []struct {
		Name, Alg, JWS string
		JWK            json.RawMessage
	}
	if err := json.Unmarshal(text, &vectors); err != nil {
		t.Fatal(err)
	}
	if len(vectors) != 9 {
		t.Errorf("%d examples, want 9", len(vectors))
	}
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			var key jose.JSONWebKey
			if err := json.Unmarshal(v.JWK, &key); err != nil {
				t.Fatal(err)
			}
			set := newSet(t, Spec{JWK: NewSecret(string(v.JWK))})
			m := split(t, v.JWS)
			if got := set.try(v.Alg, key.KeyID, m); got != Verified {
				t.Errorf("the example is %v", got)
			}
			for i := 0; i < 8*len(m.signature); i += 29 {
				m.signature[i/8] ^= 1 << (i % 8)
				if got := set.try(v.Alg, key.KeyID, m); got != BadSignature {
					t.Errorf("with bit %d of the signature turned it is %v", i, got)
				}
				m.signature[i/8] ^= 1 << (i % 8)
			}
			m.message[len(m.message)-1] ^= 1
			if got := set.try(v.Alg, key.KeyID, m); got != BadSignature {
				t.Errorf("with another message it is %v", got)
			}
		})
	}
}
