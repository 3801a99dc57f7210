// What went wrong, in the visitor's words, and the way out.

import { notify } from "./dom.js";
import { aborted, engine } from "./engine.js";

const WAYS = {
  "no-webgpu": { title: "This browser has no WebGPU", text: "Use a current Chrome, Edge, Safari or Firefox. On Linux, WebGPU may have to be switched on in the browser’s settings." },
  "no-adapter": { title: "No GPU was found", text: "Switch on hardware acceleration in the browser’s settings, update the graphics driver, then try again." },
  limits: { title: "This GPU is too small for the net" },
  memory: { title: "Not enough GPU memory", text: "Close other tabs, or use a smaller photo or a smaller size." },
  "device-lost": { title: "The GPU stopped" },
  "bad-picture": { title: "This picture cannot be used" },
  "bad-net": { title: "This file is not a net or style that Impasto can use" },
  "bad-argument": { title: "This setting is not possible" },
  "too-large": { title: "This picture is too large" },
};

let lostAt = -Infinity;

/**
 * Shows an error. `what` is the title where the code has none, `retry` repeats what failed. A lost device is replaced
 * at once, unless it was lost a moment ago.
 */
export function fail(error, { what = "That did not work", retry, key = "error" } = {}) {
  if (aborted(error)) return;
  const known = WAYS[error.code] ?? {};
  const text = [error.message, known.text].filter(Boolean).join(" ");
  const again = retry ? [{ label: "Try again", act: retry }] : [];
  if (error.code === "device-lost") {
    const now = performance.now();
    const often = now - lostAt < 30_000;
    lostAt = now;
    if (often) {
      engine.stop();
      return notify({ key, title: "The GPU stopped again", text: `${text} A smaller photo may help.`,
        actions: [{ label: "Start the engine again", act: () => engine.start().then(() => retry?.()) }] });
    }
    engine.start();
    return notify({ key, title: known.title, text: `${error.message} The engine was started again.`, actions: again });
  }
  if (["no-webgpu", "no-adapter", "limits", "internal"].includes(error.code)) {
    again.push({ label: "Start the engine again", act: () => engine.start() });
  }
  if (!(error.code in WAYS) && error.name !== "EngineError" && !/Picture/.test(error.constructor.name)) console.error(error);
  notify({ key, title: known.title ?? what, text, actions: again });
}

/** Says what is missing or wrong with what the visitor gave. */
export function complain(title, text, { retry, key = "error" } = {}) {
  notify({ key, title, text, actions: retry ? [{ label: "Try again", act: retry }] : [] });
}
