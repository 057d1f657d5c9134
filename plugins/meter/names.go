package meter

import "unicode/utf8"

// encodeNames gives the name section's content with the functions' new indices, so that stack traces name them. Only
// the module's, the functions' and the locals' names are kept. A damaged section is left out: it has no meaning for
// what the module does.
func (m *module) encodeNames() (out []byte) {
	if !m.hasNames {
		return nil
	}
	defer func() {
		if _, damaged := recover().(*Refusal); damaged {
			out = nil
		}
	}()
	r := &reader{b: m.names, what: "the name section"}
	last := -1
	for r.more() {
		id := r.byte()
		s := &reader{b: r.take(r.u32()), what: r.what}
		if int(id) <= last {
			malformed("a part of the name section is out of order")
		}
		last = int(id)
		var b []byte
		switch id {
		case 0:
			b = copyName(nil, s)
		case 1:
			b = m.functionNames(s)
		case 2:
			b = m.localNames(s)
		default:
			continue
		}
		s.end()
		out = appendSection(out, id, b)
	}
	return out
}

func copyName(b []byte, r *reader) []byte {
	n := r.take(r.u32())
	if !utf8.Valid(n) {
		malformed("a name in the name section is not UTF-8")
	}
	return append(appendU32(b, uint32(len(n))), n...)
}

func (m *module) functionNames(r *reader) []byte {
	n := r.count(m.nFuncs(), "names of functions")
	b := appendU32(nil, n)
	for ; n > 0; n-- {
		b = copyName(appendU32(b, m.shift(m.funcIndex(r))), r)
	}
	return b
}

func (m *module) localNames(r *reader) []byte {
	n := r.count(m.nFuncs(), "functions with named locals")
	b := appendU32(nil, n)
	for ; n > 0; n-- {
		b = appendU32(b, m.shift(m.funcIndex(r)))
		locals := r.count(maxLocals, "names of locals")
		b = appendU32(b, locals)
		for ; locals > 0; locals-- {
			b = copyName(appendU32(b, r.u32()), r)
		}
	}
	return b
}
