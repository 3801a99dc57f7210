// A folder of nets: index.json lists them, and files that were fetched stay in the browser's cache.

import { ImpastoError } from "./errors.js";

async function digest(bytes) {
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return [...hash].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function get(url, signal) {
  let response;
  try {
    response = await fetch(url, { signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ImpastoError("bad-net", `${url} cannot be fetched (${error.message}); check the connection`);
  }
  if (response.ok) return response;
  const way = "check the option nets of Impasto.create, and that the folder is complete";
  throw new ImpastoError("bad-net", `${url} cannot be fetched (status ${response.status}); ${way}`);
}

/** The bytes of a response; `onBytes` gets the number of each part's bytes. */
async function bytesOf(response, size, onBytes) {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const reader = response.body.getReader(); ;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (at + value.length <= size) bytes.set(value, at);
    at += value.length;
    onBytes(value.length);
  }
  return at === size ? bytes : undefined;
}

export class NetFolder {
  nets;
  #url;
  #cache;

  /** Reads the index of a folder. */
  static async open(folder) {
    const made = new NetFolder();
    const path = String(folder);
    const base = globalThis.document?.baseURI ?? globalThis.location?.href;
    made.#url = new URL(path.endsWith("/") ? path : `${path}/`, base);
    const text = await (await get(new URL("index.json", made.#url))).text();
    try {
      made.nets = JSON.parse(text).nets;
    } catch (error) {
      throw new ImpastoError("bad-net", `${made.#url}index.json is not a list of nets (${error.message})`);
    }
    const hash = await digest(new TextEncoder().encode(text));
    made.#cache = await openCache(made.#url.href, hash).catch(() => undefined);
    return made;
  }

  /** The files of a net, from the cache or the network. */
  async fetch(name, onProgress, signal) {
    const { files, bytes: total } = this.nets.find((net) => net.name === name);
    let done = 0;
    onProgress?.(0, total);
    const onBytes = (count) => onProgress?.((done += count), total);
    return Promise.all(files.map((file) => this.#file(file, onBytes, signal)));
  }

  /** A file by its name, from the cache or the network. */
  file(name, signal) {
    const file = this.nets.flatMap((net) => net.files).find((file) => file.name === name);
    if (file) return this.#file(file, () => {}, signal);
    throw new ImpastoError("bad-net", `the folder ${this.#url} lacks ${name}; add it, with its entry in index.json`);
  }

  async #file({ name, bytes: size, sha256 }, onBytes, signal) {
    const url = new URL(name, this.#url);
    const kept = await this.#cache?.match(url);
    if (kept) {
      const bytes = new Uint8Array(await kept.arrayBuffer());
      if (await digest(bytes) === sha256) {
        onBytes(size);
        return bytes;
      }
      await this.#cache.delete(url);
    }
    const bytes = await bytesOf(await get(url, signal), size, onBytes);
    if (!bytes || await digest(bytes) !== sha256) {
      throw new ImpastoError("bad-net", `${url} is not the file that index.json describes; upload the folder again`);
    }
    // A full disk, or a private window, keeps nothing.
    await this.#cache?.put(url, new Response(bytes)).catch(() => {});
    return bytes;
  }
}

/** The cache for this index. Those of earlier versions of the folder are removed. */
async function openCache(folder, hash) {
  const prefix = "impasto-nets-";
  const name = prefix + hash.slice(0, 16);
  for (const other of await caches.keys()) {
    if (!other.startsWith(prefix) || other === name) continue;
    const [entry] = await (await caches.open(other)).keys();
    if (!entry || entry.url.startsWith(folder)) await caches.delete(other);
  }
  return caches.open(name);
}
