#!/bin/sh
# Compiles every .wat here to .wasm, beside it, with wat2wasm of wabt
# (npm install wabt@1.0.39). Set WAT2WASM if it is not on the path.
set -eu
cd "$(dirname "$0")"
for wat in *.wat; do
	"${WAT2WASM:-wat2wasm}" "$wat" -o "$(basename "$wat" .wat).wasm"
done
