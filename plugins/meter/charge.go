package meter

func (e *emitter) i32Const(v int64)    { e.out = appendS64(append(e.out, opI32Const), v) }
func (e *emitter) i64Const(v int64)    { e.out = appendS64(append(e.out, opI64Const), v) }
func (e *emitter) plain(ops ...byte)   { e.out = append(e.out, ops...) }
func (e *emitter) fuelGlobal() uint32  { return e.m.nGlobals() }
func (e *emitter) stackGlobal() uint32 { return e.m.nGlobals() + 1 }

// enter begins a function: its stack, then its fuel.
func (e *emitter) enter() {
	if reserve := e.f.reserve; reserve != 0 {
		e.op(opGlobalGet, e.stackGlobal())
		e.i32Const(int64(reserve))
		e.plain(opI32Sub)
		e.op(opGlobalSet, e.stackGlobal())
		e.op(opGlobalGet, e.stackGlobal())
		e.i32Const(0)
		e.plain(opI32LtS, opIf, emptyBlock)
		e.op(opCall, e.m.importedFuncs+1)
		e.plain(opUnreachable, opEnd)
	}
	if c := e.f.charges[0]; c != 0 {
		e.charge(c)
		e.check()
	}
}

// giveBack returns to the stack budget what enter took.
func (e *emitter) giveBack() {
	e.op(opGlobalGet, e.stackGlobal())
	e.i32Const(int64(e.f.reserve))
	e.plain(opI32Add)
	e.op(opGlobalSet, e.stackGlobal())
}

// charge takes c units, without looking whether there are any left.
func (e *emitter) charge(c uint32) {
	e.op(opGlobalGet, e.fuelGlobal())
	e.i64Const(int64(c))
	e.plain(opI64Sub)
	e.op(opGlobalSet, e.fuelGlobal())
}

func (e *emitter) belowZero() {
	e.op(opGlobalGet, e.fuelGlobal())
	e.i64Const(0)
	e.plain(opI64LtS)
}

// check yields if there is no fuel left.
func (e *emitter) check() {
	e.belowZero()
	e.plain(opIf, emptyBlock)
	e.yield()
	e.plain(opEnd)
}

func (e *emitter) yield() { e.op(opCall, e.m.importedFuncs) }

func (e *emitter) chargeArm(point int) {
	if c := e.f.charges[point]; c != 0 {
		e.charge(c)
	}
}

// bulk writes an operation that has a length. One of memory that is longer than bulkChunk is done by a helper
// (bulk.go), in pieces, so that it can be stopped.
//
// Operations on tables are done at once: maxTableEntries bounds them to 8 MiB.
func (e *emitter) bulk(in *instr, shift int) {
	helper, ok := e.m.bulkHelper(in)
	if !ok {
		e.chargeLength(shift)
		e.raw(in)
		return
	}
	e.op(opLocalTee, e.temp)
	e.op(opLocalGet, e.temp)
	e.i32Const(bulkChunk)
	e.plain(opI32GtU)
	e.open(opIf, int64(e.m.bulkType()))
	e.op(opCall, helper)
	e.plain(opElse)
	e.chargeLength(shift)
	e.raw(in)
	e.end()
}

// chargeLength charges by the length on top of the operand stack, and leaves it there.
func (e *emitter) chargeLength(shift int) {
	e.beginDynamic()
	e.i64Const(int64(shift))
	e.plain(opI64ShrU)
	e.endDynamic()
}

// chargePages charges by the number of pages on top of the operand stack, and leaves it there.
func (e *emitter) chargePages() {
	e.beginDynamic()
	e.i64Const(pageCost)
	e.plain(opI64Mul)
	e.endDynamic()
}

func (e *emitter) beginDynamic() {
	e.op(opLocalTee, e.temp)
	e.op(opGlobalGet, e.fuelGlobal())
	e.op(opLocalGet, e.temp)
	e.plain(opI64ExtendU)
}

func (e *emitter) endDynamic() {
	e.plain(opI64Sub)
	e.op(opGlobalSet, e.fuelGlobal())
	e.check()
}

// loop opens a loop that charges c units each time around.
//
// The yield is a call, and a call within a loop takes the registers of the loop's variables, though it is hardly
// ever made. So it stands outside: when the fuel is used up, the loop is left, and entered again after the yield.
//
//	block $done
//	  loop $again
//	    block $yield
//	      loop $loop            ;; the original's label
//	        br_if $yield (fuel < 0)
//	        fuel = fuel - c
//	        …
//	      end
//	      br $done
//	    end
//	    call yield
//	    br $again
//	  end
//	end
//
// The look comes before the charge: entered again, the loop goes on with any slice, even one below c. A loop with
// parameters, which compilers hardly make, yields within.
func (e *emitter) loop(t blockType, c uint32) {
	outlined := len(t.params) == 0
	if outlined {
		e.open(opBlock, t.code)
		e.open(opLoop, t.code)
		e.open(opBlock, -64)
	}
	e.ctl = append(e.ctl, emitFrame{label: e.depth, outlined: outlined})
	e.open(opLoop, t.code)
	if outlined {
		e.belowZero()
		e.op(opBrIf, 1)
	} else {
		e.check()
	}
	e.charge(c)
}

// closeOutlined stands after the end of the original's loop.
func (e *emitter) closeOutlined() {
	e.op(opBr, 2)
	e.end()
	e.yield()
	e.op(opBr, 0)
	e.end()
	e.end()
}
