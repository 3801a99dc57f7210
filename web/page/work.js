// A piece of work of the engine with its progress bar. A newer piece replaces an older one.

import { bytes } from "./dom.js";

export class Work {
  #abort = null;

  /** Elements: the box that is shown during the work, the text, the <progress>. */
  constructor({ box, text, bar }) {
    Object.assign(this, { box, text, bar });
  }

  get running() {
    return this.#abort !== null;
  }

  stop() {
    this.#abort?.abort();
  }

  /** `start({ on, signal, show })` begins the work; `on` has the handlers of the engine's progress events. */
  async run(label, start) {
    this.stop();
    const abort = new AbortController();
    this.#abort = abort;
    // Work that ends at once shows no progress.
    const late = setTimeout(() => { this.box.hidden = false; }, this.box.hidden ? 150 : 0);
    const show = (text, share) => {
      if (this.#abort !== abort) return;
      this.text.textContent = text;
      if (share === undefined) this.bar.removeAttribute("value");
      else this.bar.value = share;
    };
    show(label);
    const on = {
      wait: ({ method }) => show(`Waiting for ${WAITS[method] ?? "earlier work"} to end`),
      load: ({ done, total }) =>
        show(done < total ? `Loading the net: ${bytes(done)} of ${bytes(total)}` : "Preparing the net", done < total ? done / total : undefined),
      paint: ({ done, total }) => show(total > 1 ? `${label}: ${done} of ${total}` : label, total > 1 ? done / total : undefined),
    };
    try {
      return await start({ on, signal: abort.signal, show });
    } finally {
      clearTimeout(late);
      if (this.#abort === abort) {
        this.#abort = null;
        this.box.hidden = true;
      }
    }
  }
}

const WAITS = { gatys: "the optimiser", train: "the training", doctor: "the tests" };
