// The library in a browser, against its contract (js/impasto.d.ts) and against the native command.
//
// node --test tests/library.mjs: needs web/build.sh and cargo build before.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { open, toBase64 } from "./browser.mjs";
import { gatysLog, stylize as nativeStylize } from "./native.mjs";
import { difference, drawn, painting, photo } from "./pictures.mjs";

let browser;
let page;

before(async () => {
  browser = await open();
  page = browser.page;
  await page.waitForFunction("globalThis.ready");
  await page.evaluate(async () => {
    // Whatever the library asks for, its devices have the default limits.
    const { requestDevice } = GPUAdapter.prototype;
    GPUAdapter.prototype.requestDevice = function ({ label, requiredFeatures }) {
      return requestDevice.call(this, { label, requiredFeatures });
    };
    // What the browser's compiler says of every kernel.
    globalThis.refused = [];
    globalThis.kernels = 0;
    const { createShaderModule } = GPUDevice.prototype;
    GPUDevice.prototype.createShaderModule = function (descriptor) {
      const made = createShaderModule.call(this, descriptor);
      kernels++;
      refused.push(made.getCompilationInfo().then(({ messages }) => {
        return messages.filter(({ type }) => type === "error").map(({ message }) => `${descriptor.label}: ${message}`);
      }));
      return made;
    };
    globalThis.impasto = await Impasto.create();
  });
});

after(async () => {
  await browser?.close();
});

/** A picture that came from the page. */
function received({ width, height, data }) {
  return { width, height, data: new Uint8ClampedArray(Buffer.from(data, "base64")) };
}

/** Repaints in the page. Pictures of `styles` are those that `pictures.mjs` draws. */
async function stylize(source, options, styles = []) {
  const result = await page.evaluate(async ([source, options, styles]) => {
    const given = styles.map(({ source, mask, ...style }) => {
      return { ...style, source: source && picture(source), mask: mask && picture(mask) };
    });
    const painted = await tried(() => impasto.stylize(picture(source), { ...options, styles: given }));
    return painted.value ? sent(painted.value) : painted;
  }, [toBase64(source), options, styles.map(({ source, mask, ...style }) => {
    return { ...style, source: source && toBase64(source), mask: mask && toBase64(mask) };
  })]);
  assert.ok(result.data, `${result.name} ${result.code}: ${result.message}`);
  return received(result);
}

test("the device is described", async () => {
  const device = await page.evaluate(() => impasto.device);
  assert.equal(device.backend, "webgpu");
  assert.equal(device.kernels, "tiled");
  assert.ok(device.name.length > 0 && device.limits.max_buffer_size > 0 && device.version.length > 0);
});

test("the models are listed before they are loaded", async () => {
  const models = await page.evaluate(() => impasto.models());
  const kinds = Object.fromEntries(models.map(({ name, kind }) => [name, kind]));
  assert.deepEqual([kinds.adain, kinds.wave, kinds.impressions], ["adain", "net", "body"]);
  assert.ok(models.every(({ bytes }) => bytes > 100_000));
  assert.ok(models.find(({ name }) => name === "impressions").styles.includes("wave"));
});

for (const model of ["adain", "adain-fast"]) {
  test(`${model} paints as the native command does`, async () => {
    const [source, style] = [photo(96, 96), painting(96, 96)];
    const expected = nativeStylize({ "photo.png": source, "style.png": style }, ["--style", "style.png", "--model", model]);
    const found = await stylize(source, { model }, [{ source: style }]);
    assert.ok(difference(found, expected) <= 1, `${difference(found, expected)} of 255`);
  });
}

test("a net and a body paint as the native command does", async () => {
  const source = photo(96, 96);
  for (const [native, model, styles] of [
    ["wave", "wave", []],
    ["impressions:night-cafe", "impressions", [{ name: "night-cafe" }]],
  ]) {
    const expected = nativeStylize({ "photo.png": source }, ["--model", native]);
    const found = await stylize(source, { model }, styles);
    assert.ok(difference(found, expected) <= 1, `${native}: ${difference(found, expected)} of 255`);
  }
});

test("a picture in windows is that of one piece", async () => {
  const source = photo(320, 96);
  const [style] = [painting(64, 64)];
  const windows = [];
  await page.exposeFunction("seen", (done, total) => windows.push([done, total]));
  const whole = await stylize(source, { model: "adain-fast" }, [{ source: style }]);
  const result = await page.evaluate(async ([source, style]) => {
    const styles = [{ source: picture(style) }];
    const options = { model: "adain-fast", styles, window: 176, onProgress: (done, total) => seen(done, total) };
    return sent(await impasto.stylize(picture(source), options));
  }, [toBase64(source), toBase64(style)]);
  assert.ok(windows.length > 2 && windows.every(([done, total]) => done < total), JSON.stringify(windows));
  assert.ok(difference(received(result), whole) <= 1);
});

test("masks, blends, alpha and kept colours", async () => {
  const source = photo(64, 48);
  const left = drawn(64, 48, (u) => (u < 0.5 ? [1, 1, 1] : [0, 0, 0]));
  const plain = await stylize(source, { model: "wave" });
  assert.ok(difference(await stylize(source, { model: "wave", alpha: 0 }), source) <= 1);
  const masked = await stylize(source, { model: "wave", mask: undefined }, [{ mask: left }]);
  const side = (picture, from, to) => {
    const data = new Uint8ClampedArray(4 * (to - from) * 48);
    for (let y = 0; y < 48; y++) data.set(picture.data.subarray(4 * (64 * y + from), 4 * (64 * y + to)), 4 * (to - from) * y);
    return { width: to - from, height: 48, data };
  };
  assert.ok(difference(side(masked, 0, 16), side(plain, 0, 16)) <= 1, "painted under the mask");
  assert.ok(difference(side(masked, 48, 64), side(source, 48, 64)) <= 1, "the photo elsewhere");
  const kept = await stylize(source, { model: "wave", keepColors: true });
  assert.ok(difference(kept, plain) > 10);
  const [wave, cafe] = [[{ name: "wave" }], [{ name: "night-cafe" }]];
  const body = (styles) => stylize(source, { model: "impressions" }, styles);
  const [one, other, both] = [await body(wave), await body(cafe), await body([...wave, ...cafe])];
  assert.ok(difference(both, one) > 10 && difference(both, other) > 10);
});

test("matched colours and broader strokes are those of the native command", async () => {
  const [source, style] = [photo(96, 64), painting(64, 64)];
  const files = { "photo.png": source, "style.png": style };
  const native = (args) => nativeStylize(files, ["--style", "style.png", "--model", "adain-fast", ...args]);
  const painted = (options) => stylize(source, { model: "adain-fast", ...options }, [{ source: style }]);
  const plain = await painted({});
  for (const [options, args] of [
    [{ keepColors: "match" }, ["--keep-color", "match"]],
    // Half of the picture's long side: the default is 512.
    [{ strokes: 512 / 48 }, ["--coarse-size", "48"]],
  ]) {
    const found = await painted(options);
    const off = difference(found, native(args));
    assert.ok(off <= 1, `${args[0]}: ${off} of 255`);
    assert.ok(difference(found, plain) > 10, `${args[0]} changes nothing`);
  }
});

test("a picture of more than 8192 px is painted as the native command does", async () => {
  const source = photo(8200, 16);
  const found = await stylize(source, { model: "wave" });
  const off = difference(found, nativeStylize({ "photo.png": source }, ["--model", "wave"]));
  assert.ok(off <= 1, `${off} of 255`);
});

test("errors have codes", async () => {
  const found = await page.evaluate(async () => {
    const small = new ImageData(64, 64);
    const text = new Blob(["not a picture"], { type: "text/plain" });
    const stylize = (photo, options) => tried(() => impasto.stylize(photo, { model: "wave", ...options }));
    return {
      text: await stylize(text),
      nothing: await stylize(null),
      huge: await stylize({ width: 20000, height: 20000 }),
      model: await stylize(small, { model: "nothing" }),
      style: await stylize(small, { model: "impressions", styles: [{ name: "nobody" }] }),
      alpha: await stylize(small, { alpha: 2 }),
      net: await tried(() => impasto.addModel("mine", new TextEncoder().encode("not a net").buffer)),
      power: await tried(() => Impasto.create({ powerPreference: "endless" })),
      folder: await tried(() => Impasto.create({ nets: "./nowhere/" })),
    };
  });
  const codes = Object.fromEntries(Object.entries(found).map(([name, { name: kind, code }]) => [name, `${kind} ${code}`]));
  assert.deepEqual(codes, {
    text: "ImpastoError bad-picture",
    nothing: "ImpastoError bad-picture",
    huge: "ImpastoError too-large",
    model: "ImpastoError bad-argument",
    style: "ImpastoError bad-argument",
    alpha: "ImpastoError bad-argument",
    net: "ImpastoError bad-net",
    power: "ImpastoError bad-argument",
    folder: "ImpastoError bad-net",
  });
  assert.match(found.text.message, /the photo \(text\/plain\) cannot be decoded/);
});

test("without WebGPU, or without an adapter, the error says so", async () => {
  const found = await page.evaluate(async () => {
    const { gpu } = navigator;
    const pretend = async (gpu) => {
      Object.defineProperty(navigator, "gpu", { configurable: true, value: gpu });
      return tried(() => Impasto.create());
    };
    const none = await pretend(undefined);
    const { requestAdapter } = gpu.constructor.prototype;
    gpu.constructor.prototype.requestAdapter = async () => null;
    const empty = await pretend(gpu);
    gpu.constructor.prototype.requestAdapter = requestAdapter;
    delete navigator.gpu;
    return [none.code, empty.code];
  });
  assert.deepEqual(found, ["no-webgpu", "no-adapter"]);
});

test("a cancelled work ends with an AbortError, and the next one runs", async () => {
  const found = await page.evaluate(async ([source]) => {
    const controller = new AbortController();
    const onProgress = () => controller.abort();
    const options = { model: "wave", window: 176, onProgress, signal: controller.signal };
    const work = await tried(() => impasto.stylize(picture(source), options));
    const before = await tried(() => impasto.stylize(picture(source), options));
    const thrown = await tried(() => impasto.stylize(picture(source), {
      model: "wave",
      onProgress() { throw new RangeError("of the caller"); },
    }));
    const next = await impasto.stylize(new ImageData(64, 64), { model: "wave" });
    return [work.name, before.name, thrown.name, next.width];
  }, [toBase64(photo(256, 64))]);
  assert.deepEqual(found, ["AbortError", "AbortError", "RangeError", 64]);
});

test("a lost device is an error, and a new one works", async () => {
  const found = await page.evaluate(async () => {
    const other = await Impasto.create();
    const source = new ImageData(64, 64);
    await other.stylize(source, { model: "wave" });
    other.gpuDevice.destroy();
    await other.gpuDevice.lost;
    const lost = await tried(() => other.stylize(source, { model: "wave" }));
    const next = await Impasto.create();
    const during = next.stylize(source, { model: "wave" }).catch((error) => error);
    next.destroy();
    const again = await Impasto.create();
    const painted = await again.stylize(source, { model: "wave" });
    const result = [lost.code, (await during).code, painted.width];
    again.destroy();
    return result;
  });
  assert.deepEqual(found, ["device-lost", "device-lost", 64]);
});

test("Gatys' method follows the native run", async () => {
  const [source, style] = [photo(48, 48), painting(48, 48)];
  const settings = ["--style", "style.png", "--method", "gatys", "--size", "48", "--steps", "5", "--optimizer", "adam"];
  const native = gatysLog({ "photo.png": source, "style.png": style }, settings);
  const steps = await page.evaluate(async ([source, style]) => {
    const steps = [];
    const result = await impasto.gatys(picture(source), {
      styles: [{ source: picture(style) }], size: 48, steps: 5, every: 2, optimizer: "adam",
      onStep: ({ picture, ...step }) => steps.push({ ...step, shown: picture?.width }),
    });
    if (result.width !== 48) throw new Error("a picture of another size");
    return steps;
  }, [toBase64(source), toBase64(style)]);
  assert.deepEqual([steps.length, native.length], [5, 5]);
  assert.ok(steps.at(-1).loss < steps[0].loss);
  assert.deepEqual(steps.map(({ shown }) => shown), [undefined, 48, undefined, 48, undefined]);
  steps.forEach(({ loss, content, style, variation }, at) => {
    assert.ok(Math.abs(loss / native[at].loss - 1) < 0.01, `step ${at}: ${loss} and ${native[at].loss}`);
    assert.ok(Math.abs((content + style + variation) / loss - 1) < 1e-3);
  });
});

test("frames are painted as photos are", async () => {
  const [source, style] = [photo(96, 64), painting(64, 64)];
  const found = await page.evaluate(async ([source, style]) => {
    const results = [];
    for (const [model, styles] of [
      ["wave", []],
      ["adain-fast", [{ source: picture(style) }]],
      ["impressions", [{ name: "wave", weight: 1 }, { name: "udnie", weight: 2 }]],
    ]) {
      const live = await impasto.live({ width: 96, height: 64, model, styles });
      const canvas = new OffscreenCanvas(1, 1);
      const frame = await createImageBitmap(picture(source));
      await live.paint(frame, canvas);
      const objects = [];
      const read = new OffscreenCanvas(96, 64).getContext("2d");
      await live.paint(frame, canvas);
      read.drawImage(canvas, 0, 0);
      objects.push(sent(read.getImageData(0, 0, 96, 64)));
      objects.push(sent(await impasto.stylize(picture(source), { model, styles })));
      await live.set({ alpha: 0 });
      await live.resize(48, 32);
      await live.paint(frame, canvas);
      objects.push([canvas.width, canvas.height]);
      await live.close();
      objects.push((await tried(() => live.paint(frame, canvas))).code);
      results.push(objects);
    }
    return results;
  }, [toBase64(source), toBase64(style)]);
  for (const [frame, still, size, closed] of found) {
    assert.ok(difference(received(frame), received(still)) <= 2, `${difference(received(frame), received(still))} of 255`);
    assert.deepEqual([size, closed], [[48, 32], "bad-argument"]);
  }
});

test("steady frames pass from one scene to the next", async () => {
  const [one, other] = [photo(64, 48), painting(64, 48)];
  const found = await page.evaluate(async ([one, other]) => {
    const read = new OffscreenCanvas(64, 48).getContext("2d", { willReadFrequently: true });
    const frames = await Promise.all([one, other].map((frame) => createImageBitmap(picture(frame))));
    /** What is seen of these frames, one after the other. */
    const seen = async (steady, order) => {
      const live = await impasto.live({ width: 64, height: 48, model: "wave", steady });
      const canvas = new OffscreenCanvas(1, 1);
      const results = [];
      for (const at of order) {
        await live.paint(frames[at], canvas);
        read.drawImage(canvas, 0, 0);
        results.push(sent(read.getImageData(0, 0, 64, 48)));
      }
      await live.close();
      return results;
    };
    const order = [0, ...new Array(16).fill(1)];
    return [await seen(undefined, [0, 1]), await seen({ statistics: 0.5 }, order), await seen({ history: 0.5 }, order)];
  }, [toBase64(one), toBase64(other)]);
  const [[first, second], ...steady] = found.map((results) => results.map(received));
  for (const results of steady) {
    assert.ok(difference(results[0], first) <= 2, "the first frame has nothing before it");
    assert.ok(difference(results[1], second) > 10, "the second frame has nothing of the first");
    assert.ok(difference(results.at(-1), second) <= 2, `${difference(results.at(-1), second)} of 255 stay of the first`);
  }
});

test("a style is trained, added and used", async () => {
  const [source, style] = [photo(64, 64), painting(64, 64)];
  const found = await page.evaluate(async ([source, style]) => {
    const losses = [];
    const photos = [picture(source)];
    const file = await impasto.train(picture(style), photos, {
      name: "squares", steps: 6, size: 32, batch: 1, onStep: ({ loss }) => losses.push(loss),
    });
    const model = impasto.addModel("squares", file);
    const options = [{ model: "squares" }, { model: "impressions", styles: [{ name: "wave" }] }];
    const [own, other] = [await impasto.stylize(photos[0], options[0]), await impasto.stylize(photos[0], options[1])];
    return [losses, model, sent(own), sent(other)];
  }, [toBase64(source), toBase64(style)]);
  const [losses, model, own, other] = found;
  assert.equal(losses.length, 6);
  assert.ok(Math.min(...losses.slice(3)) < losses[0], losses.join(" "));
  assert.deepEqual([model.name, model.kind, model.loaded], ["squares", "net", true]);
  assert.ok(difference(received(own), received(other)) > 10);
});

test("dispatches, kernels and limits are shown", async () => {
  const { list, shader, roof } = await page.evaluate(async () => {
    const list = await impasto.dispatches({ model: "wave", width: 64, height: 64, timed: true });
    return { list, shader: await impasto.shader(list[0].kernel), roof: await impasto.roof() };
  });
  assert.ok(list.length > 20 && list.every(({ seconds, workgroups }) => seconds >= 0 && workgroups.length === 3));
  assert.ok(list.some(({ flop }) => flop > 1e6) && list.every(({ bytes, label }) => bytes > 0 && label));
  assert.match(shader.wgsl, /@compute/);
  assert.match(shader.source, /^\/\/ /);
  assert.ok(roof.flops > 1e8 && roof.bytes > 1e7, JSON.stringify(roof));
});

test("known answers of some kernels are right, and a picture of a net", async () => {
  const groups = process.env.DOCTOR === "all" ? [] : ["Gram", "pooling", "pictures"];
  const report = await page.evaluate(async (groups) => {
    await impasto.load("adain-fast");
    return impasto.doctor({ groups });
  }, groups);
  const faults = report.cases.filter(({ ok }) => !ok).map(({ name, fault }) => `${name}: ${fault}`);
  assert.deepEqual([faults, report.ok], [[], true]);
  assert.ok(report.cases.length >= 20 && report.cases.some(({ name }) => name.startsWith("pictures: AdaIN")));
});

test("the browser accepts every kernel of every net", async () => {
  const found = await page.evaluate(async () => {
    const device = impasto.gpuDevice;
    const names = new Set();
    for (const { name } of impasto.models()) {
      for (const [width, height] of [[64, 64], [75, 61]]) {
        const list = await impasto.dispatches({ model: name, width, height });
        for (const { index, kernel } of list) {
          if (names.has(kernel)) continue;
          names.add(kernel);
          device.createShaderModule({ label: kernel, code: (await impasto.shader(index)).wgsl });
        }
      }
    }
    const messages = (await Promise.all(refused)).flat();
    device.pushErrorScope("validation");
    device.createShaderModule({ label: "planted", code: "fn main() -> f32 { return 1u; }" });
    await device.popErrorScope();
    return { messages, names: names.size, kernels, planted: (await refused.at(-1)).length };
  });
  assert.deepEqual([found.messages, found.planted], [[], 1]);
  assert.ok(found.names > 40 && found.kernels > found.names, JSON.stringify(found));
});

test("memory does not grow", async () => {
  const sizes = [[64, 64], [96, 64], [64, 96], [80, 80], [72, 64], [64, 72]];
  const memory = await page.evaluate(async (sizes) => {
    const all = [];
    for (let number = 0; number < 50; number++) {
      const [width, height] = sizes[number % sizes.length];
      await impasto.stylize(new ImageData(width, height), { model: "wave" });
      all.push(impasto.memory());
    }
    return all;
  }, sizes);
  const [middle, end] = [memory[20], memory[49]];
  assert.ok(middle.device > 1e5 && middle.wasm > 1e6);
  assert.ok(end.wasm <= middle.wasm, `${middle.wasm} bytes of wasm, then ${end.wasm}`);
  assert.ok(end.device <= Math.max(...memory.slice(10, 20).map(({ device }) => device)), JSON.stringify(memory));
});

test("the page has said nothing", () => {
  // Of a folder of nets that is not there.
  assert.deepEqual(browser.messages.filter((message) => !message.endsWith("/nowhere/index.json")), []);
});
