package plugins

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/tetratelabs/wazero/api"
)

// capability is a set of host functions that a filter may import.
type capability uint8

const (
	capLog capability = 1 << iota
	capNow
	capRandom
	capVerify
)

var capabilityWords = []struct {
	word string
	cap  capability
}{{"log", capLog}, {"now", capNow}, {"random", capRandom}, {"verify", capVerify}}

// laterCapabilities are in the ABI, but not offered by this version: a filter
// that imports one gets a stub that answers "unsupported".
var laterCapabilities = []string{"metric_add", "counter_add", "bucket_take", "kv_get", "kv_set"}

func parseCapabilities(words []string) (capability, error) {
	var set capability
next:
	for _, w := range words {
		for _, c := range capabilityWords {
			if c.word == w {
				set |= c.cap
				continue next
			}
		}
		if slices.Contains(laterCapabilities, w) {
			return 0, fmt.Errorf("capabilities: %s is not offered by this version; it offers log, now, random and verify", w)
		}
		return 0, fmt.Errorf("capabilities: %q does not exist; there are log, now, random and verify", w)
	}
	return set, nil
}

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
}

// known finds what is offered under a name. deferred means that the ABI knows
// the name, but this version does not offer it.
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
	"log":    {[]byte{i32, i32, i32}, nil, capLog, hostLog},
	"now":    {nil, []byte{i64}, capNow, hostNow},
	"random": {[]byte{i32, i32}, []byte{i32}, capRandom, hostRandom},
	"verify": {[]byte{i32, i32, i32, i32, i32, i32, i32, i32}, []byte{i32}, capVerify, hostVerify},
}

var envFuncs = map[string]hostFunc{
	"abort": {[]byte{i32, i32, i32, i32}, nil, 0, hostAbort},
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
	in.pool.host.reports.guestLine(in.pool, level, strings.ToValidUTF8(string(line), "\uFFFD"))
}

func hostNow(in *instance, _ api.Module, stack []uint64) {
	stack[0] = uint64(in.pool.host.now().UnixNano())
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
	_, _ = rand.Read(b) // never fails
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
