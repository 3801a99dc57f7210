// The style picker: tiles of styles, a mixture with weights, and the settings of the result. There is one picker, which
// the photo and the video view share.

import { $, $$, announce, el, outputs } from "./dom.js";
import { engine } from "./engine.js";
import { addStylePicture, removeStylePicture, stem, styleEvents, stylePicture, stylePictures } from "./pictures.js";
import { state } from "./state.js";
import { fail } from "./failures.js";

const TITLES = {
  "night-cafe": "Night Café", wave: "Great Wave", estaque: "L’Estaque", leger: "Léger", "mosaic-batch": "Mosaic II", "starry-night": "Starry Night",
  "composition-vii": "Compo\u00adsition VII", improvisation: "Impro\u00advisation",
};
const GROUPS = [
  { kind: "body", label: "Styles" },
  { kind: "adain", label: "Any picture" },
  { kind: "net", label: "Nets" },
];
const HINTS = {
  body: "One net for all of them. They can be mixed.",
  adain: "The style of any picture, without training.",
  net: "One style each. Your own .style and .safetensors files belong here.",
};
/** Thumbnails of added styles: "model:style" -> data URL. */
const painted = new Map();

export const title = name => TITLES[name] ?? (name[0].toUpperCase() + name.slice(1)).replaceAll("-", " ");

let group = "body";
let mix = false;
let adain = "adain";
let thumbs = async () => {};

const root = el("div", { class: "picker" });

/** Puts the picker into the view, if the view has a place for it. */
export function place(view) {
  $(`[data-slot="${view}"]`)?.append(root);
}

/** `paintThumb(model, style)` makes the thumbnail of an added style as a data URL. */
export function setup(paintThumb) {
  thumbs = paintThumb;
  const groups = el("fieldset", { class: "segments", id: "groups" }, el("legend", { class: "visually-hidden" }, "Kind of style"));
  for (const { kind, label } of GROUPS) {
    groups.append(el("label", {},
      el("input", { type: "radio", name: "group", value: kind, onchange: () => { group = kind; render(); } }), el("span", {}, label)));
  }
  root.append(groups,
    el("p", { class: "quiet help", id: "group-hint" }),
    el("fieldset", { class: "tiles", id: "tiles", "aria-describedby": "group-hint" }),
    el("fieldset", { class: "segments", id: "adain-net" }, el("legend", { class: "visually-hidden" }, "Net"),
      ...[["adain", "Closer to the style"], ["adain-fast", "Faster"]].map(([value, label]) => el("label", {},
        el("input", { type: "radio", name: "adain", value, onchange: () => { adain = value; state.set({ model: value }); } }), el("span", {}, label)))),
    el("label", { class: "check", id: "mix-row" }, el("input", { type: "checkbox", id: "mix", onchange: toggleMix }), el("span", {}, "Mix several styles")),
    el("div", { id: "weights", class: "sliders" }),
    el("div", { class: "sliders", id: "settings" },
      slider("alpha", "Strength", 0, 1, 0.01), slider("strokes", "Stroke size", 0.5, 2, 0.05),
      el("label", { class: "check", id: "keep-row" },
        el("input", { type: "checkbox", id: "keep", onchange: event => state.set({ keep: event.target.checked }) }), el("span", {}, "Keep the photo’s colours"))));
  engine.addEventListener("change", () => {
    group = modelKind() ?? group;
    render();
  });
  styleEvents.addEventListener("change", () => {
    const styles = state.styles.filter(({ name }) => modelKind() !== "adain" || stylePictures.has(name));
    if (styles.length !== state.styles.length) state.set({ styles });
    render();
  });
  state.addEventListener("change", ({ detail }) => {
    if (detail.has("model") || detail.has("styles")) {
      group = modelKind() ?? group;
      if (state.styles.length > 1) mix = true;
    }
    render();
  });
  render();
}

const modelKind = () => engine.model(state.model)?.kind;

function slider(key, label, min, max, step) {
  const input = el("input", { type: "range", id: key, min, max, step, value: state[key],
    onchange: event => state.set({ [key]: Number(event.target.value) }) });
  return el("div", { class: "slider", id: `${key}-row` }, el("label", { for: key }, label), el("output", { for: key }), input);
}

const format = (value, { id }) => (id === "strokes" ? `× ${Number(value).toFixed(2)}` : `${Math.round(value * 100)} %`);

function fileInput(id, accept, multiple, pick) {
  const input = el("input", { type: "file", id, accept, multiple, onchange: () => {
    const files = [...input.files];
    input.value = "";
    if (files.length) pick(files);
  } });
  return input;
}

export function fileButton(id, label, accept, multiple, pick) {
  return el("label", { class: "button small file" }, fileInput(id, accept, multiple, pick), el("span", {}, label));
}

function toggleMix({ target }) {
  mix = target.checked;
  if (!mix && state.styles.length > 1) state.set({ styles: state.styles.slice(0, 1) });
  render();
}

/** The tiles of the group: { key, model, style, title, url, remove }. */
function entries() {
  if (group === "adain") {
    return [...stylePictures.values()].map(({ key, title, url, own }) => ({
      key, model: adain, style: key, title, url, remove: own ? () => removeStylePicture(key) : null }));
  }
  return engine.models.filter(model => model.kind === group).flatMap(model => {
    const added = engine.isAdded(model.name);
    const url = name => (added ? painted.get(name) : `thumbs/${name.replace(":", "-")}.webp`);
    if (group === "net") return [{ key: model.name, model: model.name, style: null, title: title(model.name), url: url(model.name), added }];
    return model.styles.map(style => {
      const key = `${model.name}:${style}`;
      return { key, model: model.name, style, title: title(style), url: url(key), added };
    });
  });
}

const chosen = ({ model, style }) => state.model === model && (style === null || state.styles.some(({ name }) => name === style));

function choose({ model, style, title }) {
  if (style === null) return state.set({ model, styles: [] });
  if (!mix || state.model !== model) return state.set({ model, styles: [{ name: style, weight: 1 }] });
  const without = state.styles.filter(({ name }) => name !== style);
  if (without.length === state.styles.length) return state.set({ styles: [...without, { name: style, weight: 1 }] });
  if (!without.length) announce(`${title} stays: a mixture needs a style.`);
  state.set({ styles: without.length ? without : state.styles });
  render();
}

let drawn = "";
function render() {
  for (const radio of $$("#groups input")) radio.checked = radio.value === group;
  $("#group-hint") && ($("#group-hint").textContent = HINTS[group]);
  if (!root.isConnected) return;
  if (modelKind() === "adain") adain = state.model;
  const multiple = mix && group !== "net";
  const list = entries();
  // Tiles keep their elements, and with them the focus, unless the list changes.
  const signature = JSON.stringify([group, multiple, adain, engine.state, list.map(({ key, url }) => [key, url])]);
  if (signature !== drawn) {
    drawn = signature;
    $("#tiles").replaceChildren(el("legend", { class: "visually-hidden" }, multiple ? "Styles of the mixture" : "Style"),
      ...(list.length ? list.map(entry => tile(entry, multiple)) : placeholders()),
      ...(engine.state === "ready" ? [group === "adain" ? adders.pictures : adders.model] : []));
    for (const entry of list) if (entry.added && !entry.url) paintTile(entry);
  }
  for (const input of $$("#tiles [name=style]")) input.checked = chosen(list.find(({ key }) => key === input.value) ?? {});
  $("#mix").checked = mix;
  const failed = engine.state === "failed";
  $("#settings").hidden = failed;
  $("#mix-row").hidden = failed || group === "net";
  $("#adain-net").hidden = failed || group !== "adain";
  for (const radio of $$("#adain-net input")) radio.checked = radio.value === adain;
  $("#strokes-row").hidden = modelKind() !== "adain" || state.view !== "photo";
  $("#keep-row").hidden = state.view !== "photo";
  for (const key of ["alpha", "strokes"]) $(`#${key}`).value = state[key];
  $("#keep").checked = state.keep;
  outputs($("#settings"), format);
  renderWeights();
}

/** The last tile adds a file. */
const adders = {
  pictures: addTile("style-file", "Add a picture", "image/*", true, files => addPictures(files)),
  model: addTile("model-file", "Add a file", ".style,.safetensors", false, ([file]) => addModelFile(file)),
};

function addTile(id, label, accept, multiple, pick) {
  return el("label", { class: "tile add" }, fileInput(id, accept, multiple, pick),
    el("span", { class: "initial", "aria-hidden": "true" }, "+"), el("span", { class: "tile-name" }, label));
}

function placeholders() {
  if (engine.state === "failed") return [el("p", { class: "quiet" }, "No styles: the engine is not running.")];
  if (engine.state === "ready") return [];
  return Array.from({ length: 8 }, () => el("span", { class: "tile waiting", "aria-hidden": "true" }));
}

function tile(entry, multiple) {
  const { key, title, url, remove } = entry;
  const input = el("input", { type: multiple ? "checkbox" : "radio", name: "style", value: key, onchange: () => choose(entry) });
  const face = url
    ? el("img", { src: url, alt: "", width: 72, height: 72, loading: "lazy", decoding: "async" })
    : el("span", { class: "initial", "aria-hidden": "true" }, title[0]);
  const label = el("label", { class: "tile" }, input, face, el("span", { class: "tile-name" }, title));
  if (!remove) return label;
  return el("span", { class: "tile-box" }, label,
    el("button", { type: "button", class: "remove", "aria-label": `Remove ${title}`, onclick: remove }, "×"));
}

async function paintTile({ key, model, style }) {
  painted.set(key, ""); // once
  const url = await thumbs(model, style).catch(() => "");
  painted.set(key, url);
  if (url) render();
}

let weighted = "";
function renderWeights() {
  const box = $("#weights");
  box.hidden = state.styles.length < 2;
  const signature = state.styles.map(({ name }) => name).join();
  if (signature !== weighted) {
    weighted = signature;
    box.replaceChildren(...(state.styles.length < 2 ? [] : state.styles.map(({ name, weight }, index) =>
      weightSlider(`weight-${index}`, styleTitle(name), weight, value => {
        state.set({ styles: state.styles.map((style, at) => (at === index ? { ...style, weight: value } : style)) });
      }))));
  }
  state.styles.forEach(({ weight }, index) => {
    const input = $(`#weight-${index}`);
    if (input) input.value = weight;
  });
  outputs(box, value => `${Math.round(value * 100)} %`);
}

export function weightSlider(id, label, value, change) {
  return el("div", { class: "slider" }, el("label", { for: id }, label), el("output", { for: id }),
    el("input", { type: "range", id, min: 0, max: 1, step: 0.01, value, onchange: event => change(Number(event.target.value)) }));
}

export const styleTitle = name => stylePictures.get(name)?.title ?? title(name);

/** Adds pictures as styles for AdaIN, and chooses the last one. */
export async function addPictures(files) {
  let key = null;
  for (const file of files) {
    try {
      key = await addStylePicture(file);
    } catch (error) {
      fail(error, { what: "The style picture was not added" });
    }
  }
  if (!key) return;
  const styles = mix && modelKind() === "adain" ? [...state.styles, { name: key, weight: 1 }] : [{ name: key, weight: 1 }];
  group = "adain";
  state.set({ model: adain, styles });
  announce(`${styleTitle(key)} is the style now.`);
}

/** Adds a net or a style from a file, and chooses it. */
export async function addModelFile(file) {
  try {
    if (!file.size) throw new Error(`${file.name} is empty. Choose another file.`);
    const model = await engine.addModel(stem(file.name), await file.arrayBuffer(), { style: /\.style$/i.test(file.name) });
    chooseModel(model);
    announce(`${file.name} was added to the styles.`);
  } catch (error) {
    fail(error, { what: `${file.name} was not added` });
  }
}

export function chooseModel(model) {
  state.set({ model: model.name, styles: model.kind === "body" && model.styles.length ? [{ name: model.styles.at(-1), weight: 1 }] : [] });
}

/** What of a deep link cannot be restored becomes the nearest that can: returns the names that are missing. */
export function settle() {
  const model = engine.model(state.model);
  const missing = [];
  if (!model) {
    missing.push(state.model);
    const body = engine.models.find(({ kind }) => kind === "body") ?? engine.models[0];
    if (body) chooseFirst(body);
    return missing;
  }
  const known = name => (model.kind === "adain" ? stylePictures.has(name) : model.styles.includes(name));
  missing.push(...state.styles.filter(({ name }) => !known(name)).map(({ name }) => name));
  const styles = model.kind === "net" ? [] : state.styles.filter(({ name }) => known(name));
  if (!styles.length && model.kind !== "net") chooseFirst(model);
  else state.set({ styles });
  return missing;
}

function chooseFirst(model) {
  const names = model.kind === "adain" ? [...stylePictures.keys()] : model.styles ?? [];
  const name = names.includes("strokes") ? "strokes" : names[0];
  state.set({ model: model.name, styles: model.kind === "net" || !name ? [] : [{ name, weight: 1 }] });
}

/** The styles of the state as the engine takes them. `masks(name)` gives the mask of a style, if it has one. */
export async function styleArguments(masks = () => undefined) {
  const kind = modelKind();
  if (kind === "net") return [];
  return Promise.all(state.styles.map(async ({ name, weight }) => {
    const mask = masks(name);
    const common = mask ? { weight, mask } : { weight };
    return kind === "adain" ? { source: await engineSource(name), ...common } : { name, ...common };
  }));
}

async function engineSource(key) {
  const { id, blob } = await stylePicture(key);
  return { id, blob };
}
