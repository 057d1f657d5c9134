package conformance

import (
	"strings"
	"testing"

	"sluice/plugins"
	"sluice/router"
)

var sizes = []struct {
	name  string
	bytes int
}{{"128B", 128}, {"1KiB", 1024}}

func contentOf(bytes int) string { return `"` + strings.Repeat("x", bytes-2) + `"` }

// BenchmarkNoop is what a filter costs that does nothing, in each language: the
// way there and back, metered.
func BenchmarkNoop(b *testing.B) {
	for _, l := range languages {
		b.Run(l.name, func(b *testing.B) {
			benchmark(b, func() []plugins.Spec { return []plugins.Spec{{Plugin: l.noop(b)}} })
		})
	}
	b.Run("three in C", func(b *testing.B) {
		c := plugins.Spec{Plugin: languages[0].noop(b)}
		benchmark(b, func() []plugins.Spec { return []plugins.Spec{c, c, c} })
	})
}

// BenchmarkHello is what a small filter costs that reads and rewrites.
func BenchmarkHello(b *testing.B) {
	for _, l := range languages {
		b.Run(l.name, func(b *testing.B) {
			benchmark(b, func() []plugins.Spec {
				return []plugins.Spec{{Plugin: l.hello(b), Config: config(`{"word":"spam"}`), Capabilities: []string{"log"}}}
			})
		})
	}
}

func benchmark(b *testing.B, specs func() []plugins.Spec) {
	g := load(b, specs()...)
	for _, size := range sizes {
		b.Run(size.name, func(b *testing.B) {
			e := message(contentOf(size.bytes))
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

func TestNoCallAllocatesInWhateverLanguageTheFilterIs(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop what is put into it")
	}
	for _, l := range languages {
		for name, spec := range map[string]plugins.Spec{
			"noop":  {Plugin: l.noop(t)},
			"hello": {Plugin: l.hello(t), Config: config(`{"word":"spam"}`), Capabilities: []string{"log"}},
		} {
			t.Run(l.name+"/"+name, func(t *testing.T) {
				g := load(t, spec)
				for _, size := range sizes {
					e := message(contentOf(size.bytes))
					allocs := testing.AllocsPerRun(1000, func() {
						if g.chain.Judge(e) != nil || e.Verdict.Action != router.Continue || e.Verdict.Failure != "" {
							t.Fatalf("got %+v", e.Verdict)
						}
					})
					if allocs != 0 {
						t.Errorf("%s: %v allocations", size.name, allocs)
					}
				}
			})
		}
	}
}
