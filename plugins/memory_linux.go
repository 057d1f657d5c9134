package plugins

import "syscall"

// freeLater is the size in bytes from which memory is given back beside the
// path of events: the kernel takes some 20 ms for a gigabyte.
const freeLater = 8 << 20

// guestMemory is the linear memory of one instance: addresses for as much as it
// may grow to, of which the kernel provides the pages that are touched. So
// growing neither copies nor clears, whose time nothing could bound.
type guestMemory struct {
	host  *Host
	all   []byte
	size  uint64
	plain bool // it is the collector's: no addresses could be reserved
}

// newGuestMemory reserves addresses for as many bytes as the limit.
func newGuestMemory(h *Host, limit uint64) *guestMemory {
	m := &guestMemory{host: h}
	var err error
	m.all, err = syscall.Mmap(-1, 0, int(max(limit, 1)), syscall.PROT_READ|syscall.PROT_WRITE,
		syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_NORESERVE)
	if err != nil {
		m.all, m.plain = nil, true
		return m
	}
	// A filter that uses a few pages should not hold 2 MiB. It is only advice.
	_ = syscall.Madvise(m.all, syscall.MADV_NOHUGEPAGE)
	return m
}

// Reallocate grows the memory; it never shrinks.
func (m *guestMemory) Reallocate(size uint64) []byte {
	if m.plain && size > uint64(len(m.all)) {
		m.all = append(m.all, make([]byte, size-uint64(len(m.all)))...)
	}
	m.size = size
	return m.all[:size:size]
}

// Free gives the memory back. No view of it may be used any more.
func (m *guestMemory) Free() {
	all := m.all
	m.all = nil
	switch {
	case all == nil || m.plain:
	case m.size < freeLater || !m.host.begin():
		_ = syscall.Munmap(all)
	default:
		go func() {
			defer m.host.end()
			// In parts, for nobody can reserve or touch memory in the meantime.
			for rest := all; len(rest) > 0; {
				n := min(len(rest), freeLater)
				_ = syscall.Madvise(rest[:n], syscall.MADV_DONTNEED)
				rest = rest[n:]
			}
			_ = syscall.Munmap(all)
		}()
	}
}
