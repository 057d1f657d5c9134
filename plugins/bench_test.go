package plugins

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sluice/router"
)

// noops are filters that do nothing, by the language that they are written in:
// what the host itself costs. The one in Go is built on the spot.
func noops(tb testing.TB) map[string]Spec {
	tb.Helper()
	goGuest := filepath.Join(tb.TempDir(), "noop.wasm")
	build := exec.Command("go", "build", "-buildmode=c-shared", "-ldflags=-s -w", "-o", goGuest, "sluice/sdk/go/examples/noop")
	build.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		tb.Fatalf("building the Go guest: %v\n%s", err, out)
	}
	return map[string]Spec{
		"wat": guest("noop"),
		"c":   {Name: "c", Plugin: "../sdk/c/examples/noop/noop.wasm"},
		"go":  {Name: "go", Plugin: goGuest},
	}
}

func content(n int) string { return `"` + strings.Repeat("x", n-2) + `"` }

func BenchmarkNoop(b *testing.B) {
	for lang, spec := range noops(b) {
		for _, n := range []int{128, 1024} {
			b.Run(fmt.Sprintf("%s/%d", lang, n), func(b *testing.B) {
				c := newTestHost(b, HostOptions{}).chain(nil, spec)
				benchJudge(b, c, n)
			})
		}
	}
}

func benchJudge(b *testing.B, c *Chain, n int) {
	e := message(content(n))
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Judge(e); err != nil || e.Verdict.Action != router.Continue {
			b.Fatal(err, e.Verdict)
		}
	}
}

func BenchmarkChainOfThree(b *testing.B) {
	specs := []Spec{guest("noop"), guest("noop"), guest("noop")}
	for i := range specs {
		specs[i].Name = fmt.Sprint("noop", i)
	}
	c := newTestHost(b, HostOptions{}).chain(nil, specs...)
	for _, n := range []int{128, 1024} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchJudge(b, c, n) })
	}
}

func BenchmarkParallelOnTwoLanes(b *testing.B) {
	c := newTestHost(b, HostOptions{Lanes: 2}).chain(nil, guest("noop"))
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		e := message(content(128))
		for pb.Next() {
			if err := c.Judge(e); err != nil || e.Verdict.Action != router.Continue {
				b.Error(err, e.Verdict)
				return
			}
		}
	})
}

func BenchmarkState(b *testing.B) {
	c := newTestHost(b, HostOptions{}).chain(nil, guest("moody"))
	benchJudge(b, c, 128)
}

func TestAnEventThatNothingObjectsToIsJudgedWithoutAllocating(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop what is put into it")
	}
	allocs := func(c *Chain, e *router.Event, want router.Action) float64 {
		return testing.AllocsPerRun(1000, func() {
			if c.Judge(e) != nil || e.Verdict.Action != want || e.Verdict.Failure != "" {
				t.Fatal(e.Verdict)
			}
		})
	}
	for lang, spec := range noops(t) {
		c := newTestHost(t, HostOptions{}).chain(nil, spec, guest("moody"))
		if n := allocs(c, message(content(1024)), router.Continue); n != 0 {
			t.Errorf("%s: %v allocations", lang, n)
		}
	}
	c := newTestHost(t, HostOptions{}).chain(nil, guest("outputs"))
	rewrite := eventOf(router.HookMessage, answering(vContinue).put(outPayload, content(512)))
	if n := allocs(c, rewrite, router.Continue); n != 0 {
		t.Errorf("a rewrite: %v allocations", n)
	}
	deny := eventOf(router.HookMessage, answering(vDeny).u32(outCode, 413).put(outReason, "longer than it may be, by far"))
	if n := allocs(c, deny, router.Deny); n > 1 {
		t.Errorf("a denial: %v allocations, want one, of its reason", n)
	}
}
