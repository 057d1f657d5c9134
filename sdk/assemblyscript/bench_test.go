package assemblyscript_test

import (
	"strings"
	"testing"

	"sluice/router"
)

func BenchmarkFilters(b *testing.B) {
	for _, c := range []struct{ name, file, config string }{
		{"noop", noopWasm, `{}`},
		{"hello", helloWasm, `{"word":"spam"}`},
	} {
		for _, size := range []struct {
			name  string
			bytes int
		}{{"128B", 128}, {"1KiB", 1024}} {
			b.Run(c.name+"/"+size.name, func(b *testing.B) {
				g := load(b, c.file, c.config, "log")
				e := message(`"` + strings.Repeat("x", size.bytes-2) + `"`)
				b.ReportAllocs()
				for b.Loop() {
					if err := g.chain.Judge(e); err != nil {
						b.Fatal(err)
					}
				}
				if e.Verdict.Action != router.Continue || e.Verdict.Failure != "" {
					b.Fatalf("got %+v", e.Verdict)
				}
			})
		}
	}
}
