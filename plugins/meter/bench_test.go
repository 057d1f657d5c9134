package meter

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

var scans = []string{"find_byte", "banned_word", "hash", "checksum", "utf8", "json_skip", "words"}

var calls = []string{"recursion", "call_with_loop", "call_leaf", "call_indirect", "sort", "interpreter"}

// scanText is what the scans read: chat text with a few characters beyond ASCII, as JSON.
func scanText(n int) []byte {
	line := `{"user":"amélie","text":"the quick brown fox forgot the \"lazy\" dog — again","tags":["a","b"],"n":12345}, `
	return []byte(strings.ToValidUTF8(strings.Repeat(line, n/len(line)+1)[:n], "?"))[:n]
}

// BenchmarkScans runs each scan plain and metered by turns and reports the ratio of the fastest rounds: the machine's
// noise only ever adds.
func BenchmarkScans(b *testing.B) { benchmarkRatios(b, "scans", scans, 128, 1024, 16384) }

// BenchmarkCalls does the same for calls, recursion and an interpreter.
func BenchmarkCalls(b *testing.B) { benchmarkRatios(b, "calls", calls, 1024) }

func benchmarkRatios(b *testing.B, guest string, names []string, sizes ...int) {
	wasm := testdata(b, guest+".wasm")
	m, err := Rewrite(wasm, Options{})
	if err != nil {
		b.Fatal(err)
	}
	for _, size := range sizes {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			plainGuest, meteredGuest := newGuest(b, wasm), newGuest(b, m.Wasm)
			text := scanText(size)
			product := 1.0
			for range b.N {
				product = 1
				for _, name := range names {
					plain, metered := fastest(b, name, text, plainGuest, meteredGuest)
					b.ReportMetric(metered/plain, name+"-ratio")
					if testing.Verbose() {
						b.Logf("%-12s plain %8.1f ns, metered %8.1f ns, %.2f×", name, plain, metered, metered/plain)
					}
					product *= metered / plain
				}
			}
			b.ReportMetric(math.Pow(product, 1/float64(len(names))), "geomean-ratio")
		})
	}
}

func fastest(b *testing.B, name string, text []byte, guests ...*guest) (plain, metered float64) {
	best := []float64{math.Inf(1), math.Inf(1)}
	var results [2]uint64
	calls := max(1, 200_000/len(text))
	for range 25 {
		for i, g := range guests {
			f := g.ExportedFunction(name)
			g.write(b, text)
			stack := []uint64{0}
			start := time.Now()
			for range calls {
				stack[0] = uint64(len(text))
				if g.fuel != nil {
					g.fuel.Set(1 << 30)
				}
				if err := f.CallWithStack(bg, stack); err != nil {
					b.Fatal(err)
				}
			}
			best[i] = min(best[i], float64(time.Since(start))/float64(calls))
			results[i] = stack[0]
		}
	}
	if results[0] != results[1] {
		b.Fatalf("%s: plain %d, metered %d", name, results[0], results[1])
	}
	return best[0], best[1]
}

func newGuest(b *testing.B, wasm []byte) *guest {
	g, err := newHost(b, compiler).load(wasm)
	if err != nil {
		b.Fatal(err)
	}
	return g
}
