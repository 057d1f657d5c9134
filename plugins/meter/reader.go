package meter

import "unicode/utf8"

// reader reads the binary format. Reading past the end, or a number that is not well formed, refuses the module.
type reader struct {
	b    []byte
	i    int
	what string // what is being read, for the refusal
}

func (r *reader) more() bool { return r.i < len(r.b) }
func (r *reader) left() int  { return len(r.b) - r.i }

func (r *reader) byte() byte {
	if r.i >= len(r.b) {
		malformed("%s ends too early", r.what)
	}
	c := r.b[r.i]
	r.i++
	return c
}

// take returns the next n bytes, shared with the input.
func (r *reader) take(n uint32) []byte {
	if uint64(n) > uint64(r.left()) {
		malformed("%s ends too early: %d bytes wanted, %d left", r.what, n, r.left())
	}
	b := r.b[r.i : r.i+int(n) : r.i+int(n)]
	r.i += int(n)
	return b
}

// u32 reads an unsigned LEB128 number.
func (r *reader) u32() uint32 {
	var v uint32
	for shift := 0; ; shift += 7 {
		c := r.byte()
		if shift == 28 && c > 0x0f {
			malformed("a number in %s is longer than 32 bits", r.what)
		}
		v |= uint32(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
}

// s33 reads a block type's number.
func (r *reader) s33() int64 {
	var v int64
	for shift := 0; ; {
		c := r.byte()
		v |= int64(c&0x7f) << shift
		shift += 7
		if c < 0x80 {
			if shift < 64 && c&0x40 != 0 {
				v |= -1 << shift
			}
			if v < -(1<<32) || v >= 1<<32 {
				malformed("a block type in %s is longer than 33 bits", r.what)
			}
			return v
		}
		if shift >= 35 {
			malformed("a block type in %s is longer than 33 bits", r.what)
		}
	}
}

// skipLEB passes over a signed number of at most n bytes, whose value does not matter here.
func (r *reader) skipLEB(n int) {
	for ; n > 0; n-- {
		if r.byte() < 0x80 {
			return
		}
	}
	malformed("a number in %s is too long", r.what)
}

func (r *reader) name() string {
	n := r.u32()
	over(n, maxName, "bytes of a name in "+r.what)
	b := r.take(n)
	if !utf8.Valid(b) {
		malformed("a name in %s is not UTF-8", r.what)
	}
	return string(b)
}

// count reads the length of a vector whose entries take at least one byte each.
func (r *reader) count(limit uint32, what string) uint32 {
	n := r.u32()
	over(n, limit, what)
	if uint64(n) > uint64(r.left()) {
		malformed("%s ends too early", r.what)
	}
	return n
}

func (r *reader) end() {
	if r.more() {
		malformed("%s has %d bytes too many", r.what, r.left())
	}
}

func appendU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

func appendS64(b []byte, v int64) []byte {
	for {
		c := byte(v & 0x7f)
		v >>= 7
		if (v == 0 && c&0x40 == 0) || (v == -1 && c&0x40 != 0) {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func appendName(b []byte, s string) []byte { return append(appendU32(b, uint32(len(s))), s...) }

func appendSection(b []byte, id byte, content []byte) []byte {
	return append(appendU32(append(b, id), uint32(len(content))), content...)
}
