package meter

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"
)

// bulkSegment is the length of the data segment of bulkModule, a little more than three pieces.
const bulkSegment = 3*bulkChunk + 1000

// bulkModule exports fill, copy and init, which take the operations' operands, and drop; init's segment holds text.
func bulkModule(pages uint32, segment []byte) []byte {
	b := &builder{pages: pages, data: segment}
	three := b.typ(string([]byte{i32Type, i32Type, i32Type}), "")
	none := b.typ("", "")
	operands := []byte{opLocalGet, 0, opLocalGet, 1, opLocalGet, 2}
	b.funcs = []builtFunc{
		{typ: three, code: append(operands[:6:6], opMisc, miscMemoryFill, 0), export: "fill"},
		{typ: three, code: append(operands[:6:6], opMisc, miscMemoryCopy, 0, 0), export: "copy"},
		{typ: three, code: append(operands[:6:6], opMisc, miscMemoryInit, 0, 0), export: "init"},
		{typ: none, code: []byte{opMisc, 9, 0}, export: "drop"},
	}
	return b.wasm()
}

// bulkPair is the module plain and metered, with the same random memory.
type bulkPair struct {
	*pair
	guests  [2]*guest
	exports []Export
}

const bulkPages = 24 // 1.5 MiB, six pieces

func newBulkPair(t *testing.T, slice int64) *bulkPair {
	r := rand.New(rand.NewPCG(5, 6))
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	p := &bulkPair{pair: newPair(t, compiler, slice, 1<<40)}
	plain := bulkModule(bulkPages, random(bulkSegment))
	m, err := Rewrite(plain, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p.exports = m.Exports
	content := random(bulkPages << 16)
	for i, wasm := range [][]byte{plain, m.Wasm} {
		if p.guests[i], err = p.hosts[i].load(wasm); err != nil {
			t.Fatal(err)
		}
		p.guests[i].Memory().Write(0, content)
	}
	return p
}

func (p *bulkPair) same(name string, operands ...uint64) {
	p.t.Helper()
	p.compareCall("bulk", p.guests[1], p.guests[0], p.exports, name, operands)
}

// lengths around the edges of pieces.
func bulkLengths() []uint64 {
	return []uint64{0, 1, bulkChunk - 1, bulkChunk, bulkChunk + 1, 2 * bulkChunk, 2*bulkChunk + 1, 3*bulkChunk + 77}
}

func TestALongCopyInPiecesIsOneCopyWhereverItOverlaps(t *testing.T) {
	for _, slice := range []int64{0, Slice} {
		p := newBulkPair(t, slice)
		const middle = 5 << 16
		for _, n := range bulkLengths() {
			for _, shift := range []uint64{0, 1, 8, bulkChunk - 1, bulkChunk, bulkChunk + 1, 2*bulkChunk + 3} {
				p.same("copy", middle, middle+shift, n)
				p.same("copy", middle+shift, middle, n)
			}
		}
		if p.calls == 0 || t.Failed() {
			t.Fatal("nothing was compared, or not all was alike")
		}
	}
}

func TestALongFillOrInitInPiecesIsOneOperation(t *testing.T) {
	p := newBulkPair(t, 100)
	for i, n := range bulkLengths() {
		p.same("fill", uint64(i), uint64(0x1234500+i), n)
		p.same("init", uint64(i)*3, 0, min(n, bulkSegment))
		p.same("init", uint64(i)*3, 1000-77, n)
	}
	p.same("init", 0, 1000, bulkSegment-1000)
	if p.hosts[1].yields < 20 {
		t.Errorf("%d yields: there is no look between the pieces", p.hosts[1].yields)
	}
}

func TestALongOperationOutOfBoundsTrapsAndWritesNothing(t *testing.T) {
	const end = bulkPages << 16
	p := newBulkPair(t, Slice)
	traps := func(name string, operands ...uint64) {
		t.Helper()
		before, _ := p.guests[1].Memory().Read(0, end)
		before = bytes.Clone(before)
		p.same(name, operands...)
		after, _ := p.guests[1].Memory().Read(0, end)
		if !bytes.Equal(before, after) {
			t.Errorf("%s%v wrote before it trapped", name, operands)
		}
		if o, _ := call(p.guests[1], name, operands); !strings.Contains(o.trap, "out of bounds memory access") {
			t.Errorf("%s%v: %q", name, operands, o.trap)
		}
	}
	for _, n := range []uint64{bulkChunk + 1, 2 * bulkChunk, 3 * bulkChunk} {
		p.same("fill", end-n, 7, n) // up to the edge is inside
		p.same("copy", end-n, 0, n)
		p.same("copy", 0, end-n, n)
		p.same("init", end-n, 0, n)
		p.same("init", 1, bulkSegment-n, n)
		traps("fill", end-n+1, 7, n)
		traps("copy", end-n+1, 0, n)
		traps("copy", 0, end-n+1, n)
		traps("init", end-n+1, 0, n)
		traps("init", 0, bulkSegment-n+1, n)
		for _, far := range []uint64{1<<32 - 1, 1<<32 - n, 1<<32 - n + 1, end} {
			traps("fill", far, 7, n)
			traps("copy", far, 0, n)
			traps("copy", 0, far, n)
			traps("init", far, 0, n)
			traps("init", 0, far, n)
		}
	}
	traps("fill", 0, 7, 1<<32-1)
	traps("copy", 1, 0, 1<<32-1)
	traps("copy", 0, 1, 1<<32-1)
	traps("init", 0, 0, 1<<32-1)
	p.same("drop")
	traps("init", 0, 0, 2*bulkChunk)
	p.same("init", 0, 0, 0)
}

func TestNoBulkOperationOnMemoryRunsLongerThanAPiece(t *testing.T) {
	p := newBulkPair(t, Slice)
	h, g := p.hosts[1], p.guests[1]
	const n = 3*bulkChunk - 1
	for name, operands := range map[string][]uint64{"fill": {0, 1, n}, "copy": {1, 0, n}, "init": {0, 0, n}} {
		h.lowest, h.yields, h.slice = 0, 0, 0
		g.fuel.Set(0)
		if _, err := g.ExportedFunction(name).Call(bg, operands...); err != nil {
			t.Fatal(name, err)
		}
		if h.yields < 3 || h.lowest < -(bulkChunk>>bulkShift)-200 {
			t.Errorf("%s of %d bytes: %d looks, the longest after %d units", name, n, h.yields, -h.lowest)
		}
	}
}
