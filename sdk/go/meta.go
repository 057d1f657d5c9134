package sluice

import (
	"structs"
	"unsafe"
)

// MetaKind is where a value of the upgrade request comes from.
type MetaKind uint32

// The kinds of meta values.
const (
	Attribute MetaKind = iota + 1 // path, host, origin
	Header                        // names in lower case
	Query
	Cookie
)

// Meta is one value of the upgrade request of a connect event. Only what the
// filter's configuration names under headers, query and cookies is there, and
// the attributes. Values need not be UTF-8.
type Meta struct {
	Kind  MetaKind
	Name  string
	Value string
}

// metaEntry is Meta as the host writes it.
type metaEntry struct {
	_     structs.HostLayout
	kind  uint32
	zero  uint32
	name  span
	value span
}

// MetaLen is the number of meta values.
func (e *Event) MetaLen() int { return int(e.meta.len) }

// MetaAt is the i-th meta value.
func (e *Event) MetaAt(i int) Meta {
	m := &e.metaEntries()[i]
	return Meta{MetaKind(m.kind), e.text(m.name), e.text(m.value)}
}

// MetaValue is the first value of that kind and name.
func (e *Event) MetaValue(kind MetaKind, name string) (value string, ok bool) {
	entries := e.metaEntries()
	for i := range entries {
		if m := &entries[i]; m.kind == uint32(kind) && e.text(m.name) == name {
			return e.text(m.value), true
		}
	}
	return "", false
}

func (e *Event) metaEntries() []metaEntry {
	if e.meta.len == 0 {
		return nil
	}
	b := e.view(span{ptr: e.meta.ptr, len: e.meta.len * uint32(unsafe.Sizeof(metaEntry{}))})
	return unsafe.Slice((*metaEntry)(unsafe.Pointer(unsafe.SliceData(b))), e.meta.len)
}
