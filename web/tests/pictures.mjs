// Pictures that the tests draw, and PNG files of them for the native command.

import { crc32, deflateSync, inflateSync } from "node:zlib";

/** A picture like a photo: smooth, with a bright disc. `shift` moves the disc. */
export function photo(width, height, shift = 0) {
  return drawn(width, height, (u, v) => {
    const wave = 0.08 * Math.sin(9 * u + 5 * v);
    const disc = Math.hypot(u - 0.6 + shift, v - 0.4) < 0.22 ? 0.3 : 0;
    return [0.35 + 0.25 * u + wave + disc, 0.35 + 0.25 * v + disc, 0.6 - 0.2 * u * v - wave];
  });
}

/** A picture like a painting: hard edges and strong colours. */
export function painting(width, height) {
  const colors = [[0.86, 0.24, 0.12], [0.12, 0.16, 0.63], [0.94, 0.82, 0.35]];
  return drawn(width, height, (u, v) => colors[(Math.floor(12 * u) + Math.floor(9 * v)) % 3]);
}

/** A picture of a function of the place, 0 to 1 from left to right and from top to bottom. */
export function drawn(width, height, color) {
  const data = new Uint8ClampedArray(4 * width * height);
  for (let at = 0; at < width * height; at++) {
    const rgb = color((at % width) / width, Math.floor(at / width) / height);
    data.set([...rgb.map((value) => 255 * value), 255], 4 * at);
  }
  return { width, height, data };
}

/** A PNG of 8 bits with alpha. */
export function png({ width, height, data }) {
  const rows = Buffer.alloc(height * (4 * width + 1));
  for (let y = 0; y < height; y++) {
    Buffer.from(data.buffer, data.byteOffset + 4 * width * y, 4 * width).copy(rows, y * (4 * width + 1) + 1);
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 6, 0, 0, 0], 8);
  const chunk = (type, body) => {
    const whole = Buffer.concat([Buffer.from(type, "latin1"), body]);
    const framed = Buffer.alloc(whole.length + 8);
    framed.writeUInt32BE(body.length, 0);
    whole.copy(framed, 4);
    framed.writeUInt32BE(crc32(whole), whole.length + 4);
    return framed;
  };
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk("IHDR", header), chunk("IDAT", deflateSync(rows)), chunk("IEND", Buffer.alloc(0))]);
}

/** The pixels of a PNG of 8 bits, with or without alpha. */
export function pixels(file) {
  const width = file.readUInt32BE(16);
  const height = file.readUInt32BE(20);
  const channels = { 2: 3, 6: 4 }[file[25]];
  if (file[24] !== 8 || !channels || file[28] !== 0) throw new Error("a PNG of another kind");
  const parts = [];
  for (let at = 8; at < file.length; at += 12 + file.readUInt32BE(at)) {
    if (file.toString("latin1", at + 4, at + 8) === "IDAT") parts.push(file.subarray(at + 8, at + 8 + file.readUInt32BE(at)));
  }
  const rows = inflateSync(Buffer.concat(parts));
  const stride = channels * width;
  const lines = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = rows[y * (stride + 1)];
    for (let x = 0; x < stride; x++) {
      const left = x >= channels ? lines[y * stride + x - channels] : 0;
      const up = y > 0 ? lines[(y - 1) * stride + x] : 0;
      const corner = x >= channels && y > 0 ? lines[(y - 1) * stride + x - channels] : 0;
      const near = left + up - corner;
      const [a, b, c] = [left, up, corner].map((value) => Math.abs(near - value));
      const paeth = a <= b && a <= c ? left : b <= c ? up : corner;
      const guess = [0, left, up, (left + up) >> 1, paeth][filter];
      lines[y * stride + x] = rows[y * (stride + 1) + 1 + x] + guess;
    }
  }
  const data = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let at = 0; at < width * height; at++) data.set(lines.subarray(channels * at, channels * (at + 1)), 4 * at);
  return { width, height, data };
}

/** Largest difference of two pictures, of 255. */
export function difference(a, b) {
  if (a.width !== b.width || a.height !== b.height) throw new Error("pictures of different sizes");
  let largest = 0;
  for (let at = 0; at < a.data.length; at++) largest = Math.max(largest, Math.abs(a.data[at] - b.data[at]));
  return largest;
}
