package meter

import "strings"

// Section ids of the binary format.
const (
	secCustom = iota
	secType
	secImport
	secFunction
	secTable
	secMemory
	secGlobal
	secExport
	secStart
	secElement
	secCode
	secData
	secDataCount
	secTag
)

var sectionNames = [...]string{"custom", "type", "import", "function", "table", "memory", "global", "export", "start",
	"element", "code", "data", "data count", "tag"}

// sectionOrder is where a section may stand: the data count comes before the code.
var sectionOrder = [...]int{secType: 1, secImport: 2, secFunction: 3, secTable: 4, secMemory: 5, secTag: 6,
	secGlobal: 7, secExport: 8, secStart: 9, secElement: 10, secDataCount: 11, secCode: 12, secData: 13}

// Value types.
const (
	i32Type       = 0x7f
	i64Type       = 0x7e
	f32Type       = 0x7d
	f64Type       = 0x7c
	v128Type      = 0x7b
	funcrefType   = 0x70
	externrefType = 0x6f
)

type funcType struct{ params, results []byte }

type limits struct {
	min, max uint32
	hasMax   bool
}

type table struct {
	elem byte
	limits
}

type importEntry struct {
	Import
	typ    uint32 // of a function
	table  table
	global [2]byte // value type, mutability
}

type exportEntry struct {
	name  string
	kind  Kind
	index uint32
}

// module is the decoded module. Code stays as it was read until it is emitted.
type module struct {
	opts Options

	types   []funcType
	imports []importEntry
	funcs   []function // defined by the module
	tables  []table    // likewise
	memory  *limits
	exports []exportEntry
	start   *uint32

	// As they will be written, function indices already shifted.
	globals, elements, data []byte
	nGlobalDefs, nElements  uint32
	nData                   uint32
	dataSizes               []uint32 // bytes of each data segment
	dataCount               *uint32
	names                   []byte // content of the name section, as read
	hasNames                bool
	custom                  map[string][]byte

	importedFuncs, importedGlobals, importedTables uint32
	importedTypes                                  []uint32 // of the imported functions
	elementCount, tableEntries, localCount         uint64
	addressTaken                                   []bool // by index of a defined function: may be called indirectly

	blockTypes map[string]int64 // parameters and results → number of a block type added behind the original's
	addedTypes []funcType
	helpers    []bulkHelper // functions added behind the original's
}

func (m *module) nFuncs() uint32   { return m.importedFuncs + uint32(len(m.funcs)) }
func (m *module) nGlobals() uint32 { return m.importedGlobals + m.nGlobalDefs }

// decode reads a module's sections.
func decode(wasm []byte, o Options) *module {
	if len(wasm) > o.MaxModuleSize {
		refuse("strip debug information and unused code (wasm-opt -Oz --strip-debug, wasm-strip)",
			"the module is %d bytes, more than the %d allowed", len(wasm), o.MaxModuleSize)
	}
	checkHeader(wasm)
	m := &module{opts: o, custom: map[string][]byte{}}
	r := &reader{b: wasm, i: 8, what: "the module"}
	last := 0
	codes := uint32(0)
	for r.more() {
		id := r.byte()
		if int(id) >= len(sectionNames) {
			malformed("unknown section %d", id)
		}
		s := &reader{b: r.take(r.u32()), what: "the " + sectionNames[id] + " section"}
		if id != secCustom {
			if order := sectionOrder[id]; order <= last {
				malformed("%s is out of order or repeated", s.what)
			} else {
				last = order
			}
		}
		if id == secCode {
			codes = m.readCode(s)
		} else {
			m.readSection(id, s)
		}
		s.end()
	}
	if codes != uint32(len(m.funcs)) {
		malformed("%d functions are declared, %d have code", len(m.funcs), codes)
	}
	if m.dataCount != nil && *m.dataCount != m.nData {
		malformed("the data count section says %d segments, there are %d", *m.dataCount, m.nData)
	}
	return m
}

func checkHeader(wasm []byte) {
	if len(wasm) < 8 || string(wasm[:4]) != "\x00asm" {
		panic(&Refusal{Cause: "not a wasm module", malformed: true,
			Remedy: "give the compiled .wasm file (text format has to be compiled: wat2wasm)"})
	}
	switch version, layer := int(wasm[4])|int(wasm[5])<<8, int(wasm[6])|int(wasm[7])<<8; {
	case layer == 1:
		refuse(remedyComponent, "a component, not a core module")
	case version != 1 || layer != 0:
		refuse("build for version 1 of the binary format", "unknown version of the binary format: %d, layer %d", version, layer)
	}
}

func (m *module) readSection(id byte, r *reader) {
	switch id {
	case secCustom:
		m.readCustom(r)
	case secType:
		m.readTypes(r)
	case secImport:
		m.readImports(r)
	case secFunction:
		n := r.count(maxFunctions, "functions")
		m.funcs = make([]function, n)
		m.addressTaken = make([]bool, n)
		for i := range m.funcs {
			m.funcs[i].typ = m.typeIndex(r)
		}
	case secTable:
		for n := r.count(maxTables, "tables"); n > 0; n-- {
			m.tables = append(m.tables, m.readTable(r))
		}
	case secMemory:
		m.readMemory(r)
	case secGlobal:
		m.readGlobals(r)
	case secExport:
		m.readExports(r)
	case secStart:
		i := m.funcIndex(r)
		m.start = &i
	case secElement:
		m.readElements(r)
	case secDataCount:
		n := r.u32()
		over(n, maxSegments, "data segments")
		m.dataCount = &n
	case secData:
		m.readData(r)
	case secTag:
		refuse(remedyExceptions, "it uses exceptions (a tag section)")
	}
}

func (m *module) readCustom(r *reader) {
	name := r.name()
	content := r.take(uint32(r.left()))
	switch {
	case name == "name":
		if m.hasNames {
			malformed("two name sections")
		}
		m.hasNames, m.names = true, content
	case strings.HasPrefix(name, customPrefix):
		if _, twice := m.custom[name]; twice {
			refuse("link only one", "custom section %q stands in the module twice", name)
		}
		over(len(content), maxCustom, "bytes of the custom section "+name)
		m.custom[name] = append([]byte{}, content...)
	}
	// Anything else is debug information and tools' notes: of no use here, and often most of the file.
}

func (m *module) readTypes(r *reader) {
	n := r.count(maxTypes, "types")
	m.types = make([]funcType, 0, n)
	values := 0
	for ; n > 0; n-- {
		switch form := r.byte(); form {
		case 0x60:
		case 0x4e, 0x4f, 0x50, 0x5e, 0x5f:
			refuse(remedyTypedRefs, "it uses garbage collected types (type form %#x)", form)
		default:
			malformed("unknown type form %#x", form)
		}
		t := funcType{valueTypes(r, "parameters"), valueTypes(r, "results")}
		values += len(t.params) + len(t.results)
		over(values, maxTypeValues, "parameters and results of all types")
		m.types = append(m.types, t)
	}
}

func valueTypes(r *reader, what string) []byte {
	b := r.take(r.count(maxParams, what+" of a function type"))
	for _, t := range b {
		checkValueType(t, r.what)
	}
	return b
}

func checkValueType(t byte, where string) {
	switch t {
	case i32Type, i64Type, f32Type, f64Type, v128Type, funcrefType, externrefType:
	case 0x69, 0x74:
		refuse(remedyExceptions, "it uses exceptions (exnref in %s)", where)
	case 0x63, 0x64, 0x6a, 0x6b, 0x6c, 0x6d, 0x6e, 0x71, 0x72, 0x73:
		refuse(remedyTypedRefs, "it uses typed references (value type %#x in %s)", t, where)
	default:
		malformed("unknown value type %#x in %s", t, where)
	}
}

func checkRefType(t byte, where string) {
	checkValueType(t, where)
	if t != funcrefType && t != externrefType {
		malformed("value type %#x in %s is no reference", t, where)
	}
}

// typeIndex, funcIndex and globalIndex read an index into the original's space: the rewritten module has more.
func (m *module) typeIndex(r *reader) uint32 {
	return index(r, uint32(len(m.types)), "type")
}
func (m *module) funcIndex(r *reader) uint32   { return index(r, m.nFuncs(), "function") }
func (m *module) globalIndex(r *reader) uint32 { return index(r, m.nGlobals(), "global") }

func index(r *reader, n uint32, what string) uint32 {
	i := r.u32()
	if i >= n {
		malformed("%s names %s %d, there are %d", r.what, what, i, n)
	}
	return i
}

// injected imports come after the original's, so the functions that the module defines move up.
const injectedImports = 2

func (m *module) shift(f uint32) uint32 {
	if f >= m.importedFuncs {
		return f + injectedImports
	}
	return f
}
