#!/bin/sh
# Builds the test guests again: those in C by clang 19 and lld 19, those in text by wat2wasm (of npm's wabt).
set -e
cd "$(dirname "$0")"
# Linked apart, and without -O: else clang passes the module through any wasm-opt that is on PATH.
for f in *.c; do
	clang-19 --target=wasm32 -O2 -nostdlib -ffreestanding -c -o "${f%.c}.o" "$f"
	clang-19 --target=wasm32 -nostdlib -Wl,--no-entry -Wl,-z,stack-size=16384 -Wl,--strip-all -o "${f%.c}.wasm" "${f%.c}.o"
	rm "${f%.c}.o"
done
for f in *.wat; do
	[ -e "$f" ] || continue
	"${WAT2WASM:-wat2wasm}" --debug-names -o "${f%.wat}.wasm" "$f"
done
chmod -x *.wasm
