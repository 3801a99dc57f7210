#!/usr/bin/env bash
# Runs `impasto doctor` on every driver that this machine has or can fetch, and prints a line for each.
#
#   tests/drivers.sh [IMPASTO]     the command to test [default: target/release/impasto]
#
# Drivers beside those that are installed: SwiftShader, which Debian's package chromium-common carries (or SWIFTSHADER=LIBRARY),
# and Mesa of Debian's newest release in a folder (as the superuser; or SYSTEM=FOLDER of a Debian that has it). They are
# kept in target/drivers. A driver that cannot be set up is skipped by name.
set -uo pipefail
cd "$(dirname "$0")/.."
impasto=$(realpath "${1:-target/release/impasto}")
folder=$PWD/target/drivers
mkdir -p "$folder"
failed=0

row() { printf '%-20s %-98s %s\n' "$@"; }

# Name of the driver; then the command before `impasto`. The limits end what hangs: a first run compiles some hundred
# kernels for the processor, which with OpenGL takes seven minutes of one idle core, and much longer beside other work.
examine() {
  local name=$1 log
  shift
  log=$folder/${name//[^a-zA-Z0-9]/-}.txt
  local adapter
  adapter=$("$@" devices 2>/dev/null | head -n 1 | cut -d ' ' -f 3- | sed 's/; .*/)/')
  if [ -z "$adapter" ]; then
    row "$name" "" "skipped: no adapter"
  elif timeout 7200 "$@" doctor --limit 1200 >"$log" 2>&1; then
    row "$name" "$adapter" "$(tail -n 1 "$log")"
  else
    failed=1
    row "$name" "$adapter" "FAILED, see $log: $(tail -n 1 "$log")"
  fi
}

# The installed drivers, one by one: Vulkan's, then OpenGL.
found=0
for driver in /usr/share/vulkan/icd.d/*.json /etc/vulkan/icd.d/*.json; do
  [ -e "$driver" ] || continue
  if [ -n "$(env VK_DRIVER_FILES="$driver" __EGL_VENDOR_LIBRARY_FILENAMES=/nonexistent "$impasto" devices 2>/dev/null)" ]; then
    found=1
    examine "Vulkan $(basename "$driver" .json)" \
      env VK_DRIVER_FILES="$driver" __EGL_VENDOR_LIBRARY_FILENAMES=/nonexistent "$impasto"
  fi
done
[ $found = 1 ] || examine "default" "$impasto"
examine "OpenGL" env VK_DRIVER_FILES=/nonexistent EGL_PLATFORM=surfaceless "$impasto"

library=${SWIFTSHADER:-$(ls /usr/lib/chromium/libvk_swiftshader.so "$folder"/chromium/usr/lib/chromium/libvk_swiftshader.so 2>/dev/null | head -n 1)}
if [ -z "$library" ] && command -v apt-get >/dev/null; then
  (
    cd "$folder" && apt-get download -qq chromium-common && dpkg -x chromium-common_*.deb chromium && rm chromium-common_*.deb
  ) >/dev/null 2>&1
  library=$(ls "$folder"/chromium/usr/lib/chromium/libvk_swiftshader.so 2>/dev/null)
fi
if [ -n "$library" ]; then
  printf '{"file_format_version":"1.0.0","ICD":{"library_path":"%s","api_version":"1.3.0"}}' "$(realpath "$library")" \
    >"$folder/swiftshader.json"
  examine "SwiftShader" env VK_DRIVER_FILES="$folder/swiftshader.json" __EGL_VENDOR_LIBRARY_FILENAMES=/nonexistent "$impasto"
else
  row "SwiftShader" "" "skipped: no libvk_swiftshader.so (install chromium-common, or set SWIFTSHADER)"
fi

system=${SYSTEM:-$folder/sid}
if [ ! -e "$system/usr/share/vulkan" ] && [ "$(id -u)" = 0 ] && command -v debootstrap >/dev/null; then
  debootstrap --variant=minbase --include=mesa-vulkan-drivers,libvulkan1 sid "$system" >"$folder/debootstrap.txt" 2>&1
fi
if [ -e "$system/usr/share/vulkan" ] && [ "$(id -u)" = 0 ]; then
  mkdir -p "$system/proc" "$system/opt"
  cp "$impasto" "$system/opt/impasto"
  mountpoint -q "$system/proc" || mount -t proc proc "$system/proc"
  examine "Mesa of Debian sid" chroot "$system" /opt/impasto
  umount -l "$system/proc"
else
  row "Mesa of Debian sid" "" "skipped: needs the superuser and debootstrap, or SYSTEM"
fi

row "DX12 (wine, vkd3d)" "" "skipped: needs a Windows build of the command"
exit $failed
