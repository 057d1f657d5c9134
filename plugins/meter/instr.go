package meter

// immediate is what follows an opcode.
type immediate byte

const (
	immNone     immediate = iota
	immInvalid            // no such instruction
	immBlock              // block type
	immLabel              // label
	immLabels             // br_table's
	immFunc               // function
	immIndirect           // type, table
	immLocal              // local
	immGlobal             // global
	immTable              // table
	immMem                // alignment, offset
	immZero               // a zero byte
	immI32
	immI64
	immF32
	immF64
	immSelect // vector of one type
	immHeap   // heap type
	immMisc   // prefix 0xfc
	immSIMD   // prefix 0xfd
)

// info is what is known of an opcode. Pops and pushes serve only to follow the operand stack's height; those of
// instructions with a block type or signature are worked out from it.
type info struct {
	imm          immediate
	pops, pushes int8
	cost         uint8
}

var (
	opcodes [256]info
	miscOps [18]info
	simdOps [256]info
)

// Opcodes that the rewriter treats by name.
const (
	opUnreachable = 0x00
	opNop         = 0x01
	opBlock       = 0x02
	opLoop        = 0x03
	opIf          = 0x04
	opElse        = 0x05
	opEnd         = 0x0b
	opBr          = 0x0c
	opBrIf        = 0x0d
	opBrTable     = 0x0e
	opReturn      = 0x0f
	opCall        = 0x10
	opIndirect    = 0x11
	opDrop        = 0x1a
	opSelect      = 0x1b
	opSelectT     = 0x1c
	opLocalGet    = 0x20
	opLocalSet    = 0x21
	opLocalTee    = 0x22
	opGlobalGet   = 0x23
	opGlobalSet   = 0x24
	opMemorySize  = 0x3f
	opMemoryGrow  = 0x40
	opI32Const    = 0x41
	opI64Const    = 0x42
	opI32LtS      = 0x48
	opI32GtU      = 0x4b
	opI64LtS      = 0x53
	opI64GtU      = 0x56
	opI32Add      = 0x6a
	opI32Sub      = 0x6b
	opI64Add      = 0x7c
	opI64Sub      = 0x7d
	opI64Mul      = 0x7e
	opI64Shl      = 0x86
	opI64ShrU     = 0x88
	opI64ExtendU  = 0xad
	opRefFunc     = 0xd2
	opMisc        = 0xfc
	opSIMD        = 0xfd

	miscMemoryInit = 8
	miscMemoryCopy = 10
	miscMemoryFill = 11
	miscTableInit  = 12
	miscTableCopy  = 14
	miscTableGrow  = 15
	miscTableFill  = 17

	emptyBlock = 0x40
)

// instr is one instruction as read. Its slices are reused by the next.
type instr struct {
	op         byte
	sub        uint32 // after a prefix
	info       info
	start, end int // of its bytes
	index      uint32
	index2     uint32
	labels     []uint32 // of br_table, the default last
	block      blockType
}

// blockType is a block's type: its parameters and results, and its number as in the binary format.
type blockType struct {
	params, results []byte
	code            int64
}

// next reads the instruction at the reader's place.
func (m *module) next(r *reader, in *instr) {
	in.start = r.i
	in.op = r.byte()
	in.info = opcodes[in.op]
	switch in.info.imm {
	case immNone:
	case immBlock:
		in.block = m.blockType(r)
	case immLabel, immLocal, immGlobal, immFunc, immTable:
		in.index = r.u32()
	case immLabels:
		n := r.count(maxBranchTable, "labels of a br_table")
		in.labels = in.labels[:0]
		for ; n > 0; n-- {
			in.labels = append(in.labels, r.u32())
		}
		in.labels = append(in.labels, r.u32())
	case immIndirect:
		in.index, in.index2 = r.u32(), r.u32()
	case immMem:
		readMemArg(r)
	case immZero:
		zeroByte(r)
	case immI32:
		r.skipLEB(5)
	case immI64:
		r.skipLEB(10)
	case immF32:
		r.take(4)
	case immF64:
		r.take(8)
	case immSelect:
		if n := r.byte(); n != 1 {
			malformed("select with %d types in %s", n, r.what)
		}
		checkValueType(r.byte(), r.what)
	case immHeap:
		checkHeapType(r.byte(), r.what)
	case immMisc:
		nextMisc(r, in)
	case immSIMD:
		nextSIMD(r, in)
	default:
		refuseOpcode(in.op, r.what)
	}
	in.end = r.i
}

func readMemArg(r *reader) {
	align := r.u32()
	if align >= 32 {
		if align < 128 && align&64 != 0 {
			refuse(remedyMulti, "it uses multi-memory (in %s)", r.what)
		}
		malformed("alignment 2^%d in %s", align, r.what)
	}
	r.u32()
}

func zeroByte(r *reader) {
	if c := r.byte(); c != 0 {
		refuse(remedyMulti, "it uses memory %d (multi-memory, in %s)", c, r.what)
	}
}

func nextMisc(r *reader, in *instr) {
	in.sub = r.u32()
	if in.sub >= uint32(len(miscOps)) {
		malformed("unknown instruction 0xfc %#x in %s", in.sub, r.what)
	}
	in.info = miscOps[in.sub]
	switch in.sub {
	case miscMemoryInit:
		in.index = r.u32()
		zeroByte(r)
	case 9, 13: // data.drop, elem.drop
		in.index = r.u32()
	case miscMemoryCopy:
		zeroByte(r)
		zeroByte(r)
	case miscMemoryFill:
		zeroByte(r)
	case miscTableInit, miscTableCopy:
		in.index, in.index2 = r.u32(), r.u32()
	case miscTableGrow, 16, miscTableFill:
		in.index = r.u32()
	}
}

// nextSIMD reads a vector instruction. Its number has to be in the shortest form: decoders exist that take it for
// one byte and the rest for an instruction of its own.
func nextSIMD(r *reader, in *instr) {
	start := r.i
	in.sub = r.u32()
	if in.sub >= 0x100 && in.sub < 0x200 {
		refuse(remedyRelaxed, "it uses relaxed SIMD (instruction 0xfd %#x in %s)", in.sub, r.what)
	}
	if in.sub > 0xff || simdOps[in.sub].imm == immInvalid {
		malformed("unknown instruction 0xfd %#x in %s", in.sub, r.what)
	}
	if n := r.i - start; (n > 1) != (in.sub >= 0x80) || n > 2 {
		malformed("instruction 0xfd %#x in %s is not written in its shortest form", in.sub, r.what)
	}
	in.info = simdOps[in.sub]
	switch sub := in.sub; {
	case sub <= 11, sub == 92, sub == 93:
		readMemArg(r)
	case sub == 12, sub == 13:
		r.take(16)
	case sub >= 21 && sub <= 34:
		r.byte()
	case sub >= 84 && sub <= 91:
		readMemArg(r)
		r.byte()
	}
}

func refuseOpcode(op byte, where string) {
	switch {
	case op >= 0x06 && op <= 0x0a, op == 0x18, op == 0x19, op == 0x1f:
		refuse(remedyExceptions, "it uses exceptions (instruction %#x in %s)", op, where)
	case op == 0x12, op == 0x13:
		refuse(remedyTailCall, "it uses tail calls (in %s)", where)
	case op == 0x14, op == 0x15, op >= 0xd3 && op <= 0xd6, op == 0xfb:
		refuse(remedyTypedRefs, "it uses typed references or garbage collected types (instruction %#x in %s)", op, where)
	case op == 0xfe:
		refuse(remedyShared, "it uses atomics (threads, in %s)", where)
	}
	malformed("unknown instruction %#x in %s", op, where)
}

// singleTypes holds every value type as a slice of one, for block types.
var singleTypes = map[int64][]byte{-1: {i32Type}, -2: {i64Type}, -3: {f32Type}, -4: {f64Type}, -5: {v128Type},
	-16: {funcrefType}, -17: {externrefType}}

func (m *module) blockType(r *reader) blockType {
	n := r.s33()
	switch {
	case n == -64:
		return blockType{code: n}
	case n >= 0:
		if n >= int64(len(m.types)) {
			malformed("%s names type %d, there are %d", r.what, n, len(m.types))
		}
		return blockType{m.types[n].params, m.types[n].results, n}
	case n >= -64 && singleTypes[n] != nil:
		return blockType{nil, singleTypes[n], n}
	}
	if n > -64 {
		checkValueType(byte(n)&0x7f, r.what)
	}
	malformed("unknown block type %d in %s", n, r.what)
	return blockType{}
}
