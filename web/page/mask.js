// The region brush: one mask for the whole result and one for each style of a mixture, painted on the picture with the
// pointer or the keyboard.

import { $, announce, el, outputs } from "./dom.js";

const LONG = 768; // the long side of a mask; the engine stretches it over the photo
const overlay = $("#mask");
const view = overlay.getContext("2d");
/** Target -> { canvas, context }; alpha is the share. */
const masks = new Map();
let size = { width: 1, height: 1 };
let target = "";
let cursor = { x: 0.5, y: 0.5 };
let last = null;
let held = false;
let changed = () => {};

const radius = () => (Number($("#brush-size").value) / 200) * Math.max(size.width, size.height);
const erasing = () => $("[name=brush]:checked").value === "erase";

export function setup(onchange) {
  changed = onchange;
  outputs($("#regions"), value => `${value} %`);
  $("#region").addEventListener("change", event => { target = event.target.value; draw(); });
  $("#brush-size").addEventListener("input", draw);
  $("#mask-edit").addEventListener("click", () => edit(overlay.hidden));
  $("#mask-clear").addEventListener("click", () => { masks.delete(target); draw(); changed(); announce("The region was cleared."); });
  $("#mask-invert").addEventListener("click", invert);
  $("#regions").addEventListener("toggle", event => edit(event.target.open && !$("#viewport").hidden));
  overlay.addEventListener("pointerdown", down);
  overlay.addEventListener("pointermove", drag);
  overlay.addEventListener("pointerup", up);
  overlay.addEventListener("pointercancel", up);
  overlay.addEventListener("keydown", key);
  overlay.addEventListener("keyup", ({ key }) => { if (key === " " && held) { held = false; last = null; changed(); } });
  overlay.addEventListener("focus", draw);
  overlay.addEventListener("blur", draw);
}

/** Begins anew for a photo. */
export function reset({ width, height }) {
  const scale = Math.min(1, LONG / Math.max(width, height));
  size = { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
  Object.assign(overlay, size);
  masks.clear();
  draw();
}

/** The targets of the brush: the whole result, and each style of a mixture as { name, title }. */
export function targets(styles) {
  const options = [{ name: "", title: "the result" }, ...(styles.length > 1 ? styles : [])];
  $("#region").replaceChildren(...options.map(({ name, title }) => el("option", { value: name }, title)));
  if (!options.some(({ name }) => name === target)) target = "";
  $("#region").value = target;
  draw();
}

export function edit(on) {
  overlay.hidden = !on;
  $("#mask-edit").setAttribute("aria-pressed", on);
  if (on) draw();
}

/** The mask of a target as an ImageData (red is the share), or undefined if nothing was painted. */
export function mask(name = "") {
  const entry = masks.get(name);
  if (!entry) return undefined;
  const image = entry.context.getImageData(0, 0, size.width, size.height);
  for (let i = 0; i < image.data.length; i += 4) {
    image.data[i] = image.data[i + 1] = image.data[i + 2] = image.data[i + 3];
    image.data[i + 3] = 255;
  }
  return image;
}

function entry() {
  if (!masks.has(target)) {
    const canvas = el("canvas", size);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    Object.assign(context, { lineCap: "round", lineJoin: "round", strokeStyle: "#fff" });
    masks.set(target, { canvas, context });
  }
  return masks.get(target);
}

function stroke(from, to) {
  const { context } = entry();
  context.globalCompositeOperation = erasing() ? "destination-out" : "source-over";
  context.lineWidth = radius() * 2;
  context.beginPath();
  context.moveTo(from.x * size.width, from.y * size.height);
  context.lineTo(to.x * size.width + 0.01, to.y * size.height); // a line without length would draw nothing
  context.stroke();
}

function invert() {
  const { context } = entry();
  context.globalCompositeOperation = "xor";
  context.fillStyle = "#fff";
  context.fillRect(0, 0, size.width, size.height);
  draw();
  changed();
  announce("The region was inverted.");
}

function draw() {
  if (overlay.hidden) return;
  view.clearRect(0, 0, size.width, size.height);
  const painted = masks.get(target);
  if (painted) {
    view.drawImage(painted.canvas, 0, 0);
    view.globalCompositeOperation = "source-in";
    view.fillStyle = getComputedStyle(overlay).color;
    view.fillRect(0, 0, size.width, size.height);
    view.globalCompositeOperation = "source-over";
  }
  view.beginPath();
  view.arc(cursor.x * size.width, cursor.y * size.height, Math.max(2, radius()), 0, 2 * Math.PI);
  for (const [width, colour] of [[4, "#000"], [2, "#fff"]]) {
    view.lineWidth = width;
    view.strokeStyle = colour;
    view.stroke();
  }
}

function place(event) {
  const box = overlay.getBoundingClientRect();
  return { x: (event.clientX - box.left) / box.width, y: (event.clientY - box.top) / box.height };
}

function down(event) {
  if (event.button) return;
  overlay.setPointerCapture(event.pointerId);
  last = cursor = place(event);
  stroke(last, last);
  draw();
}

function drag(event) {
  for (const moved of event.getCoalescedEvents?.() ?? [event]) {
    cursor = place(moved);
    if (last) {
      stroke(last, cursor);
      last = cursor;
    }
  }
  draw();
}

function up() {
  if (!last) return;
  last = null;
  changed();
}

const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function key(event) {
  const move = MOVES[event.key];
  if (move) {
    const step = event.shiftKey ? 0.08 : 0.02;
    const clamp = value => Math.max(0, Math.min(1, value));
    cursor = { x: clamp(cursor.x + move[0] * step), y: clamp(cursor.y + move[1] * step) };
    if (held) {
      stroke(last, cursor);
      last = cursor;
    }
  } else if (event.key === " ") {
    if (!held) stroke(cursor, cursor);
    held = true;
    last = cursor;
  } else if (event.key === "[" || event.key === "]") {
    const slider = $("#brush-size");
    slider.value = Number(slider.value) + (event.key === "]" ? 2 : -2);
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    announce(`Brush size ${slider.value} %`);
  } else if (event.key === "Escape") {
    edit(false);
    $("#mask-edit").focus();
  } else return;
  event.preventDefault();
  draw();
}
