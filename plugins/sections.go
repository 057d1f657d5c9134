package plugins

import (
	"encoding/binary"
	"errors"
	"slices"
)

// The custom sections that a filter may carry, each at most once.
const (
	SectionSchema   = "sluice.schema"   // JSON Schema of its configuration
	SectionFixtures = "sluice.fixtures" // its tests, as YAML; see plugintest
	SectionMeta     = "sluice.meta"     // what a bundled filter asks for by default
)

// CustomSection is a custom section of a module, with what is in it.
type CustomSection struct {
	Name    string
	Content []byte // nil: the section is to go
}

// ErrNotWasm is returned for bytes that are no wasm module, or half of one.
var ErrNotWasm = errors.New("it is not a wasm module")

// ReplaceSections returns the module with custom sections at its end, in the
// given order, in place of any that it has under their names. The result depends
// on its inputs alone.
func ReplaceSections(wasm []byte, sections ...CustomSection) ([]byte, error) {
	if len(wasm) < 8 || string(wasm[:4]) != "\x00asm" {
		return nil, ErrNotWasm
	}
	out := slices.Clone(wasm[:8])
	for rest := wasm[8:]; len(rest) > 0; {
		body, after, ok := sized(rest[1:])
		if !ok {
			return nil, ErrNotWasm
		}
		whole := rest[:len(rest)-len(after)]
		rest = after
		if whole[0] == sectionCustom {
			name, _, ok := sized(body)
			if !ok {
				return nil, ErrNotWasm
			}
			if slices.ContainsFunc(sections, func(s CustomSection) bool { return s.Name == string(name) }) {
				continue
			}
		}
		out = append(out, whole...)
	}
	for _, s := range sections {
		if s.Content == nil {
			continue
		}
		body := binary.AppendUvarint(nil, uint64(len(s.Name)))
		body = append(append(body, s.Name...), s.Content...)
		out = append(out, sectionCustom)
		out = binary.AppendUvarint(out, uint64(len(body)))
		out = append(out, body...)
	}
	return out, nil
}
