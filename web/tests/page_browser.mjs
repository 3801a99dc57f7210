// One browser for the page's tests. Every page must end without an error on the console, without a request to another
// origin, and without horizontal scrolling.

import assert from "node:assert/strict";
import { chromium } from "playwright-core";

/** Chromium's WebGPU on the processor; frames of a video are painted on a canvas of it, which needs Vulkan. */
const GPU = ["--enable-unsafe-webgpu", "--use-angle=swiftshader", "--enable-features=Vulkan", "--use-vulkan=swiftshader"];

export async function launch({ gpu = false } = {}) {
  return chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    ...(gpu ? { ignoreDefaultArgs: ["--disable-gpu"] } : {}),
    args: ["--no-sandbox", "--use-fake-device-for-media-stream", ...(gpu ? GPU : [])],
  });
}

/** Runs `act(page)` on a page of its own. `quiet`: console errors that the test expects. */
export async function visit(browser, site, { hash = "", width = 1280, height = 800, scheme = "light", permissions = ["camera"], ready = true, quiet = [], timeout = 8000 }, act) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, permissions, acceptDownloads: true });
  const page = await context.newPage();
  page.setDefaultTimeout(timeout);
  const faults = [];
  page.on("console", message => {
    if (["error", "warning"].includes(message.type()) && !quiet.some(text => message.text().includes(text))) faults.push(message.text());
  });
  page.on("pageerror", error => faults.push(error.stack));
  page.on("request", request => {
    const url = new URL(request.url());
    if (url.origin !== new URL(site.url).origin && !["blob:", "data:"].includes(url.protocol)) faults.push(`a request to ${url}`);
  });
  try {
    await page.goto(site.url + hash);
    if (ready) await page.waitForSelector("#engine[data-state=ready]");
    await act(page);
    assert.deepEqual(faults, []);
    assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "the page scrolls sideways");
  } finally {
    await context.close();
  }
}

/** Makes a picture in the browser: bands of colour, or `alpha` in the left half. */
export function drawn(page, { width = 96, height = 64, type = "image/png", clear = false } = {}) {
  return page.evaluate(async ({ width, height, type, clear }) => {
    const canvas = new OffscreenCanvas(width, height);
    const context = canvas.getContext("2d");
    for (const [i, colour] of ["#c03020", "#20a050", "#2040c0"].entries()) {
      context.fillStyle = colour;
      context.fillRect((i * width) / 3, 0, width / 3 + 1, height);
    }
    if (clear) context.clearRect(0, 0, width / 2, height);
    return [...new Uint8Array(await (await canvas.convertToBlob({ type })).arrayBuffer())];
  }, { width, height, type, clear }).then(bytes => Buffer.from(bytes));
}

/** A JPEG with an EXIF orientation. */
export function oriented(jpeg, orientation) {
  const exif = Buffer.from([
    0x45, 0x78, 0x69, 0x66, 0, 0, 0x4d, 0x4d, 0, 0x2a, 0, 0, 0, 8, 0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0, 0, 0, 0, 0,
  ]);
  const head = Buffer.from([0xff, 0xd8, 0xff, 0xe1, 0, exif.length + 2]);
  return Buffer.concat([head, exif, jpeg.subarray(2)]);
}

/** Decodes a saved picture in the browser: { width, height, at(x, y) }. */
export async function decoded(page, bytes, type = "image/png") {
  const { width, height, data } = await page.evaluate(async ({ bytes, type }) => {
    const bitmap = await createImageBitmap(new Blob([new Uint8Array(bytes)], { type }));
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    context.drawImage(bitmap, 0, 0);
    return { width: bitmap.width, height: bitmap.height, data: [...context.getImageData(0, 0, bitmap.width, bitmap.height).data] };
  }, { bytes: [...bytes], type });
  return { width, height, at: (x, y) => data.slice(4 * (y * width + x), 4 * (y * width + x) + 4) };
}

/** Clicks and takes the bytes of the download. */
export async function download(page, selector) {
  const [item] = await Promise.all([page.waitForEvent("download"), page.click(selector)]);
  const chunks = [];
  for await (const chunk of await item.createReadStream()) chunks.push(chunk);
  return { name: item.suggestedFilename(), bytes: Buffer.concat(chunks) };
}

export const png = (name, buffer) => ({ name, mimeType: "image/png", buffer });
