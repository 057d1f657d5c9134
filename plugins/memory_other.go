//go:build !linux

package plugins

// guestMemory is the linear memory of one instance, which the collector owns.
// Growing may have to move it.
type guestMemory struct{ all []byte }

func newGuestMemory(*Host, uint64) *guestMemory { return &guestMemory{} }

// Reallocate grows the memory; it never shrinks.
func (m *guestMemory) Reallocate(size uint64) []byte {
	if size > uint64(len(m.all)) {
		m.all = append(m.all, make([]byte, size-uint64(len(m.all)))...)
	}
	return m.all[:size:size]
}

// Free lets the collector have the memory.
func (m *guestMemory) Free() { m.all = nil }
