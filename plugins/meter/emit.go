package meter

// emitter writes one function's instructions again, with charges and checks between them.
type emitter struct {
	m   *module
	f   *function
	r   reader
	out []byte

	ctl   []emitFrame
	depth int    // open blocks in the output
	point int    // charge points passed
	temp  uint32 // local that holds the length of a bulk operation
}

// emitFrame is an open block of the original.
type emitFrame struct {
	label    int  // depth in the output of the block that branches to it go to; −1: the function
	arm      int  // charge point of an if's first arm
	outlined bool // a loop that is written as four blocks
}

// body returns the rewritten code entry of f, without its size.
//
// A function that takes from the stack budget gives it back at its end. So that it has one end, its instructions are
// wrapped in a block, and returns branch there.
func (m *module) body(f *function) []byte {
	e := &emitter{m: m, f: f, r: reader{b: f.code, what: f.what}, out: make([]byte, 0, len(f.code)+len(f.code)/2+64)}
	e.locals()
	e.enter()
	label := -1
	if f.reserve != 0 {
		label = e.depth
		e.open(opBlock, m.resultType(m.types[f.typ].results))
	}
	e.ctl = []emitFrame{{label: label}}
	var in instr
	for len(e.ctl) > 0 {
		m.next(&e.r, &in)
		e.instr(&in)
	}
	if f.reserve != 0 { // the last end closed the wrapping block
		e.giveBack()
		e.end()
	}
	return e.out
}

// locals declares the original's locals and the meter's behind them.
func (e *emitter) locals() {
	groups := uint32(len(e.f.locals))
	if e.f.dynamic {
		groups++
	}
	e.out = appendU32(e.out, groups)
	for _, g := range e.f.locals {
		e.out = append(appendU32(e.out, g.n), g.typ)
	}
	if e.f.dynamic {
		e.temp = e.f.nLocal
		e.out = append(e.out, 1, i32Type)
	}
}

func (e *emitter) instr(in *instr) {
	switch in.op {
	case opBlock:
		e.ctl = append(e.ctl, emitFrame{label: e.depth})
		e.open(in.op, in.block.code)
	case opIf:
		e.ctl = append(e.ctl, emitFrame{label: e.depth, arm: e.point + 1})
		e.open(in.op, in.block.code)
		e.chargeArm(e.point + 1)
		e.point += 2
	case opLoop:
		e.point++
		e.loop(in.block, e.f.charges[e.point])
	case opElse:
		e.out = append(e.out, opElse)
		e.chargeArm(e.ctl[len(e.ctl)-1].arm + 1)
	case opEnd:
		e.close()
	case opBr, opBrIf:
		e.op(in.op, e.label(in.index))
	case opBrTable:
		e.op(opBrTable, uint32(len(in.labels)-1))
		for _, l := range in.labels {
			e.out = appendU32(e.out, e.label(l))
		}
	case opReturn:
		if e.f.reserve != 0 {
			e.op(opBr, e.label(uint32(len(e.ctl)-1)))
		} else {
			e.out = append(e.out, opReturn)
		}
	case opCall, opRefFunc:
		e.op(in.op, e.m.shift(in.index))
	case opMemoryGrow, opMisc:
		if in.op == opMemoryGrow {
			e.chargePages()
			e.raw(in)
		} else if shift := dynamicShift(in); shift >= 0 {
			e.bulk(in, shift)
		} else {
			e.raw(in)
		}
	default:
		e.raw(in)
	}
}

func (e *emitter) raw(in *instr) { e.out = append(e.out, e.r.b[in.start:in.end]...) }

func (e *emitter) op(op byte, index uint32) { e.out = appendU32(append(e.out, op), index) }

func (e *emitter) open(op byte, blockType int64) {
	e.out = appendS64(append(e.out, op), blockType)
	e.depth++
}

func (e *emitter) end() {
	e.out = append(e.out, opEnd)
	e.depth--
}

func (e *emitter) close() {
	c := e.ctl[len(e.ctl)-1]
	e.ctl = e.ctl[:len(e.ctl)-1]
	e.end()
	if c.outlined {
		e.closeOutlined()
	}
}

// label gives the output's relative label for one of the original.
func (e *emitter) label(l uint32) uint32 {
	return uint32(e.depth - 1 - e.ctl[len(e.ctl)-1-int(l)].label)
}
