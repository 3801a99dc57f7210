#!/usr/bin/env bash
# Builds the browser's library (web/pkg) and the static site (web/dist).
#
# What is missing is installed: Rust's library for the browser by rustup, and wasm-bindgen of the version in Cargo.lock into
# target/tools. node is needed, for the package and the list of nets. wasm-opt is not used: compressed, the engine gets no
# smaller, and what its version 108 writes does not load.
#
# CARGO, RUSTC, CARGO_ARGS and WASM_BINDGEN name other programs; PROFILE=dev builds quickly, for tests.
set -euo pipefail
cd "$(dirname "$0")"
cargo=${CARGO:-cargo} rustc=${RUSTC:-rustc} profile=${PROFILE:-release}
wanted=$(sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
tools=${CARGO_TARGET_DIR:-$PWD/target}/tools

version() {
  "$1" --version 2>/dev/null | head -1 | cut -d' ' -f2 || true
}

# wasm-bindgen: the one in WASM_BINDGEN, else the first of the right version.
if [ -n "${WASM_BINDGEN:-}" ]; then
  bindgen=$WASM_BINDGEN
elif [ "$(version wasm-bindgen)" = "$wanted" ]; then
  bindgen=wasm-bindgen
else
  bindgen=$tools/bin/wasm-bindgen
fi

# Everything that this script cannot install, in one message.
missing=""
# One thing that is missing.
lacks() {
  missing="$missing
  $1"
}
command -v node >/dev/null || lacks "Node.js 20 or later: https://nodejs.org, or your package manager"
if ! command -v "$cargo" >/dev/null || ! command -v "$rustc" >/dev/null; then
  lacks "Rust: https://rustup.rs"
elif [ -z "${CARGO_ARGS:-}" ] && [ ! -d "$("$rustc" --print sysroot)/lib/rustlib/wasm32-unknown-unknown" ]; then
  # A Rust that does not come from rustup has its own package for that.
  if ! command -v rustup >/dev/null || ! rustup target add wasm32-unknown-unknown; then
    lacks "Rust's library for the browser: rustup target add wasm32-unknown-unknown, or the package of your Rust for wasm32"
  fi
fi
if [ -n "${WASM_BINDGEN:-}" ] && [ "$(version "$bindgen")" != "$wanted" ]; then
  lacks "wasm-bindgen $wanted: WASM_BINDGEN names $bindgen, whose version is $(version "$bindgen" | grep . || echo unknown)"
fi
if [ -n "$missing" ]; then
  echo "web/build.sh: the browser's library cannot be built. Missing:$missing" >&2
  exit 1
fi
if [ "$(version "$bindgen")" != "$wanted" ]; then
  echo "installing wasm-bindgen $wanted into $tools" >&2
  if ! "$cargo" install --quiet --root "$tools" --version "$wanted" wasm-bindgen-cli; then
    echo "web/build.sh: wasm-bindgen is missing; cargo install wasm-bindgen-cli --version $wanted" >&2
    exit 1
  fi
fi

# shellcheck disable=SC2086
"$cargo" build ${CARGO_ARGS:-} --locked --target wasm32-unknown-unknown --profile "$profile"
# The folder of the profile dev is called debug.
folder=$(if [ "$profile" = dev ]; then echo debug; else echo "$profile"; fi)

rm -rf pkg dist
mkdir -p pkg dist
# wasm-bindgen finds the stack by its name; then the names can go.
"$bindgen" --target web --no-typescript --remove-name-section --remove-producers-section \
  --out-name impasto_engine --out-dir pkg \
  "${CARGO_TARGET_DIR:-target}/wasm32-unknown-unknown/$folder/impasto_web.wasm"
cp js/*.js js/*.d.ts README.md ../LICENSE-MIT ../LICENSE-APACHE pkg/
node tools/package.mjs > pkg/package.json

mkdir dist/pkg dist/nets
cp pkg/*.js pkg/*.wasm dist/pkg/
node tools/nets.mjs ../weights dist/nets
cp -r page/. dist/
rm dist/thumbs.sh
