package meter

// builder makes modules for tests out of instructions.
type builder struct {
	types []funcType
	funcs []builtFunc
	table bool // holding all functions, at their own index
	pages uint32
	count bool   // an exported global "count" i64
	data  []byte // of a passive segment; nil: there is none
}

type builtFunc struct {
	typ    uint32
	locals []localGroup
	code   []byte // without the last end
	export string
}

func (b *builder) typ(params, results string) uint32 {
	b.types = append(b.types, funcType{[]byte(params), []byte(results)})
	return uint32(len(b.types) - 1)
}

func (b *builder) wasm() []byte {
	m := &module{types: b.types, importedFuncs: 0}
	out := []byte("\x00asm\x01\x00\x00\x00")
	types := appendU32(nil, uint32(len(m.types)))
	for _, t := range m.types {
		types = appendType(types, t)
	}
	out = appendSection(out, secType, types)
	n := uint32(len(b.funcs))
	funcs, code, exports, elems := appendU32(nil, n), appendU32(nil, n), []byte(nil), appendU32(nil, n)
	exported := uint32(0)
	for i, f := range b.funcs {
		funcs = appendU32(funcs, f.typ)
		body := appendU32(nil, uint32(len(f.locals)))
		for _, l := range f.locals {
			body = append(appendU32(body, l.n), l.typ)
		}
		body = append(append(body, f.code...), opEnd)
		code = append(appendU32(code, uint32(len(body))), body...)
		if f.export != "" {
			exports = appendU32(append(appendName(exports, f.export), 0), uint32(i))
			exported++
		}
		elems = appendU32(elems, uint32(i))
	}
	out = appendSection(out, secFunction, funcs)
	if b.table {
		out = appendSection(out, secTable, appendLimits([]byte{1, funcrefType}, limits{min: n}))
	}
	if b.pages > 0 {
		out = appendSection(out, secMemory, appendLimits([]byte{1}, limits{min: b.pages, max: b.pages + 2, hasMax: true}))
		exports = append(appendName(exports, "memory"), 2, 0)
		exported++
	}
	if b.count {
		out = appendSection(out, secGlobal, []byte{1, i64Type, 1, opI64Const, 0, opEnd})
		exports = append(appendName(exports, "count"), 3, 0)
		exported++
	}
	out = appendSection(out, secExport, append(appendU32(nil, exported), exports...))
	if b.table {
		out = appendSection(out, secElement, append([]byte{1, 0, opI32Const, 0, opEnd}, elems...))
	}
	if b.data != nil {
		out = appendSection(out, secDataCount, []byte{1})
		out = appendSection(out, secCode, code)
		return appendSection(out, secData, append(appendU32([]byte{1, 1}, uint32(len(b.data))), b.data...))
	}
	return appendSection(out, secCode, code)
}
