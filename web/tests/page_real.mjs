// The page with the real library and nets, in Chromium with WebGPU: every flow on small pictures. Needs web/dist.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { decoded, download, drawn, launch, png, visit } from "./page_browser.mjs";
import { serve } from "./page_server.mjs";

const SLOW = 120_000; // a software adapter compiles and paints slowly
let browser;
let site;
before(async () => {
  assert.ok(existsSync(fileURLToPath(new URL("../dist/pkg/impasto.js", import.meta.url))), "web/dist is missing; run web/build.sh");
  browser = await launch({ gpu: true });
  site = await serve({ fake: false });
});
after(async () => {
  await browser?.close();
  await site?.close();
});

const DONE = "#stage[data-state=done]";
const real = (hash, act, options = {}) => visit(browser, site, { hash, timeout: SLOW, ...options }, act);
const saved = async page => decoded(page, (await download(page, "#save-png")).bytes);
const settled = page => page.waitForFunction(() => ["done", "error"].includes(document.querySelector("#stage").dataset.state));

async function openPhoto(page, options) {
  await page.setInputFiles("#photo-file", png("photo.png", await drawn(page, options)));
  await settled(page);
  await page.waitForSelector(DONE, { timeout: 1000 });
}

/** How much two pictures of 64 rows differ, on average, in the middle half of a column. */
function difference(a, b, x) {
  let sum = 0;
  for (let y = 16; y < 48; y++) for (let c = 0; c < 3; c++) sum += Math.abs(a.at(x, y)[c] - b.at(x, y)[c]);
  return sum / (3 * 32);
}

test("a photo in two styles of the body, in a region, as PNG", () =>
  real("#model=impressions&styles=wave:1", async page => {
    await openPhoto(page);
    const wave = await saved(page);
    assert.deepEqual([wave.width, wave.height], [96, 64]);
    await page.locator("#tiles label", { hasText: "Scream" }).click();
    await page.waitForSelector("#stage[data-state=working]");
    await page.waitForSelector(DONE);
    const scream = await saved(page);
    assert.ok(difference(wave, scream, 48) > 5, "the styles look the same");

    await page.click("#regions summary");
    const box = await page.locator("#mask").boundingBox();
    await page.mouse.move(box.x + box.width * 0.1, box.y + box.height * 0.1);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.1, box.y + box.height * 0.9, { steps: 4 });
    await page.mouse.up();
    await page.waitForSelector("#stage[data-state=working]");
    await page.waitForSelector(DONE);
    const masked = await saved(page);
    assert.deepEqual(masked.at(90, 32), [0x20, 0x40, 0xc0, 255], "outside of the region, the photo is as it was");
    assert.ok(difference(masked, scream, 9) < 2);
  }));

test("AdaIN with a picture of the visitor's own, mixed, with kept colours", () =>
  real("#model=adain-fast&styles=marble:1", async page => {
    await openPhoto(page);
    const marble = await saved(page);
    await page.setInputFiles("#style-file", png("own.png", await drawn(page, { width: 64, height: 64 })));
    await page.waitForSelector("#stage[data-state=working]");
    await page.waitForSelector(DONE);
    assert.ok(difference(marble, await saved(page), 48) > 3);
    await page.check("#mix");
    await page.locator("#tiles label", { hasText: "Woodcut" }).click();
    await page.check("#keep");
    await page.waitForSelector("#stage[data-state=working]");
    await page.waitForSelector(DONE);
    assert.equal(await page.locator(".notice.error").count(), 0);
  }));

test("the net of one style, and another net after a lost device", () =>
  real("#model=udnie", async page => {
    await openPhoto(page);
    const [worker] = page.workers();
    await worker.evaluate(() => {
      const original = GPUDevice.prototype.createBuffer;
      GPUDevice.prototype.createBuffer = function (...given) {
        this.destroy();
        return original.apply(this, given);
      };
    });
    await page.locator("#tiles label", { hasText: "Woodcut" }).click();
    await page.waitForSelector(".notice.error");
    assert.match(await page.textContent(".notice.error"), /The GPU stopped.*started again/s);
    await page.waitForSelector("#engine[data-state=ready]");
    await page.click(".notice.error >> text=Try again");
    await page.waitForSelector(DONE);
    assert.equal(await page.locator(".notice.error").count(), 0);
  }, { quiet: ["lost", "destroyed", "Destroyed"] }));

test("painting is stopped", () =>
  real("#model=impressions&styles=wave:1", async page => {
    await page.setInputFiles("#photo-file", png("photo.png", await drawn(page, { width: 256, height: 192 })));
    await page.click("#stop");
    await page.waitForSelector("#stage[data-state=photo]");
    assert.equal(await page.textContent("#status"), "Stopped.");
  }));

test("the camera is painted live", () =>
  real("#view=video&model=udnie", async page => {
    await page.selectOption("#video-size", "128");
    await page.click("#camera");
    await page.waitForFunction(() => /fps/.test(document.querySelector("#video-facts").textContent));
    const colours = await page.evaluate(() => {
      const { data } = document.querySelector("#video-out").getContext("2d").getImageData(0, 0, 128, 72);
      return new Set(new Uint32Array(data.buffer)).size;
    });
    assert.ok(colours > 100, `${colours} colours`);
    await page.locator("#tiles label", { hasText: "Scream" }).click();
    await page.click("#video-stop");
    await page.waitForSelector("#video-stage[data-state=empty]");
    assert.equal(await page.locator(".notice.error").count(), 0);
  }));

test("Gatys' method lowers the loss, and the picture is kept when it is stopped", () =>
  real("#view=optimise", async page => {
    await page.setInputFiles("#gatys-photo-file", png("photo.png", await drawn(page)));
    await page.click("#gatys-styles [aria-label='Add Marble']");
    await page.waitForSelector("#gatys-styles li");
    await page.selectOption("#gatys-size", "64");
    await page.fill("#gatys-steps", "200");
    await page.click("#gatys-start");
    const caption = () => page.textContent("#gatys-curve figcaption");
    const loss = text => Number(/loss (\S+)/.exec(text)[1]);
    await page.waitForFunction(() => /^Step \d/.test(document.querySelector("#gatys-curve figcaption").textContent));
    const first = loss(await caption());
    await page.waitForFunction(() => /^Step ([6-9]|\d\d)/.test(document.querySelector("#gatys-curve figcaption").textContent));
    await page.click("#gatys-stop");
    await page.waitForSelector("#gatys-stage[data-state=done]");
    assert.ok(loss(await caption()) < first, `${first}, then ${await caption()}`);
    const picture = await decoded(page, (await download(page, "#gatys-png")).bytes);
    assert.equal(picture.width, 64);
  }));

test("a style is trained and painted with", () =>
  real("#view=train", async page => {
    await page.fill("#train-name", "bands");
    await page.setInputFiles("#train-painting-file", png("painting.png", await drawn(page, { width: 32, height: 32 })));
    await page.setInputFiles("#train-photos-file", png("photo.png", await drawn(page, { width: 32, height: 32 })));
    await page.waitForSelector("#train-photos li");
    await page.fill("#train-steps", "1");
    // Crops smaller than the page offers: a software adapter takes minutes for more.
    await page.evaluate(() => document.querySelector("#train-size").append(new Option("32", "32", true, true)));
    await page.selectOption("#train-batch", "1");
    await page.click("#train-start");
    await page.waitForSelector("#train-use", { timeout: 3 * SLOW });
    const { name, bytes } = await download(page, "#train-save");
    assert.equal(name, "bands.style");
    assert.ok(bytes.length > 1000 && bytes.length < 100_000, `${bytes.length} bytes`);
    await page.click("#train-use");
    await openPhoto(page);
    assert.match(page.url(), /model=bands/);
    assert.equal(await page.locator(".notice.error").count(), 0);
  }));

test("the dispatches of a net with the text of a kernel", () =>
  real("#view=kernels&model=udnie", async page => {
    await page.selectOption("#dispatch-size", "64");
    await page.click("#measure");
    await page.waitForSelector("#dispatch-table tbody tr");
    assert.ok((await page.locator("#dispatch-table tbody tr").count()) > 20);
    await page.locator("#dispatch-table button").first().click();
    await page.waitForSelector("#shader");
    assert.match(await page.textContent("#shader-code"), /@compute/);
  }));
