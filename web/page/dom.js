// Small helpers for the document, the status line and the notices.

export const $ = selector => document.querySelector(selector);
export const $$ = selector => [...document.querySelectorAll(selector)];

/** Makes an element. Properties of `attributes` that start with "on" are listeners; the rest are attributes. */
export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter(child => child !== null && child !== undefined));
  return node;
}

/** Says something to a screen reader. */
export function announce(text) {
  $("#status").textContent = text;
}

/**
 * Shows a notice with buttons, [{ label, act }]. A notice with the same key is replaced. `kind`: "error" or "note".
 */
export function notify({ key, title, text, actions = [], kind = "error" }) {
  dismiss(key);
  const notice = el("section", { class: `notice ${kind}`, "data-key": key, role: kind === "error" ? "alert" : "status" },
    el("div", {}, el("strong", {}, title), el("p", {}, text)));
  const row = el("p", { class: "row" });
  for (const { label, act } of actions) {
    row.append(el("button", { type: "button", class: "button small", onclick: () => { dismiss(key); act(); } }, label));
  }
  row.append(el("button", { type: "button", class: "button small quiet", onclick: () => dismiss(key) }, "Close"));
  notice.append(row);
  $("#notices").append(notice);
}

export function dismiss(key) {
  for (const notice of $$("#notices > .notice")) if (notice.dataset.key === key) notice.remove();
}

const formats = new WeakMap();

function showValue(slider) {
  const output = document.querySelector(`output[for="${slider.id}"]`);
  if (output && formats.has(slider)) {
    output.textContent = formats.get(slider)(slider.value, slider);
    slider.setAttribute("aria-valuetext", output.textContent);
  }
}

document.addEventListener("input", ({ target }) => showValue(target));

/** Shows the value of each slider of an element in its <output>. */
export function outputs(root, format = value => value) {
  for (const slider of root.querySelectorAll("input[type=range]")) {
    formats.set(slider, format);
    showValue(slider);
  }
}

export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  const link = el("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

export const bytes = count => {
  if (count < 1024) return `${count} B`;
  if (count < 1024 ** 2) return `${(count / 1024).toFixed(0)} KB`;
  return `${(count / 1024 ** 2).toFixed(1)} MB`;
};

export const seconds = value => (value < 1 ? `${(value * 1000).toFixed(value < 0.1 ? 1 : 0)} ms` : `${value.toFixed(1)} s`);

/** A number with its SI prefix: 12.3 G. */
export function si(value, digits = 3) {
  const step = Math.max(0, Math.min(4, Math.floor(Math.log10(Math.max(value, 1)) / 3)));
  return `${Number((value / 1000 ** step).toPrecision(digits))} ${["", "k", "M", "G", "T"][step]}`;
}
