// Package meter rewrites a wasm module so that running it can be bounded in time, recursion and memory, and
// refuses what cannot be bounded. It is a leaf: it knows neither wazero nor the plugin ABI.
package meter

// Names that the rewritten module has and no original may use.
const (
	ImportModule = "sluice:meter"
	ImportYield  = "yield"        // func(): called when fuel is used up; returns to go on, panics to stop
	ExportFuel   = "sluice:fuel"  // global mut i64: fuel left
	ExportStack  = "sluice:stack" // global mut i32: bytes of native stack left (estimate)
	CostVersion  = 1
)

// Options bound a module.
type Options struct {
	MaxMemoryPages uint32 // 64 KiB each; the declared maximum is clamped to it, a larger minimum refused
	MaxModuleSize  int    // bytes; 0: 16 MiB
	StackBytes     int32  // budget of recursion; 0: 1 MiB
}

// Module is a rewritten module and what was read of it on the way.
type Module struct {
	Wasm                 []byte
	Imports              []Import
	Exports              []Export
	MemoryMin, MemoryMax uint32            // pages, after clamping
	Custom               map[string][]byte // custom sections whose name starts with "sluice."
}

type Kind byte // 0 func, 1 table, 2 memory, 3 global

// Import and Export as the module declared them (the meter's own left out).
type Import struct {
	Module, Name    string
	Kind            Kind
	Params, Results []byte // value types of a function, as in the binary format (0x7f i32, 0x7e i64, …)
}
type Export struct {
	Name            string
	Kind            Kind
	Params, Results []byte
}

// Refusal is why a module cannot be used, and what to do about it.
type Refusal struct {
	Cause  string // what was found
	Remedy string // what the author can do; may be ""
}

func (r *Refusal) Error() string { return r.Cause }

// Rewrite reads, bounds and rewrites a module. The error is a *Refusal. It never panics and takes memory in
// proportion to the module's size.
func Rewrite(wasm []byte, o Options) (*Module, error) { return nil, nil }
