package plugins

import (
	"encoding/binary"
	"strings"
)

// layout is what the outside of a module says: its custom sections, and the
// memory that it declares. It is read for people to look at, of modules that may
// be damaged; the meter's reading is the one that counts.
type layout struct {
	custom    []Section
	producers []byte
	memoryMin uint64  // pages
	memoryMax *uint64 // pages; nil: none declared
}

const (
	sectionCustom = 0
	sectionMemory = 5
)

// readLayout reads as far as the bytes make sense.
func readLayout(wasm []byte) (l layout) {
	if len(wasm) < 8 || string(wasm[:8]) != "\x00asm\x01\x00\x00\x00" {
		return l
	}
	for rest := wasm[8:]; len(rest) > 0 && len(l.custom) < 1000; {
		id := rest[0]
		body, after, ok := sized(rest[1:])
		if !ok {
			return l
		}
		rest = after
		switch id {
		case sectionCustom:
			name, content, ok := sized(body)
			if !ok {
				return l
			}
			l.custom = append(l.custom, Section{strings.ToValidUTF8(string(name), "\uFFFD"), len(content)})
			if string(name) == "producers" {
				l.producers = content
			}
		case sectionMemory:
			l.readMemory(body)
		}
	}
	return l
}

func (l *layout) readMemory(body []byte) {
	count, n := binary.Uvarint(body)
	if n <= 0 || count == 0 || len(body) <= n {
		return
	}
	flags := body[n]
	body = body[n+1:]
	minimum, n := binary.Uvarint(body)
	if n <= 0 {
		return
	}
	l.memoryMin = minimum
	if maximum, n := binary.Uvarint(body[n:]); flags&1 != 0 && n > 0 {
		l.memoryMax = &maximum
	}
}

// sized splits off bytes that follow their length.
func sized(b []byte) (head, rest []byte, ok bool) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, false
	}
	return b[n : n+int(size)], b[n+int(size):], true
}

// toolchain is what the section producers says: languages and tools with their
// versions. Without it (most linkers strip it), a section of a toolchain's own
// gives a hint.
func toolchain(l layout) []string {
	var out []string
	fields, n := binary.Uvarint(l.producers)
	if n > 0 {
		b := l.producers[n:]
		for ; fields > 0 && len(b) > 0 && len(out) < 20; fields-- {
			_, rest, ok := sized(b)
			if !ok {
				break
			}
			count, n := binary.Uvarint(rest)
			if n <= 0 {
				break
			}
			b = rest[n:]
			for ; count > 0 && len(out) < 20; count-- {
				name, rest, ok := sized(b)
				if !ok {
					return out
				}
				version, rest, ok := sized(rest)
				if !ok {
					return out
				}
				b = rest
				out = append(out, strings.TrimSpace(strings.ToValidUTF8(string(name)+" "+string(version), "\uFFFD")))
			}
		}
	}
	if len(out) > 0 {
		return out
	}
	for _, s := range l.custom {
		switch s.Name {
		case "go:buildid", "go.buildid":
			return []string{"Go (by its section " + s.Name + ")"}
		case "sourceMappingURL":
			return []string{"AssemblyScript or Binaryen (by its section sourceMappingURL)"}
		}
	}
	return nil
}
