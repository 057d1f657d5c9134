package plugins

import (
	"encoding/binary"
	"hash/fnv"

	"github.com/tetratelabs/wazero/api"
)

// Op is a host function whose answer depends on something other than its
// arguments.
type Op string

// The host functions that are recorded.
const (
	OpNow        Op = "now"
	OpRandom     Op = "random"
	OpVerify     Op = "verify"
	OpMetricAdd  Op = "metric_add"
	OpCounterAdd Op = "counter_add"
	OpBucketTake Op = "bucket_take"
	OpKVGet      Op = "kv_get"
	OpKVSet      Op = "kv_set"
	OpClock      Op = "clock_time_get" // of WASI
	OpRandomGet  Op = "random_get"     // of WASI
)

// Answer is what the host told a guest in one call.
type Answer struct {
	Op Op

	// Asked is a digest of the arguments, so that a question can be known again
	// and yet its keys and tokens stay with the node.
	Asked uint32

	Value int64  // the function's result
	Data  []byte // what it wrote to the guest's memory
}

// witness says how a host function's arguments and answer lie on its stack.
type witness struct {
	op    Op
	texts []int // where the arguments that are {ptr, len} begin
	longs []int // arguments that are i64
	ints  []int // arguments that are i32

	// out is where the function writes, at the most so many bytes, and written is
	// how many of these a result stands for. nil: it writes nothing.
	out     func(s []uint64) (ptr, room uint32)
	written func(result int64, room uint32) uint32
}

// allIf is a function that writes all of its room if its result is 0.
func allIf(result int64, room uint32) uint32 {
	if result != 0 {
		return 0
	}
	return room
}

func firstSpan(s []uint64) (ptr, room uint32) { return uint32(s[0]), uint32(s[1]) }

var witnesses = map[string]map[string]witness{
	moduleSluice: {
		"now":         {op: OpNow},
		"random":      {op: OpRandom, ints: []int{1}, out: firstSpan, written: allIf},
		"verify":      {op: OpVerify, texts: []int{0, 2, 4, 6}},
		"metric_add":  {op: OpMetricAdd, texts: []int{0}, longs: []int{2}},
		"counter_add": {op: OpCounterAdd, texts: []int{0}, longs: []int{2, 3}},
		"bucket_take": {op: OpBucketTake, texts: []int{0}, longs: []int{2, 3, 4}},
		"kv_get": {op: OpKVGet, texts: []int{0},
			out: func(s []uint64) (uint32, uint32) { return uint32(s[2]), uint32(s[3]) },
			written: func(result int64, room uint32) uint32 {
				if result < 0 || result > int64(room) {
					return 0
				}
				return uint32(result)
			}},
		"kv_set": {op: OpKVSet, texts: []int{0, 2}, longs: []int{4}},
	},
	moduleWASI: {
		"clock_time_get": {op: OpClock, ints: []int{0}, written: allIf,
			out: func(s []uint64) (uint32, uint32) { return uint32(s[2]), 8 }},
		"random_get": {op: OpRandomGet, ints: []int{1}, out: firstSpan, written: allIf},
	},
}

// witnessed is the host function, which during recorded calls tells the tape what
// it answered, or answers as the tape's oracle does.
func witnessed(module, name string, fn hostFunc) hostFunc {
	w, ok := witnesses[module][name]
	if !ok {
		return fn
	}
	call := fn.call
	short := len(fn.results) == 1 && fn.results[0] == i32
	fn.call = func(in *instance, mod api.Module, stack []uint64) {
		if in.tape == nil {
			call(in, mod, stack)
			return
		}
		w.call(call, short, in, mod, stack)
	}
	return fn
}

func (w *witness) call(call func(*instance, api.Module, []uint64), short bool, in *instance, mod api.Module, stack []uint64) {
	t := in.tape
	asked, ok := w.asked(mod, stack)
	if !ok { // it refuses the pointer
		call(in, mod, stack)
		return
	}
	a := Answer{Op: w.op, Asked: asked}
	var ptr, room uint32
	if w.out != nil {
		ptr, room = w.out(stack)
	}
	if t.oracle != nil {
		if told, ok := t.oracle.Answer(a.Op, a.Asked, int(room)); ok && w.tell(mod, ptr, room, told) {
			setResult(stack, short, told.Value)
			a.Value, a.Data = told.Value, told.Data
			t.note(a)
			return
		}
	}
	call(in, mod, stack)
	a.Value = int64(stack[0])
	if short {
		a.Value = int64(int32(uint32(stack[0])))
	}
	if w.out != nil {
		a.Data, _ = mod.Memory().Read(ptr, w.written(a.Value, room))
	}
	t.note(a)
}

// tell writes an answer's data, if it is as long as its value says.
func (w *witness) tell(mod api.Module, ptr, room uint32, a Answer) bool {
	if w.out == nil {
		return true
	}
	if n := w.written(a.Value, room); int(n) != len(a.Data) {
		return false
	}
	return len(a.Data) == 0 || mod.Memory().Write(ptr, a.Data)
}

func setResult(stack []uint64, short bool, value int64) {
	stack[0] = uint64(value)
	if short {
		stack[0] = api.EncodeI32(int32(value))
	}
}

// asked is the digest of the arguments.
func (w *witness) asked(mod api.Module, stack []uint64) (sum uint32, ok bool) {
	h := fnv.New32a()
	var number [8]byte
	add := func(v uint64) {
		binary.LittleEndian.PutUint64(number[:], v)
		h.Write(number[:])
	}
	for _, i := range w.texts {
		text, ok := mod.Memory().Read(uint32(stack[i]), uint32(stack[i+1]))
		if !ok {
			return 0, false
		}
		add(uint64(len(text)))
		h.Write(text)
	}
	for _, i := range w.longs {
		add(stack[i])
	}
	for _, i := range w.ints {
		add(uint64(uint32(stack[i])))
	}
	return h.Sum32(), true
}
