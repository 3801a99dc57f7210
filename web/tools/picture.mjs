// node tools/picture.mjs: takes examples/browser.jpg, the picture of the page in the README: the sample photo in a style of
// the body. Needs web/build.sh and npm ci.

import { fileURLToPath } from "node:url";

import { launch } from "../tests/page_browser.mjs";
import { serve } from "../tests/page_server.mjs";

const path = fileURLToPath(new URL("../../examples/browser.jpg", import.meta.url));
const [browser, site] = [await launch({ gpu: true }), await serve({ fake: false })];
const page = await browser.newPage({ viewport: { width: 1280, height: 800 }, colorScheme: "light" });
page.setDefaultTimeout(900_000); // a software adapter takes minutes
await page.goto(`${site.url}#photo=sample&model=impressions&styles=starry-night:1`);
await page.waitForSelector("#engine[data-state=ready]");
// What the page says of a software adapter.
for (const button of await page.locator(".notice button", { hasText: "Close" }).all()) await button.click();
await page.waitForSelector("#stage:is([data-state=done], [data-state=error])");
console.log(await page.textContent("#status"));
await page.waitForTimeout(1000); // animations
await page.screenshot({ path, type: "jpeg", quality: 85 });
await browser.close();
await site.close();
