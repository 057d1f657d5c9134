package meter

import "fmt"

// function is a function that the module defines. scan fills in what planStack and emit need.
type function struct {
	typ    uint32
	locals []localGroup
	nLocal uint32 // parameters included
	v128   bool   // some parameter, local or operand is a vector
	code   []byte // its instructions, the last end included
	what   string // "function 12", as the module counts

	// Filled in by scan.
	charges []uint32 // per charge point in order: entry, then each loop's header and each if's two arms; 0: none
	callees []uint32 // defined functions it calls, each once in a row
	calls   bool     // any, imports and indirect ones included
	indirect,
	dynamic bool // has operations charged by their length
	frame uint32 // estimate of its native stack frame in bytes, and what its calls push

	// Filled in by planStack.
	reserve uint32 // bytes to take from the stack budget at entry; 0: no look at it
}

type localGroup struct {
	n   uint32
	typ byte
}

// readCode cuts the code section into functions.
func (m *module) readCode(r *reader) uint32 {
	n := r.count(maxFunctions, "functions with code")
	if n != uint32(len(m.funcs)) {
		malformed("%d functions are declared, %d have code", len(m.funcs), n)
	}
	for i := range m.funcs {
		f := &m.funcs[i]
		f.what = fmt.Sprintf("function %d", m.importedFuncs+uint32(i))
		size := r.u32()
		over(size, maxBody, "bytes of "+f.what)
		m.readLocals(f, &reader{b: r.take(size), what: f.what})
	}
	return n
}

func (m *module) readLocals(f *function, r *reader) {
	params := m.types[f.typ].params
	total := uint64(len(params))
	for _, t := range params {
		f.v128 = f.v128 || t == v128Type
	}
	for n := r.count(maxLocals, "groups of locals in "+f.what); n > 0; n-- {
		g := localGroup{n: r.u32(), typ: r.byte()}
		checkValueType(g.typ, f.what)
		total += uint64(g.n)
		over(total, maxLocals, "locals of "+f.what)
		f.v128 = f.v128 || g.typ == v128Type
		f.locals = append(f.locals, g)
	}
	f.nLocal = uint32(total)
	m.localCount += total
	over(m.localCount, maxModuleLocals, "locals of all functions")
	f.code = r.take(uint32(r.left()))
}
