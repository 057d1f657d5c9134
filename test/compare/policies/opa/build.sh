#!/bin/sh
# Builds what OPA's policies import.
set -eu
cd "$(dirname "$0")"
wat2wasm -o env.wasm env.wat
