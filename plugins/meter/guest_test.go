package meter

import (
	"context"
	"errors"
	"hash/maphash"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

var bg = context.Background()

var (
	compiler    = wazero.NewRuntimeConfigCompiler()
	interpreter = wazero.NewRuntimeConfigInterpreter()
)

var (
	errSpent    = errors.New("the whole budget is spent")
	errOverflow = errors.New("the stack budget is spent")
)

// host runs guests and answers the meter's imports.
type host struct {
	wazero.Runtime
	slice  int64 // fuel that each yield gives
	budget int64 // of fuel, over all yields; below zero yield stops the guest
	yields int
	lowest int64 // fuel at the worst yield

	overflows int
}

func newHost(t testing.TB, config wazero.RuntimeConfig) *host {
	h := &host{Runtime: wazero.NewRuntimeWithConfig(bg, config.WithCoreFeatures(api.CoreFeaturesV2)), slice: Slice, budget: math.MaxInt64}
	t.Cleanup(func() { h.Close(bg) })
	b := h.NewHostModuleBuilder(ImportModule)
	for name, f := range map[string]func(api.Module){ImportYield: h.yield, ImportOverflow: h.overflow} {
		b = b.NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, m api.Module, _ []uint64) { f(m) }), nil, nil).Export(name)
	}
	if _, err := b.Instantiate(bg); err != nil {
		t.Fatal(err)
	}
	return h
}

func (h *host) yield(m api.Module) {
	h.yields++
	fuel := m.ExportedGlobal(ExportFuel).(api.MutableGlobal)
	h.lowest = min(h.lowest, int64(fuel.Get()))
	if h.budget -= max(h.slice, 1); h.budget < 0 {
		panic(errSpent)
	}
	fuel.Set(uint64(h.slice))
}

func (h *host) overflow(api.Module) {
	h.overflows++
	panic(errOverflow)
}

func (h *host) load(wasm []byte) (*guest, error) {
	c, err := h.CompileModule(bg, wasm)
	if err != nil {
		return nil, err
	}
	mod, err := h.InstantiateModule(bg, c, wazero.NewModuleConfig().WithName("").WithStartFunctions())
	if err != nil {
		return nil, err
	}
	g := &guest{Module: mod}
	if global := mod.ExportedGlobal(ExportFuel); global != nil {
		g.fuel = global.(api.MutableGlobal)
		g.stack = mod.ExportedGlobal(ExportStack).(api.MutableGlobal)
	}
	return g, nil
}

// guest is an instance, with the globals of its metering if it has any.
type guest struct {
	api.Module
	fuel, stack api.MutableGlobal
}

func (g *guest) write(t testing.TB, text []byte) {
	at, err := g.ExportedFunction("buffer").Call(bg)
	if err != nil || !g.Memory().Write(uint32(at[0]), text) {
		t.Fatal("cannot write the text: ", err)
	}
}

func testdata(t testing.TB, name string) []byte {
	b, err := os.ReadFile("testdata/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// metered loads a rewritten guest of testdata.
func metered(t testing.TB, h *host, name string, o Options) (*guest, *Module) {
	m, err := Rewrite(testdata(t, name), o)
	if err != nil {
		t.Fatal(err)
	}
	g, err := h.load(m.Wasm)
	if err != nil {
		t.Fatal(err)
	}
	return g, m
}

// outcome is what a call did, in a form that can be compared.
type outcome struct {
	results []uint64
	trap    string
	memory  uint64
	globals []uint64
}

func call(g *guest, name string, args []uint64) (o outcome, err error) {
	f := g.ExportedFunction(name)
	o.results, err = f.Call(bg, args...)
	if err != nil {
		o.trap, _, _ = strings.Cut(err.Error(), "\n")
	}
	types := f.Definition().ResultTypes()
	for i, at := 0, 0; i < len(types) && err == nil; i++ {
		switch v := o.results[at]; types[i] {
		case api.ValueTypeF32:
			if f := math.Float32frombits(uint32(v)); f != f {
				o.results[at] = 1 << 40 // one NaN is as good as another
			}
		case api.ValueTypeF64:
			if f := math.Float64frombits(v); f != f {
				o.results[at] = 1 << 41
			}
		case api.ValueTypeExternref, funcrefType:
			if v != 0 {
				o.results[at] = 1 // an address
			}
		case v128Type:
			at++
		}
		at++
	}
	if mem := g.Memory(); mem != nil && !reflect.ValueOf(mem).IsNil() {
		b, _ := mem.Read(0, mem.Size())
		o.memory = maphash.Bytes(seed, b) ^ uint64(mem.Size())
	}
	return o, err
}

var seed = maphash.MakeSeed()

// args gives the n-th set of arguments for a function, n from 0.
func args(types []api.ValueType, n int) []uint64 {
	interesting := []uint64{0, 1, math.MaxUint64, 7, 1 << 31, math.Float64bits(-1.5), uint64(math.Float32bits(3.25)), 65536}
	var out []uint64
	for i, t := range types {
		v := interesting[(n*3+i)%len(interesting)]
		switch t {
		case api.ValueTypeI32, api.ValueTypeF32:
			v = uint64(uint32(v))
		case api.ValueTypeExternref, funcrefType:
			v = 0
		case v128Type:
			out = append(out, v*0x0101010101)
		}
		out = append(out, v)
	}
	return out
}
