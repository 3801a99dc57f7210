// Results of the native command, with which those of the browser are compared.

import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { repository } from "./browser.mjs";
import { pixels, png } from "./pictures.mjs";

const KNOWN = ["release", "debug"].map((profile) => join(process.env.CARGO_TARGET_DIR ?? join(repository, "target"), profile, "impasto"));

/** The command: IMPASTO, or what `cargo build` has made. */
function command() {
  const found = process.env.IMPASTO ?? KNOWN.find((path) => existsSync(path));
  if (!found) throw new Error("the native command is missing: run cargo build --release, or name it in IMPASTO");
  return found;
}

/** Runs the command in a folder with `files` (pictures by name) and gives what `read` makes of the folder. */
function run(files, args, read) {
  const folder = mkdtempSync(join(tmpdir(), "impasto-web-"));
  try {
    for (const [name, picture] of Object.entries(files)) writeFileSync(join(folder, name), png(picture));
    const output = execFileSync(command(), args, { cwd: folder, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
    return read(folder, output);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** `impasto stylize photo.png` with these arguments. */
export function stylize(files, args) {
  return run(files, ["stylize", "photo.png", ...args, "-o", "out.png"], (folder) => {
    return pixels(readFileSync(join(folder, "out.png")));
  });
}

/** The losses of each step of `impasto stylize --method gatys`. */
export function gatysLog(files, args) {
  return run(files, ["stylize", "photo.png", ...args, "--log", "log.jsonl", "-o", "out.png"], (folder) => {
    return readFileSync(join(folder, "log.jsonl"), "utf8").trim().split("\n").map((line) => JSON.parse(line));
  });
}
