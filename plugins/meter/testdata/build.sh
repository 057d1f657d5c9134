#!/bin/sh
# Builds the test guests again: those in C by clang 19 and lld 19, those in text by wat2wasm (of npm's wabt).
set -e
cd "$(dirname "$0")"
for f in *.c; do
	clang-19 --target=wasm32 -O2 -nostdlib -ffreestanding -Wl,--no-entry -Wl,-z,stack-size=16384 -Wl,--strip-all -o "${f%.c}.wasm" "$f"
done
for f in *.wat; do
	[ -e "$f" ] || continue
	"${WAT2WASM:-wat2wasm}" --debug-names -o "${f%.wat}.wasm" "$f"
done
chmod -x *.wasm
