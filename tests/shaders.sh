#!/usr/bin/env bash
# Writes every kernel variant in SPIR-V, HLSL and WGSL to target/shaders, and lets the compilers that this machine has
# judge them: spirv-val (Debian: spirv-tools), dxc, tint. Prints a line for each.
#
#   SPIRV_VAL, DXC, TINT    the commands [default: spirv-val, dxc, tint]
#   EVERY                   judge only every n-th kernel [default: 1]
set -uo pipefail
cd "$(dirname "$0")/.."
folder=$PWD/target/shaders
rm -rf "$folder"
mkdir -p "$folder"
IMPASTO_KEEP=$folder cargo test --quiet --test shaders every_kernel || exit 1
failed=0

# Language, extension of the files, the command, what it says where the kernel is not at fault; then its arguments, in
# which PATH and ENTRY stand for a kernel's file and entry point.
judge() {
  local language=$1 extension=$2 tool=$3 known=$4 log=$folder/$2.txt
  shift 4
  if ! command -v "$tool" >/dev/null; then
    printf '%-8s skipped: no %s\n' "$language" "$tool"
    return
  fi
  # Files are named SHADER-NUMBER.ENTRY.EXTENSION.
  export LOG=$log KNOWN=$known
  find "$folder" -name "*.$extension" | sort | awk "NR % ${EVERY:-1} == 0" >"$folder/$extension.list"
  tr '\n' '\0' <"$folder/$extension.list" | xargs -0 -P "$(nproc)" -I FILE bash -c '
    file=$1 entry=${1%.*} entry=${entry##*.}
    shift
    command=("${@/#ENTRY/$entry}")
    command=("${command[@]/#PATH/$file}")
    if ! told=$("${command[@]}" 2>&1 >/dev/null); then
      verdict=FAILED
      [ -n "$KNOWN" ] && grep -qE "$KNOWN" <<<"$told" && verdict=KNOWN
      printf "%s\n%s\n\n" "$verdict ${file##*/}" "$told" >>"$LOG"
    fi
  ' judge FILE "$tool" "$@"
  touch "$log"
  local all wrong excused
  all=$(wc -l <"$folder/$extension.list")
  wrong=$(grep -c '^FAILED' "$log")
  excused=$(grep -c '^KNOWN' "$log")
  printf '%-8s %s: %s of %s kernels are valid, %s cannot be judged, %s are wrong; see %s\n' \
    "$language" "$tool" "$((all - wrong - excused))" "$all" "$excused" "$wrong" "$log"
  [ "$wrong" = 0 ] || failed=1
}

# Cooperative matrices are unknown to spirv-val before 2023.3 (capability 6022) and, as an extension of naga, to Tint.
# naga gives arrays in workgroup memory a stride, which newer versions of spirv-val refuse (10684; 2025.1 did not) and
# drivers ignore.
judge SPIR-V spv "${SPIRV_VAL:-spirv-val}" 'Invalid capability operand: 6022|None-10684' --target-env vulkan1.1 PATH
judge HLSL hlsl "${DXC:-dxc}" '' -T cs_6_2 -enable-16bit-types -E ENTRY PATH
judge WGSL wgsl "${TINT:-tint}" 'error: expected extension' --format wgsl PATH
exit $failed
