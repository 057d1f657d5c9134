#!/bin/sh
# Builds the bundled filters and the examples of the C SDK from source.
#
#   plugins/filters/build.sh            builds them in place
#   plugins/filters/build.sh --check    builds them elsewhere and compares byte for byte
#
# The output depends on the sources and on the compiler's version alone: it
# carries no paths, names or debug information.
# Exit status: 0 done; 1 a build failed or differs; 2 a tool is missing.
set -eu

CC=${SLUICE_WASM_CC:-clang-19}
LD=wasm-ld-19
VERSION=19.1.7
FLAGS="--target=wasm32 -std=c99 -pedantic -O2 -fno-unroll-loops -nostdlib -ffreestanding -fno-ident -g0
  -Wall -Wextra -Werror -Wl,--no-entry -Wl,-z,stack-size=16384 -Wl,--strip-all"
MODULES="
plugins/filters/auth/auth.c
plugins/filters/size/size.c
plugins/filters/validate/validate.c
sdk/c/examples/hello/hello.c
sdk/c/examples/noop/noop.c
sdk/examples/c/limit.c
sdk/conformance/testdata/probe.c
"
WAT_MODULES="
sdk/examples/wat/limit.wat
"

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd)
cd "$root"

check=false
case ${1:-} in
--check) check=true ;;
"") ;;
*)
  echo "usage: $0 [--check]" >&2
  exit 1
  ;;
esac

missing() { # tool, how to install it
  echo "build.sh: $1 is missing; install it with: $2" >&2
  exit 2
}
command -v "$CC" >/dev/null || missing "$CC" "apt-get install clang-19 lld-19"
command -v "$LD" >/dev/null || missing "$LD" "apt-get install lld-19"
if ! "$CC" --version | grep -qF "version $VERSION"; then
  echo "build.sh: the committed files were built by clang $VERSION; $CC is another version, its output may differ" >&2
fi

tmp=
$check && tmp=$(mktemp -d) && trap 'rm -rf "$tmp"' EXIT
status=0

deliver() { # built file, committed file
  if $check && ! cmp -s "$1" "$2"; then
    echo "differs: $2 is not what its source builds to; run plugins/filters/build.sh" >&2
    status=1
  elif $check; then
    echo "same: $2"
  else
    echo "built: $2 ($(wc -c <"$2" | tr -d ' ') bytes)"
  fi
}

for source in $MODULES; do
  committed=${source%.c}.wasm
  out=$committed
  $check && out=$tmp/$(basename "$committed")
  # From its own folder, so that no path enters and .incbin finds its files.
  out=$(case $out in /*) echo "$out" ;; *) echo "$root/$out" ;; esac)
  # shellcheck disable=SC2086 # the flags are words
  (cd "$(dirname "$source")" && "$CC" $FLAGS "-ffile-prefix-map=$root=." "-I$root/sdk/c" -o "$out" "$(basename "$source")")
  chmod 644 "$out"
  deliver "$out" "$committed"
done

# WAT needs another tool, which only those who change a .wat file need.
if command -v wat2wasm >/dev/null; then
  for source in $WAT_MODULES; do
    committed=${source%.wat}.wasm
    out=$committed
    $check && out=$tmp/$(basename "$committed")
    wat2wasm -o "$out" "$source"
    deliver "$out" "$committed"
  done
else
  echo "skipped: $(echo $WAT_MODULES): wat2wasm is missing; install it with: npm install --global wabt" >&2
fi
exit $status
