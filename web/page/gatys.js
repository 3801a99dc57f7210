// The view of Gatys' method: the picture as it converges, and the loss beside it.

import { Curve } from "./chart.js";
import { $, announce, dismiss } from "./dom.js";
import { aborted, engine } from "./engine.js";
import { complain, fail } from "./failures.js";
import { photo, photoEvents, saveResult } from "./photo.js";
import { Picked, forEngine, theSample, theStyles } from "./picked.js";
import { show, stem } from "./pictures.js";
import { Work } from "./work.js";

const stage = $("#gatys-stage");
const output = $("#gatys-out");
const work = new Work({ box: $("#gatys-working"), text: $("#gatys-text"), bar: $("#gatys-bar") });
const curve = new Curve($("#gatys-curve"));
let picked;
let styles;
let kept = "";

export function setup() {
  picked = new Picked($("#gatys-photo"), { id: "gatys-photo-file", label: "Choose a photo", single: true, offer: [theSample] });
  styles = new Picked($("#gatys-styles"), { id: "gatys-style-file", label: "Add a picture", offer: theStyles });
  photoEvents.addEventListener("change", () => picked.set([photo]));
  picked.addEventListener("change", preview);
  engine.addEventListener("change", refresh);
  $("#gatys-form").addEventListener("submit", event => {
    event.preventDefault();
    start();
  });
  $("#gatys-stop").addEventListener("click", () => work.stop());
  $("#gatys-png").addEventListener("click", () => saveResult("gatys", "image/png", kept));
  $("#gatys-jpeg").addEventListener("click", () => saveResult("gatys", "image/jpeg", kept));
  refresh();
}

/** Files that were dropped: the photo, or style pictures. */
export const take = (files, asStyles) => (asStyles ? styles : picked).addFiles(files);

function refresh() {
  $("#gatys-start").disabled = engine.state !== "ready" || work.running;
}

/** Shows the photo before there is a result. */
function preview() {
  const [content] = picked.pictures;
  if (work.running) return;
  stage.dataset.state = content ? "photo" : "empty";
  output.hidden = !content;
  $("#gatys-curve").hidden = $("#gatys-save").hidden = true;
  if (content) draw(content.display);
}

function draw(bitmap) {
  show(output, bitmap);
  stage.style.setProperty("--ratio", output.width / output.height);
  output.hidden = false;
}

async function start() {
  const [content] = picked.pictures;
  if (!content || !styles.pictures.length) {
    const missing = content ? "a style picture" : "a photo";
    return complain("Nothing to optimise yet", `Choose ${missing} first.`);
  }
  dismiss("error");
  const steps = Number($("#gatys-steps").value);
  stage.dataset.state = "working";
  $("#gatys-save").hidden = true;
  curve.reset(steps);
  kept = stem(content.name);
  let drawn = false;
  try {
    const done = work.run("Preparing", ({ on, signal, show: say }) => engine.call("gatys", {
      photo: forEngine(content),
      styles: styles.pictures.map(picture => ({ source: forEngine(picture), weight: 1 })),
      size: Math.min(Number($("#gatys-size").value), Math.max(content.width, content.height)),
      steps, every: 2, initial: $("#gatys-initial").value, optimizer: $("#gatys-optimizer").value,
      styleWeight: Number($("#gatys-weight").value),
    }, { signal, on: { ...on, step: ({ bitmap, ...step }) => {
      if (bitmap) {
        draw(bitmap);
        bitmap.close();
        drawn = true;
      }
      curve.add(step);
      say(`Step ${step.step} of ${steps}`, step.step / steps);
    } } }));
    refresh();
    const { bitmap } = await done;
    draw(bitmap);
    bitmap.close();
    drawn = true;
    announce("Done.");
  } catch (error) {
    if (aborted(error)) announce(drawn ? "Stopped. The picture is kept." : "Stopped.");
    fail(error, { what: "The photo was not optimised", retry: start });
  } finally {
    if (drawn) stage.dataset.state = "done";
    else preview();
    $("#gatys-save").hidden = !drawn;
    refresh();
  }
}
