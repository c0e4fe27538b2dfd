/** Shows an image large beside the query; both zoom in step. */
import { termImage } from "./box.js";
import { chanceText, copyText, probabilityText } from "./chance.js";
import { nameAndFolder, number, scoreText } from "./counts.js";
import { byId } from "./element.js";
import { thumbnail } from "./images.js";
import { frame, partText } from "./parts.js";
import { attributesText } from "./tile.js";
import { Zoom } from "./zoom.js";

const PAN = 0.1;
const SIDES = [1024, 2048]; // pixels; the larger one as soon as it is zoomed

/** @typedef {import("./images.js").Image} Image */
/** @typedef {{step: (image: Image, by: 1 | -1) => Image | null, alike: (image: Image) => void,
 *   closed: (image: Image) => void, query: () => import("./query.js").Term | null}} Listener */

export class Viewer {
  /** @param {Listener} listener */
  constructor(listener) {
    this.listener = listener;
    this.dialog = byId("viewer");
    /** @type {Image | null} */ this.image = null;
    this.ahead = 0; // steps beyond the last image that is loaded, taken as soon as more are
    const stages = [...this.dialog.querySelectorAll(".zoom")];
    this.zoom = new Zoom(stages, (scale) => this.#zoomed(scale));
    this.#listen();
  }

  /** @param {Image} image */
  open(image) {
    this.zoom.reset();
    this.ahead = 0;
    this.#show(image);
    void this.#showQuery();
    if (!this.dialog.open) this.dialog.showModal();
  }

  #listen() {
    const clicks = {
      close: () => this.dialog.close(),
      previous: () => this.#step(-1),
      next: () => this.#step(1),
      in: () => this.zoom.in(),
      out: () => this.zoom.out(),
      alike: () => this.#alike(),
    };
    for (const [name, click] of Object.entries(clicks)) byId(`viewer-${name}`).addEventListener("click", click);
    this.dialog.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#key(event));
    this.dialog.addEventListener("close", () => this.image && this.listener.closed(this.image));
    this.#matchImage().addEventListener("error", () => this.#failed());
  }

  /** @param {Image} image */
  #show(image) {
    this.image = image;
    const shown = this.#matchImage();
    const [name, folder] = nameAndFolder(image.key);
    shown.hidden = false;
    shown.nextElementSibling.hidden = true;
    [shown.width, shown.height] = [image.width || 1, image.height || 1];
    shown.src = thumbnail(image, SIDES[this.zoom.scale > 1 ? 1 : 0]);
    shown.alt = image.key;
    byId("viewer-name").textContent = name;
    const facts = [folder && `Folder ${folder}`, image.label && `Label ${image.label}`, image.width ? `${number(image.width)} × ${number(image.height)}` : "", attributesText(image)];
    byId("viewer-facts").textContent = facts.filter(Boolean).join(" · ");
    const score = image.score === undefined ? "" : `Score ${scoreText(image.score)}`;
    const caption = [score, partText(image), chanceText(image), copyText(image), probabilityText(image)].filter(Boolean).join(" · ");
    byId("viewer-match").querySelector("figcaption").textContent = caption;
    frame(byId("viewer-match-part"), image.region, image.width, image.height);
    this.#frameQuery();
    byId("viewer-original").href = `/v1/images/${image.id}/original`;
    this.refresh();
  }

  /** Takes the steps that had to wait until more are loaded, and shows whether there is an image before and after. */
  refresh() {
    const waited = this.ahead;
    this.ahead = 0;
    for (let step = 0; step < waited; step++) this.#step(1);
    if (!this.image) return;
    byId("viewer-previous").disabled = !this.listener.step(this.image, -1);
    byId("viewer-next").disabled = !this.listener.step(this.image, 1);
  }

  async #showQuery() {
    const query = this.listener.query();
    const figure = byId("viewer-query");
    figure.hidden = true;
    if (!query) return;
    const { name, source, image } = await termImage(query, SIDES[1]).catch(() => ({ name: "", source: null, image: null }));
    if (!source) return;
    const shown = figure.querySelector("img");
    shown.onload = () => {
      figure.hidden = false;
      this.#frameQuery();
    };
    shown.onerror = () => (figure.hidden = true);
    if (image?.width) [shown.width, shown.height] = [image.width, image.height];
    shown.src = source;
    shown.alt = `The query, ${name}`;
  }

  /** Shows which part of the query the image is like. */
  #frameQuery() {
    const shown = byId("viewer-query").querySelector("img");
    frame(byId("viewer-query-part"), this.image?.query_region, shown.naturalWidth, shown.naturalHeight);
  }

  #matchImage() {
    return byId("viewer-match").querySelector("img");
  }

  #failed() {
    const shown = this.#matchImage();
    shown.hidden = true;
    byId("viewer-match-part").setAttribute("hidden", "");
    shown.nextElementSibling.textContent = `${this.image?.key ?? ""} cannot be shown`;
    shown.nextElementSibling.hidden = false;
  }

  /** @param {1 | -1} by */
  #step(by) {
    const next = this.image && this.listener.step(this.image, by);
    if (by < 0) this.ahead = 0;
    else if (!next) this.ahead += 1;
    if (next) this.#show(next);
  }

  #alike() {
    const { image } = this;
    this.image = null;
    this.dialog.close();
    if (image) this.listener.alike(image);
  }

  /** @param {number} scale */
  #zoomed(scale) {
    byId("viewer-zoom").textContent = `${Math.round(scale * 100)} %`;
    byId("viewer-out").disabled = scale <= 1;
    if (scale > 1 && this.image) {
      const larger = thumbnail(this.image, SIDES[1]);
      if (!this.#matchImage().src.endsWith(larger)) this.#matchImage().src = larger;
    }
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const pans = { ArrowLeft: [PAN, 0], ArrowRight: [-PAN, 0], ArrowUp: [0, PAN], ArrowDown: [0, -PAN] };
    const keys = { ArrowLeft: () => this.#step(-1), ArrowRight: () => this.#step(1), "+": () => this.zoom.in(), "=": () => this.zoom.in(), "-": () => this.zoom.out(), 0: () => this.zoom.reset() };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const pan = pans[/** @type {keyof pans} */ (event.key)];
    const act = keys[/** @type {keyof keys} */ (event.key)];
    if (event.shiftKey && pan) this.zoom.move(pan[0], pan[1]);
    else if (act) act();
    else return;
    event.preventDefault();
  }
}
