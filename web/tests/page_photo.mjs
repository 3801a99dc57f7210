// The photo view: opening, painting, comparing, saving, regions, links, errors, cancelling. With a fake of the library.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { decoded, download, drawn, launch, oriented, png, visit } from "./page_browser.mjs";
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

const DONE = "#stage[data-state=done]";
const RED = [0xc0, 0x30, 0x20, 255];
const TURNED_RED = [0x30, 0x20, 0xc0, 255]; // what the fake paints

async function openPhoto(page, options) {
  await page.setInputFiles("#photo-file", png("photo.png", await drawn(page, options)));
  await page.waitForSelector(DONE);
}

const saved = async page => decoded(page, (await download(page, "#save-png")).bytes);
/** Sets a slider as its keys do, with input and change. */
const slide = (page, selector, value) => page.locator(selector).fill(String(value)).then(() => page.locator(selector).dispatchEvent("change"));

test("one click paints the sample; the border moves by mouse and keyboard", () =>
  visit(browser, site, {}, async page => {
    await page.click("#use-sample");
    await page.waitForSelector(DONE);
    assert.match(await page.textContent("#photo-facts"), /^640 × 480 px, painted in/);
    assert.match(await page.textContent("#status"), /^Done: 640 × 480 px/);
    const split = page.locator("#split");
    await split.focus();
    await page.keyboard.press("Home");
    await page.keyboard.press("ArrowRight");
    assert.equal(await split.inputValue(), "1");
    assert.equal(await split.getAttribute("aria-valuetext"), "1 % before, 99 % after");
    const box = await split.boundingBox();
    await page.mouse.click(box.x + box.width * 0.75, box.y + box.height / 2);
    assert.ok(Math.abs(Number(await split.inputValue()) - 75) <= 1);
    assert.equal(await page.locator("#compare").evaluate(node => node.style.getPropertyValue("--split")), `${await split.inputValue()}%`);
    assert.match(page.url(), /photo=sample/);
  }));

test("everything of the first result is reached with the keyboard alone", () =>
  visit(browser, site, {}, async page => {
    const tabTo = async id => {
      for (let i = 0; i < 60; i++) {
        await page.keyboard.press("Tab");
        if (await page.evaluate(id => document.activeElement?.id === id || document.activeElement?.value === id, id)) return;
      }
      assert.fail(`Tab does not reach ${id}`);
    };
    await tabTo("use-sample");
    await page.keyboard.press("Enter");
    await page.waitForSelector(DONE);
    await tabTo("impressions:strokes");
    await page.keyboard.press("ArrowRight");
    await page.waitForFunction(() => location.hash.includes("udnie"));
    assert.equal(await page.evaluate(() => document.activeElement.value), "impressions:udnie");
    await tabTo("alpha");
    await page.keyboard.press("ArrowLeft");
    await page.waitForFunction(() => location.hash.includes("alpha=0.99"));
  }));

test("a photo comes out at its own size, upright, with its alpha, as PNG and JPEG", () =>
  visit(browser, site, {}, async page => {
    await openPhoto(page, { width: 90, height: 60, clear: true });
    const picture = await saved(page);
    assert.deepEqual([picture.width, picture.height], [90, 60]);
    assert.equal(picture.at(10, 30)[3], 0);
    assert.deepEqual(picture.at(80, 30), [0x40, 0xc0, 0x20, 255]);
    const jpeg = await download(page, "#save-jpeg");
    assert.equal(jpeg.name, "photo-painted.jpg");
    const flat = await decoded(page, jpeg.bytes, "image/jpeg");
    assert.ok(flat.at(10, 30).every(value => value > 250), "a JPEG is white where the photo is clear");

    const turned = oriented(await drawn(page, { width: 90, height: 60, type: "image/jpeg" }), 6);
    await page.setInputFiles("#photo-file-2", { name: "turned.jpg", mimeType: "image/jpeg", buffer: turned });
    await page.waitForFunction(() => document.querySelector("#photo-facts").textContent.startsWith("60 × 90 px, painted"));
    const upright = await saved(page);
    assert.deepEqual([upright.width, upright.height], [60, 90]);
  }));

test("a photo can be dropped and pasted", () =>
  visit(browser, site, {}, async page => {
    for (const [kind, width] of [["drop", 66], ["paste", 72]]) {
      const bytes = [...(await drawn(page, { width, height: 48 }))];
      await page.evaluate(({ kind, bytes }) => {
        const data = new DataTransfer();
        data.items.add(new File([new Uint8Array(bytes)], `${kind}.png`, { type: "image/png" }));
        const target = document.querySelector("#stage");
        target.dispatchEvent(kind === "drop" ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
          : new ClipboardEvent("paste", { clipboardData: data, bubbles: true, cancelable: true }));
      }, { kind, bytes });
      await page.waitForFunction(width => document.querySelector("#photo-facts").textContent.startsWith(`${width} × 48 px, painted`), width);
    }
  }));

test("a change of strength, style or mixture paints again", () =>
  visit(browser, site, {}, async page => {
    await openPhoto(page);
    assert.deepEqual((await saved(page)).at(8, 8), TURNED_RED);
    await slide(page, "#alpha", 0);
    await page.waitForFunction(() => location.hash.includes("alpha=0"));
    await page.waitForSelector(DONE);
    assert.deepEqual((await saved(page)).at(8, 8), RED);
    await page.check("#mix");
    await page.locator("#tiles label", { hasText: "Scream" }).click();
    await slide(page, "#weight-1", 0.25);
    assert.match(page.url(), /styles=strokes:1,scream:0.25/);
    await page.locator("#tiles label", { hasText: "Strokes" }).click();
    assert.match(page.url(), /styles=scream:0.25/);
    assert.equal(await page.locator("#weights").isHidden(), true);
    await page.locator("#groups label", { hasText: "Nets" }).click();
    await page.locator("#tiles label", { hasText: "Udnie" }).click();
    assert.match(page.url(), /model=udnie/);
    await page.waitForSelector(DONE);
  }));

test("any picture is a style, can be mixed, and can be removed", () =>
  visit(browser, site, {}, async page => {
    await openPhoto(page);
    await page.locator("#groups label", { hasText: "Any picture" }).click();
    await page.setInputFiles("#style-file", [png("painting.png", await drawn(page)), { name: "notes.txt", mimeType: "text/plain", buffer: Buffer.from("notes") }]);
    await page.waitForFunction(() => location.hash.includes("model=adain&styles=picture-"));
    assert.match(await page.textContent(".notice"), /notes\.txt is not a picture that this browser can decode/);
    await page.waitForSelector(DONE);
    await page.locator("#adain-net label", { hasText: "Faster" }).click();
    await page.waitForFunction(() => location.hash.includes("model=adain-fast"));
    await slide(page, "#strokes", 1.5);
    assert.match(page.url(), /strokes=1.5/);
    await page.click("[aria-label='Remove painting']");
    assert.equal(await page.locator("#tiles label", { hasText: "painting" }).count(), 0);
    assert.doesNotMatch(page.url(), /picture-/);
  }));

test("a style file is added, painted with, and kept after a restart; another file is refused", () =>
  visit(browser, site, {}, async page => {
    await openPhoto(page);
    await page.setInputFiles("#model-file", { name: "bad.style", mimeType: "", buffer: Buffer.from("hello") });
    await page.waitForSelector(".notice");
    assert.match(await page.textContent(".notice"), /bad is not a style/);
    await page.setInputFiles("#model-file", { name: "mine.style", mimeType: "", buffer: Buffer.from("style mine") });
    await page.waitForFunction(() => location.hash.includes("model=mine"));
    await page.waitForSelector("#tiles label:has-text('Mine') img");
    site.fake = "lost-once";
    await page.evaluate(() => import("./engine.js").then(({ engine }) => engine.start()));
    await page.waitForSelector("#engine[data-state=ready]");
    assert.equal(await page.locator("#tiles label", { hasText: "Mine" }).count(), 1);
  }));

test("a region is painted with the mouse, and with the keyboard", () =>
  visit(browser, site, {}, async page => {
    await openPhoto(page, { width: 96, height: 64 });
    await page.click("#regions summary");
    const box = await page.locator("#mask").boundingBox();
    await page.mouse.move(box.x + box.width * 0.1, box.y + box.height * 0.5);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.2, box.y + box.height * 0.5, { steps: 4 });
    await page.mouse.up();
    await page.waitForSelector(DONE);
    let picture = await saved(page);
    assert.deepEqual(picture.at(14, 32), TURNED_RED);
    assert.deepEqual(picture.at(14, 4), RED);

    await page.click("#mask-invert");
    await page.waitForTimeout(100);
    await page.waitForSelector(DONE);
    picture = await saved(page);
    assert.deepEqual(picture.at(14, 32), RED);
    assert.deepEqual(picture.at(14, 4), TURNED_RED);

    await page.click("#mask-clear");
    await page.locator("#mask").focus();
    for (let i = 0; i < 7; i++) await page.keyboard.press("Shift+ArrowLeft");
    for (let i = 0; i < 7; i++) await page.keyboard.press("Shift+ArrowUp");
    await page.keyboard.press("]");
    assert.equal(await page.inputValue("#brush-size"), "14");
    await page.keyboard.down("Space");
    await page.keyboard.press("ArrowRight");
    await page.keyboard.up("Space");
    await page.waitForTimeout(100);
    await page.waitForSelector(DONE);
    picture = await saved(page);
    assert.deepEqual(picture.at(3, 3), TURNED_RED);
    assert.deepEqual(picture.at(14, 60), RED);
  }));

test("each style of a mixture has a region of its own", () =>
  visit(browser, site, { hash: "#model=impressions&styles=wave:1,scream:1" }, async page => {
    await openPhoto(page);
    await page.click("#regions summary");
    assert.deepEqual(await page.locator("#region option").allTextContents(), ["the result", "Great Wave", "Scream"]);
    await page.selectOption("#region", "scream");
    const box = await page.locator("#mask").boundingBox();
    await page.mouse.click(box.x + box.width * 0.15, box.y + box.height * 0.5);
    await page.waitForTimeout(100);
    await page.waitForSelector(DONE);
    const picture = await saved(page);
    assert.deepEqual(picture.at(14, 32), TURNED_RED);
    assert.deepEqual(picture.at(14, 3), RED);
  }));

test("a link restores the settings and paints the sample", () =>
  visit(browser, site, { hash: "#photo=sample&model=adain&styles=marble:0.5,mosaic:1&alpha=0.6&strokes=1.5&keep=1" }, async page => {
    await page.waitForSelector(DONE);
    assert.equal(await page.inputValue("#alpha"), "0.6");
    assert.equal(await page.inputValue("#strokes"), "1.5");
    assert.equal(await page.inputValue("#weight-0"), "0.5");
    assert.equal(await page.isChecked("#keep"), true);
    assert.equal(await page.locator("#tiles input:checked").count(), 2);
    await page.evaluate(() => { location.hash = "#model=wave"; });
    await page.waitForFunction(() => document.querySelector("#tiles input:checked")?.value === "wave");
    await page.click("[data-view=train]");
    assert.match(page.url(), /view=train/);
  }));

test("a link to what is not here says so, and another style is chosen", () =>
  visit(browser, site, { hash: "#model=adain&styles=picture-7:1&alpha=9&view=none" }, async page => {
    await page.waitForSelector(".notice.note");
    assert.match(await page.textContent(".notice"), /picture-7/);
    assert.equal(await page.inputValue("#alpha"), "1");
    assert.match(page.url(), /styles=strokes:1/);
  }));

test("painting can be stopped, and a newer setting replaces an older one", () => {
  site.fake = "slow";
  return visit(browser, site, {}, async page => {
    await page.setInputFiles("#photo-file", png("photo.png", await drawn(page)));
    await page.click("#stop");
    await page.waitForSelector("#stage[data-state=photo]");
    assert.equal(await page.textContent("#status"), "Stopped.");
    assert.equal(await page.locator("#working").isHidden(), true);
    assert.equal(await page.isDisabled("#save-png"), true);
    await page.click("#paint");
    await page.waitForSelector("#stage[data-state=working]");
    await slide(page, "#alpha", 0);
    await page.waitForSelector(DONE);
    assert.deepEqual((await saved(page)).at(8, 8), RED);
    assert.equal(await page.locator(".notice").count(), 0);
  });
});

test("a file that is no picture, an empty one, and a photo that is too large", () =>
  visit(browser, site, {}, async page => {
    const open = async (name, buffer) => {
      await page.setInputFiles("#photo-file", { name, mimeType: "image/png", buffer });
      return page.textContent(".notice");
    };
    assert.match(await open("notes.txt", Buffer.from("notes")), /notes\.txt is not a picture that this browser can decode/);
    await page.click(".notice >> text=Close");
    assert.match(await open("empty.png", Buffer.alloc(0)), /empty\.png is empty\. Choose another file\./);
    await page.click(".notice >> text=Close");
    await page.setInputFiles("#photo-file", png("wide.png", await drawn(page, { width: 3001, height: 8 })));
    await page.waitForSelector("#stage[data-state=error]");
    assert.match(await page.textContent(".notice"), /too large.*3001 × 8 px; at most 3000.*Reduce it first/s);
  }));

for (const [scenario, words] of [["no-webgpu", /no WebGPU.*Use a current Chrome/s], ["no-adapter", /No GPU was found.*hardware acceleration/s]]) {
  test(`${scenario}: the page says what to do, and starts once there is a GPU`, () => {
    site.fake = scenario;
    return visit(browser, site, { ready: false }, async page => {
      await page.waitForSelector("#engine[data-state=failed]");
      assert.match(await page.textContent(".notice"), words);
      assert.equal(await page.isDisabled("#paint"), true);
      site.fake = "";
      await page.click(".notice >> text=Start the engine again");
      await page.waitForSelector("#engine[data-state=ready]");
      await page.click("#use-sample");
      await page.waitForSelector(DONE);
    });
  });
}

test("the worker's file is missing: the page says so", () =>
  visit(browser, site, { ready: false, quiet: ["404"] }, async page => {
    await page.route("**/worker.js", route => route.fulfill({ status: 404, body: "" }));
    await page.reload();
    await page.waitForSelector("#engine[data-state=failed]");
    assert.match(await page.textContent(".notice"), /Reload the page/);
  }));

test("an engine that crashes is started again with a click, and paints", () => {
  site.fake = "crash";
  return visit(browser, site, {}, async page => {
    await page.click("#use-sample");
    await page.waitForSelector("#engine[data-state=failed]");
    assert.match(await page.textContent(".notice"), /The engine stopped.*Error: unreachable\. If it happens again/s);
    assert.equal(await page.isHidden("#working"), true);
    site.fake = "";
    await page.click(".notice >> text=Start the engine again");
    await page.waitForSelector(DONE);
    assert.equal(await page.locator(".notice").count(), 0);
  });
});

test("an emulated GPU is said to be slow", () => {
  site.fake = "software";
  return visit(browser, site, {}, page => page.waitForSelector(".notice.note >> text=hardware acceleration"));
});

test("too little memory: the photo stays, and the page says what helps", () => {
  site.fake = "memory";
  return visit(browser, site, {}, async page => {
    await page.click("#use-sample");
    await page.waitForSelector("#stage[data-state=error]");
    assert.match(await page.textContent(".notice"), /Not enough GPU memory.*smaller photo/s);
  });
});

test("a lost device is replaced, and the photo is painted again; a second loss needs a click", () => {
  site.fake = "lost";
  return visit(browser, site, {}, async page => {
    await page.click("#use-sample");
    await page.waitForSelector(".notice");
    assert.match(await page.textContent(".notice"), /The GPU stopped.*The engine was started again/s);
    await page.waitForSelector(".notice >> text=The GPU stopped again");
    site.fake = "";
    await page.click(".notice >> text=Start the engine again");
    await page.waitForSelector(DONE);
    assert.equal(await page.locator(".notice").count(), 0);
  });
});
