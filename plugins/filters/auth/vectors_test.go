package auth_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"sluice/plugins/keys"
)

// The vectors of RFC 7515, RFC 8037 and the JOSE cookbook (RFC 7520). Most of
// them sign text that is no JWT: once their signature is verified, that is what
// they are refused for.
func TestTheVectorsOfTheStandardsVerify(t *testing.T) {
	var vectors []struct {
		Name, Alg, JWS string
		JWK            json.RawMessage
	}
	text, err := os.ReadFile("../../keys/testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &vectors); err != nil || len(vectors) == 0 {
		t.Fatalf("%d vectors, %v", len(vectors), err)
	}
	jwts := 0
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			n := start(t, `{"claims":{"user":"iss"}}`, keys.Spec{Alg: v.Alg, JWK: keys.NewSecret(string(v.JWK))})
			ask := func(token string, at time.Time) (uint32, string) {
				e := event(bearer(token))
				e.Time = at.UnixNano()
				got := n.judge(t, e)
				if got.Identity != nil {
					return 0, got.Identity.User
				}
				return got.Code, got.Reason
			}
			before := time.Unix(1300819380-1, 0) // the examples' exp
			code, said := ask(v.JWS, before)
			switch {
			case code == 0 && said == "joe":
				jwts++
				if code, said := ask(v.JWS, before.Add(2*time.Minute)); code != 401 || said != expired {
					t.Errorf("later: %d %q", code, said)
				}
			case code != 401 || said != malformed:
				t.Errorf("got %d %q, want its payload refused, or joe admitted", code, said)
			}
			if code, said := ask(flip(v.JWS, 1), before); code != 401 || said != badSig {
				t.Errorf("with another signature: %d %q", code, said)
			}
			head, rest, _ := strings.Cut(v.JWS, ".")
			if code, said := ask(head+".e30"+rest[strings.IndexByte(rest, '.'):], before); code != 401 || said != badSig {
				t.Errorf("with another payload: %d %q", code, said)
			}
		})
	}
	if jwts < 3 {
		t.Errorf("%d of the vectors are JWTs, want those of RFC 7515 A.1 to A.3", jwts)
	}
}

// RFC 7519: the unsecured JWT of 6.1, the encrypted one of A.1 and the nested
// one of A.2, whose first part is enough to see what they are.
func TestTheOtherExamplesOfJWTsAreRefused(t *testing.T) {
	n := start(t, `{"claims":{"user":"iss"},"require_expiry":false}`)
	const payload = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
	for _, r := range []row{
		{"unsecured", "eyJhbGciOiJub25lIn0." + payload + ".", 401, malformed},
		{"unsecured with a signature", "eyJhbGciOiJub25lIn0." + payload + ".AAAA", 401, badAlg},
		{"encrypted", "eyJhbGciOiJSU0ExXzUiLCJlbmMiOiJBMTI4Q0JDLUhTMjU2In0.QR1Owv2ug2WyPBnbQrRARTeEk9kDO2w8qDcjiHnSJflSdv1iNqhWXaKH4MqAkQtM.AxY8DCtDaGlsbGljb3RoZQ.MKOle7UQrG6nSxTLX6Mqwt0orbHvAKeWnDYvpIAeZ72deHxz3roJDXQyhxx0wKaMHDjUEOKIwrtkHthpqEanSBNYHZgmNOV7sln1Eu9g3J8.fiK51VwhsxJ-siBMR-YFiA", 401, malformed},
		{"nested", "eyJhbGciOiJSU0ExXzUiLCJlbmMiOiJBMTI4Q0JDLUhTMjU2IiwiY3R5IjoiSldUIn0.AAAA.AAAA.AAAA.AAAA", 401, malformed},
	} {
		r.check(t, n)
	}
}
