// The kernels view: the device, every dispatch of a net with its time, the roofline plot, the text of a kernel, and the
// doctor's known-answer tests.

import { roofline } from "./chart.js";
import { $, $$, announce, bytes, el, seconds, si } from "./dom.js";
import { aborted, engine } from "./engine.js";
import { complain, fail } from "./failures.js";
import { state } from "./state.js";
import { title } from "./styles.js";

let shaderTexts = null;
let abort = null;
let report = null;

export function setup() {
  engine.addEventListener("change", refresh);
  state.addEventListener("change", refresh);
  $("#dispatch-form").addEventListener("submit", event => {
    event.preventDefault();
    measure();
  });
  for (const radio of $$("[name=shader-text]")) radio.addEventListener("change", showText);
  $("#doctor").addEventListener("click", doctor);
  $("#doctor-stop").addEventListener("click", () => abort?.abort());
  $("#doctor-copy").addEventListener("click", copy);
  refresh();
}

async function refresh() {
  const ready = engine.state === "ready";
  $("#measure").disabled = $("#doctor").disabled = !ready;
  if (!ready || state.view !== "kernels") return;
  const select = $("#dispatch-model");
  if (select.options.length !== engine.models.length) {
    select.replaceChildren(...engine.models.map(({ name }) => el("option", { value: name, selected: name === state.model }, title(name))));
  }
  const { name, vendor, backend, kernels, software, features = [], limits = {} } = engine.device;
  const facts = [
    ["Adapter", [name, vendor].filter(Boolean).join(", ") || "not told by the browser"],
    ["Backend", `${backend}${software ? ", in software" : ""}`],
    ["Kernels", kernels],
    ["Largest binding", limits.maxStorageBufferBindingSize ? bytes(limits.maxStorageBufferBindingSize) : null],
    ["Workgroup memory", limits.maxComputeWorkgroupStorageSize ? bytes(limits.maxComputeWorkgroupStorageSize) : null],
    ["Features", features.length ? features.join(", ") : "none"],
  ];
  try {
    const { device, wasm } = await engine.call("memory", {});
    facts.push(["Memory in use", `${bytes(device)} on the device, ${bytes(wasm)} of the page`]);
  } catch {
    // The list is complete without it.
  }
  $("#device-facts").replaceChildren(...facts.filter(([, value]) => value).map(([term, value]) => el("div", {}, el("dt", {}, term), el("dd", {}, value))));
}

async function measure() {
  const model = $("#dispatch-model").value;
  const size = Number($("#dispatch-size").value);
  const said = $("#dispatch-state");
  $("#measure").disabled = true;
  const on = { load: ({ done, total }) => { said.textContent = done < total ? `Loading the net: ${bytes(done)} of ${bytes(total)}` : "Timing every dispatch"; } };
  try {
    said.textContent = "Timing every dispatch";
    const dispatches = await engine.call("dispatches", { model, width: size, height: size, timed: true }, { on });
    said.textContent = "Measuring the roof of the device";
    const roof = await engine.call("roof", {});
    results(dispatches, roof, size);
  } catch (error) {
    said.textContent = "Nothing was measured.";
    fail(error, { what: "The dispatches were not timed", retry: measure });
  } finally {
    $("#measure").disabled = engine.state !== "ready";
  }
}

function results(dispatches, roof, size) {
  const timed = dispatches.some(({ seconds }) => seconds > 0);
  const clock = dispatches[0]?.clock === "wall clock" ? " The page’s clock timed them, so each time includes a submission." : "";
  const total = dispatches.reduce((sum, { seconds }) => sum + (seconds ?? 0), 0);
  const flop = dispatches.reduce((sum, { flop }) => sum + flop, 0);
  $("#dispatch-state").textContent = timed
    ? `${dispatches.length} dispatches for ${size} × ${size} px: ${seconds(total)}, ${si(flop)}FLOP, ${si(flop / total)}FLOP/s. The roof: ${si(roof.flops)}FLOP/s and ${si(roof.bytes)}B/s.${clock}`
    : `${dispatches.length} dispatches for ${size} × ${size} px, ${si(flop)}FLOP. This browser gives no timestamps, so there are no times.`;
  const kernels = new Map();
  for (const { index, kernel, flop, bytes, seconds } of dispatches) {
    const sum = kernels.get(kernel) ?? { index, kernel, flop: 0, bytes: 0, seconds: 0 };
    kernels.set(kernel, { ...sum, flop: sum.flop + flop, bytes: sum.bytes + bytes, seconds: sum.seconds + (seconds ?? 0) });
  }
  $("#dispatch-results").hidden = false;
  $("#roofline").hidden = !timed;
  if (timed) {
    roofline($("#roofline"), { roof, select: ({ index, kernel }) => shader(index, kernel),
      points: [...kernels.values()].map(({ index, kernel, flop, bytes, seconds }) => ({
        index, kernel, name: short(kernel), intensity: flop / bytes, flops: flop / seconds, share: seconds / total })) });
  }
  const number = value => el("td", { class: "number" }, value);
  $("#dispatch-table").replaceChildren(
    el("caption", { class: "visually-hidden" }, "Dispatches in order"),
    el("thead", {}, el("tr", {}, ...["#", "Kernel", "What", "Workgroups", "MFLOP", "MB", "Time", "GFLOP/s"].map((head, i) =>
      el("th", { scope: "col", class: i > 3 || !i ? "number" : null }, head)))),
    el("tbody", {}, ...dispatches.map(({ index, kernel, label, workgroups, flop, bytes, seconds: time }) => el("tr", {},
      number(String(index)),
      el("th", { scope: "row" }, el("button", { type: "button", class: "link", title: kernel, onclick: () => shader(index, kernel) }, short(kernel))),
      el("td", {}, label ?? ""), el("td", {}, workgroups.join(" × ")),
      number((flop / 1e6).toFixed(flop < 1e7 ? 2 : 0)), number((bytes / 1e6).toFixed(2)),
      number(time > 0 ? seconds(time) : "–"), number(time > 0 && flop ? (flop / time / 1e9).toFixed(1) : "–")))));
  announce("Measured.");
}

/** "conv2d:direct TILE=8" -> "conv2d:direct" */
const short = kernel => kernel.split(" ")[0];

async function shader(index, name) {
  try {
    shaderTexts = await engine.call("shader", { kernel: index });
    $("#shader-title").textContent = name;
    $("#shader").hidden = false;
    showText();
    $("#shader-title").focus();
  } catch (error) {
    fail(error, { what: `The text of ${name} was not found` });
  }
}

/** Shows the text of the kernel, with its comments set apart. */
function showText() {
  const text = shaderTexts?.[$("[name=shader-text]:checked").value] ?? "";
  $("#shader-code").replaceChildren(...text.split(/(\/\/[^\n]*)/).map(part => (part.startsWith("//") ? el("span", { class: "comment" }, part) : part)));
}

async function doctor() {
  abort = new AbortController();
  const bar = $("#doctor-bar");
  bar.hidden = $("#doctor-stop").hidden = false;
  bar.removeAttribute("value");
  $("#doctor").disabled = true;
  $("#doctor-summary").textContent = "Testing";
  const on = { doctor: ({ done, total }) => {
    bar.value = done / total;
    $("#doctor-summary").textContent = `Testing: ${done} of ${total}`;
  } };
  try {
    report = await engine.call("doctor", {}, { on, signal: abort.signal });
    const failed = report.cases.filter(({ ok }) => !ok);
    $("#doctor-summary").textContent = failed.length
      ? `${failed.length} of ${report.cases.length} tests failed. Results on this device may be wrong; update the graphics driver, or try another browser.`
      : `All ${report.cases.length} tests passed.`;
    $("#doctor-table").replaceChildren(
      el("caption", { class: "visually-hidden" }, "Results of the tests"),
      el("thead", {}, el("tr", {}, ...["Test", "Result", "Error", "Tolerance"].map((head, i) => el("th", { scope: "col", class: i > 1 ? "number" : null }, head)))),
      el("tbody", {}, ...[...failed, ...report.cases.filter(({ ok }) => ok)].map(({ name, ok, error, tolerance, fault }) => el("tr", { class: ok ? null : "failed" },
        el("th", { scope: "row" }, name), el("td", {}, ok ? "passed" : `failed${fault ? `: ${fault}` : ""}`),
        el("td", { class: "number" }, digits(error)), el("td", { class: "number" }, digits(tolerance))))));
    $("#doctor-scroll").hidden = $("#doctor-copy").hidden = false;
    announce($("#doctor-summary").textContent);
  } catch (error) {
    $("#doctor-summary").textContent = aborted(error) ? "Stopped." : "The tests did not end.";
    fail(error, { what: "The tests did not end", retry: doctor });
  } finally {
    bar.hidden = $("#doctor-stop").hidden = true;
    $("#doctor").disabled = engine.state !== "ready";
  }
}

const digits = value => (typeof value === "number" ? value.toPrecision(2) : value ?? "");

async function copy() {
  const text = JSON.stringify(report, null, 2);
  try {
    await navigator.clipboard.writeText(text);
    $("#doctor-copy").textContent = "Copied";
    announce("The report was copied.");
    setTimeout(() => { $("#doctor-copy").textContent = "Copy as JSON"; }, 2000);
  } catch {
    complain("The report was not copied", "The browser refused access to the clipboard. Allow it, then try again.");
  }
}
