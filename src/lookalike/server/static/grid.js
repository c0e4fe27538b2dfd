/**
 * The grid: rows of images in chunks of fixed height. Only chunks near the screen have their tiles in the page, so that
 * scrolling costs the same however many images there are.
 */
import { make } from "./element.js";
import { ratioOf } from "./images.js";
import { partText } from "./parts.js";
import { arrange, shownRatio } from "./rows.js";
import { makeTile, setActive, showState } from "./tile.js";

const ROWS = 3; // of a chunk
const KEPT = 24; // chunks that stay in the page when they are off the screen
const EAGER = 8; // images that are loaded at once
const CAPTION_REM = { browse: 2.75, search: 3.625, facts: 1.125 };
const WIDE = 640; // pixels of the page

/**
 * @typedef {import("./folding.js").Item} Item
 * @typedef {import("./rows.js").Row} Row
 * @typedef {{element: HTMLElement, key: string, rows: Row[], first: number, top: number, height: number}} Chunk
 * @typedef {{hasQuery: boolean, picked: (item: Item) => import("./selection.js").Share, signOf: (id: number) => number,
 *   isUnfolded: (item: Item) => boolean}} Context what the state of a tile depends on
 */

export class Grid {
  /** @param {HTMLElement} root @param {Context} context */
  constructor(root, context) {
    this.root = root;
    this.context = context;
    /** @type {Item[]} */ this.items = [];
    /** @type {Chunk[]} */ this.chunks = [];
    /** @type {Map<number, number>} */ this.places = new Map();
    /** @type {Set<Chunk>} */ this.mounted = new Set();
    /** @type {number | null} */ this.active = null; // the id of the image that Tab leads to
    this.isScored = false;
    this.width = 0;
    this.watcher = new IntersectionObserver((entries) => this.#seen(entries), { rootMargin: "1200px 0px" });
    new ResizeObserver(() => this.#resized()).observe(root);
    root.addEventListener("focusin", (event) => this.#focused(event));
  }

  /** Shows images; those that stay where they are keep their tiles. @param {Item[]} items @param {boolean} isScored */
  show(items, isScored) {
    this.root.hidden = items.length === 0;
    this.items = items;
    this.isScored = isScored;
    this.places = new Map(items.map((item, place) => [item.image.id, place]));
    this.width = this.root.clientWidth;
    if (this.width > 0) this.#layOut();
    if (this.active !== null && !this.places.has(this.active)) this.active = null;
    this.#activateFirst();
  }

  /** Shows the state of all tiles anew: what is selected, what is part of the query. */
  refresh() {
    for (const tile of this.root.querySelectorAll(".tile")) this.#showState(/** @type {HTMLElement} */ (tile));
  }

  /** The place of an image, or -1. @param {number} id */
  placeOf(id) {
    return this.places.get(id) ?? -1;
  }

  /** The image that an element belongs to, or null. @param {Element} element @returns {Item | null} */
  itemOf(element) {
    const tile = /** @type {HTMLElement | null} */ (element.closest(".tile"));
    const place = tile ? this.placeOf(Number(tile.dataset.id)) : -1;
    return place < 0 ? null : this.items[place];
  }

  /** Gives an image the focus and scrolls to it. @param {number} place */
  focus(place) {
    const tile = this.tileAt(place);
    if (!tile) return;
    const button = /** @type {HTMLElement} */ (tile.querySelector(".alike"));
    button.focus({ preventScroll: true });
    tile.scrollIntoView({ block: "nearest", behavior: "instant" });
  }

  /** The tile of an image, put into the page if it is not. @param {number} place @returns {HTMLElement | null} */
  tileAt(place) {
    const chunk = this.chunks.find((each) => place < (each.rows.at(-1)?.end ?? 0));
    if (!chunk || place < 0) return null;
    this.#mount(chunk);
    return chunk.element.querySelector(`[data-id="${this.items[place].image.id}"]`);
  }

  /**
   * The place next to another one.
   * @param {number} place
   * @param {"left" | "right" | "up" | "down" | "pageup" | "pagedown"} way
   */
  neighbour(place, way) {
    const last = this.items.length - 1;
    if (way === "left" || way === "right") return Math.min(Math.max(place + (way === "left" ? -1 : 1), 0), last);
    const rows = this.chunks.flatMap((chunk) => chunk.rows);
    const row = rows.findIndex((each) => place < each.end);
    const step = { up: -1, down: 1, pageup: -3, pagedown: 3 }[way];
    const target = Math.min(Math.max(row + step, 0), rows.length - 1);
    return target === row ? place : this.#nearest(rows[target], this.#middle(rows[row], place));
  }

  /** The first image on the screen and how far it is below the top, so that it can stay there. */
  anchor() {
    const top = -this.root.getBoundingClientRect().top;
    const chunk = this.chunks.find((each) => each.top + each.height > top);
    return top > 0 && chunk ? { place: chunk.rows[0].start, offset: top - chunk.top } : null;
  }

  #layOut() {
    const { gap, between, caption, rows } = this.#measured();
    this.root.style.setProperty("--caption", `${caption}px`);
    const made = [];
    let top = 0;
    for (let first = 0; first < rows.length; first += ROWS) {
      const part = rows.slice(first, first + ROWS);
      const height = part.reduce((sum, row) => sum + row.height + caption + between, 0);
      made.push({ key: this.#keyOf(part), rows: part, first, top, height, element: /** @type {any} */ (null) });
      top += height;
    }
    this.#replace(made, gap);
  }

  #measured() {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const isWide = document.documentElement.clientWidth >= WIDE;
    const hasFacts = this.items.some((item) => Object.keys(item.image.attributes).length > 0);
    const lines = this.isScored ? CAPTION_REM.search : CAPTION_REM.browse;
    const caption = Math.round((lines + (hasFacts ? CAPTION_REM.facts : 0)) * rem);
    const gap = isWide ? 14 : 10;
    const ratios = this.items.map((item) => shownRatio(ratioOf(item.image)));
    const rows = arrange(ratios, { width: this.width, height: isWide ? 216 : 160, gap, most: isWide ? Infinity : 2 });
    return { gap, between: isWide ? 14 : 8, caption, rows };
  }

  /** What tells whether a chunk is as it was. @param {Row[]} rows */
  #keyOf(rows) {
    const ids = this.items.slice(rows[0].start, rows.at(-1)?.end).map(({ image, copies }) => `${image.id}x${copies} ${image.score} ${partText(image)}`);
    return `${this.isScored} ${rows.map((row) => row.height.toFixed(2))} ${ids}`;
  }

  /** @param {Chunk[]} made @param {number} gap */
  #replace(made, gap) {
    this.root.style.setProperty("--gap", `${gap}px`);
    const isHeld = this.root.contains(document.activeElement);
    made.forEach((chunk, i) => {
      const old = this.chunks[i];
      if (old?.key === chunk.key) {
        made[i] = Object.assign(old, { top: chunk.top });
        return;
      }
      chunk.element = make("div", { class: "chunk", role: "rowgroup" });
      chunk.element.style.height = `${chunk.height}px`;
      if (old) this.#drop(old);
      if (old?.element.parentNode) old.element.replaceWith(chunk.element);
      else this.root.append(chunk.element);
      this.watcher.observe(chunk.element);
    });
    for (const old of this.chunks.slice(made.length)) this.#drop(old).element.remove();
    this.chunks = made;
    this.#mountVisible();
    if (isHeld && !this.root.contains(document.activeElement) && this.active !== null) this.focus(this.placeOf(this.active));
  }

  /** @param {Chunk} chunk */
  #drop(chunk) {
    this.watcher.unobserve(chunk.element);
    this.mounted.delete(chunk);
    return chunk;
  }

  #mountVisible() {
    const top = -this.root.getBoundingClientRect().top;
    for (const chunk of this.chunks) {
      if (chunk.top < top + innerHeight && chunk.top + chunk.height > top) this.#mount(chunk);
    }
  }

  /** @param {IntersectionObserverEntry[]} entries */
  #seen(entries) {
    for (const { target, isIntersecting } of entries) {
      const chunk = this.chunks.find((each) => each.element === target);
      if (chunk && isIntersecting) this.#mount(chunk);
      else if (chunk && this.mounted.size > KEPT && !target.contains(document.activeElement)) this.#unmount(chunk);
    }
  }

  /** @param {Chunk} chunk */
  #mount(chunk) {
    if (this.mounted.has(chunk)) return;
    this.mounted.add(chunk);
    chunk.element.append(...chunk.rows.map((row, i) => this.#makeRow(row, chunk.first + i)));
    this.#activateFirst();
  }

  /** @param {Chunk} chunk */
  #unmount(chunk) {
    this.mounted.delete(chunk);
    chunk.element.replaceChildren();
  }

  /** @param {Row} row @param {number} index */
  #makeRow(row, index) {
    const tiles = this.items.slice(row.start, row.end).map((item, i) => {
      const width = shownRatio(ratioOf(item.image)) * row.height;
      const shape = { item, width, height: row.height, column: i + 1, isEager: row.start + i < EAGER };
      const tile = makeTile({ ...shape, ...this.#stateOf(item) });
      if (item.image.id === this.active) setActive(tile, true);
      return tile;
    });
    return make("div", { class: "row", role: "row", "aria-rowindex": index + 1 }, ...tiles);
  }

  /** @param {Item} item */
  #stateOf(item) {
    const { hasQuery, picked, signOf, isUnfolded } = this.context;
    return { hasQuery, picked: picked(item), sign: signOf(item.image.id), isUnfolded: isUnfolded(item) };
  }

  /** @param {HTMLElement} tile */
  #showState(tile) {
    const item = this.itemOf(tile);
    if (item) showState(tile, this.#stateOf(item));
  }

  /** Has Tab lead to some image that is in the page. */
  #activateFirst() {
    const at = this.active === null ? null : this.root.querySelector(`[data-id="${this.active}"]`);
    const tile = /** @type {HTMLElement | null} */ (at ?? this.root.querySelector(".tile"));
    if (tile) this.#activate(tile);
  }

  /** @param {HTMLElement} tile */
  #activate(tile) {
    const id = Number(tile.dataset.id);
    if (this.active !== id && this.active !== null) {
      const old = /** @type {HTMLElement | null} */ (this.root.querySelector(`[data-id="${this.active}"]`));
      if (old) setActive(old, false);
    }
    this.active = id;
    setActive(tile, true);
  }

  /** @param {FocusEvent} event */
  #focused(event) {
    const tile = /** @type {HTMLElement | null} */ (/** @type {Element} */ (event.target).closest(".tile"));
    if (tile) this.#activate(tile);
  }

  #resized() {
    if (this.root.clientWidth === this.width || this.root.clientWidth === 0 || !this.items.length) return;
    const anchor = this.anchor();
    this.width = this.root.clientWidth;
    this.#layOut();
    const chunk = anchor && this.chunks.find((each) => anchor.place < (each.rows.at(-1)?.end ?? 0));
    if (anchor && chunk) scrollTo({ top: this.root.offsetTop + chunk.top + anchor.offset, behavior: "instant" });
  }

  /** The middle of an image in its row. @param {Row} row @param {number} place */
  #middle(row, place) {
    const widths = this.items.slice(row.start, place + 1).map((item) => shownRatio(ratioOf(item.image)) * row.height);
    return widths.reduce((sum, width) => sum + width, 0) - (widths.at(-1) ?? 0) / 2;
  }

  /** The image of a row whose middle is nearest to some place across. @param {Row} row @param {number} across */
  #nearest(row, across) {
    let best = row.start;
    for (let place = row.start; place < row.end; place++) {
      const [here, there] = [this.#middle(row, place), this.#middle(row, best)].map((x) => Math.abs(x - across));
      if (here < there) best = place;
    }
    return best;
  }
}
