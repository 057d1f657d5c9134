package plugins

import (
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/tetratelabs/wazero/api"
)

// Modules that a guest may import from.
const (
	moduleSluice = "sluice"
	moduleWASI   = "wasi_snapshot_preview1"
	moduleEnv    = "env" // only abort, which AssemblyScript calls
)

// Results of host functions that went wrong.
const (
	resultArgument    = -1
	resultUnsupported = -2
	resultNotFound    = -3
	resultQuota       = -4
	resultUnavailable = -5
)

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

// hostCost is the fuel that any call into the host costs, about what the change
// between guest and host takes.
const hostCost = 100

// hostFunc is one function offered to guests. It finds parameters on the stack,
// and leaves the result there.
type hostFunc struct {
	params, results []byte
	grant           capability // 0: always granted
	call            func(in *instance, mod api.Module, stack []uint64)
	cost            int // fuel of each call, beside hostCost
}

// known finds what is offered under a name.
func known(module, name string) (fn hostFunc, ok bool) {
	switch module {
	case moduleSluice:
		fn, ok = sluiceFuncs[name]
	case moduleWASI:
		fn, ok = wasiFuncs[name]
	case moduleEnv:
		fn, ok = envFuncs[name]
	}
	return fn, ok
}

var sluiceFuncs = map[string]hostFunc{
	"log":    {[]byte{i32, i32, i32}, nil, capLog, hostLog, 0},
	"now":    {nil, []byte{i64}, capNow, hostNow, 0},
	"random": {[]byte{i32, i32}, []byte{i32}, capRandom, hostRandom, 0},
	"verify": {[]byte{i32, i32, i32, i32, i32, i32, i32, i32}, []byte{i32}, capVerify, hostVerify, 0},

	"metric_add":  {[]byte{i32, i32, i64}, []byte{i32}, capMetricAdd, hostMetricAdd, keepCost},
	"counter_add": {[]byte{i32, i32, i64, i64}, []byte{i64}, capCounterAdd, hostCounterAdd, keepCost},
	"bucket_take": {[]byte{i32, i32, i64, i64, i64}, []byte{i64}, capBucketTake, hostBucketTake, keepCost},
	"kv_get":      {[]byte{i32, i32, i32, i32}, []byte{i32}, capKVGet, hostKVGet, keepCost},
	"kv_set":      {[]byte{i32, i32, i32, i32, i64}, []byte{i32}, capKVSet, hostKVSet, keepCost},
}

var envFuncs = map[string]hostFunc{
	"abort": {[]byte{i32, i32, i32, i32}, nil, 0, hostAbort, 0},
}

// maxRandom is how many random bytes one call gives.
const maxRandom = 64 << 10

// maxLog is the longest line that is logged, in bytes.
const maxLog = 1 << 10

func hostLog(in *instance, mod api.Module, stack []uint64) {
	line, ok := mod.Memory().Read(uint32(stack[1]), uint32(stack[2]))
	if !ok {
		panic(errBadPointer)
	}
	whole := line
	line = line[:min(len(line), maxLog)]
	in.charge(mod, 4*len(line))
	level := slog.LevelInfo
	switch int32(uint32(stack[0])) {
	case 0:
		level = slog.LevelDebug
	case 2:
		level = slog.LevelWarn
	case 3:
		level = slog.LevelError
	}
	if s := in.pool.shadow; s != nil {
		s.mirror.lines.Add(1)
		return
	}
	in.pool.host.reports.guestLine(in.pool, level, strings.ToValidUTF8(string(line), "\uFFFD"))
	if t := in.pool.host.tracer; t != nil {
		t.Logged(in.pool.key.name, level, strings.ToValidUTF8(string(whole), "\uFFFD"))
	}
}

func hostNow(in *instance, _ api.Module, stack []uint64) {
	stack[0] = in.hostTime()
}

// hostTime is the clock that guests see, in Unix nanoseconds.
func (in *instance) hostTime() uint64 {
	if n := in.replay(askNow, nil, [3]uint64{}); n != nil {
		return n.result
	}
	now := uint64(in.pool.host.now().UnixNano())
	in.note(askNow, nil, [3]uint64{}, now, nil)
	return now
}

func hostRandom(in *instance, mod api.Module, stack []uint64) {
	ptr, n := uint32(stack[0]), uint32(stack[1])
	if n > maxRandom {
		stack[0] = api.EncodeI32(resultArgument)
		return
	}
	fillRandom(in, mod, ptr, n)
	stack[0] = 0
}

func fillRandom(in *instance, mod api.Module, ptr, n uint32) {
	b, ok := mod.Memory().Read(ptr, n)
	if !ok {
		panic(errBadPointer)
	}
	in.charge(mod, 8*len(b))
	args := [3]uint64{uint64(n)}
	if said := in.replay(askRandom, nil, args); said != nil {
		copy(b, said.data)
		return
	}
	defer in.noteBytes(askRandom, args, b)
	if _, err := io.ReadFull(in.pool.host.random, b); err != nil { // never of crypto/rand
		panic(fmt.Errorf("%w: %w", errRandom, err))
	}
}

// hostAbort is AssemblyScript's env.abort(message, file, line, column); its
// strings are UTF-16 with their length in bytes before them.
func hostAbort(_ *instance, mod api.Module, stack []uint64) {
	what := "abort"
	if text := assemblyScriptString(mod.Memory(), uint32(stack[0])); text != "" {
		what += ": " + text
	}
	if file := assemblyScriptString(mod.Memory(), uint32(stack[1])); file != "" {
		what += fmt.Sprintf(" at %s:%d:%d", file, uint32(stack[2]), uint32(stack[3]))
	}
	panic(&exitError{what})
}

// assemblyScriptString reads at most 256 characters; anything unreadable is "".
func assemblyScriptString(mem api.Memory, ptr uint32) string {
	if ptr < 4 {
		return ""
	}
	n, ok := mem.ReadUint32Le(ptr - 4)
	if !ok {
		return ""
	}
	b, ok := mem.Read(ptr, min(n, 512)&^1)
	if !ok {
		return ""
	}
	var out strings.Builder
	for i := 0; i < len(b); i += 2 {
		out.WriteRune(rune(b[i]) | rune(b[i+1])<<8)
	}
	return out.String()
}

// stub stands in for a function that this version does not know: it answers
// "unsupported", so that newer filters run on older hosts. In WASI that is
// ENOSYS.
func stub(module string, results []byte) func(*instance, api.Module, []uint64) {
	answer := int64(resultUnsupported)
	if module == moduleWASI {
		answer = wasiENOSYS
	}
	return func(_ *instance, _ api.Module, stack []uint64) {
		for i, t := range results {
			switch t {
			case i32:
				stack[i] = uint64(uint32(answer))
			case i64:
				stack[i] = uint64(answer)
			default:
				stack[i] = 0
			}
		}
	}
}
