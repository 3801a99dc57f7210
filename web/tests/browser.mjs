// One browser and one page for all tests: the page imports the library from dist/.
//
// CHROMIUM names the browser (default: chromium of the system). The adapter is SwiftShader unless the machine has a GPU
// that headless Chromium uses.

import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

import { serve } from "../serve.mjs";

export const folder = (path) => fileURLToPath(new URL(path, import.meta.url));

export const repository = folder("../../");

/** Without a GPU, canvases of WebGPU need Vulkan too: else the GPU's process ends when a frame is shown. */
const CANVAS = ["--use-angle=swiftshader", "--enable-features=Vulkan", "--use-vulkan=swiftshader"];

const KNOWN = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];

/** Opens the browser. Gives a page whose `run(function, argument)` runs in a worker that has the library. */
export async function open() {
  const executablePath = process.env.CHROMIUM ?? KNOWN.find((path) => existsSync(path));
  if (!executablePath) throw new Error("no browser: install chromium, or name one in CHROMIUM");
  if (!existsSync(folder("../dist/pkg/impasto.js"))) throw new Error("web/dist is missing: run web/build.sh first");
  const { server, address } = await serve([folder("../dist"), folder("./site")]);
  const browser = await chromium.launch({
    executablePath,
    ignoreDefaultArgs: ["--disable-gpu"],
    args: ["--no-sandbox", "--enable-unsafe-webgpu", ...CANVAS],
  });
  const page = await browser.newPage();
  const messages = [];
  page.on("console", (message) => messages.push(`${message.type()}: ${message.text()} ${message.location().url}`));
  page.on("pageerror", (error) => messages.push(`pageerror: ${error.message}`));
  await page.goto(`${address}test.html`);
  return {
    address, browser, messages, page,
    async close() {
      await browser.close();
      server.close();
    },
  };
}

/** A picture as it travels between node and the page. */
export function toBase64({ width, height, data }) {
  return { width, height, data: Buffer.from(data).toString("base64") };
}
