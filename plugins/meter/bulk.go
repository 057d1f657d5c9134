package meter

// bulkChunk is the most bytes that memory is filled, copied or initialised by at one time, about 50 µs where the
// memory has to be fetched first.
const bulkChunk = 256 << 10

// bulkHelper is a function added behind the original's that does one kind of bulk operation in pieces.
type bulkHelper struct{ sub, segment uint32 }

// bulkType is the number of the type of helpers: destination, source or value, length → nothing.
func (m *module) bulkType() uint32 {
	return uint32(m.addedType(funcType{params: []byte{i32Type, i32Type, i32Type}}))
}

// bulkHelper is the index in the output of the function that does a long operation; ok is false if there is none that
// is long.
func (m *module) bulkHelper(in *instr) (index uint32, ok bool) {
	h := bulkHelper{sub: in.sub}
	switch in.sub {
	case miscMemoryCopy, miscMemoryFill:
	case miscMemoryInit:
		if h.segment = in.index; h.segment >= uint32(len(m.dataSizes)) || m.dataSizes[h.segment] <= bulkChunk {
			return 0, false
		}
	default:
		return 0, false
	}
	first := m.nFuncs() + injectedImports
	for i := range m.helpers {
		if m.helpers[i] == h {
			return first + uint32(i), true
		}
	}
	m.helpers = append(m.helpers, h)
	return first + uint32(len(m.helpers)) - 1, true
}

// The parameters of a helper.
const (
	bulkTo = iota
	bulkFrom
	bulkLength
)

// helperBody returns the code entry of a helper, without its size. It is called for lengths above bulkChunk.
//
//	if (out of bounds) { op(to, from, length) }       ;; traps, and has written nothing
//	do { charge; op(to, from, bulkChunk); … } while (length > bulkChunk)
//	charge; op(to, from, length)
//
// A copy to a higher address starts at its end, so that no piece overwrites what a later one reads.
func (m *module) helperBody(h bulkHelper) []byte {
	e := &emitter{m: m, out: []byte{0}}
	e.bounds(h)
	if h.sub == miscMemoryCopy {
		e.op(opLocalGet, bulkTo)
		e.op(opLocalGet, bulkFrom)
		e.plain(opI32GtU, opIf, emptyBlock)
		e.backward(h)
		e.plain(opElse)
		e.forward(h)
		e.plain(opEnd)
	} else {
		e.forward(h)
	}
	e.op(opGlobalGet, e.fuelGlobal())
	e.op(opLocalGet, bulkLength)
	e.plain(opI64ExtendU)
	e.i64Const(bulkShift)
	e.plain(opI64ShrU)
	e.endDynamic()
	e.whole(h)
	e.plain(opEnd)
	return e.out
}

// bounds lets the operation itself trap if it would.
func (e *emitter) bounds(h bulkHelper) {
	memory := func() {
		e.plain(opMemorySize, 0, opI64ExtendU)
		e.i64Const(16)
		e.plain(opI64Shl)
	}
	e.outside(h, bulkTo, memory)
	switch h.sub {
	case miscMemoryCopy:
		e.outside(h, bulkFrom, memory)
	case miscMemoryInit:
		e.outside(h, bulkFrom, func() { e.i64Const(int64(e.m.dataSizes[h.segment])) })
		// If the segment has been dropped, the first piece traps.
	}
}

// outside runs the whole operation if the parameter and the length together are above size.
func (e *emitter) outside(h bulkHelper, param uint32, size func()) {
	e.op(opLocalGet, param)
	e.plain(opI64ExtendU)
	e.op(opLocalGet, bulkLength)
	e.plain(opI64ExtendU, opI64Add)
	size()
	e.plain(opI64GtU, opIf, emptyBlock)
	e.whole(h)
	e.plain(opUnreachable, opEnd)
}

// forward does all but the last piece from the lowest address up.
func (e *emitter) forward(h bulkHelper) {
	e.plain(opLoop, emptyBlock)
	e.chargePiece()
	e.op(opLocalGet, bulkTo)
	e.op(opLocalGet, bulkFrom)
	e.i32Const(bulkChunk)
	e.misc(h)
	e.advance(bulkTo, opI32Add)
	if h.sub != miscMemoryFill {
		e.advance(bulkFrom, opI32Add)
	}
	e.advance(bulkLength, opI32Sub)
	e.again()
}

// backward does all but the lowest piece from the highest address down.
func (e *emitter) backward(h bulkHelper) {
	e.plain(opLoop, emptyBlock)
	e.chargePiece()
	e.advance(bulkLength, opI32Sub)
	for _, param := range []uint32{bulkTo, bulkFrom} {
		e.op(opLocalGet, param)
		e.op(opLocalGet, bulkLength)
		e.plain(opI32Add)
	}
	e.i32Const(bulkChunk)
	e.misc(h)
	e.again()
}

func (e *emitter) chargePiece() {
	e.charge(bulkChunk >> bulkShift)
	e.check()
}

// again ends a loop over pieces.
func (e *emitter) again() {
	e.op(opLocalGet, bulkLength)
	e.i32Const(bulkChunk)
	e.plain(opI32GtU)
	e.op(opBrIf, 0)
	e.plain(opEnd)
}

// advance adds a piece's length to a parameter, or takes it off.
func (e *emitter) advance(param uint32, op byte) {
	e.op(opLocalGet, param)
	e.i32Const(bulkChunk)
	e.plain(op)
	e.op(opLocalSet, param)
}

// whole is the operation on all that is left.
func (e *emitter) whole(h bulkHelper) {
	e.op(opLocalGet, bulkTo)
	e.op(opLocalGet, bulkFrom)
	e.op(opLocalGet, bulkLength)
	e.misc(h)
}

// misc is the operation itself.
func (e *emitter) misc(h bulkHelper) {
	e.op(opMisc, h.sub)
	switch h.sub {
	case miscMemoryInit:
		e.out = append(appendU32(e.out, h.segment), 0)
	case miscMemoryCopy:
		e.plain(0, 0)
	case miscMemoryFill:
		e.plain(0)
	}
}
