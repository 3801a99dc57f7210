// A field for pictures: a list with thumbnails, a file button, and buttons for pictures of the page.

import { el } from "./dom.js";
import { complain, fail } from "./failures.js";
import { open, sample, stylePicture, stylePictures, thumbnail } from "./pictures.js";
import { fileButton } from "./styles.js";

/** Emits `change`. `pictures` are those that are chosen. */
export class Picked extends EventTarget {
  pictures = [];

  /** `single`: a newer picture replaces the older one. `offer`: pictures of the page, [{ label, url, get }]. */
  constructor(root, { id, label, single = false, offer = [] }) {
    super();
    this.single = single;
    this.list = el("ul", { class: "picked-list" });
    const buttons = el("p", { class: "row" }, fileButton(id, label, "image/*", !single, files => this.addFiles(files)));
    for (const { label, get } of offer.filter(({ url }) => !url)) {
      buttons.append(el("button", { type: "button", class: "button small quiet", onclick: () => this.add(get) }, label));
    }
    const pictures = el("p", { class: "offers" }, ...offer.filter(({ url }) => url).map(({ label, url, get }) =>
      el("button", { type: "button", "aria-label": `Add ${label}`, title: label, onclick: () => this.add(get) },
        el("img", { src: url, alt: "", width: 44, height: 44, loading: "lazy" }))));
    root.append(this.list, buttons);
    if (pictures.children.length) buttons.before(pictures);
    this.#draw();
  }

  /** `get` gives the picture. */
  async add(get) {
    try {
      this.set([...(this.single ? [] : this.pictures), await get()]);
    } catch (error) {
      fail(error, { what: "The picture was not added" });
    }
  }

  /** Adds those files that are pictures, and says what was left out. */
  async addFiles(files) {
    const opened = [];
    const failed = [];
    for (const file of files) {
      await open(file).then(picture => opened.push(picture), error => failed.push({ file, error }));
    }
    if (failed.length === 1) fail(failed[0].error, { what: "The picture was not added" });
    if (failed.length > 1) {
      const names = failed.slice(0, 3).map(({ file }) => file.name).join(", ");
      const more = failed.length > 3 ? ` and ${failed.length - 3} more` : "";
      complain(`${failed.length} files were left out`, `This browser cannot decode ${names}${more}.`);
    }
    if (opened.length) this.set(this.single ? opened.slice(-1) : [...this.pictures, ...opened]);
  }

  set(pictures) {
    this.pictures = pictures.filter(({ id }, at) => pictures.findIndex(other => other.id === id) === at);
    this.#draw();
    this.dispatchEvent(new Event("change"));
  }

  #draw() {
    this.list.hidden = !this.pictures.length;
    this.list.replaceChildren(...this.pictures.map(picture => el("li", {},
      thumbnail(picture), el("span", { class: "picked-name" }, `${picture.name} `, el("small", {}, `${picture.width} × ${picture.height}`)),
      el("button", { type: "button", class: "remove", "aria-label": `Remove ${picture.name}`,
        onclick: () => this.set(this.pictures.filter(other => other !== picture)) }, "×"))));
  }
}

export const theStyles = [...stylePictures.values()].map(({ key, title, url }) => ({ label: title, url, get: () => stylePicture(key) }));
export const theSample = { label: "Use the sample", get: sample };
export const forEngine = ({ id, blob }) => ({ id, blob });
