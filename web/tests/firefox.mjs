// The library and the page in Firefox, where it is installed (FIREFOX names another one). Playwright needs a Firefox of its
// own; Puppeteer drives any.
//
// node --test tests/firefox.mjs: needs web/build.sh and cargo build before. Without a GPU, Mesa's Vulkan driver is the
// adapter.

import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { serve } from "../serve.mjs";
import { folder, toBase64 } from "./browser.mjs";
import { stylize as nativeStylize } from "./native.mjs";
import { difference, photo, png } from "./pictures.mjs";

const KNOWN = ["/usr/bin/firefox-esr", "/usr/bin/firefox"];
const executablePath = process.env.FIREFOX ?? KNOWN.find((path) => existsSync(path));
const skip = executablePath ? false : "Firefox is not installed";

let browser;
let site;

before(async () => {
  if (skip) return;
  const { default: puppeteer } = await import("puppeteer-core");
  site = await serve([folder("../dist"), folder("./site")]);
  browser = await puppeteer.launch({
    browser: "firefox", executablePath, headless: true, timeout: 120_000, protocolTimeout: 600_000,
    extraPrefsFirefox: { "dom.webgpu.enabled": true, "gfx.webgpu.ignore-blocklist": true },
  });
});

after(async () => {
  await browser?.close();
  site?.server.close();
});

/** Opens a page of the site; `messages` gets its errors. */
async function visit(path) {
  const page = await browser.newPage();
  const messages = [];
  page.on("console", (message) => message.type() === "error" && messages.push(message.text()));
  page.on("pageerror", (error) => messages.push(error.message));
  await page.goto(site.address + path);
  return { page, messages };
}

test("a net paints in Firefox as the native command does", { skip }, async () => {
  const source = photo(64, 64);
  const expected = nativeStylize({ "photo.png": source }, ["--model", "wave"]);
  const { page, messages } = await visit("test.html");
  await page.waitForFunction(() => globalThis.ready);
  const { width, height, data } = await page.evaluate(async (source) => {
    const impasto = await Impasto.create();
    return sent(await impasto.stylize(picture(source), { model: "wave" }));
  }, toBase64(source));
  const found = { width, height, data: new Uint8ClampedArray(Buffer.from(data, "base64")) };
  assert.ok(difference(found, expected) <= 1, `${difference(found, expected)} of 255`);
  assert.deepEqual(messages, []);
});

test("the page paints a photo in Firefox", { skip }, async () => {
  const files = mkdtempSync(join(tmpdir(), "impasto-firefox-"));
  try {
    const file = join(files, "photo.png");
    writeFileSync(file, png(photo(64, 48)));
    const { page, messages } = await visit("index.html#model=wave");
    await page.waitForSelector("#engine[data-state=ready]", { timeout: 120_000 });
    await (await page.$("#photo-file")).uploadFile(file);
    await page.waitForSelector("#stage:is([data-state=done], [data-state=error])", { timeout: 300_000 });
    assert.equal(await page.$eval("#stage", (stage) => stage.dataset.state), "done");
    assert.match(await page.$eval("#status", (status) => status.textContent), /^Done: 64 × 48 px/);
    assert.deepEqual(messages, []);
  } finally {
    rmSync(files, { recursive: true });
  }
});
