// What the tests of the library use in the page.

import * as library from "./pkg/impasto.js";

/** Bytes of a base64 text. */
function bytes(text) {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

/** An ImageData of what `toBase64` made. */
function picture({ width, height, data }) {
  return new ImageData(new Uint8ClampedArray(bytes(data)), width, height);
}

/** The reverse of `picture`. */
function sent({ width, height, data }) {
  let text = "";
  for (let at = 0; at < data.length; at += 0x8000) text += String.fromCharCode(...data.subarray(at, at + 0x8000));
  return { width, height, data: btoa(text) };
}

/** The result of work, or its error. */
async function tried(work) {
  try {
    return { value: await work() };
  } catch (error) {
    return { name: error.name, code: error.code, message: error.message };
  }
}

Object.assign(globalThis, library, { bytes, picture, sent, tried });
globalThis.ready = true;
