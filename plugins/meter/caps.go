package meter

// Caps on what a module declares. They are checked before anything of that size is allocated, here or in wazero: a
// few bytes can declare 2³²−1 locals. The sizes are far above what compilers produce.
const (
	maxTypes        = 65_536
	maxParams       = 256 // of one function type; its results too
	maxTypeValues   = 1 << 20
	maxImports      = 10_000
	maxFunctions    = 200_000 // defined by the module
	maxTables       = 64
	maxTableEntries = 1 << 20 // minimum sizes of all tables together; each table's maximum is clamped to it
	maxGlobals      = 100_000
	maxExports      = 100_000
	maxSegments     = 100_000 // element segments; data segments too
	maxElements     = 1 << 22 // entries of all element segments
	maxLocals       = 50_000  // of one function, parameters included
	maxModuleLocals = 4 << 20
	maxBody         = 2 << 20 // bytes of one function
	maxBranchTable  = 65_536
	maxDepth        = 16_384 // of nested blocks
	maxLoopDepth    = 256
	maxName         = 100_000 // bytes
	maxCustom       = 1 << 20 // bytes of one section that Module.Custom returns

	// A compiler's work on a function grows with the values that its blocks, branches and calls pass on, and with
	// the places where locals meet again (φ-functions in SSA form). A few bytes of code can ask for hundreds of either.
	maxPassed = 2 << 20
	maxMerged = 1 << 20
)
