// The page's side of the worker: calls with progress and cancel, start and restart.

export class EngineError extends Error {
  constructor({ name, code, message }) {
    super(message);
    this.name = name === "AbortError" ? name : "EngineError";
    this.code = typeof code === "string" ? code : "internal";
  }
}

export const aborted = error => error?.name === "AbortError";

/** Emits `change` with `state`: "starting", "ready" or "failed" (then `error` says why). */
class Engine extends EventTarget {
  state = "starting";
  device = null;
  models = [];
  error = null;
  #worker = null;
  #calls = new Map();
  #next = 1;
  /** What the visitor added, as the worker's addModel takes it. It is added again after a restart. */
  #added = [];

  #set(state, error = null) {
    this.state = state;
    this.error = error;
    this.dispatchEvent(new Event("change"));
  }

  /** Starts the worker and the GPU; ends calls of an earlier worker. */
  async start() {
    this.stop();
    this.#set("starting");
    try {
      const worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
      this.#worker = worker;
      worker.onmessage = ({ data }) => this.#receive(data);
      worker.onerror = event => {
        event.preventDefault();
        if (worker !== this.#worker) return; // an earlier one
        const message = event.message
          ? `${event.message.replace(/^Uncaught /, "")}. If it happens again, use a smaller picture.`
          : "The engine’s worker could not be loaded. Reload the page.";
        this.stop();
        this.#set("failed", new EngineError({ code: "internal", message }));
      };
      const { device, models } = await this.call("create", {});
      this.device = device;
      this.models = models;
      for (const added of this.#added) this.models = (await this.call("addModel", added)).models;
      this.#set("ready");
    } catch (error) {
      if (this.state !== "failed") this.#set("failed", error);
    }
  }

  /** Ends the worker. Calls end as if they had been cancelled. */
  stop() {
    this.#worker?.terminate();
    this.#worker = null;
    for (const call of this.#calls.values()) call.reject(new EngineError({ name: "AbortError", message: "The engine was stopped." }));
    this.#calls.clear();
  }

  /** Calls a method of worker.js. `on` maps events to functions. */
  call(method, args, { on = {}, signal, transfer = [] } = {}) {
    return new Promise((resolve, reject) => {
      if (!this.#worker) return reject(this.error ?? new EngineError({ code: "internal", message: "The engine is not running. Reload the page." }));
      if (signal?.aborted) return reject(new EngineError({ name: "AbortError", message: "Stopped." }));
      const id = this.#next++;
      // A cancelled call ends at once here; the worker ends it when the device has done what it was given.
      const cancel = () => {
        this.#worker?.postMessage({ cancel: id });
        this.#calls.delete(id);
        reject(new EngineError({ name: "AbortError", message: "Stopped." }));
      };
      signal?.addEventListener("abort", cancel, { once: true });
      const done = settle => value => {
        signal?.removeEventListener("abort", cancel);
        settle(value);
      };
      this.#calls.set(id, { on, resolve: done(resolve), reject: done(reject) });
      this.#worker.postMessage({ id, method, args }, transfer);
    });
  }

  #receive({ id, event, data, result, error }) {
    const call = this.#calls.get(id);
    if (!call) return (result ?? data)?.bitmap?.close(); // it was cancelled
    if (event) return call.on[event]?.(data);
    this.#calls.delete(id);
    if (!error) return call.resolve(result);
    call.reject(new EngineError(error));
  }

  /** Adds a net or, with `style`, a style of a body, made by the visitor. Returns the model. */
  async addModel(name, bytes, { style }) {
    const { model, models } = await this.call("addModel", { name, bytes, style });
    this.#added.push({ name, bytes, style });
    this.models = models;
    this.dispatchEvent(new Event("change"));
    return model;
  }

  isAdded(name) {
    return this.#added.some(added => added.name === name);
  }

  model(name) {
    return this.models.find(model => model.name === name);
  }
}

export const engine = new Engine();
