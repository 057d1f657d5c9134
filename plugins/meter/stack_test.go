package meter

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// recursive is a function that calls itself (or the table's first entry) without end, and uses afterwards what it
// computed before.
func recursive(typ byte, params, locals, operands int, indirect bool) []byte {
	value := string([]byte{typ})
	b := &builder{table: true}
	t := b.typ(strings.Repeat(value, params), value)
	add := map[byte][]byte{i32Type: {opI32Add}, i64Type: {opI64Add}, f64Type: {0xa0}, v128Type: {opSIMD, 0xce, 0x01}}[typ]
	zero := map[byte][]byte{i32Type: {opI32Const, 3}, i64Type: {opI64Const, 3}, f64Type: append([]byte{0x44}, make([]byte, 8)...),
		v128Type: append([]byte{opSIMD, 12}, make([]byte, 16)...)}[typ]
	var code []byte
	local := func(op byte, i int) { code = appendU32(append(code, op), uint32(i)) }
	for i := range locals { // each local a value of its own, made from the first parameter
		local(opLocalGet, 0)
		for range i%5 + 1 {
			code = append(append(code, zero...), add...)
		}
		local(opLocalSet, params+i)
	}
	for i := range operands {
		local(opLocalGet, 0)
		local(opLocalGet, i%params)
		code = append(code, add...)
	}
	for i := range params {
		local(opLocalGet, i)
	}
	if indirect {
		code = append(code, opI32Const, 0, opIndirect, byte(t), 0)
	} else {
		code = append(code, opCall, 0)
	}
	for range operands {
		code = append(code, add...)
	}
	for i := range params + locals {
		local(opLocalGet, i)
		code = append(code, add...)
	}
	f := builtFunc{typ: t, code: code, export: "f"}
	if locals > 0 {
		f.locals = []localGroup{{uint32(locals), typ}}
	}
	b.funcs = []builtFunc{f}
	return b.wasm()
}

// nativeStack runs f of a module until wazero's own ceiling stops it, and returns the native stack that it had then
// and what the meter thought it was.
func nativeStack(t *testing.T, wasm []byte) (native, estimate float64) {
	h := newHost(t, compiler)
	m, err := Rewrite(wasm, Options{StackBytes: 1<<31 - 1})
	if err != nil {
		t.Fatal(err)
	}
	g, err := h.load(m.Wasm)
	if err != nil {
		t.Fatal(err)
	}
	f := g.ExportedFunction("f")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = f.Call(bg, args(f.Definition().ParamTypes(), 1)...)
	runtime.ReadMemStats(&after)
	if errors.Is(err, errOverflow) {
		t.Fatal("the meter's budget of 2 GiB was spent before the native stack's ceiling")
	}
	if err == nil || !strings.Contains(err.Error(), "stack overflow") {
		t.Fatal("it ended with ", err)
	}
	// The stack grows by doubling, so the last is half of all that was allocated.
	return float64(after.TotalAlloc-before.TotalAlloc) / 2, float64(1<<31-1) - float64(int32(g.stack.Get()))
}

func TestTheStackBudgetBoundsTheNativeStack(t *testing.T) {
	for i, c := range []struct{ params, locals, operands int }{
		{1, 0, 0}, {1, 8, 8}, {1, 0, 40}, {12, 0, 0}, {4, 100, 100}, {1, 1000, 0},
	} {
		for k, typ := range []byte{i64Type, v128Type} {
			indirect := (i+k)%2 == 1
			name := fmt.Sprintf("type %#x, %d parameters, %d locals, %d operands, indirect %v", typ, c.params, c.locals, c.operands, indirect)
			native, estimate := nativeStack(t, recursive(typ, c.params, c.locals, c.operands, indirect))
			if ratio := native / estimate; ratio > 1.05 || ratio < 0.15 {
				t.Errorf("%s: the native stack is %.2f of what was counted", name, ratio)
			}
		}
	}
}

// A frame made to be large for its number of locals: each of many merges gives every local a new value, all of which
// are kept across a call.
func TestAFrameMadeToDeceiveTheEstimateIsStillBounded(t *testing.T) {
	const locals, merges = 20, 50
	b := &builder{table: true}
	nullary, self := b.typ("", ""), b.typ("\x7e", "\x7e")
	var code []byte
	local := func(op byte, i int) { code = appendU32(append(code, op), uint32(i)) }
	for i := range locals { // different values, or their merges would be one
		local(opLocalGet, 0)
		code = append(code, opI64Const, byte(i+1), opI64Add)
		local(opLocalSet, i+1)
	}
	for range merges {
		local(opLocalGet, 0)
		code = append(code, 0x50, opIf, emptyBlock) // i64.eqz
		for i := range locals {
			local(opLocalGet, (i+2)%locals+1)
			local(opLocalSet, i+1)
		}
		code = append(code, opEnd, opCall, 1)
	}
	local(opLocalGet, 0)
	code = append(code, opCall, 0)
	for i := range locals {
		local(opLocalGet, i+1)
		code = append(code, opI64Add)
	}
	b.funcs = []builtFunc{{typ: self, locals: []localGroup{{locals, i64Type}}, code: code, export: "f"}, {typ: nullary}}
	native, estimate := nativeStack(t, b.wasm())
	if ratio := native / estimate; ratio > slotShare {
		t.Errorf("the native stack is %.1f times what was counted", ratio)
	} else {
		t.Logf("the native stack is %.1f times what was counted", ratio)
	}
}

func TestOnlyFunctionsThatCanGetDeepLookAtTheStackBudget(t *testing.T) {
	// 0 → 1 → 2, 3 → 3, 4 has a frame of its own that is large, 5 calls through the table.
	b := &builder{table: true}
	nullary := b.typ("", "")
	var big []byte
	for i := range 2000 {
		big = appendU32(append(big, opI64Const, 1, opLocalSet), uint32(i))
	}
	b.funcs = []builtFunc{{code: []byte{opCall, 1}}, {code: []byte{opCall, 2}}, {}, {code: []byte{opCall, 3}},
		{code: big, locals: []localGroup{{2000, i64Type}}}, {code: []byte{opI32Const, 0, opIndirect, byte(nullary), 0}}}
	m := decode(b.wasm(), Options{}.withDefaults())
	for i := range m.funcs {
		m.scan(&m.funcs[i])
	}
	m.planStack()
	var looks []int
	for i := range m.funcs {
		if m.funcs[i].reserve > 0 {
			looks = append(looks, i)
		}
	}
	if fmt.Sprint(looks) != "[3 4 5]" {
		t.Errorf("the functions %v look at the budget", looks)
	}
}
