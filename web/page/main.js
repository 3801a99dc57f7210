// Starts the page: views, the engine, files that are dropped or pasted, deep links.

import { $, $$, dismiss, notify } from "./dom.js";
import { engine } from "./engine.js";
import { fail } from "./failures.js";
import * as gatys from "./gatys.js";
import * as kernels from "./kernels.js";
import * as photo from "./photo.js";
import { isModel, show, smallSample } from "./pictures.js";
import { state } from "./state.js";
import * as styles from "./styles.js";
import * as train from "./train.js";
import * as video from "./video.js";

styles.setup(paintThumb);
photo.setup();
video.setup();
gatys.setup();
train.setup();
kernels.setup();

for (const link of $$("nav a")) {
  link.addEventListener("click", event => {
    event.preventDefault();
    state.set({ view: link.dataset.view });
  });
}

function showView() {
  for (const link of $$("nav a")) {
    if (link.dataset.view === state.view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  for (const view of $$(".view")) view.hidden = view.id !== `view-${state.view}`;
  styles.place(state.view);
}

state.addEventListener("change", ({ detail }) => {
  if (detail.has("view")) showView();
});
addEventListener("hashchange", () => {
  state.restore();
  settle();
});

engine.addEventListener("change", () => {
  $("#engine").dataset.state = engine.state;
  const { device } = engine;
  $("#engine-name").textContent = engine.state === "ready" ? device.name || device.vendor || "GPU ready" : engine.state === "failed" ? "No GPU" : "Starting";
  if (engine.state === "failed") fail(engine.error, { key: "engine", what: "The engine stopped" });
  if (engine.state !== "ready") return;
  dismiss("engine");
  if (device.software) {
    notify({ key: "software", kind: "note", title: "The browser offers no GPU, only a processor that emulates one",
      text: "Pictures take minutes instead of moments. Switch on hardware acceleration in the browser’s settings, or update the graphics driver." });
  }
  settle();
});

/** What a deep link names and this page does not have becomes a note. */
function settle() {
  if (engine.state !== "ready") return;
  const missing = styles.settle();
  if (!missing.length) return;
  notify({ key: "link", kind: "note", title: "The link names a style that is not here",
    text: `${missing.join(", ")}: pictures and styles of a visitor’s own are not part of a link. Another style was chosen.` });
}

/** The sample, small, in a style that was added. */
async function paintThumb(model, style) {
  const named = style === null ? [] : [{ name: style, weight: 1 }];
  const { bitmap } = await engine.call("stylize", { photo: await smallSample(128), slot: "thumbnail", model, styles: named, alpha: 1 });
  const canvas = document.createElement("canvas");
  show(canvas, bitmap);
  bitmap.close();
  return canvas.toDataURL("image/jpeg", 0.8);
}

// ---- Files ----

/** Takes files that were dropped or pasted; where they were dropped says what they are for. */
function take(files, target) {
  const over = selector => Boolean(target.closest?.(selector));
  const [file] = files;
  if (!file) return;
  if (isModel(file)) return styles.addModelFile(file);
  if (file.type.startsWith("video/")) {
    state.set({ view: "video" });
    return video.openVideo(file);
  }
  if (state.view === "optimise") return gatys.take(files, over(".styles"));
  if (state.view === "train") return train.take(files, over(".painting"));
  if (over(".panel") && ["photo", "video"].includes(state.view)) return styles.addPictures(files);
  if (state.view !== "photo") state.set({ view: "photo" });
  photo.openPhoto(file);
}

const hasFiles = event => [...(event.dataTransfer?.types ?? [])].includes("Files");
let depth = 0;
addEventListener("dragenter", event => {
  if (hasFiles(event)) $("#dropping").hidden = ++depth === 0;
});
addEventListener("dragleave", event => {
  if (hasFiles(event)) $("#dropping").hidden = --depth <= 0;
});
addEventListener("dragover", event => {
  if (hasFiles(event)) event.preventDefault();
});
addEventListener("drop", event => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  depth = 0;
  $("#dropping").hidden = true;
  take([...event.dataTransfer.files], event.target);
});
addEventListener("paste", event => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (!files.length) return;
  event.preventDefault();
  take(files, event.target);
});

// ---- Start ----

state.restore();
showView();
engine.start();
