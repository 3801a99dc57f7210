// The views of video, Gatys' method, training and kernels, and what holds for the whole page: accessibility, widths, size.
// With a fake of the library.

import assert from "node:assert/strict";
import { readdir, readFile, stat } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, afterEach, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { decoded, download, drawn, launch, png, visit } from "./page_browser.mjs";
import { serve } from "./page_server.mjs";

let browser;
let site;
before(async () => {
  browser = await launch();
  site = await serve({ fake: "" });
});
after(async () => {
  await browser?.close();
  await site?.close();
});
afterEach(() => { site.fake = ""; });

test("the camera is painted live, its settings change on the way, and it is recorded", () =>
  visit(browser, site, { hash: "#view=video" }, async page => {
    await page.click("#camera");
    await page.waitForFunction(() => /fps/.test(document.querySelector("#video-facts").textContent));
    const width = () => page.evaluate(() => document.querySelector("#video-out").width);
    assert.equal(await width(), 384);
    await page.selectOption("#video-size", "128");
    await page.waitForFunction(() => document.querySelector("#video-out").width === 128);
    await page.locator("#tiles label", { hasText: "Scream" }).click();
    await page.uncheck("#steady");
    await page.click("#record");
    assert.equal(await page.textContent("#record"), "Stop and save");
    await page.waitForFunction(() => /recording [1-9]/.test(document.querySelector("#video-facts").textContent));
    const { name, bytes } = await download(page, "#record");
    assert.match(name, /^camera-painted\.(webm|mp4)$/);
    assert.ok(bytes.length > 1000, `${bytes.length} bytes`);

    // A recording is a video: it can be opened, paused and left.
    await page.click("#video-stop");
    await page.waitForSelector("#video-stage[data-state=empty]");
    await page.setInputFiles("#video-file", { name: "film.webm", mimeType: "video/webm", buffer: bytes });
    await page.waitForFunction(() => /fps/.test(document.querySelector("#video-facts").textContent));
    await page.click("#video-pause");
    assert.equal(await page.getAttribute("#video-pause", "aria-pressed"), "true");
    await page.click("[data-view=photo]");
    await page.click("[data-view=video]");
    await page.waitForSelector("#video-stage[data-state=empty]");
  }));

test("a video that cannot be played, and a camera that is not allowed", () =>
  visit(browser, site, { hash: "#view=video", permissions: [] }, async page => {
    await page.setInputFiles("#video-file", { name: "film.mp4", mimeType: "video/mp4", buffer: Buffer.from("no film") });
    await page.waitForSelector(".notice");
    assert.match(await page.textContent(".notice"), /film is not a video that this browser can play/);
    await page.click("#camera");
    await page.waitForSelector(".notice >> text=/camera was not/");
    assert.equal(await page.getAttribute("#video-stage", "data-state"), "empty");
  }));

test("Gatys' method converges before the eye, and can be stopped and kept", () =>
  visit(browser, site, { hash: "#view=optimise" }, async page => {
    await page.click("#gatys-start");
    assert.match(await page.textContent(".notice"), /Choose a photo first/);
    await page.setInputFiles("#gatys-photo-file", png("house.png", await drawn(page)));
    await page.waitForSelector("#gatys-stage[data-state=photo]");
    await page.click("#gatys-start");
    assert.match(await page.textContent(".notice"), /Choose a style picture first/);
    await page.click("#gatys-styles [aria-label='Add Marble']");
    await page.waitForSelector("#gatys-styles li");
    await page.fill("#gatys-steps", "24");
    await page.focus("#gatys-steps");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#gatys-stage[data-state=done]");
    assert.equal(await page.locator(".notice").count(), 0);
    assert.match(await page.textContent("#gatys-curve figcaption"), /^Step 24 of 24: loss/);
    assert.equal(await page.locator("#gatys-curve polyline").count(), 3);
    const picture = await decoded(page, (await download(page, "#gatys-png")).bytes);
    assert.deepEqual([picture.width, picture.height], [96, 64]);

    site.fake = "slow";
    await page.reload();
    await page.waitForSelector("#engine[data-state=ready]");
    await page.setInputFiles("#gatys-photo-file", png("house.png", await drawn(page)));
    await page.click("#gatys-styles [aria-label='Add Marble']");
    await page.waitForSelector("#gatys-styles li");
    await page.click("#gatys-start");
    await page.waitForFunction(() => /^Step [3-9] /.test(document.querySelector("#gatys-text").textContent));
    await page.click("#gatys-stop");
    await page.waitForSelector("#gatys-stage[data-state=done]");
    assert.equal(await page.textContent("#status"), "Stopped. The picture is kept.");
    const { name } = await download(page, "#gatys-jpeg");
    assert.equal(name, "house-painted.jpg");
  }));

test("a style is trained, saved, and among the styles at once", () =>
  visit(browser, site, { hash: "#view=train" }, async page => {
    await page.click("#train-start");
    assert.equal(await page.evaluate(() => document.activeElement.id), "train-name", "the browser asks for the name");
    await page.fill("#train-name", "my-style");
    await page.click("#train-start");
    assert.match(await page.textContent(".notice"), /Choose a painting first/);
    await page.setInputFiles("#train-painting-file", png("painting.png", await drawn(page)));
    await page.setInputFiles("#train-photos-file", [png("a.png", await drawn(page)), png("b.png", await drawn(page, { width: 64 }))]);
    await page.waitForSelector("#train-photos li:nth-child(2)");
    await page.fill("#train-steps", "20");
    await page.click("#train-start");
    await page.waitForSelector("#train-stage[data-state=done]");
    assert.match(await page.textContent("#train-curve figcaption"), /^Step 20 of 20/);
    const { name, bytes } = await download(page, "#train-save");
    assert.deepEqual([name, bytes.toString()], ["my-style.style", "style my-style"]);
    await page.click("#train-use");
    await page.click("#use-sample");
    await page.waitForSelector("#stage[data-state=done]");
    assert.equal(await page.inputValue("#tiles input:checked"), "my-style");
    await page.waitForSelector("#tiles label:has-text('My style') img");
  }));

test("pictures that are dropped go where they are dropped", () =>
  visit(browser, site, { hash: "#view=train" }, async page => {
    const bytes = [...(await drawn(page))];
    const drop = target => page.evaluate(({ bytes, target }) => {
      const data = new DataTransfer();
      data.items.add(new File([new Uint8Array(bytes)], "a.png", { type: "image/png" }));
      document.querySelector(target).dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
    }, { bytes, target });
    for (const [view, target, list] of [
      ["train", "#train-painting", "#train-painting"], ["train", "#train-stage", "#train-photos"],
      ["optimise", "#gatys-styles", "#gatys-styles"], ["optimise", "#gatys-stage", "#gatys-photo"],
    ]) {
      await page.click(`[data-view=${view}]`);
      await drop(target);
      await page.waitForSelector(`${list} li`);
    }
    await page.click("[data-view=photo]");
    await drop("#tiles");
    await page.waitForFunction(() => location.hash.includes("styles=picture-"));
  }));

test("work that waits for other work says so", () => {
  site.fake = "slow";
  return visit(browser, site, { hash: "#view=train" }, async page => {
    await page.fill("#train-name", "long");
    await page.click("#train-painting [aria-label='Add Woodcut']");
    await page.click("#train-photos >> text=Use the sample");
    await page.waitForSelector("#train-photos li");
    await page.click("#train-start");
    await page.waitForSelector("#train-working");
    await page.click("[data-view=photo]");
    await page.click("#use-sample");
    await page.waitForFunction(() => document.querySelector("#working-text").textContent === "Waiting for the training to end");
    await page.click("[data-view=train]");
    await page.click("#train-stop");
    await page.waitForSelector("#train-stage[data-state=empty]");
    await page.waitForSelector("#stage[data-state=done]", { state: "attached" });
  });
});

test("every dispatch has its time; a kernel's text is shown from the table and from the plot", () =>
  visit(browser, site, { hash: "#view=kernels" }, async page => {
    assert.match(await page.textContent("#device-facts"), /Fake adapter, tests.*webgpu/s);
    await page.click("#measure");
    await page.waitForSelector("#dispatch-table tbody tr");
    assert.equal(await page.locator("#dispatch-table tbody tr").count(), 20);
    assert.match(await page.textContent("#dispatch-state"), /^20 dispatches for 256 × 256 px: .*GFLOP\/s and 40 GB\/s\.$/);
    // A kernel without arithmetic has no place on the plot.
    assert.equal(await page.locator("#roofline a.dot").count(), 4);
    assert.match(await page.textContent("#roofline"), /FLOP per byte/);
    await page.locator("#roofline a.dot").first().focus();
    await page.keyboard.press("Enter");
    await page.waitForSelector("#shader");
    assert.equal(await page.textContent("#shader-title"), "conv2d:staged ITEMS=4");
    assert.match(await page.textContent("#shader-code"), /y = Σ w·x/);
    await page.locator("#shader label", { hasText: "As compiled" }).click();
    assert.equal(await page.textContent("#shader-code"), "fn main() {}\n");
    await page.locator("#dispatch-table button", { hasText: "norm:apply" }).first().click();
    await page.waitForFunction(() => document.querySelector("#shader-title").textContent === "norm:apply ITEMS=4");

    site.fake = "untimed";
    await page.reload();
    await page.waitForSelector("#engine[data-state=ready]");
    await page.click("#measure");
    await page.waitForSelector("#dispatch-table tbody tr");
    assert.match(await page.textContent("#dispatch-state"), /gives no timestamps/);
    assert.equal(await page.isHidden("#roofline"), true);
  }));

test("the doctor's results are a table, failures first, and JSON", () => {
  site.fake = "doctor-fails";
  return visit(browser, site, { hash: "#view=kernels", permissions: ["clipboard-read", "clipboard-write"] }, async page => {
    await page.click("#doctor");
    await page.waitForSelector("#doctor-table tbody tr");
    assert.match(await page.textContent("#doctor-summary"), /^1 of 6 tests failed/);
    assert.match(await page.textContent("#doctor-table tbody tr:first-child"), /^winogradfailed/);
    await page.click("#doctor-copy");
    await page.waitForSelector("#doctor-copy >> text=Copied");
    assert.equal(JSON.parse(await page.evaluate(() => navigator.clipboard.readText())).cases.length, 6);
  });
});

// ---- The whole page ----

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** Brings each view to the state with the most on it. */
const FULL = {
  photo: async page => {
    await page.click("#use-sample");
    await page.check("#mix");
    await page.locator("#tiles label", { hasText: "Scream" }).click();
    await page.click("#regions summary");
    await page.waitForSelector("#stage[data-state=done]");
  },
  video: async page => {
    await page.click("#camera");
    await page.waitForFunction(() => /fps/.test(document.querySelector("#video-facts").textContent));
  },
  optimise: async page => {
    await page.click("#gatys-photo >> text=Use the sample");
    await page.click("#gatys-styles [aria-label='Add Marble']");
    await page.waitForSelector("#gatys-styles li");
    await page.fill("#gatys-steps", "20");
    await page.click("#gatys-start");
    await page.waitForSelector("#gatys-stage[data-state=done]");
  },
  train: async page => {
    await page.click("#train-painting [aria-label='Add Marble']");
    await page.click("#train-photos >> text=Use the sample");
    await page.waitForSelector("#train-photos li");
    await page.fill("#train-name", "mine");
    await page.fill("#train-steps", "20");
    await page.click("#train-start");
    await page.waitForSelector("#train-stage[data-state=done]");
  },
  kernels: async page => {
    await page.click("#measure");
    await page.click("#doctor");
    await page.waitForSelector("#dispatch-table tbody tr");
    await page.waitForSelector("#doctor-table tbody tr");
    await page.locator("#dispatch-table button").first().click();
    await page.waitForSelector("#shader");
  },
};

async function violations(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`).join("; ")}`);
}

for (const [view, fill] of Object.entries(FULL)) {
  for (const [width, height, scheme] of [[1280, 800, "light"], [390, 844, "dark"]]) {
    test(`${view} at ${width} px, ${scheme}: accessible, empty and full`, () =>
      visit(browser, site, { hash: `#view=${view}`, width, height, scheme }, async page => {
        assert.deepEqual(await violations(page), []);
        await fill(page);
        assert.deepEqual(await violations(page), []);
      }));
  }
}

test("an error is accessible, and animations rest where the visitor wants it", () => {
  site.fake = "no-webgpu";
  return visit(browser, site, { ready: false, width: 390, height: 844 }, async page => {
    await page.emulateMedia({ reducedMotion: "reduce" });
    await page.waitForSelector(".notice[role=alert]");
    assert.deepEqual(await violations(page), []);
    assert.equal(await page.evaluate(() => getComputedStyle(document.querySelector("progress")).animationName), "none");
  });
});

test("the page's own files are below 300 KB", async () => {
  const page = fileURLToPath(new URL("../page/", import.meta.url));
  let total = 0;
  for (const file of await readdir(page, { recursive: true })) {
    const { size } = await stat(page + file);
    if (!file.endsWith(".sh") && /\.\w+$/.test(file)) total += size;
  }
  assert.ok(total < 300_000, `${total} bytes`);
});
