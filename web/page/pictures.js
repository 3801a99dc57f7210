// Pictures: decoding of files, the sample photo, and the style pictures of AdaIN.

import { el } from "./dom.js";

const DISPLAY = 4096; // the long side at which photos are shown beside their results
let next = 1;

export class PictureError extends Error {}

/**
 * Decodes a file in the browser, upright and in sRGB, and keeps the file itself for the engine. `display` is a reduced
 * ImageBitmap for the screen.
 */
export async function open(blob, name = blob.name ?? "picture") {
  if (!blob.size) throw new PictureError(`${name} is empty. Choose another file.`);
  let bitmap;
  try {
    bitmap = await createImageBitmap(blob, { imageOrientation: "from-image" });
  } catch {
    const heic = /\.hei[cf]$/i.test(name) ? " Export it as JPEG first." : " PNG, JPEG, WebP, GIF and AVIF work.";
    throw new PictureError(`${name} is not a picture that this browser can decode.${heic}`);
  }
  const { width, height } = bitmap;
  const scale = DISPLAY / Math.max(width, height);
  let display = bitmap;
  if (scale < 1) {
    const size = { resizeWidth: Math.max(1, Math.round(width * scale)), resizeHeight: Math.max(1, Math.round(height * scale)) };
    display = await createImageBitmap(bitmap, { ...size, resizeQuality: "high" });
    bitmap.close();
  }
  return { id: next++, name, blob, width, height, display };
}

async function fetched(path, name) {
  const response = await fetch(new URL(path, import.meta.url));
  if (!response.ok) throw new PictureError(`${path} could not be loaded (status ${response.status}). Reload the page.`);
  return open(await response.blob(), name);
}

let sampled = null;
/** The sample photo. */
export function sample() {
  sampled ??= fetched("sample.webp", "sample").catch(error => {
    sampled = null;
    throw error;
  });
  return sampled;
}

/** The sample photo at another width, as an ImageBitmap. */
export async function smallSample(width) {
  const { display } = await sample();
  const height = Math.round((width * display.height) / display.width);
  return createImageBitmap(display, { resizeWidth: width, resizeHeight: height, resizeQuality: "high" });
}

/** Style pictures: those of the page, and the visitor's. `picture` is absent until it is used. */
export const stylePictures = new Map(
  ["strokes", "marble", "mosaic", "woodcut"].map(key => [
    key, { key, title: key[0].toUpperCase() + key.slice(1), url: `styles/${key}.webp`, own: false, picture: null },
  ]),
);

export const styleEvents = new EventTarget();

export async function stylePicture(key) {
  const entry = stylePictures.get(key);
  if (!entry) return null;
  entry.picture ??= await fetched(entry.url, entry.title);
  return entry.picture;
}

/** Adds a visitor's picture to the style pictures. Returns its key. */
export async function addStylePicture(file) {
  const picture = await open(file);
  const key = `picture-${picture.id}`;
  const title = picture.name.replace(/\.[^.]*$/, "");
  stylePictures.set(key, { key, title, url: URL.createObjectURL(file), own: true, picture });
  styleEvents.dispatchEvent(new Event("change"));
  return key;
}

export function removeStylePicture(key) {
  const entry = stylePictures.get(key);
  if (!entry?.own) return;
  URL.revokeObjectURL(entry.url);
  stylePictures.delete(key);
  styleEvents.dispatchEvent(new Event("change"));
}

/** Draws a bitmap onto a canvas of its size. */
export function show(canvas, bitmap) {
  canvas.width = bitmap.width;
  canvas.height = bitmap.height;
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
}

/** A small canvas that shows a picture, cut to a square. */
export function thumbnail(picture, side = 96) {
  const canvas = el("canvas", { width: side, height: side, "aria-hidden": "true" });
  const { display } = picture;
  const cut = Math.min(display.width, display.height);
  canvas.getContext("2d").drawImage(display, (display.width - cut) / 2, (display.height - cut) / 2, cut, cut, 0, 0, side, side);
  return canvas;
}

/** "holiday.jpg" -> "holiday" */
export const stem = name => name.replace(/\.[^.]*$/, "") || "picture";
export const isModel = file => /\.(style|safetensors)$/i.test(file.name);
