package meter

// generator makes valid modules out of arbitrary bytes, with every kind of control flow, calls and bulk operations.
// Loops and recursion may be without end. With counting, each instruction that costs adds one to the global "count".
type generator struct {
	in       []byte
	counting bool
	code     []byte
	depth    int    // of statements within statements
	labels   []byte // types of the open labels: 0 none
	funcs    []funcType
	self     int
}

const (
	genLocals = 4 // of each of the two types, after two parameters
	genCount  = 0 // index of the counting global
)

func (g *generator) next() byte {
	if len(g.in) == 0 {
		return 0
	}
	c := g.in[0]
	g.in = g.in[1:]
	return c
}

func (g *generator) pick(n int) int { return int(g.next()) % n }

// op writes an instruction, counted if it is to be.
func (g *generator) op(b ...byte) {
	if g.counting && b[0] != opCall && b[0] != opIndirect && b[0] != opDrop {
		g.code = append(g.code, opGlobalGet, genCount, opI64Const, 1, opI64Add, opGlobalSet, genCount)
	}
	g.code = append(g.code, b...)
}

// raw writes what costs nothing.
func (g *generator) raw(b ...byte) { g.code = append(g.code, b...) }

func (g *generator) local(t byte) byte {
	n := byte(g.pick(genLocals + 1))
	if t == i64Type {
		return 1 + n*2
	}
	return n * 2
}

// value writes an expression of a type.
func (g *generator) value(t byte, depth int) {
	if depth <= 0 || len(g.in) == 0 {
		g.leaf(t)
		return
	}
	switch g.pick(9) {
	case 0, 1:
		g.leaf(t)
	case 2, 3:
		g.value(t, depth-1)
		g.value(t, depth-1)
		ops := []byte{opI32Add, opI32Sub, 0x6c, 0x71, 0x73, 0x74, 0x6e, 0x70}
		if t == i64Type {
			ops = []byte{opI64Add, opI64Sub, opI64Mul, 0x83, 0x85, 0x86, 0x80, 0x82}
		}
		g.op(ops[g.pick(len(ops))])
	case 4:
		if t == i32Type {
			g.value(i64Type, depth-1)
			g.op(0xa7)
		} else {
			g.value(i32Type, depth-1)
			g.op(opI64ExtendU)
		}
	case 5:
		g.address(depth - 1)
		if t == i32Type {
			g.op(0x28, 0, 0)
		} else {
			g.op(0x29, 0, 0)
		}
	case 6:
		g.value(i32Type, depth-1)
		g.op(opIf, t)
		g.labels = append(g.labels, t)
		g.value(t, depth-1)
		g.raw(opElse)
		g.value(t, depth-1)
		g.raw(opEnd)
		g.labels = g.labels[:len(g.labels)-1]
	case 7:
		g.call(t, depth-1)
	case 8:
		if t == i32Type && g.pick(2) == 0 {
			g.value(i32Type, depth-1)
			g.op(opI32Const, 1)
			g.op(0x71)
			g.op(opMemoryGrow, 0)
		} else {
			g.value(t, depth-1)
			g.value(t, depth-1)
			g.value(i32Type, depth-1)
			g.op(opSelect)
		}
	}
}

func (g *generator) leaf(t byte) {
	switch {
	case g.pick(2) == 0:
		g.op(opLocalGet, g.local(t))
	case t == i32Type:
		g.op(opI32Const, g.next()&0x3f)
	default:
		g.op(opI64Const, g.next()&0x3f)
	}
}

// address writes an address that usually lies in memory.
func (g *generator) address(depth int) {
	g.value(i32Type, depth)
	if g.pick(8) != 0 {
		g.op(append([]byte{opI32Const}, appendS64(nil, 0x7fff)...)...)
		g.op(0x71)
	}
}

// call writes a call of a function that returns t.
func (g *generator) call(t byte, depth int) {
	callee := g.pick(len(g.funcs))
	for i := 0; g.funcs[callee].results[0] != t; i++ {
		callee = (callee + 1) % len(g.funcs)
		if i > len(g.funcs) {
			g.leaf(t)
			return
		}
	}
	g.value(i32Type, depth)
	g.value(i64Type, depth)
	if g.pick(3) == 0 {
		g.value(i32Type, 0)
		g.op(opI32Const, byte(len(g.funcs)))
		g.op(0x70) // i32.rem_u: in the table, though perhaps of another type
		g.op(opIndirect, byte(callee), 0)
	} else {
		g.op(opCall, byte(callee))
	}
}

func (g *generator) statements(n int) {
	for ; n >= 0 && len(g.in) > 0; n-- {
		g.statement()
	}
}

func (g *generator) statement() {
	g.depth++
	defer func() { g.depth-- }()
	choice := g.pick(14)
	if g.depth > 6 {
		choice = g.pick(3)
	}
	switch choice {
	case 0, 1:
		t := []byte{i32Type, i64Type}[g.pick(2)]
		g.value(t, 3)
		g.op(opLocalSet, g.local(t))
	case 2:
		g.address(2)
		g.value(i64Type, 2)
		g.op(0x37, 0, 0)
	case 3:
		g.value(i32Type, 2)
		g.op(opIf, emptyBlock)
		g.body()
		if g.pick(2) == 0 {
			g.raw(opElse)
			g.body()
		}
		g.raw(opEnd)
	case 4, 5:
		g.raw(opBlock, emptyBlock)
		g.body()
		g.raw(opEnd)
	case 6, 7:
		g.loop()
	case 8, 9:
		if target := g.target(); target >= 0 {
			g.value(i32Type, 2)
			g.op(opBrIf, byte(target))
		}
	case 10:
		g.table()
	case 11:
		g.bulk()
	case 12:
		g.value(g.funcs[g.self].results[0], 2)
		g.op(opReturn)
		g.deadTail()
	case 13:
		if target := g.target(); target >= 0 {
			g.op(opBr, byte(target))
			g.deadTail()
		}
	}
}

// deadTail sometimes leaves code that cannot be reached.
func (g *generator) deadTail() {
	if g.pick(2) == 0 {
		g.value(i32Type, 1)
		g.raw(opDrop)
	}
}

// body writes the inside of a block that gives no value.
func (g *generator) body() {
	g.labels = append(g.labels, 0)
	g.statements(g.pick(4))
	g.labels = g.labels[:len(g.labels)-1]
}

// loop writes a loop that counts a local down, or not.
func (g *generator) loop() {
	g.raw(opLoop, emptyBlock)
	g.labels = append(g.labels, 0)
	g.statements(g.pick(4))
	g.op(opLocalGet, 2)
	g.op(opI32Const, 1)
	g.op(opI32Sub)
	g.op(opLocalTee, 2)
	g.op(opI32Const, 0x1f)
	g.op(0x71)
	g.op(opBrIf, 0)
	g.labels = g.labels[:len(g.labels)-1]
	g.raw(opEnd)
}

// target is the relative label of an open block without results, −1 if there is none.
func (g *generator) target() int {
	if len(g.labels) == 0 {
		return -1
	}
	at := g.pick(len(g.labels))
	for i := range g.labels {
		if l := (at + i) % len(g.labels); g.labels[l] == 0 {
			return len(g.labels) - 1 - l
		}
	}
	return -1
}

func (g *generator) table() {
	n := g.pick(4) + 1
	first := g.target()
	if first < 0 {
		return
	}
	labels := []byte{byte(first)}
	for len(labels) < n {
		labels = append(labels, byte(g.target()))
	}
	g.value(i32Type, 2)
	g.op(append(append([]byte{opBrTable, byte(n - 1)}, labels[:n-1]...), labels[n-1])...)
	g.deadTail()
}

func (g *generator) bulk() {
	g.address(1)
	g.value(i32Type, 1)
	if g.pick(2) == 0 {
		g.value(i32Type, 1)
		g.op(opMisc, miscMemoryFill, 0)
	} else {
		g.address(1)
		g.op(opMisc, miscMemoryCopy, 0, 0)
	}
}

// generate makes a module from bytes: up to five functions (i32, i64) → i32 or i64, all exported.
func generate(in []byte, counting bool) []byte {
	g := &generator{in: in, counting: counting}
	b := &builder{table: true, pages: 1, count: counting}
	n := g.pick(5) + 1
	for range n {
		result := []byte{i32Type, i64Type}[g.pick(2)]
		g.funcs = append(g.funcs, funcType{[]byte{i32Type, i64Type}, []byte{result}})
	}
	b.types = g.funcs
	share := len(g.in) / n
	rest := g.in
	for i := range n {
		g.in, rest = rest[:share], rest[share:]
		g.self, g.code, g.labels = i, nil, nil
		g.statements(20)
		g.in = g.in[:min(len(g.in), 8)]
		g.value(g.funcs[i].results[0], 1)
		var locals []localGroup
		for range genLocals {
			locals = append(locals, localGroup{1, i32Type}, localGroup{1, i64Type})
		}
		b.funcs = append(b.funcs, builtFunc{typ: uint32(i), locals: locals, code: g.code, export: string(rune('a' + i))})
	}
	return b.wasm()
}
