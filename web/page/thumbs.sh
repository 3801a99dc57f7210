#!/bin/sh
# Makes the pictures of the page: sample.webp (the sample photo), styles/ (style pictures for AdaIN) and thumbs/ (the
# sample photo in every style of the included nets). All are drawn by examples/draw_samples and painted by Impasto.
#
#   cargo build --release --bin impasto --example draw_samples && web/page/thumbs.sh
#
# IMPASTO and DRAW_SAMPLES name the two programs, if they are elsewhere. ImageMagick (convert) writes the WebP files.
set -eu
page=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$page/../.." && pwd)
impasto=${IMPASTO:-$root/target/release/impasto}
draw=${DRAW_SAMPLES:-$root/target/release/examples/draw_samples}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

mkdir -p "$page/thumbs" "$page/styles" "$work/painted"
"$draw" "$work" --size 768
convert "$work/landscape.png" -resize 640x -define webp:method=6 -quality 70 "$page/sample.webp"
for style in strokes marble mosaic woodcut; do
    convert "$work/$style.png" -resize 208x -define webp:method=6 -quality 52 "$page/styles/$style.webp"
done

"$impasto" models | awk '$1 ~ /^[a-z]/ && $1 !~ /^adain/ && /built in/ { print $1 }' | while read -r model; do
    name=$(echo "$model" | tr : -)
    "$impasto" stylize "$work/landscape.png" --model "$model" --size 400 -o "$work/painted/$name.png" </dev/null
    convert "$work/painted/$name.png" -gravity center -crop 300x300+30+0 +repage -resize 112x \
        -define webp:method=6 -quality 55 "$page/thumbs/$name.webp"
done
du -ch "$page/sample.webp" "$page/styles" "$page/thumbs" | tail -1
