#!/bin/sh
# Compiles every .wat here to .wasm, beside it or into the folder that is
# given, with wat2wasm of wabt (npm install wabt@1.0.39). Set WAT2WASM if it is
# not on the path. The result is committed, so that the tests need no wabt.
set -eu
here=$(dirname "$0")
out=${1:-$here}
for wat in "$here"/*.wat; do
	"${WAT2WASM:-wat2wasm}" "$wat" -o "$out/$(basename "$wat" .wat).wasm"
done
