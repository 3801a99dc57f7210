// The engine's worker: owns one Impasto and answers the calls of engine.js.
//
//   page -> worker   { id, method, args }   { cancel: id }
//   worker -> page   { id, event, data }    { id, result }    { id, error: { name, code, message } }

let impasto = null;
let live = null;
const aborts = new Map();
/** Calls run one by one, in order: `turn` is the end of the last one, `waiting` their methods. */
let turn = Promise.resolve();
const waiting = [];
/** Pictures by id: the library sees the same Blob each time, so it can keep what it measured. */
const pictures = new Map();
/** The last result of each slot, at full size, for `encode`. */
const results = new Map();

const source = picture => {
  if (!picture?.blob) return picture;
  if (!pictures.has(picture.id)) pictures.set(picture.id, picture.blob);
  return pictures.get(picture.id);
};

const styled = styles => styles.map(style => (style.source ? { ...style, source: source(style.source) } : style));

const DISPLAY = 8192; // the longest side that is shown; larger results are only saved at full size

async function shown(slot, image) {
  results.set(slot, image);
  const scale = DISPLAY / Math.max(image.width, image.height);
  const size = { resizeWidth: Math.round(image.width * scale), resizeHeight: Math.round(image.height * scale), resizeQuality: "high" };
  const bitmap = await createImageBitmap(image, scale < 1 ? size : {});
  return { bitmap, width: image.width, height: image.height };
}

const methods = {
  async create() {
    const { Impasto } = await import("./pkg/impasto.js");
    impasto = await Impasto.create({ nets: new URL("./nets/", location.href) });
    return { device: impasto.device, models: impasto.models() };
  },

  async load({ model }, { signal, emit }) {
    await impasto.load(model, { signal, onProgress: (done, total) => emit("load", { done, total }) });
    return impasto.models();
  },

  async addModel({ name, bytes, style }) {
    // A .style file belongs to a body, which has to be there to recognise it.
    if (style) for (const { name, kind } of impasto.models()) if (kind === "body") await impasto.load(name);
    const model = await impasto.addModel(name, bytes);
    return { model, models: impasto.models() };
  },

  async stylize({ photo, slot, model, styles, ...options }, { signal, emit }) {
    await methods.load({ model }, { signal, emit });
    const began = performance.now();
    const image = await impasto.stylize(source(photo), {
      model, styles: styled(styles), ...options, signal,
      onProgress: (done, total) => emit("paint", { done, total }),
    });
    const seconds = (performance.now() - began) / 1000;
    return { ...(await shown(slot, image)), seconds };
  },

  async encode({ slot, type, quality }) {
    const image = results.get(slot);
    if (!image) throw new Error("There is no result to save. Paint the photo first.");
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext("2d");
    if (!context) throw new Error(`This browser has no canvas of ${image.width} × ${image.height} px. Use a smaller photo.`);
    context.putImageData(image, 0, 0);
    if (type === "image/jpeg") {
      context.globalCompositeOperation = "destination-over";
      context.fillStyle = "#fff";
      context.fillRect(0, 0, image.width, image.height);
    }
    return canvas.convertToBlob({ type, quality });
  },

  async liveStart({ width, height, model, styles, alpha, steady }, { signal, emit }) {
    await methods.liveStop();
    await methods.load({ model }, { signal, emit });
    const painter = await impasto.live({ width, height, model, styles: styled(styles), alpha, steady });
    live = { painter, canvas: new OffscreenCanvas(width, height) };
  },

  async livePaint({ frame }) {
    try {
      if (!live) return null;
      const { painter, canvas } = live;
      const began = performance.now();
      await painter.paint(frame, canvas);
      return { bitmap: canvas.transferToImageBitmap(), milliseconds: performance.now() - began };
    } finally {
      frame.close?.();
    }
  },

  async liveSet({ styles, alpha }) {
    await live?.painter.set({ styles: styled(styles), alpha });
  },

  async liveStop() {
    const old = live;
    live = null;
    await old?.painter.close();
  },

  async gatys({ photo, styles, ...options }, { signal, emit }) {
    let last = null;
    let sending = Promise.resolve();
    const onStep = ({ picture, ...step }) => {
      if (!picture) return emit("step", step);
      last = picture;
      sending = sending.then(async () => {
        const bitmap = await createImageBitmap(picture);
        emit("step", { ...step, bitmap }, [bitmap]);
      });
    };
    try {
      last = await impasto.gatys(source(photo), { ...options, styles: styled(styles), onStep, signal });
      return await shown("gatys", last);
    } catch (error) {
      if (last) results.set("gatys", last); // a stopped picture can be saved
      throw error;
    } finally {
      await sending;
    }
  },

  async train({ painting, photos, ...options }, { signal, emit }) {
    return impasto.train(source(painting), photos.map(source), { ...options, signal, onStep: step => emit("step", step) });
  },

  async dispatches({ model, width, height, timed }, { signal, emit }) {
    await methods.load({ model }, { signal, emit });
    return impasto.dispatches({ model, width, height, timed });
  },

  shader: ({ kernel }) => impasto.shader(kernel),
  roof: () => impasto.roof(),
  memory: () => impasto.memory(),

  doctor: (_, { signal, emit }) =>
    impasto.doctor({ signal, onProgress: (done, total) => emit("doctor", { done, total }) }),
};

/** What of a result moves to the page instead of being copied. */
function moved(result) {
  if (result instanceof ArrayBuffer) return [result];
  return result?.bitmap ? [result.bitmap] : [];
}

async function run(id, method, args, signal) {
  const emit = (event, payload, transfer = []) => postMessage({ id, event, data: payload }, transfer);
  const before = turn;
  let end;
  turn = new Promise(resolve => { end = resolve; });
  if (waiting.length) emit("wait", { method: waiting[0] });
  waiting.push(method);
  try {
    await before;
    signal.throwIfAborted();
    const result = await methods[method](args, { signal, emit });
    postMessage({ id, result }, moved(result));
  } catch (error) {
    postMessage({ id, error: { name: error?.name, code: error?.code, message: error?.message ?? String(error) } });
  } finally {
    waiting.shift();
    end();
  }
}

onmessage = async ({ data }) => {
  if (data.cancel !== undefined) return aborts.get(data.cancel)?.abort();
  const { id, method, args } = data;
  const abort = new AbortController();
  aborts.set(id, abort);
  await run(id, method, args, abort.signal);
  aborts.delete(id);
};
