package meter

import "strings"

func (m *module) readImports(r *reader) {
	n := r.count(maxImports, "imports")
	m.imports = make([]importEntry, 0, n)
	for ; n > 0; n-- {
		e := importEntry{}
		e.Module, e.Name = r.name(), r.name()
		if strings.HasPrefix(e.Module, reservedPrefix) {
			refuse(remedyReserved, "it imports %q from the reserved module %q", e.Name, e.Module)
		}
		e.Kind = Kind(r.byte())
		switch e.Kind {
		case KindFunc:
			e.typ = m.typeIndex(r)
			e.Params, e.Results = m.types[e.typ].params, m.types[e.typ].results
			m.importedTypes = append(m.importedTypes, e.typ)
			m.importedFuncs++
		case KindTable:
			e.table = m.readTable(r)
			m.importedTables++
		case KindMemory:
			refuse(remedyMemory, "it imports its memory (%s.%s)", e.Module, e.Name)
		case KindGlobal:
			t, mut := readGlobalType(r)
			e.global = [2]byte{t, mut}
			m.importedGlobals++
		case 4:
			refuse(remedyExceptions, "it uses exceptions (imports the tag %s.%s)", e.Module, e.Name)
		default:
			malformed("unknown kind of import %d", e.Kind)
		}
		m.imports = append(m.imports, e)
	}
}

func readGlobalType(r *reader) (typ, mut byte) {
	typ, mut = r.byte(), r.byte()
	checkValueType(typ, r.what)
	if mut > 1 {
		malformed("unknown mutability %#x in %s", mut, r.what)
	}
	return typ, mut
}

func (m *module) readTable(r *reader) table {
	t := table{elem: r.byte()}
	if t.elem == 0x40 {
		refuse(remedyTypedRefs, "it uses typed references (a table with an initial value)")
	}
	checkRefType(t.elem, r.what)
	t.limits = readLimits(r, "table")
	m.tableEntries += uint64(t.min)
	over(m.tableEntries, maxTableEntries, "entries of all tables")
	return t
}

func readLimits(r *reader, what string) limits {
	flags := r.byte()
	switch {
	case flags&^0x0f != 0:
		malformed("unknown flags %#x of a %s", flags, what)
	case flags&8 != 0:
		refuse("build with the usual page size of 64 KiB", "it uses custom page sizes")
	case flags&4 != 0:
		refuse(remedyMemory64, "it uses a 64-bit %s (memory64)", what)
	case flags&2 != 0:
		refuse(remedyShared, "it uses a shared %s (threads)", what)
	}
	l := limits{min: r.u32(), hasMax: flags&1 != 0}
	if l.hasMax {
		l.max = r.u32()
	}
	return l
}

func (m *module) readMemory(r *reader) {
	n := r.u32()
	if n > 1 {
		refuse(remedyMulti, "it has %d memories (multi-memory)", n)
	}
	if n == 0 {
		return
	}
	l := readLimits(r, "memory")
	if limit := m.opts.MaxMemoryPages; l.min > limit {
		refuse("lower its initial memory and its stack (wasm-ld: -z stack-size=65536 --initial-memory=…) or raise the filter's memory limit",
			"it wants %d pages of memory (%d KiB) at the start, more than the limit of %d (%d KiB)", l.min, uint64(l.min)*64, limit, uint64(limit)*64)
	} else if !l.hasMax || (l.max > limit && l.max <= 65536) {
		l.max = limit
	}
	l.hasMax = true
	m.memory = &l
}

func (m *module) readGlobals(r *reader) {
	n := r.count(maxGlobals, "globals")
	m.nGlobalDefs = n
	for ; n > 0; n-- {
		typ, mut := readGlobalType(r)
		m.globals = append(m.globals, typ, mut)
		m.globals = m.constExpr(m.globals, r)
	}
}

func (m *module) readExports(r *reader) {
	n := r.count(maxExports, "exports")
	seen := make(map[string]bool, n)
	m.exports = make([]exportEntry, 0, n)
	for ; n > 0; n-- {
		e := exportEntry{name: r.name()}
		if strings.HasPrefix(e.name, reservedPrefix) {
			refuse(remedyReserved, "it exports the reserved name %q", e.name)
		}
		if seen[e.name] {
			malformed("it exports %q twice", e.name)
		}
		seen[e.name] = true
		e.kind = Kind(r.byte())
		switch e.kind {
		case KindFunc:
			e.index = m.funcIndex(r)
		case KindTable:
			e.index = index(r, m.importedTables+uint32(len(m.tables)), "table")
		case KindMemory:
			if e.index = r.u32(); e.index != 0 || m.memory == nil {
				malformed("it exports memory %d, which it does not have", e.index)
			}
		case KindGlobal:
			e.index = m.globalIndex(r)
		case 4:
			refuse(remedyExceptions, "it uses exceptions (exports the tag %q)", e.name)
		default:
			malformed("unknown kind of export %d", e.kind)
		}
		m.exports = append(m.exports, e)
	}
}

// readElements reads element segments in their eight forms: flag 1 not active, 2 explicit table or declarative,
// 4 expressions instead of function indices.
func (m *module) readElements(r *reader) {
	n := r.count(maxSegments, "element segments")
	m.nElements = n
	for ; n > 0; n-- {
		flags := r.u32()
		if flags > 7 {
			malformed("unknown flags %#x of an element segment", flags)
		}
		out := appendU32(m.elements, flags)
		if flags&1 == 0 {
			if flags&2 != 0 {
				out = appendU32(out, index(r, m.importedTables+uint32(len(m.tables)), "table"))
			}
			out = m.constExpr(out, r)
		}
		if flags&3 != 0 {
			kind := r.byte()
			if flags&4 != 0 {
				checkRefType(kind, r.what)
			} else if kind != 0 {
				malformed("unknown kind %#x of an element segment", kind)
			}
			out = append(out, kind)
		}
		count := r.count(maxElements, "entries of an element segment")
		m.elementCount += uint64(count)
		over(m.elementCount, maxElements, "entries of all element segments")
		out = appendU32(out, count)
		for ; count > 0; count-- {
			if flags&4 != 0 {
				out = m.constExpr(out, r)
			} else {
				out = appendU32(out, m.takeAddress(m.funcIndex(r)))
			}
		}
		m.elements = out
	}
}

// takeAddress notes that a function may be called indirectly, and returns its new index.
func (m *module) takeAddress(f uint32) uint32 {
	if f >= m.importedFuncs {
		m.addressTaken[f-m.importedFuncs] = true
	}
	return m.shift(f)
}

func (m *module) readData(r *reader) {
	n := r.count(maxSegments, "data segments")
	m.nData = n
	for ; n > 0; n-- {
		flags := r.u32()
		m.data = appendU32(m.data, flags)
		switch flags {
		case 0, 1:
		case 2:
			if i := r.u32(); i != 0 {
				refuse(remedyMulti, "it uses memory %d (multi-memory)", i)
			}
			m.data = append(m.data, 0)
		default:
			malformed("unknown flags %#x of a data segment", flags)
		}
		if flags != 1 {
			m.data = m.constExpr(m.data, r)
		}
		size := r.u32()
		m.dataSizes = append(m.dataSizes, size)
		m.data = append(appendU32(m.data, size), r.take(size)...)
	}
}

// constExpr copies a constant expression up to its end.
func (m *module) constExpr(out []byte, r *reader) []byte {
	for {
		start := r.i
		switch op := r.byte(); op {
		case 0x0b:
			return append(out, op)
		case 0x41:
			r.skipLEB(5)
		case 0x42:
			r.skipLEB(10)
		case 0x43:
			r.take(4)
		case 0x44:
			r.take(8)
		case 0x23: // global.get: of an imported global, as those defined here cannot be named before they are all read
			out = appendU32(append(out, op), index(r, m.importedGlobals, "imported global"))
			continue
		case 0xd0:
			checkHeapType(r.byte(), r.what)
		case 0xd2:
			out = appendU32(append(out, op), m.takeAddress(m.funcIndex(r)))
			continue
		case 0xfd:
			if c := r.byte(); c != 0x0c {
				malformed("instruction 0xfd %#x in a constant expression", c)
			}
			r.take(16)
		case 0x6a, 0x6b, 0x6c, 0x7c, 0x7d, 0x7e:
			refuse(remedyExtended, "it uses extended constant expressions")
		case 0xfb:
			refuse(remedyTypedRefs, "it uses garbage collected types (in a constant expression)")
		default:
			malformed("instruction %#x in a constant expression", op)
		}
		out = append(out, r.b[start:r.i]...)
	}
}

// checkHeapType checks the type of a ref.null.
func checkHeapType(t byte, where string) {
	if t != funcrefType && t != externrefType {
		refuse(remedyTypedRefs, "it uses typed references (ref.null of type %#x in %s)", t, where)
	}
}
