package plugins

import (
	"encoding/binary"
	"strconv"

	"github.com/tetratelabs/wazero/api"
)

// WASI preview 1, as much of it as language runtimes need to start and to say
// why they stop. There are no files, arguments, environment or sockets; what is
// not here answers ENOSYS. Every function does a bounded amount of work, and is
// charged for it.

// Error numbers of WASI.
const (
	wasiOK     = 0
	wasiEBADF  = 8
	wasiEFAULT = 21
	wasiEINVAL = 28
	wasiENOSYS = 52
	wasiESPIPE = 70
)

const (
	maxVectors       = 64 // of one fd_write
	maxSubscriptions = 64 // of one poll_oneoff
)

type wasiCall func(in *instance, mod api.Module, mem api.Memory, s []uint64) (errno uint64)

// errno wraps a WASI function: its result is an error number.
func errno(call wasiCall) func(*instance, api.Module, []uint64) {
	return func(in *instance, mod api.Module, s []uint64) { s[0] = call(in, mod, mod.Memory(), s) }
}

func wasi(call wasiCall, params ...byte) hostFunc {
	return hostFunc{params: params, results: []byte{i32}, call: errno(call)}
}

var wasiFuncs = map[string]hostFunc{
	"args_sizes_get":      wasi(noStrings, i32, i32),
	"args_get":            wasi(succeed, i32, i32),
	"environ_sizes_get":   wasi(noStrings, i32, i32),
	"environ_get":         wasi(succeed, i32, i32),
	"clock_res_get":       wasi(clockRes, i32, i32),
	"clock_time_get":      wasi(clockTime, i32, i64, i32),
	"random_get":          wasi(randomGet, i32, i32),
	"sched_yield":         wasi(succeed),
	"poll_oneoff":         wasi(pollOneoff, i32, i32, i32, i32),
	"fd_write":            wasi(fdWrite, i32, i32, i32, i32),
	"fd_read":             wasi(fdRead, i32, i32, i32, i32),
	"fd_close":            wasi(fdClose, i32),
	"fd_seek":             wasi(fdSeek, i32, i64, i32, i32),
	"fd_fdstat_get":       wasi(fdStat, i32, i32),
	"fd_fdstat_set_flags": wasi(fdClose, i32, i32),
	"fd_prestat_get":      wasi(badDescriptor, i32, i32), // ends a runtime's search for directories
	"fd_prestat_dir_name": wasi(badDescriptor, i32, i32, i32),
	"proc_exit":           {params: []byte{i32}, call: procExit},
}

func succeed(*instance, api.Module, api.Memory, []uint64) uint64       { return wasiOK }
func badDescriptor(*instance, api.Module, api.Memory, []uint64) uint64 { return wasiEBADF }

func noStrings(_ *instance, _ api.Module, mem api.Memory, s []uint64) uint64 {
	if !mem.WriteUint32Le(uint32(s[0]), 0) || !mem.WriteUint32Le(uint32(s[1]), 0) {
		return wasiEFAULT
	}
	return wasiOK
}

// The clocks of WASI.
const (
	clockRealtime  = 0
	clockMonotonic = 1
)

func clockRes(_ *instance, _ api.Module, mem api.Memory, s []uint64) uint64 {
	if uint32(s[0]) > clockMonotonic {
		return wasiEINVAL
	}
	if !mem.WriteUint64Le(uint32(s[1]), 1000) {
		return wasiEFAULT
	}
	return wasiOK
}

func clockTime(in *instance, _ api.Module, mem api.Memory, s []uint64) uint64 {
	t := int64(in.hostTime())
	switch uint32(s[0]) {
	case clockRealtime:
	case clockMonotonic:
		// Never 0, which some runtimes take for a clock that does not work.
		t = t - in.pool.host.started.UnixNano() + 1
	default:
		return wasiEINVAL
	}
	if !mem.WriteUint64Le(uint32(s[2]), uint64(t)) {
		return wasiEFAULT
	}
	return wasiOK
}

func randomGet(in *instance, mod api.Module, _ api.Memory, s []uint64) uint64 {
	n := uint32(s[1])
	if n > maxRandom {
		return wasiEINVAL
	}
	fillRandom(in, mod, uint32(s[0]), n)
	return wasiOK
}

// pollOneoff reports every subscription as ready: a sleep returns at once.
func pollOneoff(in *instance, mod api.Module, mem api.Memory, s []uint64) uint64 {
	const subscription, event = 48, 32
	from, to, n := uint32(s[0]), uint32(s[1]), uint32(s[2])
	if n == 0 {
		return wasiEINVAL
	}
	n = min(n, maxSubscriptions)
	in.charge(mod, int(n)*hostCost)
	subs, ok := mem.Read(from, n*subscription)
	if !ok {
		return wasiEFAULT
	}
	events, ok := mem.Read(to, n*event)
	if !ok {
		return wasiEFAULT
	}
	for i := range int(n) {
		userdata := binary.LittleEndian.Uint64(subs[i*subscription:])
		tag := subs[i*subscription+8]
		e := events[i*event : (i+1)*event]
		clear(e)
		binary.LittleEndian.PutUint64(e, userdata)
		e[10] = tag
	}
	if !mem.WriteUint32Le(uint32(s[3]), n) {
		return wasiEFAULT
	}
	return wasiOK
}

func isStdout(fd uint64) bool { return uint32(fd) == 1 || uint32(fd) == 2 }

// fdWrite keeps the end of what is written. Beyond maxVectors it is a short
// write, which callers must expect.
func fdWrite(in *instance, mod api.Module, mem api.Memory, s []uint64) uint64 {
	if !isStdout(s[0]) {
		return wasiEBADF
	}
	n := min(uint32(s[2]), maxVectors)
	vectors, ok := mem.Read(uint32(s[1]), n*8)
	if !ok {
		return wasiEFAULT
	}
	var written uint32
	for v := vectors; len(v) >= 8; v = v[8:] {
		b, ok := mem.Read(binary.LittleEndian.Uint32(v), binary.LittleEndian.Uint32(v[4:]))
		if !ok {
			return wasiEFAULT
		}
		if written+uint32(len(b)) < written {
			break
		}
		written += uint32(len(b))
		in.charge(mod, hostCost+min(len(b), tailSize))
		in.tail.write(b)
	}
	if !mem.WriteUint32Le(uint32(s[3]), written) {
		return wasiEFAULT
	}
	return wasiOK
}

// fdRead finds standard input at its end.
func fdRead(_ *instance, _ api.Module, mem api.Memory, s []uint64) uint64 {
	if uint32(s[0]) != 0 {
		return wasiEBADF
	}
	if !mem.WriteUint32Le(uint32(s[3]), 0) {
		return wasiEFAULT
	}
	return wasiOK
}

func fdClose(_ *instance, _ api.Module, _ api.Memory, s []uint64) uint64 {
	if uint32(s[0]) > 2 {
		return wasiEBADF
	}
	return wasiOK
}

func fdSeek(_ *instance, _ api.Module, _ api.Memory, s []uint64) uint64 {
	if uint32(s[0]) > 2 {
		return wasiEBADF
	}
	return wasiESPIPE
}

// fdStat says that the standard descriptors are character devices.
func fdStat(_ *instance, _ api.Module, mem api.Memory, s []uint64) uint64 {
	if uint32(s[0]) > 2 {
		return wasiEBADF
	}
	b, ok := mem.Read(uint32(s[1]), 24)
	if !ok {
		return wasiEFAULT
	}
	const characterDevice, rightRead, rightWrite = 2, 1 << 1, 1 << 6
	clear(b)
	b[0] = characterDevice
	rights := uint64(rightRead)
	if isStdout(s[0]) {
		rights = rightWrite
	}
	binary.LittleEndian.PutUint64(b[8:], rights)
	return wasiOK
}

func procExit(_ *instance, _ api.Module, s []uint64) {
	panic(&exitError{"proc_exit(" + strconv.FormatUint(uint64(uint32(s[0])), 10) + ")"})
}

// tailSize is how much of a guest's output is kept, in bytes.
const tailSize = 2 << 10

// tail keeps the end of what a guest writes to stdout and stderr, to be
// attached to its next failure.
type tail struct {
	buf  []byte // grows to tailSize, then wraps
	next int    // where the next byte goes once it has wrapped
}

func (t *tail) write(b []byte) {
	if len(b) > tailSize {
		b = b[len(b)-tailSize:]
	}
	room := min(tailSize-len(t.buf), len(b))
	t.buf = append(t.buf, b[:room]...)
	for b = b[room:]; len(b) > 0; {
		n := copy(t.buf[t.next:], b)
		t.next = (t.next + n) % tailSize
		b = b[n:]
	}
}

// take returns what was kept and forgets it.
func (t *tail) take() string {
	if len(t.buf) == 0 {
		return ""
	}
	out := string(t.buf[t.next:]) + string(t.buf[:t.next])
	t.buf, t.next = t.buf[:0], 0
	return out
}
