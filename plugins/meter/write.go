package meter

// resultType is the number of a block type without parameters that gives these results.
func (m *module) resultType(results []byte) int64 {
	switch len(results) {
	case 0:
		return -64
	case 1:
		return int64(results[0]) - 128
	}
	return m.addedType(funcType{results: results})
}

// addedType is the number of a type added behind the original's, once for each.
func (m *module) addedType(t funcType) int64 {
	key := string(t.params) + ">" + string(t.results)
	if n, ok := m.blockTypes[key]; ok {
		return n
	}
	if m.blockTypes == nil {
		m.blockTypes = map[string]int64{}
	}
	n := int64(len(m.types) + 1 + len(m.addedTypes)) // the first added type is () → ()
	m.addedTypes = append(m.addedTypes, t)
	m.blockTypes[key] = n
	return n
}

// encode writes the module again.
func (m *module) encode(o Options) []byte {
	var bodies []byte
	for i := range m.funcs {
		b := m.body(&m.funcs[i])
		bodies = append(appendU32(bodies, uint32(len(b))), b...)
	}
	for _, h := range m.helpers {
		b := m.helperBody(h)
		bodies = append(appendU32(bodies, uint32(len(b))), b...)
	}
	code := append(appendU32(nil, uint32(len(m.funcs)+len(m.helpers))), bodies...)
	out := []byte("\x00asm\x01\x00\x00\x00")
	out = appendSection(out, secType, m.encodeTypes())
	out = appendSection(out, secImport, m.encodeImports())
	if len(m.funcs) > 0 {
		b := appendU32(nil, uint32(len(m.funcs)+len(m.helpers)))
		for i := range m.funcs {
			b = appendU32(b, m.funcs[i].typ)
		}
		for range m.helpers {
			b = appendU32(b, m.bulkType())
		}
		out = appendSection(out, secFunction, b)
	}
	if len(m.tables) > 0 {
		out = appendSection(out, secTable, m.encodeTables())
	}
	if m.memory != nil {
		out = appendSection(out, secMemory, appendLimits([]byte{1}, *m.memory))
	}
	out = appendSection(out, secGlobal, m.encodeGlobals(o))
	out = appendSection(out, secExport, m.encodeExports())
	if m.start != nil {
		out = appendSection(out, secStart, appendU32(nil, m.shift(*m.start)))
	}
	if m.nElements > 0 {
		out = appendSection(out, secElement, append(appendU32(nil, m.nElements), m.elements...))
	}
	if m.dataCount != nil {
		out = appendSection(out, secDataCount, appendU32(nil, *m.dataCount))
	}
	if len(m.funcs) > 0 {
		out = appendSection(out, secCode, code)
	}
	if m.nData > 0 {
		out = appendSection(out, secData, append(appendU32(nil, m.nData), m.data...))
	}
	if names := m.encodeNames(); len(names) > 0 {
		out = appendSection(out, secCustom, append(appendName(nil, "name"), names...))
	}
	return out
}

func appendLimits(b []byte, l limits) []byte {
	if !l.hasMax {
		return appendU32(append(b, 0), l.min)
	}
	return appendU32(appendU32(append(b, 1), l.min), l.max)
}

// encodeTables clamps what the tables may grow to.
func (m *module) encodeTables() []byte {
	b := appendU32(nil, uint32(len(m.tables)))
	for _, t := range m.tables {
		if !t.hasMax || t.max > maxTableEntries {
			t.max, t.hasMax = maxTableEntries, true
		}
		b = appendLimits(append(b, t.elem), t.limits)
	}
	return b
}

func (m *module) encodeTypes() []byte {
	b := appendU32(nil, uint32(len(m.types)+1+len(m.addedTypes)))
	for _, t := range m.types {
		b = appendType(b, t)
	}
	b = appendType(b, funcType{})
	for _, t := range m.addedTypes {
		b = appendType(b, t)
	}
	return b
}

func appendType(b []byte, t funcType) []byte {
	b = append(appendU32(append(b, 0x60), uint32(len(t.params))), t.params...)
	return append(appendU32(b, uint32(len(t.results))), t.results...)
}

func (m *module) encodeImports() []byte {
	b := appendU32(nil, uint32(len(m.imports)+injectedImports))
	for i := range m.imports {
		e := &m.imports[i]
		b = append(appendName(appendName(b, e.Module), e.Name), byte(e.Kind))
		switch e.Kind {
		case KindFunc:
			b = appendU32(b, e.typ)
		case KindTable:
			b = appendLimits(append(b, e.table.elem), e.table.limits)
		case KindGlobal:
			b = append(b, e.global[0], e.global[1])
		}
	}
	for _, name := range [injectedImports]string{ImportYield, ImportOverflow} {
		b = append(appendName(appendName(b, ImportModule), name), byte(KindFunc))
		b = appendU32(b, uint32(len(m.types)))
	}
	return b
}

func (m *module) encodeGlobals(o Options) []byte {
	b := append(appendU32(nil, m.nGlobalDefs+2), m.globals...)
	b = append(b, i64Type, 1, opI64Const, 0, opEnd)
	b = append(b, i32Type, 1, opI32Const)
	return append(appendS64(b, int64(o.StackBytes)), opEnd)
}

func (m *module) encodeExports() []byte {
	b := appendU32(nil, uint32(len(m.exports)+2))
	for _, e := range m.exports {
		b = append(appendName(b, e.name), byte(e.kind))
		if e.kind == KindFunc {
			b = appendU32(b, m.shift(e.index))
		} else {
			b = appendU32(b, e.index)
		}
	}
	b = appendU32(append(appendName(b, ExportFuel), byte(KindGlobal)), m.nGlobals())
	return appendU32(append(appendName(b, ExportStack), byte(KindGlobal)), m.nGlobals()+1)
}

// result is what Rewrite returns.
func (m *module) result(wasm []byte) *Module {
	out := &Module{Wasm: wasm, Custom: m.custom, Imports: make([]Import, 0, len(m.imports)), Exports: make([]Export, 0, len(m.exports))}
	for i := range m.imports {
		out.Imports = append(out.Imports, m.imports[i].Import)
	}
	for _, e := range m.exports {
		x := Export{Name: e.name, Kind: e.kind}
		if e.kind == KindFunc {
			t := m.typeOf(e.index)
			x.Params, x.Results = t.params, t.results
		}
		out.Exports = append(out.Exports, x)
	}
	if m.memory != nil {
		out.MemoryMin, out.MemoryMax = m.memory.min, m.memory.max
	}
	return out
}
