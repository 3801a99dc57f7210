// Frames of a video: painted from texture to texture, without reading anything back.

import { ImpastoError } from "./errors.js";
import { pixelsOf } from "./pictures.js";

const FORMAT = "rgba8unorm";

export class Live {
  #host;
  #engine;
  #settings;
  #frame;
  /** A canvas for frames of another size. */
  #resized;
  /** The canvases that have been configured for this device. */
  #canvases = new WeakSet();
  #isNew = true;

  constructor(host) {
    this.#host = host;
  }

  get width() {
    return this.#settings.width;
  }

  get height() {
    return this.#settings.height;
  }

  /** Compiles for a size and styles. Not for users: Impasto.live calls it. */
  async start(settings) {
    const { width, height, styles } = settings;
    if (!(Number.isInteger(width) && Number.isInteger(height) && width > 0 && height > 0)) {
      throw new ImpastoError("bad-argument", `width and height must be whole numbers above 0, got ${width} x ${height}`);
    }
    const pictures = [];
    if (this.#host.model.kind === "adain") {
      for (const { source } of styles) pictures.push(await pixelsOf(source, "the style"));
      if (pictures.length === 0) throw new ImpastoError("bad-argument", "AdaIN needs at least one style with a source");
    }
    const made = await this.#host.start({ width, height, steady: this.#host.steady }, pictures);
    this.#engine?.free();
    this.#engine = made;
    this.#settings = settings;
    this.#apply(settings);
    this.#frame?.destroy();
    this.#frame = this.#host.gpuDevice.createTexture({
      size: [width, height],
      format: FORMAT,
      usage: GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_DST | GPUTextureUsage.RENDER_ATTACHMENT,
    });
    this.#isNew = true;
  }

  paint(frame, into) {
    return this.#host.work(async () => {
      this.#check();
      const { width, height } = this.#settings;
      const size = [frame.displayWidth ?? frame.videoWidth ?? frame.width, frame.displayHeight ?? frame.videoHeight ?? frame.height];
      let source = frame;
      if (size[0] !== width || size[1] !== height) {
        this.#resized ??= new OffscreenCanvas(width, height);
        if (this.#resized.width !== width) this.#resized.width = width;
        if (this.#resized.height !== height) this.#resized.height = height;
        this.#resized.getContext("2d").drawImage(frame, 0, 0, width, height);
        source = this.#resized;
      }
      this.#host.gpuDevice.queue.copyExternalImageToTexture({ source }, { texture: this.#frame }, [width, height]);
      this.#engine.paint(this.#frame, this.#target(into), this.#isNew);
      this.#isNew = false;
      await this.#host.gpuDevice.queue.onSubmittedWorkDone();
    });
  }

  set({ styles = this.#settings.styles, alpha = this.#settings.alpha }) {
    return this.#host.work(async () => {
      this.#check();
      const before = this.#settings.styles;
      const isSame = styles.length === before.length && styles.every(({ source }, at) => source === before[at].source);
      const settings = { ...this.#settings, styles, alpha };
      if (this.#host.model.kind === "adain" && !isSame) await this.start(settings);
      else this.#apply(settings);
      this.#settings = settings;
    });
  }

  resize(width, height) {
    return this.#host.work(async () => {
      this.#check();
      if (width !== this.width || height !== this.height) await this.start({ ...this.#settings, width, height });
    });
  }

  close() {
    return this.#host.work(async () => {
      this.#engine?.free();
      this.#engine = undefined;
      this.#frame?.destroy();
    });
  }

  #check() {
    if (!this.#engine) throw new ImpastoError("bad-argument", "this Live is closed; call Impasto.live again");
  }

  /** Passes the weights of the styles and their strength to the engine. */
  #apply({ styles, alpha = 1 }) {
    const { kind, styles: names } = this.#host.model;
    let weights = [1];
    if (kind === "adain") weights = styles.map(({ weight = 1 }) => weight);
    if (kind === "body") {
      for (const { name } of styles) {
        if (names.includes(name)) continue;
        throw new ImpastoError("bad-argument", `a style of this net must be one of ${names.join(", ")}, got ${name}`);
      }
      const of = (name) => styles.filter((style) => style.name === name);
      weights = names.map((name) => of(name).reduce((sum, { weight = 1 }) => sum + weight, 0));
    }
    this.#engine.set(new Float32Array(weights), alpha);
  }

  /** The texture of a canvas that is shown next. */
  #target(canvas) {
    const { width, height } = this.#settings;
    if (canvas.width !== width) canvas.width = width;
    if (canvas.height !== height) canvas.height = height;
    const context = canvas.getContext("webgpu");
    if (!context) {
      throw new ImpastoError("bad-argument", "the canvas has another kind of context; give a canvas of its own to Live");
    }
    if (!this.#canvases.has(canvas)) {
      const usage = GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.RENDER_ATTACHMENT;
      context.configure({ device: this.#host.gpuDevice, format: FORMAT, usage, alphaMode: "opaque" });
      this.#canvases.add(canvas);
    }
    return context.getCurrentTexture();
  }
}
