package conformance

import (
	"strings"
	"testing"

	"sluice/plugins"
	"sluice/router"
)

// BenchmarkNoop is what a filter costs that does nothing: the way there and
// back.
func BenchmarkNoop(b *testing.B) {
	c := plugins.Spec{Plugin: "../c/examples/noop/noop.wasm"}
	for _, chain := range []struct {
		name  string
		specs func() []plugins.Spec
	}{
		{"C", func() []plugins.Spec { return []plugins.Spec{c} }},
		{"Go", func() []plugins.Spec { return []plugins.Spec{{Plugin: goGuest(b, "../go/examples/noop")}} }},
		{"three in C", func() []plugins.Spec { return []plugins.Spec{c, c, c} }},
	} {
		for _, size := range []struct {
			name  string
			bytes int
		}{{"128B", 128}, {"1KiB", 1024}} {
			b.Run(chain.name+"/"+size.name, func(b *testing.B) {
				g := load(b, chain.specs()...)
				e := message(`"` + strings.Repeat("x", size.bytes-2) + `"`)
				b.ReportAllocs()
				for b.Loop() {
					if err := g.chain.Judge(e); err != nil {
						b.Fatal(err)
					}
				}
				if e.Verdict.Action != router.Continue {
					b.Fatalf("got %+v", e.Verdict)
				}
			})
		}
	}
}
