/** The images that are selected, which stay so from one search to the next, and the bar that shows how many they are. */
import { counted } from "./counts.js";
import { byId } from "./element.js";

/** @typedef {import("./images.js").Image} Image */
/** @typedef {"all" | "some" | "none"} Share of the images of a tile */

export class Selection {
  /** @param {() => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    /** @type {Map<number, Image>} */ this.images = new Map();
    /** @type {number | null} */ this.anchor = null; // the id from which a range begins
  }

  /** How many of some images are selected. @param {Image[]} images @returns {Share} */
  shareOf(images) {
    const picked = images.filter(({ id }) => this.images.has(id)).length;
    return picked === images.length ? "all" : picked ? "some" : "none";
  }

  /** Selects all images of a tile, or none of them if all were. @param {import("./folding.js").Item} item */
  toggle({ image, images }) {
    const isPicked = this.shareOf(images) === "all";
    for (const each of images) {
      if (isPicked) this.images.delete(each.id);
      else this.images.set(each.id, each);
    }
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
