package main_test

import (
	"testing"

	"sluice/plugins/lookup"
	"sluice/router"
)

// BenchmarkHook is what the filter costs once the answer is there.
func BenchmarkHook(b *testing.B) {
	for _, c := range []struct{ name, answer string }{
		{"allowed", `{"result":{}}`},
		{"rewritten", `{"result":{"data":{"text":"hello there","checked":true}}}`},
		{"refused", `{"error":{"code":103,"message":"permission denied"}}`},
	} {
		b.Run(c.name, func(b *testing.B) {
			answer := lookup.Result{Status: lookup.Found, Value: []byte(c.answer)}
			chain := load(b, asks("http://127.0.0.1:1/unused"), func(string, *router.Event) lookup.Result { return answer })
			e := message(`"hello there"`)
			e.States = new([]router.State)
			b.ReportAllocs()
			for b.Loop() {
				if err := chain.Judge(e); err != nil {
					b.Fatal(err)
				}
			}
			if e.Verdict.Failure != "" {
				b.Fatal(e.Verdict.Failure)
			}
		})
	}
}
