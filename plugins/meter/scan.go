package meter

// scanner follows one body, works out what each charge point has to charge, and estimates the frame.
//
// Costs are those of the longest acyclic path. A region is the function or the body of a loop; within it control only
// goes forward, so one pass finds the longest path from its start to every place. A nested loop counts nothing in
// the region around it: its header charges for it. An arm of an if that is longer than armLimit charges itself, too.
type scanner struct {
	m *module
	f *function
	r reader

	ctl     []ctlFrame
	regions []region
	reached bool // whether control can get here

	height, maxHeight int // of the operand stack
	slots             uint64
	passed, merged    uint64
}

// region holds path lengths in units from its start.
type region struct {
	cur, max uint32
	charge   int // its charge point
}

// ctlFrame is an open block.
type ctlFrame struct {
	op      byte
	region  int    // index of the region it stands in; a loop's own
	entry   uint32 // path length where it was opened
	join    uint32 // longest path to its end so far
	armJoin uint32 // likewise, of the branches in the current arm of an if
	joined  bool   // whether there are any
	reached bool   // whether control reaches it at all
	arm     int    // charge point of the arm of an if
	saved   uint32 // the region's max before the arm
	height  int    // of the operand stack below its parameters
	sets    uint32 // writes to locals in it
	block   blockType
	loops   int
}

func (m *module) scan(f *function) {
	t := m.types[f.typ]
	s := &scanner{m: m, f: f, r: reader{b: f.code, what: f.what}, reached: true}
	f.charges = []uint32{0}
	s.regions = []region{{}}
	s.ctl = []ctlFrame{{op: opBlock, reached: true, block: blockType{results: t.results}}}
	var in instr
	for len(s.ctl) > 0 {
		m.next(&s.r, &in)
		s.step(&in)
	}
	s.r.end()
	s.finish(t)
}

func (s *scanner) step(in *instr) {
	s.cost(uint32(in.info.cost))
	s.pop(int(in.info.pops))
	switch in.op {
	case opBlock, opLoop, opIf:
		s.open(in)
	case opElse:
		s.turn()
	case opEnd:
		s.close()
	case opBr:
		s.branch(in.index)
		s.dead()
	case opBrIf:
		s.branch(in.index)
	case opBrTable:
		for _, l := range in.labels {
			s.branch(l)
		}
		s.dead()
	case opReturn, opUnreachable:
		s.leave()
		s.dead()
	case opCall, opRefFunc, opIndirect:
		s.call(in)
	case opLocalGet, opLocalSet, opLocalTee:
		if in.index >= s.f.nLocal {
			malformed("%s names local %d, there are %d", s.f.what, in.index, s.f.nLocal)
		}
		if in.op != opLocalGet {
			s.ctl[len(s.ctl)-1].sets++
		}
	case opGlobalGet, opGlobalSet:
		if in.index >= s.m.nGlobals() {
			malformed("%s names global %d, there are %d", s.f.what, in.index, s.m.nGlobals())
		}
	case opSIMD:
		s.f.v128 = true
	case opMemoryGrow, opMisc:
		s.f.dynamic = s.f.dynamic || dynamicShift(in) >= 0 || in.op == opMemoryGrow
	}
	s.push(int(in.info.pushes))
}

// dynamicShift is by how much the length of a bulk operation is shifted to give its cost, −1 if it is none.
func dynamicShift(in *instr) int {
	if in.op == opMisc {
		switch in.sub {
		case miscMemoryInit, miscMemoryCopy, miscMemoryFill:
			return bulkShift
		case miscTableInit, miscTableCopy, miscTableGrow, miscTableFill:
			return tableShift
		}
	}
	return -1
}

func (s *scanner) region() *region { return &s.regions[len(s.regions)-1] }

func (s *scanner) cost(c uint32) {
	if s.reached {
		s.region().cur += c
	}
}

// leave ends a path in the current region. Those around it counted theirs when it was opened.
func (s *scanner) leave() {
	if r := s.region(); s.reached {
		r.max = max(r.max, r.cur)
	}
}

func (s *scanner) dead() {
	s.reached = false
	s.height = s.ctl[len(s.ctl)-1].height
}

func (s *scanner) open(in *instr) {
	over(len(s.ctl), maxDepth, "nested blocks in "+s.f.what)
	s.pass(len(in.block.params) + len(in.block.results))
	s.leave()
	f := ctlFrame{op: in.op, reached: s.reached, block: in.block, height: max(0, s.height-len(in.block.params)),
		loops: s.ctl[len(s.ctl)-1].loops}
	switch in.op {
	case opLoop:
		f.loops++
		over(f.loops, maxLoopDepth, "nested loops in "+s.f.what)
		s.regions = append(s.regions, region{charge: s.point()})
		f.region = len(s.regions) - 1
	case opIf:
		f.arm = s.point()
		s.point()
		r := s.region()
		f.saved, r.max = r.max, r.cur
		fallthrough
	default:
		f.region = len(s.regions) - 1
		f.entry = s.region().cur
	}
	s.ctl = append(s.ctl, f)
}

// point makes a charge point.
func (s *scanner) point() int {
	s.f.charges = append(s.f.charges, 0)
	return len(s.f.charges) - 1
}

// turn goes from the first arm of an if to the second.
func (s *scanner) turn() {
	c := &s.ctl[len(s.ctl)-1]
	if c.op != opIf {
		malformed("else without if in %s", s.f.what)
	}
	s.closeArm(c)
	s.joinEnd(c)
	c.op = opElse
	c.arm++
	r := s.region()
	c.saved, r.max = r.max, c.entry
	r.cur = c.entry
	s.reached = c.reached
	s.height = c.height
	s.push(len(c.block.params))
}

// closeArm charges the arm of an if that control is at the end of, if it is long.
func (s *scanner) closeArm(c *ctlFrame) {
	r := s.region()
	s.leave()
	if length := r.max - c.entry; length > armLimit {
		s.f.charges[c.arm] = length
		r.max = max(c.saved, c.entry)
		r.cur = c.entry
		c.armJoin = min(c.armJoin, c.entry) // what branched to the end came through the arm as well
	} else {
		r.max = max(r.max, c.saved)
	}
	c.join, c.armJoin = max(c.join, c.armJoin), 0
}

// joinEnd lets the current path reach the end of c.
func (s *scanner) joinEnd(c *ctlFrame) {
	if s.reached {
		c.join, c.joined = max(c.join, s.region().cur), true
	}
}

func (s *scanner) close() {
	c := &s.ctl[len(s.ctl)-1]
	switch c.op {
	case opLoop:
		s.leave()
		inner := s.region()
		s.f.charges[inner.charge] = max(1, inner.max)
		s.regions = s.regions[:len(s.regions)-1]
	case opIf, opElse:
		s.closeArm(c)
		s.joinEnd(c)
		if c.op == opIf && c.reached { // the missing second arm
			c.join, c.joined = max(c.join, c.entry), true
		}
		s.region().cur, s.reached = c.join, c.joined
	default:
		s.joinEnd(c)
		s.region().cur, s.reached = max(c.join, c.armJoin), c.joined
	}
	s.height = c.height
	s.push(len(c.block.results))
	s.merge(c)
	s.ctl = s.ctl[:len(s.ctl)-1]
	if len(s.ctl) > 0 {
		s.ctl[len(s.ctl)-1].sets += c.sets
	} else {
		s.leave()
	}
}

// merge counts the locals whose values meet at the end of c, or at its header.
func (s *scanner) merge(c *ctlFrame) {
	n := uint64(min(c.sets, s.f.nLocal))
	s.merged += n
	over(s.merged, maxMerged, "locals written in nested blocks of "+s.f.what)
	s.slots += n
}

// pass counts values that a block, branch or call passes on.
func (s *scanner) pass(n int) {
	s.passed += uint64(n)
	over(s.passed, maxPassed, "values passed by blocks, branches and calls of "+s.f.what)
}

func (s *scanner) branch(label uint32) {
	if uint64(label) >= uint64(len(s.ctl)) {
		malformed("%s branches out of %d blocks, it is in %d", s.f.what, label+1, len(s.ctl))
	}
	c := &s.ctl[len(s.ctl)-1-int(label)]
	s.leave()
	if c.op == opLoop {
		s.pass(len(c.block.params))
		return
	}
	s.pass(len(c.block.results))
	if s.reached {
		c.armJoin, c.joined = max(c.armJoin, s.regions[c.region].cur), true
	}
}

func (s *scanner) call(in *instr) {
	m := s.m
	var t funcType
	switch in.op {
	case opIndirect:
		t = m.types[s.check(in.index, uint32(len(m.types)), "type")]
		s.check(in.index2, m.importedTables+uint32(len(m.tables)), "table")
		s.f.calls, s.f.indirect = true, true
	default:
		s.check(in.index, m.nFuncs(), "function")
		if in.op == opRefFunc {
			m.takeAddress(in.index)
			return
		}
		s.f.calls = true
		t = m.typeOf(in.index)
		if in.index >= m.importedFuncs {
			callee := in.index - m.importedFuncs
			if n := len(s.f.callees); n == 0 || s.f.callees[n-1] != callee {
				s.f.callees = append(s.f.callees, callee)
			}
		}
	}
	s.pass(len(t.params) + len(t.results))
	s.pop(len(t.params))
	s.push(len(t.results))
}

func (s *scanner) check(i, n uint32, what string) uint32 {
	if i >= n {
		malformed("%s names %s %d, there are %d", s.f.what, what, i, n)
	}
	return i
}

// typeOf is the type of a function by the original's index.
func (m *module) typeOf(f uint32) funcType {
	if f >= m.importedFuncs {
		return m.types[m.funcs[f-m.importedFuncs].typ]
	}
	return m.types[m.importedTypes[f]]
}

func (s *scanner) pop(n int) {
	s.height = max(s.height-n, s.ctl[len(s.ctl)-1].height)
}

func (s *scanner) push(n int) {
	s.height += n
	s.slots += uint64(n)
	s.maxHeight = max(s.maxHeight, s.height)
}

func (s *scanner) finish(t funcType) {
	f := s.f
	entry := s.regions[0].max
	if !f.calls && entry <= costCall {
		entry = 0 // whoever called has paid for it
	}
	f.charges[0] = entry
	f.frame = frameEstimate(f, t, s.maxHeight, s.slots)
}
