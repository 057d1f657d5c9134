// Package meter rewrites a wasm module so that running it can be bounded in time, recursion and memory, and
// refuses what cannot be bounded. It is a leaf: it knows neither wazero nor the plugin ABI.
//
// The path of a module:
//
//	1 module.go    sections are read under the caps of caps.go; anything unknown is refused
//	2 scan.go      one pass over each body: indices checked, costs of the longest paths, stack frame estimated
//	3 stack.go     call graph: which functions can recurse or grow deep, and so must look at the stack budget
//	4 emit.go      second pass over each body: the same instructions with charges and checks in between
//	5 write.go     sections are written again, with two imports, two globals and two exports more
//
// Fuel is an exported mutable i64. A function charges at its entry, and each loop at its header, what the longest
// way through it costs (cost.go); bulk operations charge by their length, and long ones of memory are done in pieces
// by functions added for it (bulk.go). Below zero the guest calls the import
// yield, where the host looks at the clock and refuels by setting the global, or panics to stop the guest. Between
// yields a guest runs at most the fuel it was given plus the longest straight way through one function.
//
// The native stack's budget is an exported mutable i32. A function that can take part in a recursion subtracts its
// frame's estimate at entry and adds it back at its one exit; below zero it calls the import overflow and traps.
//
// A guest cannot reach what is injected: indices outside the original's types, functions, globals and locals are
// refused, and the added ones lie behind the original's. What is injected leaves the operand stack as it was, so a
// rewritten module is valid exactly when the original is. Output depends on the input and Options alone.
//
// There are no goroutines and no locks.
package meter
