/** The images that are selected, which stay so from one search to the next, and the bar that shows how many they are. */
import { counted } from "./counts.js";
import { byId } from "./element.js";

/** @typedef {import("./images.js").Image} Image */

export class Selection {
  /** @param {() => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    /** @type {Map<number, Image>} */ this.images = new Map();
    /** @type {number | null} */ this.anchor = null; // the id from which a range begins
  }

  /** @param {number} id */
  has(id) {
    return this.images.has(id);
  }

  /** @param {Image} image */
  toggle(image) {
    if (!this.images.delete(image.id)) this.images.set(image.id, image);
    this.anchor = image.id;
    this.#changed();
  }

  /** Adds several images. @param {Image[]} images */
  add(images) {
    for (const image of images) this.images.set(image.id, image);
    this.#changed();
  }

  clear() {
    this.images.clear();
    this.anchor = null;
    this.#changed();
  }

  #changed() {
    byId("selection").hidden = this.images.size === 0;
    byId("selection-count").textContent = `${counted(this.images.size, "image")} selected`;
    document.documentElement.classList.toggle("selecting", this.images.size > 0);
    this.onChange();
  }
}
