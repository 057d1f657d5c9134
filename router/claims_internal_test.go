package router

import (
	"slices"
	"testing"
)

var claimsSeeds = []string{
	``, ` `, `null`, `[]`, `{}`, `{ }`, `"jti"`, `["jti"]`, `{"jti":"a"}`, ` { "jti" : "a" } `, `{"jti":12}`, `{"jti":-1.5e3,"x":1}`,
	`{"jti":null}`, `{"jti":true}`, `{"jti":{"jti":"x"}}`, `{"jti":["x"]}`, `{"jti":"a","jti":"b"}`, `{"jti":"a","jti":null}`, `{"jti":"a","jti":7}`,
	`{"x":{"jti":"inner","tags":["t"]},"jti":"outer"}`, `{"x":[{"jti":"inner"}],"jti":"outer"}`, `{"\u006ati":"a"}`, `{"jti":"a\nb"}`,
	`{"tags":["a","b"]}`, `{"tags":["a",1,null,"",{"b":"c"},["d"],"e"]}`, `{"tags":[]}`, `{"tags":[ ]}`, `{"tags":"a"}`, `{"tags":null}`, `{"tags":{"a":"b"}}`,
	`{"tags":["a"],"tags":["b"]}`, `{"tags":["a"],"tags":null}`, `{"tags":["a"],"tags":7}`, `{"tags":["a"]`, `{"jti":"a"}x`, `{"jti":01}`, `{"jti":"a",}`,
	"{\"jti\":\"\xff\"}", `{"jti":"é","tags":["日本"]}`, `{"JTI":"a","Tags":["x"]}`, `{"a":"jti","b":"tags"}`, `{"exp":1,"iss":"x","jti":"J","sub":"s","tags":["a","b c"]}`,
	"{\"jti\"\r:\t\"a\"\n,\"tags\" : [ \"x\" , \"y\" ] }",
}

func FuzzClaimsReadAsEncodingJSONReadsThem(f *testing.F) {
	for _, s := range claimsSeeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		id, tags := readClaims(raw)
		wantID, wantTags := parseClaims(raw)
		if id != wantID || !slices.Equal(tags, wantTags) {
			t.Errorf("%q: got %q %q, want %q %q", raw, id, tags, wantID, wantTags)
		}
	})
}

func BenchmarkClaims(b *testing.B) {
	raw := []byte(`{"exp":1799065792,"iat":1795465792,"iss":"https://id.example.org","jti":"22TJFLCZG3DG2O5IRGOMJWOTFF","sub":"bench"}`)
	b.ReportAllocs()
	for b.Loop() {
		readClaims(raw)
	}
}
