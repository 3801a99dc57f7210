// The training view: a style of the visitor's own, from one painting and photos.

import { Curve } from "./chart.js";
import { $, announce, dismiss, save, seconds } from "./dom.js";
import { aborted, engine } from "./engine.js";
import { complain, fail } from "./failures.js";
import { Picked, forEngine, theSample, theStyles } from "./picked.js";
import { show, smallSample } from "./pictures.js";
import { state } from "./state.js";
import { chooseModel } from "./styles.js";
import { Work } from "./work.js";

const stage = $("#train-stage");
const work = new Work({ box: $("#train-working"), text: $("#train-text"), bar: $("#train-bar") });
const curve = new Curve($("#train-curve"), { height: 260 });
let painting;
let photos;
let trained = null; // { name, bytes, model }

export function setup() {
  painting = new Picked($("#train-painting"), { id: "train-painting-file", label: "Choose a painting", single: true, offer: theStyles });
  photos = new Picked($("#train-photos"), { id: "train-photos-file", label: "Add photos", offer: [theSample] });
  $("#train-folder").addEventListener("change", ({ target }) => {
    const files = [...target.files].filter(({ type }) => type.startsWith("image/"));
    target.value = "";
    if (files.length) photos.addFiles(files);
    else complain("No photos were added", "The folder has no pictures. Choose another one.");
  });
  engine.addEventListener("change", refresh);
  $("#train-form").addEventListener("submit", event => {
    event.preventDefault();
    start();
  });
  $("#train-stop").addEventListener("click", () => work.stop());
  $("#train-save").addEventListener("click", () => {
    save(new Blob([trained.bytes]), `${trained.name}.style`);
    trained.saved = true;
  });
  addEventListener("beforeunload", event => {
    if (work.running || trained?.saved === false) event.preventDefault(); // the browser asks first
  });
  $("#train-use").addEventListener("click", () => {
    chooseModel(trained.model);
    state.set({ view: "photo" });
  });
  refresh();
}

/** Files that were dropped: photos, or the painting. */
export const take = (files, asPainting) => (asPainting ? painting : photos).addFiles(files);

function refresh() {
  $("#train-start").disabled = engine.state !== "ready" || work.running;
}

async function start() {
  const missing = !painting.pictures.length ? "a painting" : !photos.pictures.length ? "at least one photo" : "";
  if (missing) {
    return complain("Nothing to train yet", `Choose ${missing} first.`);
  }
  const name = $("#train-name").value;
  if (engine.model(name)) return complain("The name is taken", `There is a net called ${name}. Choose another name.`);
  dismiss("error");
  const steps = Number($("#train-steps").value);
  stage.dataset.state = "working";
  $("#train-done").hidden = true;
  curve.reset(steps);
  const began = performance.now();
  let done = false;
  try {
    const running = work.run("Preparing the nets", ({ on, signal, show: say }) => engine.call("train", {
      painting: forEngine(painting.pictures[0]), photos: photos.pictures.map(forEngine), name, steps, size: Number($("#train-size").value),
      batch: Number($("#train-batch").value),
    }, { signal, on: { ...on, step: step => {
      curve.add(step);
      const left = ((performance.now() - began) / 1000 / step.step) * (steps - step.step);
      say(`Step ${step.step} of ${steps}${step.step > 2 ? `, about ${left < 90 ? seconds(Math.max(1, left)) : `${Math.round(left / 60)} min`} left` : ""}`, step.step / steps);
    } } }));
    refresh();
    trained = { name, bytes: await running, model: null, saved: false };
    done = true;
    $("#train-done-title").textContent = `“${name}” is trained`;
    $("#train-done").hidden = false;
    $("#train-use").hidden = true;
    announce(`${name} is trained.`);
    trained.model = await engine.addModel(name, trained.bytes, { style: true });
    $("#train-use").hidden = false;
    await preview(trained.model);
  } catch (error) {
    if (aborted(error)) announce("The training was stopped.");
    fail(error, { what: done ? "The style is trained, but it does not paint here. Save its file" : "The style was not trained", retry: done ? undefined : start });
  } finally {
    stage.dataset.state = done ? "done" : "empty";
    if (!done) $("#train-curve").hidden = true;
    refresh();
  }
}

async function preview(model) {
  const styles = model.kind === "body" ? [{ name: model.styles.at(-1), weight: 1 }] : [];
  const { bitmap } = await engine.call("stylize", { photo: await smallSample(320), slot: "preview", model: model.name, styles, alpha: 1 });
  show($("#train-preview"), bitmap);
  bitmap.close();
}
