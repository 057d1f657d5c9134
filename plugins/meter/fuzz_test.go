package meter

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

func FuzzRewrite(f *testing.F) {
	for i, s := range corpus(f, "spectest") {
		if i%200 == 0 && len(s.wasm) < 4096 {
			f.Add(s.wasm)
		}
	}
	for _, name := range []string{"endless.wasm", "endless_start.wasm", "straight.wasm", "calls.wasm"} {
		f.Add(testdata(f, name))
	}
	valid, done := validate(f)
	defer done()
	f.Fuzz(func(t *testing.T, wasm []byte) {
		m, err := Rewrite(wasm, roomy)
		if err != nil {
			if r := (*Refusal)(nil); !errors.As(err, &r) || r.Cause == "" || r.Remedy == "" {
				t.Fatalf("a refusal without cause or remedy: %#v", err)
			}
			return
		}
		if len(m.Wasm) > 64*len(wasm)+1024 {
			t.Fatalf("%d bytes became %d", len(wasm), len(m.Wasm))
		}
		if original, rewritten := valid(withoutCustom(wasm)), valid(m.Wasm); (original == nil) != (rewritten == nil) {
			t.Fatalf("original %v, rewritten %v", original, rewritten)
		}
		if again, _ := Rewrite(wasm, roomy); !bytes.Equal(again.Wasm, m.Wasm) {
			t.Fatal("the output differs from one time to the next")
		}
		if _, err := Rewrite(m.Wasm, roomy); err == nil {
			t.Fatal("a rewritten module was accepted again")
		}
	})
}

// differ compares a generated module plain and metered, and its fuel with a count of the instructions that ran.
func differ(t *testing.T, in []byte, config wazero.RuntimeConfig, slice int64) (calls, stopped int) {
	plain := generate(in, false)
	m, err := Rewrite(plain, Options{MaxMemoryPages: 3})
	if err != nil {
		t.Fatalf("%v: generated module refused: %v", in, err)
	}
	p := newPair(t, config, slice, 100_000)
	defer func() {
		for _, h := range p.hosts {
			h.Close(bg)
		}
	}()
	p.compare("generated", plain, m, 3)
	fuelCoversInstructions(t, p.hosts[1], generate(in, true))
	return p.calls, p.stopped
}

// fuelCoversInstructions runs a module that counts its instructions, and whose counting is left out of the charges.
func fuelCoversInstructions(t *testing.T, h *host, counted []byte) {
	m, err := Rewrite(counted, Options{MaxMemoryPages: 3})
	if err != nil {
		t.Fatal(err)
	}
	g, err := h.load(m.Wasm)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close(bg)
	count := g.ExportedGlobal("count").(api.MutableGlobal)
	for _, e := range m.Exports {
		if e.Kind != KindFunc {
			continue
		}
		h.budget, h.lowest = 200_000, 0
		const given = 100_000
		count.Set(0)
		g.fuel.Set(given)
		yields := h.yields
		_, err := g.ExportedFunction(e.Name).Call(bg, args(e.Params, 1)...)
		used := given - int64(g.fuel.Get()) + int64(h.yields-yields)*h.slice
		// Each counting adds 4 instructions of cost 1 to what it counts, of cost 1 at least.
		if n := int64(count.Get()); h.yields == yields && used+costCall < 5*n {
			t.Errorf("%s: %d instructions used %d units", e.Name, n, used)
		}
		if errors.Is(err, errSpent) || errors.Is(err, errOverflow) {
			return
		}
		if err != nil && !strings.Contains(err.Error(), "wasm error") {
			t.Fatal(err)
		}
	}
}

func FuzzDifferential(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		in := make([]byte, 400)
		for i := range in {
			in[i] = byte(r.Uint32())
		}
		f.Add(in)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 4096 {
			return
		}
		differ(t, in, interpreter, 50)
	})
}

func TestGeneratedModulesDoTheSameMetered(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	rounds, calls, stopped := 200, 0, 0
	if testing.Short() {
		rounds = 40
	}
	for range rounds {
		in := make([]byte, 100+r.IntN(1500))
		for i := range in {
			in[i] = byte(r.Uint32())
		}
		c, s := differ(t, in, compiler, []int64{0, 7, 50, 1000}[r.IntN(4)])
		calls, stopped = calls+c, stopped+s
	}
	t.Logf("%d calls compared, %d modules stopped", calls, stopped)
	if calls < rounds {
		t.Errorf("only %d calls were compared", calls)
	}
}
