// The photo and its result on top of each other, with a movable border between them.

import { $ } from "./dom.js";
import { show } from "./pictures.js";

const compare = $("#compare");
const range = $("#split");

const move = () => {
  compare.style.setProperty("--split", `${range.value}%`);
  range.setAttribute("aria-valuetext", `${range.value} % before, ${100 - range.value} % after`);
};
range.addEventListener("input", move);

/** Shows a photo without a result. */
export function showPhoto({ display, width, height }) {
  show($("#before"), display);
  $("#stage").style.setProperty("--ratio", width / height);
  compare.style.setProperty("--width", `${width / devicePixelRatio}px`);
  $("#after").hidden = true;
  range.hidden = true;
  compare.dataset.result = "false";
}

/** Shows a result beside the photo. At first, most of the result is in view. */
export function showResult(bitmap) {
  show($("#after"), bitmap);
  bitmap.close();
  $("#after").hidden = false;
  if (range.hidden) range.value = 35;
  range.hidden = false;
  compare.dataset.result = "true";
  move();
}

/** Compares at the size of the pixels, or fits the picture into the stage. */
export function actualSize(on) {
  $("#viewport").dataset.zoom = on ? "actual" : "fit";
  $("#viewport").tabIndex = on ? 0 : -1;
}
