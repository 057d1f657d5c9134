package zig_test

import (
	"strings"
	"testing"

	"sluice/plugins"
	"sluice/router"
)

// BenchmarkNoop is what a filter costs that does nothing: the way there and back.
func BenchmarkNoop(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"128B", 128}, {"1KiB", 1024}} {
		b.Run(size.name, func(b *testing.B) {
			host, err := plugins.NewHost(plugins.HostOptions{Lanes: 1})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { _ = host.Close(b.Context()) })
			chain, err := host.Build(b.Context(), []plugins.Spec{{Name: "noop", Plugin: "examples/noop/noop.wasm"}}, nil)
			if err != nil {
				b.Fatal(err)
			}
			e := event(`"` + strings.Repeat("x", size.bytes-2) + `"`)
			b.ReportAllocs()
			for b.Loop() {
				if err := chain.Judge(e); err != nil {
					b.Fatal(err)
				}
			}
			if e.Verdict.Action != router.Continue {
				b.Fatalf("got %+v", e.Verdict)
			}
		})
	}
}
