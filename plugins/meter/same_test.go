package meter

import (
	"crypto/sha256"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/tetratelabs/wazero"
)

// pair runs a guest plain and metered side by side.
type pair struct {
	t              testing.TB
	hosts          [2]*host // plain, metered
	calls, stopped int
}

func newPair(t testing.TB, config wazero.RuntimeConfig, slice, budget int64) *pair {
	p := &pair{t: t}
	for i := range p.hosts {
		p.hosts[i] = newHost(t, config)
		p.hosts[i].slice, p.hosts[i].budget = slice, budget
	}
	return p
}

// withSpectest gives both sides the module that the specification's tests import from.
func (p *pair) withSpectest() *pair {
	root, err := corpusRoot()
	if err != nil {
		p.t.Skip(err)
	}
	b, err := os.ReadFile(filepath.Join(root, "spectest", "testdata", "spectest.wasm"))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, h := range p.hosts {
		if _, err := h.InstantiateWithConfig(bg, b, wazero.NewModuleConfig().WithName("spectest")); err != nil {
			p.t.Fatal(err)
		}
	}
	return p
}

// compare instantiates a module both ways, calls each export with each of some sets of arguments, and compares what
// they did. The metered side goes first: a call that it had to stop is not made on the other, which would not end.
func (p *pair) compare(name string, plain []byte, m *Module, sets int) {
	budget := p.hosts[1].budget
	defer func() { p.hosts[1].budget = budget }()
	mg, merr := p.hosts[1].load(m.Wasm)
	if errors.Is(merr, errSpent) || errors.Is(merr, errOverflow) {
		p.stopped++
		return
	}
	pg, perr := p.hosts[0].load(plain)
	if (merr == nil) != (perr == nil) {
		p.t.Errorf("%s: instantiation: plain %v, metered %v", name, perr, merr)
		return
	}
	if merr != nil {
		return
	}
	defer mg.Close(bg)
	defer pg.Close(bg)
	for _, e := range m.Exports {
		if e.Kind != KindFunc {
			continue
		}
		for n := range sets {
			p.hosts[1].budget = budget
			values := args(e.Params, n)
			if !p.compareCall(name, mg, pg, m.Exports, e.Name, values) {
				return
			}
			if len(values) == 0 && n > 0 {
				break
			}
		}
	}
}

func (p *pair) compareCall(name string, mg, pg *guest, exports []Export, export string, values []uint64) bool {
	stack := mg.stack.Get()
	mo, err := call(mg, export, values)
	if errors.Is(err, errSpent) || errors.Is(err, errOverflow) {
		p.stopped++
		return false // the instances are not alike any more
	}
	po, _ := call(pg, export, values)
	p.calls++
	if err == nil && mg.stack.Get() != stack {
		p.t.Errorf("%s: %s: the stack budget was %d before the call and is %d after it", name, export, stack, mg.stack.Get())
	}
	mo.globals, po.globals = globals(mg, exports), globals(pg, exports)
	if !reflect.DeepEqual(mo, po) {
		p.t.Errorf("%s: %s(%#x):\n plain   %+v\n metered %+v", name, export, values, po, mo)
	}
	mg.stack.Set(stack) // a trap leaves it as it was
	return true
}

// limited gives the original the same limits of memory and tables, and leaves the rest as it is: what a guest sees of
// a limit is not metering.
func limited(wasm []byte, o Options) []byte {
	m := decode(wasm, o.withDefaults())
	out := wasm[:8:8]
	r := &reader{b: wasm, i: 8}
	for r.more() {
		id := r.byte()
		content := r.take(r.u32())
		switch {
		case id == secTable && len(m.tables) > 0:
			content = m.encodeTables()
		case id == secMemory && m.memory != nil:
			content = appendLimits([]byte{1}, *m.memory)
		}
		out = appendSection(out, id, content)
	}
	return out
}

func globals(g *guest, exports []Export) (values []uint64) {
	for _, e := range exports {
		if e.Kind == KindGlobal {
			if t := g.ExportedGlobal(e.Name); t.Type() != funcrefType {
				values = append(values, t.Get())
			}
		}
	}
	return values
}

func TestEachModuleOfTheSpecificationDoesTheSameMetered(t *testing.T) {
	seen := map[[32]byte]bool{}
	modules := 0
	// A slice this small makes nearly every check yield, so that going on after a yield is compared as well.
	p := newPair(t, compiler, 23, 200_000).withSpectest()
	for i, s := range corpus(t, "spectest", "v2") {
		sum := sha256.Sum256(s.wasm)
		if seen[sum] || testing.Short() && i%8 != 0 {
			continue
		}
		seen[sum] = true
		m, err := Rewrite(s.wasm, Options{})
		if err != nil {
			continue
		}
		modules++
		p.compare(s.name, limited(s.wasm, Options{}), m, 6)
		if modules%200 == 0 { // or the runtimes keep all that was compiled
			q := newPair(t, compiler, 23, 200_000).withSpectest()
			q.calls, q.stopped = p.calls, p.stopped
			p.hosts[0].Close(bg)
			p.hosts[1].Close(bg)
			p = q
		}
	}
	t.Logf("%d modules, %d calls compared, %d stopped", modules, p.calls, p.stopped)
	if p.calls < 500 {
		t.Errorf("only %d calls were compared", p.calls)
	}
}

func TestTheCompiledGuestsDoTheSameMetered(t *testing.T) {
	for _, name := range []string{"scans.wasm", "calls.wasm"} {
		p := newPair(t, compiler, 100, 1<<40)
		plain := testdata(t, name)
		m, err := Rewrite(plain, Options{})
		if err != nil {
			t.Fatal(err)
		}
		var guests [2]*guest
		for i, wasm := range [][]byte{plain, m.Wasm} {
			if guests[i], err = p.hosts[i].load(wasm); err != nil {
				t.Fatal(err)
			}
			guests[i].write(t, scanText(4096))
		}
		for _, e := range m.Exports {
			if e.Kind == KindFunc && len(e.Params) == 1 {
				for _, n := range []uint64{0, 1, 100, 4096} {
					p.compareCall(name, guests[1], guests[0], m.Exports, e.Name, []uint64{n})
				}
			}
		}
		if p.hosts[1].yields < 1000 {
			t.Errorf("%s: only %d yields", name, p.hosts[1].yields)
		}
	}
}
