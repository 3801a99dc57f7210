#!/usr/bin/env bash
# Builds the browser's library (web/pkg) and the static site (web/dist).
#
# Needs Rust's library for the browser (rustup target add wasm32-unknown-unknown), wasm-bindgen of the version in
# web/Cargo.lock (cargo install wasm-bindgen-cli --version X), and node. wasm-opt is not used: compressed, the engine gets
# no smaller, and what its version 108 writes does not load.
#
# CARGO, CARGO_ARGS and WASM_BINDGEN name other programs; PROFILE=dev builds quickly, for tests.
set -euo pipefail
cd "$(dirname "$0")"
cargo=${CARGO:-cargo} bindgen=${WASM_BINDGEN:-wasm-bindgen} profile=${PROFILE:-release}

fail() {
  echo "web/build.sh: $*" >&2
  exit 1
}

command -v node >/dev/null || fail "node is missing; install Node.js 20 or later"
wanted=$(sed -n '/^name = "wasm-bindgen"$/{n;s/version = "\(.*\)"/\1/p}' Cargo.lock)
found=$("$bindgen" --version 2>/dev/null | cut -d' ' -f2) || true
[ "$found" = "$wanted" ] ||
  fail "wasm-bindgen $wanted is needed, ${found:-none} is installed; cargo install wasm-bindgen-cli --version $wanted"

# shellcheck disable=SC2086
"$cargo" build ${CARGO_ARGS:-} --locked --target wasm32-unknown-unknown --profile "$profile"
# The folder of the profile dev is called debug.
folder=$(if [ "$profile" = dev ]; then echo debug; else echo "$profile"; fi)

rm -rf pkg dist
mkdir -p pkg dist
"$bindgen" --target web --no-typescript --out-name impasto_engine --out-dir pkg \
  "${CARGO_TARGET_DIR:-target}/wasm32-unknown-unknown/$folder/impasto_web.wasm"
cp js/*.js js/*.d.ts README.md ../LICENSE-MIT ../LICENSE-APACHE pkg/
node tools/package.mjs > pkg/package.json

mkdir dist/pkg dist/nets
cp pkg/*.js pkg/*.wasm dist/pkg/
node tools/nets.mjs ../weights dist/nets
cp -r page/. dist/
rm dist/thumbs.sh
