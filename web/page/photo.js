// The photo view: open a photo, paint it in the chosen styles, compare, paint regions, save.

import * as compare from "./compare.js";
import { $, announce, save, seconds } from "./dom.js";
import { aborted, engine } from "./engine.js";
import { fail } from "./failures.js";
import * as mask from "./mask.js";
import { open, sample, stem } from "./pictures.js";
import { state } from "./state.js";
import { styleArguments, styleTitle } from "./styles.js";
import { Work } from "./work.js";

export let photo = null;
export const photoEvents = new EventTarget();

const stage = $("#stage");
const work = new Work({ box: $("#working"), text: $("#working-text"), bar: $("#working-bar") });
let result = null;
let stale = false; // the settings changed since the last painting began

export function setup() {
  for (const id of ["photo-file", "photo-file-2"]) {
    $(`#${id}`).addEventListener("change", ({ target }) => {
      const [file] = target.files;
      target.value = "";
      if (file) openPhoto(file);
    });
  }
  $("#use-sample").addEventListener("click", () => useSample());
  $("#paint").addEventListener("click", paint);
  $("#stop").addEventListener("click", () => work.stop());
  $("#zoom").addEventListener("click", ({ target }) => {
    const on = target.getAttribute("aria-pressed") !== "true";
    target.setAttribute("aria-pressed", on);
    compare.actualSize(on);
  });
  $("#save-png").addEventListener("click", () => saveResult("photo", "image/png", stem(photo.name)));
  $("#save-jpeg").addEventListener("click", () => saveResult("photo", "image/jpeg", stem(photo.name)));
  mask.setup(paint);
  mask.targets([]);
  state.addEventListener("change", ({ detail }) => {
    if (detail.has("styles") || detail.has("model")) {
      mask.targets(state.styles.map(({ name }) => ({ name, title: styleTitle(name) })));
    }
    if (["model", "styles", "alpha", "strokes", "keep"].some(key => detail.has(key))) stale = true;
    if (stale) paint();
    if (detail.has("photo") && state.photo === "sample" && photo?.name !== "sample") useSample();
  });
  engine.addEventListener("change", () => {
    refresh();
    if (engine.state === "ready" && photo && !result) paint();
  });
}

export async function openPhoto(file) {
  try {
    setPhoto(await open(file));
    state.set({ photo: "" });
    paint();
  } catch (error) {
    fail(error, { what: "The photo was not opened" });
  }
}

export async function useSample() {
  try {
    setPhoto(await sample());
    state.set({ photo: "sample" });
    paint();
  } catch (error) {
    fail(error, { what: "The sample was not loaded", retry: useSample });
  }
}

function setPhoto(opened) {
  work.stop();
  photo = opened;
  result = null;
  compare.showPhoto(photo);
  mask.reset(photo);
  $("#drop").hidden = true;
  $("#viewport").hidden = false;
  $("#photo-bar").hidden = false;
  stage.dataset.state = "photo";
  refresh();
  photoEvents.dispatchEvent(new Event("change"));
}

function refresh() {
  const ready = engine.state === "ready" && photo;
  $("#paint").disabled = !ready;
  $("#save-png").disabled = $("#save-jpeg").disabled = !result;
  if (!photo) return;
  const size = `${photo.width} × ${photo.height} px`;
  $("#photo-facts").textContent = result ? `${size}, painted in ${seconds(result.seconds)}` : size;
}

/** Paints the photo with the state's settings. A newer call replaces an older one. */
export async function paint() {
  if (!photo || engine.state !== "ready" || state.view !== "photo") return;
  if (!engine.model(state.model)) return;
  const painted = photo;
  stale = false;
  stage.dataset.state = "working";
  try {
    const done = await work.run("Painting", async ({ on, signal }) => {
      const styles = await styleArguments(mask.mask);
      const whole = mask.mask();
      return engine.call("stylize", {
        photo: { id: photo.id, blob: photo.blob }, slot: "photo", model: state.model, styles, alpha: state.alpha,
        keepColors: state.keep, ...(engine.model(state.model).kind === "adain" ? { strokes: state.strokes } : {}),
        ...(whole ? { mask: whole } : {}),
      }, { on, signal });
    });
    if (painted !== photo) return;
    result = done;
    compare.showResult(done.bitmap);
    stage.dataset.state = "done";
    announce(`Done: ${done.width} × ${done.height} px in ${seconds(done.seconds)}.`);
  } catch (error) {
    if (work.running) return; // a newer call goes on
    stage.dataset.state = result ? "done" : aborted(error) ? "photo" : "error";
    if (aborted(error)) announce("Stopped.");
    fail(error, { what: "The photo was not painted", retry: paint });
  } finally {
    refresh();
  }
}

export async function saveResult(slot, type, name) {
  try {
    const blob = await engine.call("encode", { slot, type, quality: 0.92 });
    save(blob, `${name}-painted.${type === "image/png" ? "png" : "jpg"}`);
  } catch (error) {
    fail(error, { what: "The picture was not saved" });
  }
}
