// node bench.mjs [WORD...]: how long each step takes in headless Chromium, as a table; with words, the nets
// and methods whose names have one of them (adain, impressions, wave, Gatys, training). Needs web/build.sh and npm ci.
//
// "GPU process" is the processor time of Chromium's GPU process, which without a GPU is that of SwiftShader on all cores;
// "page" is that of the page with the engine.

import { open, toBase64 } from "./tests/browser.mjs";
import { painting, photo } from "./tests/pictures.mjs";

const wanted = process.argv.slice(2);
const chosen = (name) => wanted.length === 0 || wanted.some((word) => name.includes(word));

const { browser, page, close } = await open();
const session = await browser.newBrowserCDPSession();

/** Seconds that the processes of each type have computed. */
async function computed() {
  const { processInfo } = await session.send("SystemInfo.getProcessInfo");
  const of = (type) => processInfo.filter((one) => one.type === type).reduce((sum, { cpuTime }) => sum + cpuTime, 0);
  return { gpu: of("GPU"), page: of("renderer") };
}

/** Runs `work(input)` in the page and prints a row of its times. */
async function step(name, work, input) {
  const [before, began] = [await computed(), performance.now()];
  await page.evaluate(work, input);
  const [after, seconds] = [await computed(), (performance.now() - began) / 1000];
  const columns = [seconds, after.gpu - before.gpu, after.page - before.page].map((time) => time.toFixed(2));
  console.log(`| ${[name, ...columns].join(" | ")} |`);
}

await page.waitForFunction("globalThis.ready");
console.log("| step | seconds | GPU process | page |\n| --- | ---: | ---: | ---: |");
await step("open the library", async () => {
  globalThis.impasto = await Impasto.create();
});
await page.evaluate(([source, style]) => {
  globalThis.source = picture(source);
  globalThis.style = picture(style);
}, [toBase64(photo(96, 96)), toBase64(painting(96, 96))]);

for (const [model, styles] of [["adain", []], ["adain-fast", []], ["impressions", [{ name: "wave" }]], ["wave", []]]) {
  if (!chosen(model)) continue;
  await step(`load \`${model}\``, (model) => impasto.load(model), model);
  for (const time of ["first", "second"]) {
    await step(`\`${model}\`, 96 px, ${time} time`, async ([model, styles]) => {
      await impasto.stylize(source, { model, styles: model.startsWith("adain") ? [{ source: style }] : styles });
    }, [model, styles]);
  }
}

/** Runs work that tells its steps, each of which is a row; the first has the preparation too. */
async function steps(name, count, work) {
  let last = [await computed(), performance.now()];
  const rows = [];
  const row = async () => {
    const now = [await computed(), performance.now()];
    rows.push([(now[1] - last[1]) / 1000, now[0].gpu - last[0].gpu, now[0].page - last[0].page]);
    last = now;
  };
  const told = `told${Math.random().toString(36).slice(2)}`;
  await page.exposeFunction(told, row);
  await page.evaluate(work, { told, count });
  const label = (at) => (at === 0 ? "preparation and first step" : `step ${at + 1}`);
  for (const [at, columns] of rows.entries()) {
    console.log(`| ${name}, ${label(at)} | ${columns.map((time) => time.toFixed(2)).join(" | ")} |`);
  }
}

if (chosen("Gatys")) {
  await steps("Gatys' method, 64 px", 3, ({ told, count }) => {
    return impasto.gatys(source, { styles: [{ source: style }], size: 64, steps: count, optimizer: "adam", onStep: globalThis[told] });
  });
}
if (chosen("training")) {
  await steps("training, a crop of 64 px", 3, ({ told, count }) => {
    return impasto.train(style, [source], { name: "bench", steps: count, size: 64, batch: 1, onStep: globalThis[told] });
  });
}
await close();
