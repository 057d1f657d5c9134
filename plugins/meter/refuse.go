package meter

import "fmt"

// refuse stops the rewriting: the module is of a kind that is not supported.
func refuse(remedy, cause string, args ...any) {
	panic(&Refusal{Cause: fmt.Sprintf(cause, args...), Remedy: remedy})
}

// malformed stops the rewriting: the bytes are not a valid module.
func malformed(cause string, args ...any) {
	panic(&Refusal{Cause: "not a valid wasm module: " + fmt.Sprintf(cause, args...), Remedy: remedyMalformed, malformed: true})
}

// over stops the rewriting if n is more than a cap.
func over[T int | uint32 | uint64](n, limit T, what string) {
	if n > limit {
		refuse("declare fewer: no working filter comes near this limit", "%s: %d, more than the %d allowed", what, n, limit)
	}
}

// Remedies name the compiler's switch where there is one.
const (
	remedyMalformed  = "compile the filter again; the file may be truncated or damaged"
	remedyComponent  = "build a core module, not a component (wasm32-unknown-unknown or wasm32-wasip1, not wasm32-wasip2)"
	remedyMemory     = "let the module define its own memory (clang: no --import-memory)"
	remedyMemory64   = "build for wasm32, not wasm64"
	remedyShared     = "build without threads and atomics (clang: no -pthread, no --shared-memory; rustc: no +atomics)"
	remedyExceptions = "build without wasm exceptions (clang: -fno-exceptions, emscripten: -sSUPPORT_LONGJMP=0)"
	remedyTailCall   = "build without tail calls (clang: -mno-tail-call)"
	remedyTypedRefs  = "build without typed references and garbage collected types; only funcref and externref are supported"
	remedyMulti      = "build without multi-memory (one memory is supported)"
	remedyExtended   = "build without extended constant expressions (clang: -mno-extended-const)"
	remedyRelaxed    = "build without relaxed SIMD (clang: -mno-relaxed-simd); plain SIMD is supported"
	remedyReserved   = "rename it: names that start with \"" + reservedPrefix + "\" belong to the host"
)
