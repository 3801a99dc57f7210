// A fake of the library for tests of the page's own logic: it has the library's contract and no engine. The test server
// writes `const scenario = "..."` above this text. Scenarios: "", "no-webgpu", "no-adapter", "slow", "lost-once",
// "lost", "memory", "doctor-fails", "untimed", "software", "crash".
/* global scenario */

class ImpastoError extends Error {
  constructor(code, message) {
    super(message);
    this.name = "ImpastoError";
    this.code = code;
  }
}

const rest = milliseconds => new Promise(resolve => setTimeout(resolve, milliseconds));
const BODY = ["arearea", "composition-vii", "estaque", "improvisation", "leger", "mosaic", "night-cafe", "scream", "shipwreck", "starry-night", "strokes", "udnie", "wave", "woodcut"];
const NETS = ["composition-vii", "mosaic", "mosaic-batch", "scream", "starry-night", "udnie", "wave", "woodcut"];

async function pixels(source, limit = Infinity) {
  if (source instanceof ImageData) return source;
  const bitmap = source instanceof Blob ? await createImageBitmap(source, { imageOrientation: "from-image" }) : source;
  const scale = Math.min(1, limit / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map(side => Math.max(1, Math.round(side * scale)));
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.drawImage(bitmap, 0, 0, width, height);
  return context.getImageData(0, 0, width, height);
}

async function work(steps, { signal, onProgress, each }) {
  for (let step = 1; step <= steps; step++) {
    signal?.throwIfAborted();
    await rest(scenario === "slow" ? 150 : 4);
    signal?.throwIfAborted();
    onProgress?.(step, steps);
    await each?.(step);
  }
}

/** The photo with its channels turned, as much as alpha and the masks say. */
function turned(image, { styles, alpha, mask }) {
  const out = new ImageData(new Uint8ClampedArray(image.data), image.width, image.height);
  const share = (picture, i) => {
    if (!picture) return 1;
    const [x, y] = [(i / 4) % image.width, Math.floor(i / 4 / image.width)];
    const at = Math.floor((y * picture.height) / image.height) * picture.width + Math.floor((x * picture.width) / image.width);
    return picture.data[4 * at] / 255;
  };
  const masks = styles.filter(style => style.mask);
  for (let i = 0; i < out.data.length; i += 4) {
    const s = alpha * share(mask, i) * (masks.length ? Math.max(...masks.map(style => share(style.mask, i))) : 1);
    for (let c = 0; c < 3; c++) out.data[i + c] = (1 - s) * image.data[i + c] + s * image.data[i + ((c + 1) % 3)];
  }
  return out;
}

let lost = 0;

export class Impasto {
  #models = [
    { name: "adain", kind: "adain", styles: [], bytes: 6600000, loaded: false },
    { name: "adain-fast", kind: "adain", styles: [], bytes: 2500000, loaded: false },
    { name: "impressions", kind: "body", styles: BODY, bytes: 900000, loaded: false },
    ...NETS.map(name => ({ name, kind: "net", styles: [], bytes: 220000, loaded: false })),
  ];
  device = {
    name: "Fake adapter", vendor: "tests", backend: "webgpu", kernels: "tiled", software: scenario === "software", features: ["timestamp-query"],
    limits: { maxStorageBufferBindingSize: 134217728, maxComputeWorkgroupStorageSize: 16384 },
  };

  static async create() {
    if (scenario === "no-webgpu") throw new ImpastoError("no-webgpu", "This browser has no WebGPU.");
    if (scenario === "no-adapter") throw new ImpastoError("no-adapter", "The browser offers no GPU adapter.");
    await rest(30);
    return new Impasto();
  }

  models() {
    return structuredClone(this.#models);
  }

  async load(name, { onProgress, signal } = {}) {
    const model = this.#models.find(model => model.name === name);
    if (!model) throw new ImpastoError("bad-net", `There is no net ${name}.`);
    if (!model.loaded) await work(4, { signal, onProgress: step => onProgress?.((model.bytes * step) / 4, model.bytes) });
    model.loaded = true;
  }

  addModel(name, bytes) {
    if (!this.#models.find(({ kind }) => kind === "body").loaded) throw new ImpastoError("bad-net", "The body of the style is not loaded.");
    if (new TextDecoder().decode(bytes.slice(0, 5)) !== "style") throw new ImpastoError("bad-net", `${name} is not a style: the first bytes are not those of a style file. Choose a file that impasto wrote.`);
    const model = { name, kind: "net", styles: [], bytes: bytes.byteLength, loaded: true };
    this.#models.push(model);
    return model;
  }

  async stylize(photo, { styles, alpha, mask, strokes, model, onProgress, signal }) {
    const kind = this.#models.find(({ name }) => name === model).kind;
    if ((kind === "adain") !== (strokes !== undefined)) throw new ImpastoError("internal", "strokes belong to AdaIN");
    for (const style of styles) if (kind === "adain" && !style.source) throw new ImpastoError("bad-picture", "a style has no picture");
    const image = await pixels(photo);
    if (Math.max(image.width, image.height) > 3000) throw new ImpastoError("too-large", `The photo has ${image.width} × ${image.height} px; at most 3000 are possible. Reduce it first.`);
    await work(5, { signal, onProgress });
    if (scenario === "crash") {
      setTimeout(() => { throw new Error("unreachable"); });
      await new Promise(() => {});
    }
    if (scenario === "memory") throw new ImpastoError("memory", "The GPU has no memory left for the features.");
    if (scenario === "lost" || (scenario === "lost-once" && !lost++)) throw new ImpastoError("device-lost", "The GPU device was lost.");
    return turned(image, { styles, alpha, mask });
  }

  async live() {
    return {
      async paint(frame, canvas) {
        await rest(5);
        const context = canvas.getContext("2d");
        context.drawImage(frame, 0, 0, canvas.width, canvas.height);
        context.globalCompositeOperation = "difference";
        context.fillStyle = "#fff";
        context.fillRect(0, 0, canvas.width, canvas.height);
        context.globalCompositeOperation = "source-over";
      },
      async set() {}, async resize() {}, async close() {},
    };
  }

  async gatys(photo, { styles, size, steps, every, onStep, signal }) {
    if (!styles.length) throw new ImpastoError("bad-picture", "There is no style.");
    const image = await pixels(photo, size);
    const losses = step => ({ loss: 60 * Math.exp(-step / 20) + 2, content: 3 - 2 * Math.exp(-step / 30), style: 55 * Math.exp(-step / 20), variation: 0.1 });
    await work(steps, { signal, each: step => onStep({ step, steps, ...losses(step), ...(step % every ? {} : { picture: turned(image, { styles, alpha: step / steps }) }) }) });
    return turned(image, { styles, alpha: 1 });
  }

  async train(painting, photos, { name, steps, onStep, signal }) {
    await pixels(painting);
    for (const photo of photos) await pixels(photo);
    await work(steps, { signal, each: step => onStep({ step, steps, loss: 20 / step + 1, content: 0.7, style: 20 / step + 0.3 }) });
    return new TextEncoder().encode(`style ${name}`).buffer;
  }

  async dispatches({ width, timed }) {
    const kernels = [["conv2d", "staged", 9e8, 9e6], ["norm", "apply", 2e6, 8e6], ["winograd_4", "inputs", 8e6, 1.6e7], ["conv2d", "direct", 4e7, 3e6], ["pad", "main", 0, 3e6]];
    return Array.from({ length: 20 }, (_, index) => {
      const [kernel, entry, flop, bytes] = kernels[index % kernels.length];
      const seconds = Math.max(flop / 2e11, bytes / 3e10) * (1.3 + index / 20);
      return { index, kernel: `${kernel}:${entry} ITEMS=4`, entry, label: `layer ${index}`, workgroups: [width / 8, 4, 1], flop, bytes, ...(timed && scenario !== "untimed" ? { seconds } : {}) };
    });
  }

  async shader(index) {
    return { source: `// kernel ${index}\n//   y = Σ w·x\n@compute @workgroup_size(64)\nfn main() {}\n`, wgsl: "fn main() {}\n" };
  }

  async roof() {
    return { flops: 2.4e11, bytes: 4e10 };
  }

  async doctor({ onProgress, signal }) {
    await work(6, { signal, onProgress });
    const cases = ["conv2d", "norm", "gram", "winograd", "pool", "picture"].map((name, i) => ({ name, ok: !(scenario === "doctor-fails" && i === 3), error: 1e-6 * (i + 1), tolerance: 1e-4 }));
    return { ok: cases.every(({ ok }) => ok), cases, device: this.device, version: "fake" };
  }

  memory() {
    return { device: 3.1e7, wasm: 1.2e7 };
  }

  destroy() {}
}
