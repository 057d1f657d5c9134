package meter

// What instructions cost, in units of fuel: about what they take beside a simple one, which costs 1 and takes
// 0.3 to 1 ns. The table has a version, CostVersion.
const (
	costCall     = 16 // a leaf function of up to this is free: the call paid for it
	costDivision = 8
	costRefFunc  = 32 // leaves the guest
	costBulk     = 16 // of a bulk operation, to which its length is added
	costGrow     = 64 // of memory.grow and table.grow: they leave the guest

	bulkShift  = 6 // memory: 64 bytes a unit
	tableShift = 3 // tables: 8 entries a unit
	pageCost   = 1024

	// armLimit is the longest branch of an if that is charged whether it is taken or not.
	armLimit = 64
)

// set gives the opcodes from a to b their properties.
func set(table []info, a, b int, imm immediate, pops, pushes int8, cost uint8) {
	for i := a; i <= b; i++ {
		table[i] = info{imm, pops, pushes, cost}
	}
}

func init() {
	for i := range opcodes {
		opcodes[i].imm = immInvalid
	}
	initControl(opcodes[:])
	initNumeric(opcodes[:])
	initMisc(miscOps[:])
	initSIMD(simdOps[:])
}

func initControl(t []info) {
	set(t, opUnreachable, opNop, immNone, 0, 0, 0)
	set(t, opBlock, opLoop, immBlock, 0, 0, 0)
	set(t, opIf, opIf, immBlock, 1, 0, 1)
	set(t, opElse, opElse, immNone, 0, 0, 0)
	set(t, opEnd, opEnd, immNone, 0, 0, 0)
	set(t, opBr, opBr, immLabel, 0, 0, 1)
	set(t, opBrIf, opBrIf, immLabel, 1, 0, 1)
	set(t, opBrTable, opBrTable, immLabels, 1, 0, 3)
	set(t, opReturn, opReturn, immNone, 0, 0, 1)
	set(t, opCall, opCall, immFunc, 0, 0, costCall)
	set(t, opIndirect, opIndirect, immIndirect, 1, 0, costCall)
	set(t, opDrop, opDrop, immNone, 1, 0, 0)
	set(t, opSelect, opSelect, immNone, 3, 1, 1)
	set(t, opSelectT, opSelectT, immSelect, 3, 1, 1)
	set(t, opLocalGet, opLocalGet, immLocal, 0, 1, 1)
	set(t, opLocalSet, opLocalSet, immLocal, 1, 0, 1)
	set(t, opLocalTee, opLocalTee, immLocal, 1, 1, 1)
	set(t, opGlobalGet, opGlobalGet, immGlobal, 0, 1, 1)
	set(t, opGlobalSet, opGlobalSet, immGlobal, 1, 0, 1)
	set(t, 0x25, 0x25, immTable, 1, 1, 2) // table.get
	set(t, 0x26, 0x26, immTable, 2, 0, 2) // table.set
	set(t, 0xd0, 0xd0, immHeap, 0, 1, 1)  // ref.null
	set(t, 0xd1, 0xd1, immNone, 1, 1, 1)  // ref.is_null
	set(t, opRefFunc, opRefFunc, immFunc, 0, 1, costRefFunc)
	set(t, opMisc, opMisc, immMisc, 0, 0, 1)
	set(t, opSIMD, opSIMD, immSIMD, 0, 0, 1)
}

func initNumeric(t []info) {
	set(t, 0x28, 0x35, immMem, 1, 1, 1) // loads
	set(t, 0x36, 0x3e, immMem, 2, 0, 1) // stores
	set(t, 0x3f, 0x3f, immZero, 0, 1, 1)
	set(t, opMemoryGrow, opMemoryGrow, immZero, 1, 1, costGrow)
	set(t, opI32Const, opI32Const, immI32, 0, 1, 1)
	set(t, opI64Const, opI64Const, immI64, 0, 1, 1)
	set(t, 0x43, 0x43, immF32, 0, 1, 1)
	set(t, 0x44, 0x44, immF64, 0, 1, 1)
	set(t, 0x45, 0xc4, immNone, 2, 1, 1) // most take two operands
	for _, unary := range [][2]int{{0x45, 0x45}, {0x50, 0x50}, {0x67, 0x69}, {0x79, 0x7b}, {0x8b, 0x91}, {0x99, 0x9f}, {0xa7, 0xc4}} {
		set(t, unary[0], unary[1], immNone, 1, 1, 1)
	}
	for _, op := range []int{0x6d, 0x6e, 0x6f, 0x70, 0x7f, 0x80, 0x81, 0x82, 0x95, 0xa3, 0x91, 0x9f} { // div, rem, sqrt
		t[op].cost = costDivision
	}
	set(t, 0xa8, 0xab, immNone, 1, 1, 3) // float to integer, with its checks
	set(t, 0xae, 0xb1, immNone, 1, 1, 3)
}

func initMisc(t []info) {
	set(t, 0, 7, immMisc, 1, 1, 3) // float to integer, saturating
	set(t, 8, 14, immMisc, 3, 0, costBulk)
	set(t, 9, 9, immMisc, 0, 0, 4)   // data.drop
	set(t, 13, 13, immMisc, 0, 0, 4) // elem.drop
	set(t, miscTableGrow, miscTableGrow, immMisc, 2, 1, costGrow)
	set(t, 16, 16, immMisc, 0, 1, 1) // table.size
	set(t, miscTableFill, miscTableFill, immMisc, 3, 0, costBulk)
}

func initSIMD(t []info) {
	set(t, 0, 255, immSIMD, 2, 1, 2)
	set(t, 0, 10, immSIMD, 1, 1, 1) // loads
	set(t, 11, 11, immSIMD, 2, 0, 1)
	set(t, 12, 12, immSIMD, 0, 1, 1)
	for _, unary := range [][2]int{{15, 20}, {21, 22}, {24, 25}, {27, 27}, {29, 29}, {31, 31}, {33, 33}, {77, 77}, {83, 83},
		{92, 100}, {103, 106}, {116, 117}, {122, 122}, {124, 129}, {131, 132}, {135, 138}, {148, 148}, {160, 161},
		{163, 164}, {167, 170}, {192, 193}, {195, 196}, {199, 202}, {224, 225}, {227, 227}, {236, 237}, {239, 239}, {248, 255}} {
		set(t, unary[0], unary[1], immSIMD, 1, 1, 2)
	}
	set(t, 82, 82, immSIMD, 3, 1, 2)               // bitselect
	set(t, 84, 87, immSIMD, 2, 1, 2)               // lane loads
	set(t, 88, 91, immSIMD, 2, 0, 2)               // lane stores
	for _, op := range []int{227, 231, 239, 243} { // sqrt, div
		t[op].cost = costDivision
	}
	for _, op := range []int{77, 94, 95, 98, 107, 139, 171, 181, 203, 213, 248, 249, 250, 251, 252, 253, 254, 255} {
		t[op].cost = max(t[op].cost, 4) // several machine instructions
	}
	for _, none := range []int{154, 162, 165, 166, 175, 176, 178, 179, 180, 187, 194, 197, 198, 207, 208, 210, 211, 212, 226, 238} {
		t[none].imm = immInvalid
	}
}
