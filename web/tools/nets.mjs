// node nets.mjs FROM TO: copies the nets of the folder FROM to TO and writes TO/index.json, which lists them.

import { createHash } from "node:crypto";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const [from, to] = process.argv.slice(2);

/** What can paint: the files of each, and a title. Files are read in this order. */
const NETS = [
  ["adain", ["encoder-half", "adain"], "Any style"],
  ["adain-fast", ["encoder-fast", "adain-fast"], "Any style, fast"],
  ["impressions", ["impressions"], "Impressions"],
  ["wave", ["wave"]],
  ["starry-night", ["starry-night"]],
  ["scream", ["scream"]],
  ["composition-vii", ["composition-vii"]],
  ["udnie", ["udnie"]],
  ["mosaic", ["mosaic"]],
  ["mosaic-batch", ["mosaic-batch"], "Mosaic, with batch norm"],
  ["woodcut", ["woodcut"]],
];

/** The metadata of a safetensors file. */
function metadata(bytes) {
  const length = Number(bytes.readBigUInt64LE(0));
  return JSON.parse(bytes.subarray(8, 8 + length)).__metadata__ ?? {};
}

const files = new Map();

function file(stem) {
  if (!files.has(stem)) {
    const name = `${stem}.safetensors`;
    const bytes = readFileSync(join(from, name));
    copyFileSync(join(from, name), join(to, name));
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    files.set(stem, { entry: { name, bytes: bytes.length, sha256 }, about: metadata(bytes) });
  }
  return files.get(stem);
}

const capitalised = (name) => name[0].toUpperCase() + name.slice(1).replaceAll("-", " ");

const nets = NETS.map(([name, stems, title]) => {
  const { about } = file(stems.at(-1));
  const styles = JSON.parse(about.styles ?? "[]");
  const kind = stems.length === 2 ? "adain" : styles.length > 0 ? "body" : "net";
  const entries = stems.map((stem) => file(stem).entry);
  const bytes = entries.reduce((sum, entry) => sum + entry.bytes, 0);
  return { name, title: about.style_by ?? title ?? capitalised(name), kind, styles, bytes, files: entries };
});

writeFileSync(join(to, "index.json"), JSON.stringify({ nets }, null, 1));
