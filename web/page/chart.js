// Charts in SVG: the loss curve and the roofline plot.

import { el, si, svg } from "./dom.js";

const text = (x, y, content, attributes = {}) => svg("text", { x, y, ...attributes }, content);

/** Powers of ten from below `low` to above `high`. */
function decades(low, high) {
  const first = Math.floor(Math.log10(low));
  const last = Math.max(first + 1, Math.ceil(Math.log10(high)));
  return Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i));
}

const power = value => (value >= 0.001 && value < 1e4 ? String(Number(value.toPrecision(3))) : value.toExponential(0).replace("e+", "e"));

const LINES = [
  { key: "loss", label: "total" },
  { key: "content", label: "content" },
  { key: "style", label: "style" },
];

/** The loss by step, on a logarithmic axis, in a <figure>. */
export class Curve {
  #steps = [];
  #total = 1;

  constructor(figure, { height = 150 } = {}) {
    Object.assign(this, { figure, height });
    this.caption = el("figcaption", {});
    new ResizeObserver(() => this.#draw()).observe(figure);
  }

  reset(total) {
    this.#steps = [];
    this.#total = total;
    this.figure.hidden = false;
    this.#draw();
  }

  add(step) {
    this.#steps.push(step);
    this.#draw();
  }

  #draw() {
    const { height } = this;
    const width = this.figure.clientWidth;
    if (!width) return;
    const frame = { left: 52, right: width - 64, top: 12, bottom: height - 34 };
    const steps = this.#steps;
    const values = steps.flatMap(step => LINES.map(({ key }) => step[key])).filter(value => value > 0);
    const ticks = values.length ? decades(Math.min(...values), Math.max(...values)) : [1, 10];
    const [low, high] = [Math.log10(ticks[0]), Math.log10(ticks.at(-1))];
    const x = step => frame.left + (step / Math.max(this.#total, 1)) * (frame.right - frame.left);
    const y = value => frame.bottom - ((Math.log10(value) - low) / (high - low)) * (frame.bottom - frame.top);
    const last = steps.at(-1);
    const chart = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": last ? `Loss by step: ${power(last.loss)} at step ${last.step}` : "Loss by step: no steps yet" });
    const labels = ticks.length > 6 ? ticks.filter((_, i) => i % 2 === 0) : ticks;
    for (const tick of labels) {
      chart.append(svg("line", { class: "grid", x1: frame.left, x2: frame.right, y1: y(tick), y2: y(tick) }),
        text(frame.left - 8, y(tick) + 4, power(tick), { "text-anchor": "end" }));
    }
    for (const [step, anchor] of [[0, "start"], [this.#total, "end"]]) {
      chart.append(text(x(step), frame.bottom + 16, String(step), { "text-anchor": anchor }));
    }
    chart.append(text((frame.left + frame.right) / 2, height - 6, "step", { "text-anchor": "middle", class: "axis" }),
      text(12, (frame.top + frame.bottom) / 2, "loss", { "text-anchor": "middle", class: "axis", transform: `rotate(-90 12 ${(frame.top + frame.bottom) / 2})` }));
    let below = -Infinity; // names of lines must not cover one another
    const ends = LINES.filter(({ key }) => last?.[key] > 0).sort((a, b) => last[b.key] - last[a.key]);
    for (const { key, label } of ends) {
      const points = steps.filter(step => step[key] > 0).map(step => `${x(step.step).toFixed(1)},${y(step[key]).toFixed(1)}`);
      chart.append(svg("polyline", { class: `line ${key}`, points: points.join(" ") }));
      const at = Math.max(y(last[key]) + 4, below + 13);
      below = at;
      chart.append(text(x(last.step) + 6, at, label, { class: `name ${key}` }));
    }
    this.caption.textContent = last ? `Step ${last.step} of ${this.#total}: loss ${power(last.loss)}` : "No steps yet";
    this.figure.replaceChildren(chart, this.caption);
  }
}

/**
 * The roofline plot: kernels by operations per byte and by operations per second, under the two roofs of the device.
 * `points`: [{ kernel, name, intensity, flops, share }]; the share of the time gives the area of the dot. `select` gets the
 * point that was chosen.
 */
export function roofline(figure, { roof, points, select }) {
  const width = figure.clientWidth || 720;
  const height = Math.max(280, Math.min(400, width * 0.55));
  const frame = { left: 64, right: width - 20, top: 18, bottom: height - 48 };
  const ridge = roof.flops / roof.bytes;
  const shown = points.filter(({ intensity, flops }) => intensity > 0 && flops > 0);
  const xs = decades(Math.min(ridge / 4, ...shown.map(point => point.intensity)), Math.max(ridge * 4, ...shown.map(point => point.intensity)));
  const ys = decades(Math.min(roof.flops / 100, ...shown.map(point => point.flops)), roof.flops);
  const scale = (ticks, from, to) => value =>
    from + ((Math.log10(value) - Math.log10(ticks[0])) / (Math.log10(ticks.at(-1)) - Math.log10(ticks[0]))) * (to - from);
  const x = scale(xs, frame.left, frame.right);
  const y = scale(ys, frame.bottom, frame.top);
  const at = intensity => Math.min(roof.flops, roof.bytes * intensity);
  const chart = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": "Roofline plot of the kernels" });
  for (const tick of xs) chart.append(svg("line", { class: "grid", x1: x(tick), x2: x(tick), y1: frame.top, y2: frame.bottom }), text(x(tick), frame.bottom + 18, power(tick), { "text-anchor": "middle" }));
  for (const tick of ys) chart.append(svg("line", { class: "grid", x1: frame.left, x2: frame.right, y1: y(tick), y2: y(tick) }), text(frame.left - 8, y(tick) + 4, si(tick), { "text-anchor": "end" }));
  chart.append(
    text((frame.left + frame.right) / 2, height - 10, "FLOP per byte", { "text-anchor": "middle", class: "axis" }),
    text(14, (frame.top + frame.bottom) / 2, "FLOP/s", { "text-anchor": "middle", class: "axis", transform: `rotate(-90 14 ${(frame.top + frame.bottom) / 2})` }));
  const floor = Math.max(xs[0], ys[0] / roof.bytes); // where the roof of the memory enters the frame
  const slope = [(x(floor) + x(ridge)) / 2, (y(at(floor)) + y(roof.flops)) / 2];
  const angle = (Math.atan2(y(roof.flops) - y(at(floor)), x(ridge) - x(floor)) * 180) / Math.PI;
  chart.append(svg("polyline", { class: "roof", points: [floor, ridge, xs.at(-1)].map(i => `${x(i)},${y(at(i))}`).join(" ") }),
    text(frame.right, y(roof.flops) - 7, `${si(roof.flops)}FLOP/s`, { "text-anchor": "end", class: "roof-name" }),
    text(...slope, `${si(roof.bytes)}B/s`, { class: "roof-name", "text-anchor": "middle", transform: `rotate(${angle} ${slope.join(" ")}) translate(0 -7)` }));
  const named = []; // the boxes of dots and names, which must not cover one another
  const free = box => named.every(other => box.x1 < other.x0 || box.x0 > other.x1 || box.y1 < other.y0 || box.y0 > other.y1);
  const dots = [...shown].sort((a, b) => b.share - a.share).map(point => ({
    ...point, cx: x(point.intensity), cy: y(point.flops), radius: 4 + 14 * Math.sqrt(point.share) }));
  for (const { cx, cy, radius } of dots) named.push({ x0: cx - radius, x1: cx + radius, y0: cy - radius, y1: cy + radius });
  for (const { cx, cy, radius, ...point } of dots) {
    const label = `${point.kernel}: ${power(point.intensity)} FLOP per byte, ${si(point.flops)}FLOP/s, ${(point.share * 100).toFixed(1)} % of the time`;
    const dot = svg("a", { class: "dot", href: "#shader", "aria-label": label, onclick: event => { event.preventDefault(); select(point); } },
      svg("circle", { cx, cy, r: radius }, svg("title", {}, label)));
    chart.append(dot);
    // The kernels that take the most time are named, where there is room.
    const length = 7 * point.name.length;
    const right = { x0: cx + radius + 4, x1: cx + radius + 4 + length, y0: cy - 8, y1: cy + 8 };
    const left = { ...right, x0: cx - radius - 4 - length, x1: cx - radius - 4 };
    const box = [right, left].find(box => box.x0 > frame.left && box.x1 < width && free(box));
    if (point.share > 0.01 && box) {
      named.push(box);
      chart.append(text(box === right ? box.x0 : box.x1, cy + 4, point.name, { "text-anchor": box === right ? "start" : "end", class: "dot-name", "aria-hidden": "true" }));
    }
  }
  figure.replaceChildren(chart, el("figcaption", { class: "quiet" }, "Each dot is a kernel; its area is its share of the time. Under the slope, memory limits a kernel; under the flat roof, arithmetic does."));
}
