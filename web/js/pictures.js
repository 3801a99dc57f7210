// Pictures of the page as pixels of the engine, and back.

import { ImpastoError } from "./errors.js";
import { Pixels } from "./impasto_engine.js";

/** Most pixels of a picture, and the longest side: those of a canvas, through which pixels are read. */
const MOST_PIXELS = 2 ** 28;
const LONGEST_SIDE = 65535;

function checkSize(width, height, what) {
  if (!(width >= 1 && height >= 1)) {
    throw new ImpastoError("bad-picture", `${what} has no pixels; wait until it is loaded, or use another`);
  }
  if (width * height > MOST_PIXELS || Math.max(width, height) > LONGEST_SIDE) {
    const most = `${MOST_PIXELS / 2 ** 20} megapixels and ${LONGEST_SIDE} px a side`;
    throw new ImpastoError("too-large", `${what} is ${width} x ${height} px; reduce it to at most ${most}`);
  }
}

/** Decodes a file, turned upright and in sRGB. */
async function decoded(blob, what) {
  try {
    return await createImageBitmap(blob, {
      imageOrientation: "from-image",
      premultiplyAlpha: "none",
      colorSpaceConversion: "default",
    });
  } catch {
    const name = [what, blob.name, blob.type && `(${blob.type})`].filter(Boolean).join(" ");
    throw new ImpastoError("bad-picture", `${name} cannot be decoded as a picture; use a PNG, JPEG, WebP or AVIF file`);
  }
}

/** Width and height of whatever a canvas can draw. */
function sizeOf(source) {
  return [
    source.displayWidth ?? source.videoWidth ?? source.naturalWidth ?? source.width,
    source.displayHeight ?? source.videoHeight ?? source.naturalHeight ?? source.height,
  ];
}

/** The pixels of a picture as ImageData in sRGB. */
export async function imageDataOf(source, what) {
  if (source instanceof ImageData && source.data instanceof Uint8ClampedArray && source.colorSpace !== "display-p3") {
    checkSize(source.width, source.height, what);
    return source;
  }
  if (source === null || typeof source !== "object") {
    throw new ImpastoError("bad-picture", `${what} is not a picture; give a Blob, an ImageBitmap or an ImageData`);
  }
  const isFile = source instanceof Blob;
  const image = isFile ? await decoded(source, what)
    : source instanceof ImageData ? await createImageBitmap(source)
    : source;
  try {
    if (typeof image.decode === "function") await image.decode().catch(() => {});
    const [width, height] = sizeOf(image);
    checkSize(width, height, what);
    const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0, width, height);
    return context.getImageData(0, 0, width, height);
  } catch (error) {
    if (error instanceof ImpastoError) throw error;
    const way = error.name === "SecurityError" ? "serve it from this site, or with CORS" : "use another picture";
    throw new ImpastoError("bad-picture", `the pixels of ${what} cannot be read (${error.message}); ${way}`);
  } finally {
    if (image !== source) image.close();
  }
}

/** A picture for the engine. */
export async function pixelsOf(source, what) {
  const { width, height, data } = await imageDataOf(source, what);
  return new Pixels(width, height, data);
}

/** A mask for the engine: the red channel. */
export async function maskPixels(source) {
  const { width, height, data } = await imageDataOf(source, "the mask");
  return Pixels.mask(width, height, data);
}

/** A picture of the engine as ImageData. */
export function pictureOf(pixels) {
  const picture = new ImageData(pixels.rgba(), pixels.width, pixels.height);
  pixels.free();
  return picture;
}
