package meter

import (
	"errors"
	"testing"
)

func TestWorkWithoutEndReachesAYieldOrTheStacksEnd(t *testing.T) {
	_, m := metered(t, newHost(t, compiler), "endless.wasm", Options{})
	for _, e := range m.Exports {
		if e.Kind != KindFunc {
			continue
		}
		t.Run(e.Name, func(t *testing.T) {
			h := newHost(t, compiler)
			h.budget = 20 * Slice
			g, _ := metered(t, h, "endless.wasm", Options{})
			_, err := g.ExportedFunction(e.Name).Call(bg, args(e.Params, 0)...)
			if !errors.Is(err, errSpent) && !errors.Is(err, errOverflow) {
				t.Fatalf("it ended with %v", err)
			}
			deep := map[string]bool{"recursion": true, "recursion_with_locals": true, "mutual": true, "indirect": true,
				"indirect_mutual": true, "wide": true}
			if overflowed := errors.Is(err, errOverflow); overflowed != deep[e.Name] {
				t.Errorf("stopped by the stack budget: %v", overflowed)
			}
			// One charge past zero is the most that a guest runs without a look, if it does nothing of a length.
			bulk := map[string]bool{"fill": true, "copy": true, "grow": true, "grow_too_far": true, "table_grow": true}
			if h.lowest < -200 && !bulk[e.Name] {
				t.Errorf("fuel went down to %d before a yield", h.lowest)
			}
		})
	}
}

func TestAStartFunctionWithoutEndReachesAYield(t *testing.T) {
	h := newHost(t, compiler)
	h.budget = 20 * Slice
	m, err := Rewrite(testdata(t, "endless_start.wasm"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.load(m.Wasm); !errors.Is(err, errSpent) {
		t.Fatalf("instantiation ended with %v", err)
	}
}

func TestBulkOperationsAreChargedByTheirLengthBeforeTheyRun(t *testing.T) {
	h := newHost(t, compiler)
	g, _ := metered(t, h, "straight.wasm", Options{})
	const given = 1 << 40
	used := func(name string, n uint64) int64 {
		g.fuel.Set(given)
		if _, err := g.ExportedFunction(name).Call(bg, n); err != nil {
			t.Fatal(name, err)
		}
		return given - int64(g.fuel.Get())
	}
	for _, c := range []struct {
		name     string
		n        uint64
		at, most int64
	}{
		{"fill", 0, 0, 64}, {"fill", 1 << 20, 1 << 14, 1<<14 + 64},
		{"copy", 64, 1, 64}, {"copy", 1 << 22, 1 << 16, 1<<16 + 64},
		{"grow", 0, 0, 128}, {"grow", 8, 8 * 1024, 8*1024 + 128},
		{"add", 0, 0, 0}, // a small leaf is free: its caller pays for the call
	} {
		if u := used(c.name, c.n); u < c.at || u > c.most {
			t.Errorf("%s(%d) used %d units, want %d to %d", c.name, c.n, u, c.at, c.most)
		}
	}
	h.budget, h.slice = -1, Slice
	g.fuel.Set(100)
	if _, err := g.ExportedFunction("fill").Call(bg, 1<<20); !errors.Is(err, errSpent) {
		t.Fatalf("a long fill with little fuel: %v", err)
	}
	if b, _ := g.Memory().ReadByte(1<<20 - 1); b != 1 {
		t.Error("the first fill did nothing")
	}
}

func TestAGuestGoesOnAfterEachYieldHoweverSmallTheSlice(t *testing.T) {
	h := newHost(t, compiler)
	g, _ := metered(t, h, "calls.wasm", Options{})
	g.write(t, scanText(512))
	want := map[string][]uint64{}
	for _, slice := range []int64{1 << 40, 1000, 10, 1, 0} {
		h.slice = slice
		for _, name := range calls {
			g.fuel.Set(0)
			got, err := g.ExportedFunction(name).Call(bg, 512)
			if err != nil {
				t.Fatal(name, slice, err)
			}
			if want[name] == nil {
				want[name] = got
			} else if want[name][0] != got[0] {
				t.Errorf("%s with slices of %d: %d, otherwise %d", name, slice, got[0], want[name][0])
			}
		}
	}
}
