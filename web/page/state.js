// What is painted: the view, the model, its styles and strengths. The state is kept in location.hash.

export const VIEWS = ["photo", "video", "optimise", "train", "kernels"];

const DEFAULTS = { view: "photo", model: "impressions", styles: [], alpha: 1, strokes: 1, keep: false, photo: "" };

class State extends EventTarget {
  view = "photo";
  model = DEFAULTS.model;
  /** [{ name, weight }]; for AdaIN, `name` is the key of a style picture. */
  styles = [];
  alpha = 1;
  strokes = 1;
  keep = false;
  /** "sample" if the photo is the sample, else "". */
  photo = "";

  /** Changes fields and tells listeners which ones changed. */
  set(fields) {
    const changed = Object.keys(fields).filter(key => JSON.stringify(this[key]) !== JSON.stringify(fields[key]));
    if (!changed.length) return;
    Object.assign(this, fields);
    const hash = encode(this);
    if (hash !== location.hash) history.replaceState(null, "", hash || location.pathname + location.search);
    this.dispatchEvent(new CustomEvent("change", { detail: new Set(changed) }));
  }

  /** Takes the state from location.hash. */
  restore() {
    this.set({ ...DEFAULTS, ...decode(location.hash) });
  }
}

const round = value => Number(Number(value).toFixed(3));

export function encode(state) {
  const fields = new URLSearchParams();
  if (state.view !== DEFAULTS.view) fields.set("view", state.view);
  if (state.photo) fields.set("photo", state.photo);
  if (state.model !== DEFAULTS.model || state.styles.length) fields.set("model", state.model);
  if (state.styles.length) {
    fields.set("styles", state.styles.map(({ name, weight }) => `${name}:${round(weight)}`).join(","));
  }
  for (const key of ["alpha", "strokes"]) if (state[key] !== DEFAULTS[key]) fields.set(key, round(state[key]));
  if (state.keep) fields.set("keep", "1");
  const text = fields.toString().replaceAll("%3A", ":").replaceAll("%2C", ",");
  return text ? `#${text}` : "";
}

export function decode(hash) {
  const fields = new URLSearchParams(hash.replace(/^#/, ""));
  const state = {};
  const within = (text, low, high) => {
    const value = Number(text);
    return text !== null && text !== "" && value >= low && value <= high ? value : undefined;
  };
  if (VIEWS.includes(fields.get("view"))) state.view = fields.get("view");
  if (fields.get("photo") === "sample") state.photo = "sample";
  if (fields.get("model")) state.model = fields.get("model");
  if (fields.get("styles")) {
    state.styles = fields.get("styles").split(",").filter(Boolean).map(part => {
      const at = part.lastIndexOf(":");
      const weight = at > 0 ? within(part.slice(at + 1), 0, 1) : undefined;
      return weight === undefined ? { name: at > 0 ? part.slice(0, at) : part, weight: 1 } : { name: part.slice(0, at), weight };
    });
  }
  for (const [key, low, high] of [["alpha", 0, 1], ["strokes", 0.5, 2]]) {
    const value = within(fields.get(key), low, high);
    if (value !== undefined) state[key] = value;
  }
  if (fields.get("keep") === "1") state.keep = true;
  return state;
}

export const state = new State();
