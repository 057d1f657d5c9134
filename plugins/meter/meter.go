package meter

// Names that the rewritten module has and no original may use.
const (
	ImportModule   = "sluice:meter"
	ImportYield    = "yield"        // func(): called when fuel is used up; returns to go on, panics to stop
	ImportOverflow = "overflow"     // func(): called when the stack budget is used up; if it returns the guest traps
	ExportFuel     = "sluice:fuel"  // global mut i64: fuel left, 0 at first; yield sees it below zero and sets it anew
	ExportStack    = "sluice:stack" // global mut i32: bytes of native stack left (estimate); Options.StackBytes at first
	CostVersion    = 1              // of the cost table: changes whenever the same call may use other fuel
)

// Slice is the fuel to give between two looks at the clock: 20 to 60 µs of usual code.
const Slice = 1 << 16

// reservedPrefix starts every name of the meter's own.
const reservedPrefix = "sluice:"

// customPrefix starts the names of the custom sections that Module.Custom returns.
const customPrefix = "sluice."

// Options bound a module.
type Options struct {
	MaxMemoryPages uint32 // 64 KiB each; the declared maximum is clamped to it, a larger minimum refused; 0: 256
	MaxModuleSize  int    // bytes; 0: 16 MiB
	StackBytes     int32  // budget of recursion; 0: 1 MiB
}

func (o Options) withDefaults() Options {
	if o.MaxMemoryPages == 0 {
		o.MaxMemoryPages = 256
	}
	if o.MaxModuleSize <= 0 {
		o.MaxModuleSize = 16 << 20
	}
	if o.StackBytes <= 0 {
		o.StackBytes = 1 << 20
	}
	return o
}

// Module is a rewritten module and what was read of it on the way.
type Module struct {
	Wasm                 []byte
	Imports              []Import
	Exports              []Export
	MemoryMin, MemoryMax uint32            // pages, after clamping; both 0 if it has no memory
	Custom               map[string][]byte // custom sections whose name starts with "sluice."; not in Wasm
}

// Kind is what an import or export is.
type Kind byte

// The kinds, as in the binary format.
const (
	KindFunc Kind = iota
	KindTable
	KindMemory
	KindGlobal
)

// Import is an import as the module declared it (the meter's own left out).
type Import struct {
	Module, Name    string
	Kind            Kind
	Params, Results []byte // value types of a function, as in the binary format (0x7f i32, 0x7e i64, …)
}

// Export is an export as the module declared it (the meter's own left out).
type Export struct {
	Name            string
	Kind            Kind
	Params, Results []byte // as Import's
}

// Refusal is why a module cannot be used, and what to do about it.
type Refusal struct {
	Cause  string // what was found
	Remedy string // what the author can do; may be ""

	malformed bool // the bytes are no wasm module at all, rather than one of a kind not supported
}

func (r *Refusal) Error() string { return r.Cause }

// Rewrite reads, bounds and rewrites a module. The error is a *Refusal. It never panics and takes memory in
// proportion to the module's size.
func Rewrite(wasm []byte, o Options) (m *Module, err error) {
	// The readers report a refusal by panicking with it: bounds are checked at hundreds of places, and a
	// forgotten check of a returned error would let unread bytes pass.
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *Refusal:
			m, err = nil, r
		default:
			panic(r)
		}
	}()
	o = o.withDefaults()
	mod := decode(wasm, o)
	for i := range mod.funcs {
		mod.scan(&mod.funcs[i])
	}
	mod.planStack()
	return mod.result(mod.encode(o)), nil
}
