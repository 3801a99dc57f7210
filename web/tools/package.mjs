// Prints the package.json of web/pkg. Its version is that of Cargo.toml.

import { readFileSync } from "node:fs";

const manifest = readFileSync(new URL("../Cargo.toml", import.meta.url), "utf8");
const field = (name) => manifest.match(new RegExp(`^${name} = "(.*)"$`, "m"))[1];

console.log(JSON.stringify({
  name: "impasto",
  version: field("version"),
  description: field("description"),
  license: field("license"),
  type: "module",
  main: "impasto.js",
  types: "impasto.d.ts",
  sideEffects: false,
  files: ["*.js", "*.d.ts", "*.wasm", "LICENSE-*"],
}, null, 2));
