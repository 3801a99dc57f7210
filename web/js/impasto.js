// Impasto in the browser: the JavaScript side of the engine. impasto.d.ts documents every method.

import { ImpastoError, failed, isAbort } from "./errors.js";
import { Live } from "./live.js";
import { NetFolder } from "./nets.js";
import { maskPixels, pictureOf, pixelsOf } from "./pictures.js";
import start, { Engine } from "./impasto_engine.js";

export { ImpastoError };

/** The file of the net that measures losses. */
const LOSS_NET = "encoder-half.safetensors";

/** WebAssembly, which is started once, and its memory. */
let started;
let memory;

function startEngine(wasm) {
  started ??= start({ module_or_path: wasm ?? new URL("impasto_engine_bg.wasm", import.meta.url) });
  return started.then((exports) => (memory = exports.memory), (error) => {
    started = undefined;
    throw new ImpastoError("internal", `the engine (WebAssembly) cannot be loaded: ${error.message ?? error}`);
  });
}

export class Impasto {
  #engine;
  #folder;
  /** What models() lists: those of the folder and those that the user added. */
  #models = new Map();
  /** The end of the work in progress; work runs one after the other. */
  #idle = Promise.resolve();
  #lost;

  static async create({ wasm, nets = "./nets/", powerPreference } = {}) {
    if (!globalThis.navigator?.gpu) {
      const way = globalThis.isSecureContext === false
        ? "open the page by https, or on localhost"
        : "use a current version of Chrome, Edge, Firefox or Safari, and switch WebGPU on if it is off";
      throw new ImpastoError("no-webgpu", `this browser does not offer WebGPU here; ${way}`);
    }
    const impasto = new Impasto();
    await startEngine(wasm);
    try {
      [impasto.#engine, impasto.#folder] = await Promise.all([
        Engine.open(powerPreference ?? ""),
        nets === null ? undefined : NetFolder.open(nets),
      ]);
    } catch (error) {
      throw failed(error);
    }
    for (const { files, ...model } of impasto.#folder?.nets ?? []) {
      impasto.#models.set(model.name, { ...model, loaded: false });
    }
    impasto.gpuDevice.lost.then(({ reason, message }) => {
      impasto.#lost = `${reason === "destroyed" ? "it was destroyed" : message || "the browser gives no reason"}`;
    });
    return impasto;
  }

  get gpuDevice() {
    return this.#engine.device;
  }

  get device() {
    const { adapter, class: kernels, features, limits, versions } = JSON.parse(this.#engine.details());
    const { vendor = "", architecture = "", device = "" } = this.gpuDevice.adapterInfo ?? {};
    const name = adapter || device || [vendor, architecture].filter(Boolean).join(" ") || "an unnamed adapter";
    const software = this.#engine.software || /swiftshader|llvmpipe|warp/i.test(`${architecture} ${name}`);
    return { name, vendor, backend: "webgpu", kernels, software, features, limits, version: versions.impasto };
  }

  models() {
    return [...this.#models.values()].map((model) => ({ ...model, styles: [...model.styles] }));
  }

  load(name, { onProgress, signal } = {}) {
    return this.#work(signal, async () => {
      const model = this.#model(name);
      if (model.loaded) {
        onProgress?.(model.bytes, model.bytes);
        return;
      }
      await this.#load(model, onProgress, signal);
    });
  }

  addModel(name, bytes) {
    if (this.#folder?.nets.some((net) => net.name === name)) {
      throw new ImpastoError("bad-argument", `a net of the folder is called ${name}; choose another name`);
    }
    try {
      const about = JSON.parse(this.#engine.addNet(name, new Uint8Array(bytes)));
      const model = { name, bytes: bytes.byteLength, loaded: true, title: name, ...about };
      this.#models.set(name, model);
      return { ...model };
    } catch (error) {
      throw this.#failed(error);
    }
  }

  stylize(photo, { model, styles = [], alpha, strokes, keepColors, mask, maxMemory, window, onProgress, signal } = {}) {
    return this.#work(signal, async (stop) => {
      const loaded = await this.#ready(model, signal);
      const pictures = [];
      const add = async (made) => pictures.push(await made) - 1;
      const order = {
        alpha, strokes, window,
        memory: maxMemory && maxMemory * 2 ** 20,
        keep_colors: keepColors === true ? "luminance" : keepColors || undefined,
        mask: mask && await add(maskPixels(mask)),
        styles: [],
      };
      for (const { source, name, weight, mask } of styles) {
        order.styles.push({
          name, weight,
          source: source && await add(pixelsOf(source, "the style")),
          mask: mask && await add(maskPixels(mask)),
        });
      }
      const pixels = await pixelsOf(photo, "the photo");
      const progress = stop.watch(onProgress);
      return pictureOf(await this.#engine.stylize(loaded.name, pixels, pictures, JSON.stringify(order), progress));
    });
  }

  live({ width, height, model, styles = [], alpha, steady, signal } = {}) {
    return this.#work(signal, async () => {
      await this.#ready(model, signal);
      const made = new Live({
        gpuDevice: this.gpuDevice,
        start: (order, pictures) => this.#engine.live(model, pictures, JSON.stringify(order)),
        work: (work) => this.#work(undefined, work),
        model: this.#model(model),
        steady,
      });
      await made.start({ width, height, styles, alpha });
      return made;
    });
  }

  gatys(photo, { styles = [], size, steps, initial, styleWeight, optimizer, maxMemory, every = 5, onStep, signal } = {}) {
    return this.#work(signal, async (stop) => {
      await this.#lossNet(signal);
      const pictures = [];
      for (const { source } of styles) pictures.push(await pixelsOf(source, "the style"));
      const order = {
        size, steps, initial, optimizer, every,
        style_weight: styleWeight,
        memory: maxMemory && maxMemory * 2 ** 20,
        weights: styles.map(({ weight = 1 }) => weight),
      };
      const step = stop.watch((text, pixels) => {
        const picture = pixels && pictureOf(pixels);
        if (text && onStep) onStep({ ...JSON.parse(text), ...(picture && { picture }) });
      });
      const pixels = await pixelsOf(photo, "the photo");
      return pictureOf(await this.#engine.gatys(pixels, pictures, JSON.stringify(order), step));
    });
  }

  train(painting, photos, { name = "style", body = "impressions", steps, size, batch, onStep, signal } = {}) {
    return this.#work(signal, async (stop) => {
      await this.#lossNet(signal);
      await this.#ready(body, signal);
      const pictures = [];
      for (const photo of photos) pictures.push(await pixelsOf(photo, "a photo"));
      const pixels = await pixelsOf(painting, "the painting");
      const step = stop.watch((text) => onStep?.(JSON.parse(text)));
      const order = JSON.stringify({ name, body, steps, size, batch });
      return (await this.#engine.train(body, pixels, pictures, order, step)).buffer;
    });
  }

  dispatches({ model, width, height, timed = false, signal } = {}) {
    return this.#work(signal, async () => {
      await this.#ready(model, signal);
      return JSON.parse(await this.#engine.dispatches(model, width, height, timed));
    });
  }

  shader(kernel) {
    return this.#work(undefined, async () => {
      const [index, name] = typeof kernel === "number" ? [kernel, ""] : [undefined, String(kernel)];
      return JSON.parse(this.#engine.shader(index, name));
    });
  }

  roof({ signal } = {}) {
    return this.#work(signal, async () => JSON.parse(await this.#engine.roof()));
  }

  doctor({ groups = [], onProgress, signal } = {}) {
    return this.#work(signal, async (stop) => {
      const report = JSON.parse(await this.#engine.doctor(groups, stop.watch(onProgress)));
      const cases = report.checks.map(({ group, name, error, tolerance, fault, kernels }) => {
        return { name: `${group}: ${name}`, ok: fault === null, error, tolerance, fault, kernels };
      });
      const ok = cases.every((one) => one.ok);
      return { ok, cases, seconds: report.seconds, device: this.device, version: this.device.version };
    });
  }

  memory() {
    return { device: this.#engine.allocated, wasm: memory.buffer.byteLength };
  }

  destroy() {
    this.gpuDevice.destroy();
  }

  /** Runs work when that before it has ended. */
  async #work(signal, work) {
    const before = this.#idle;
    let end;
    this.#idle = new Promise((resolve) => (end = resolve));
    const stop = new Stop(signal);
    try {
      await before;
      stop.check();
      this.#checkDevice();
      return await work(stop);
    } catch (error) {
      if (stop.thrown) throw stop.thrown;
      if (isAbort(error)) throw new DOMException("the work was cancelled", "AbortError");
      throw this.#failed(error);
    } finally {
      end();
    }
  }

  #failed(error) {
    // What a lost device does not do right is reported in many ways.
    if (this.#lost && !(error instanceof ImpastoError)) return this.#lostError();
    return failed(error);
  }

  #lostError() {
    return new ImpastoError("device-lost", `the GPU was lost (${this.#lost}); call Impasto.create again`);
  }

  #checkDevice() {
    if (this.#lost) throw this.#lostError();
  }

  #model(name) {
    const model = this.#models.get(name);
    if (model) return model;
    const known = [...this.#models.keys()].join(", ");
    throw new ImpastoError("bad-argument", `there is no model ${name}; it must be one of ${known}`);
  }

  async #lossNet(signal) {
    if (this.#engine.hasLossNet) return;
    if (!this.#folder) throw new ImpastoError("bad-net", "the loss net is missing; give Impasto.create a folder of nets");
    this.#engine.setLossNet(await this.#folder.file(LOSS_NET, signal));
  }

  async #ready(name, signal) {
    const model = this.#model(name);
    if (!model.loaded) await this.#load(model, undefined, signal);
    return model;
  }

  async #load(model, onProgress, signal) {
    const files = await this.#folder.fetch(model.name, onProgress, signal);
    if (model.kind === "adain") this.#engine.addAdain(model.name, ...files);
    else this.#engine.addNet(model.name, files[0]);
    model.loaded = true;
  }
}

/** Whether work is to stop: by its signal, or because a callback of the caller threw. */
class Stop {
  thrown;

  constructor(signal) {
    this.signal = signal;
  }

  check() {
    if (this.signal?.aborted) throw new DOMException("the work was cancelled", "AbortError");
  }

  /** A callback for the engine: `true` stops the work. */
  watch(callback) {
    return (...values) => {
      try {
        callback?.(...values);
      } catch (error) {
        this.thrown = error;
      }
      return this.thrown !== undefined || this.signal?.aborted === true;
    };
  }
}
