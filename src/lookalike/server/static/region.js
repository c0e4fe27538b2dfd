/** A box on an image, drawn with the pointer or with keys, in shares of the image's sides. */
import { announce } from "./announcer.js";

const LEAST = 0.04; // of a side
const STEP = 0.05;
const START = [0.25, 0.25, 0.5, 0.5]; // for keys
const GRIP_PX = 18;

/** @typedef {import("./query.js").Region} Shares */

export class RegionTool {
  /**
   * @param {HTMLElement} stage what is drawn on; it takes the keys
   * @param {HTMLElement} frame the box
   * @param {(region: Shares | null) => void} onDone is given the box when it is drawn
   */
  constructor(stage, frame, onDone) {
    this.stage = stage;
    this.frame = frame;
    this.onDone = onDone;
    /** @type {Shares | null} */ this.region = null;
    /** @type {any} */ this.drag = null;
    stage.addEventListener("pointerdown", (event) => this.#begin(event));
    stage.addEventListener("pointermove", (event) => this.#move(event));
    stage.addEventListener("pointerup", () => this.#end(true));
    stage.addEventListener("pointercancel", () => this.#end(false));
    stage.addEventListener("keydown", (event) => this.#key(event));
  }

  /** @param {Shares | null} region */
  show(region) {
    this.region = region;
    this.frame.hidden = !region;
    if (!region) return;
    const [x, y, width, height] = region.map((share) => `${share * 100}%`);
    Object.assign(this.frame.style, { left: x, top: y, width, height });
  }

  /** @param {PointerEvent} event */
  #begin(event) {
    if (event.button !== 0) return;
    event.preventDefault();
    this.stage.focus({ preventScroll: true });
    this.stage.setPointerCapture(event.pointerId);
    const at = this.#at(event);
    this.drag = { from: this.#fixedCorner(event, at), at, before: this.region, moved: this.#isInside(event) ? this.region : null };
  }

  /** @param {PointerEvent} event */
  #move(event) {
    if (!this.drag) return;
    const [x, y] = this.#at(event);
    const { from, at, moved } = this.drag;
    if (moved) {
      const [left, top, width, height] = moved;
      this.show([between(left + x - at[0], 0, 1 - width), between(top + y - at[1], 0, 1 - height), width, height]);
    } else this.show([Math.min(x, from[0]), Math.min(y, from[1]), Math.abs(x - from[0]), Math.abs(y - from[1])]);
  }

  /** @param {boolean} isKept */
  #end(isKept) {
    if (!this.drag) return;
    const { before } = this.drag;
    this.drag = null;
    const [, , width, height] = this.region ?? [0, 0, 0, 0];
    if (!isKept || width < LEAST || height < LEAST) this.show(before);
    else if (this.region !== before) this.onDone(this.region);
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const way = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] }[event.key];
    if (way) this.#nudge(way, event.shiftKey);
    else if (event.key === "Enter" && this.region) this.onDone(this.region);
    else if ((event.key === "Delete" || event.key === "Backspace" || event.key === "Escape") && this.region) {
      this.show(null);
      this.onDone(null);
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  /** @param {number[]} way @param {boolean} isSize */
  #nudge([across, down], isSize) {
    const [x, y, width, height] = this.region ?? START;
    const moved = [between(x + across, 0, 1 - width), between(y + down, 0, 1 - height), width, height];
    const sized = [x, y, between(width + across, LEAST, 1 - x), between(height + down, LEAST, 1 - y)];
    this.show(/** @type {Shares} */ (!this.region ? START : isSize ? sized : moved));
    announce(inWords(/** @type {Shares} */ (this.region)));
  }

  /** Where the pointer is, in shares. @param {PointerEvent} event @returns {[number, number]} */
  #at(event) {
    const box = this.stage.getBoundingClientRect();
    return [between((event.clientX - box.x) / box.width, 0, 1), between((event.clientY - box.y) / box.height, 0, 1)];
  }

  /** The corner that stays: across from the one that is dragged, or where a new box begins. @param {PointerEvent} event
   * @param {[number, number]} at */
  #fixedCorner(event, at) {
    if (!this.region) return at;
    const [x, y, width, height] = this.region;
    const box = this.stage.getBoundingClientRect();
    for (const [cornerX, cornerY] of [[x, y], [x + width, y], [x, y + height], [x + width, y + height]]) {
      const distance = Math.hypot((at[0] - cornerX) * box.width, (at[1] - cornerY) * box.height);
      if (distance < (event.pointerType === "mouse" ? GRIP_PX : 1.5 * GRIP_PX)) return [2 * x + width - cornerX, 2 * y + height - cornerY];
    }
    return at;
  }

  /** Whether the pointer takes the whole box. @param {PointerEvent} event */
  #isInside(event) {
    if (!this.region) return false;
    const at = this.#at(event);
    const [x, y, width, height] = this.region;
    const isIn = at[0] > x && at[0] < x + width && at[1] > y && at[1] < y + height;
    return isIn && this.#fixedCorner(event, at) === at;
  }
}

/** @param {Shares} region */
export function inWords([x, y, width, height]) {
  const percent = (/** @type {number} */ share) => `${Math.round(share * 100)} %`;
  return `${percent(width)} wide and ${percent(height)} high, ${percent(x)} from the left and ${percent(y)} from the top`;
}

/** @param {number} value @param {number} low @param {number} high */
function between(value, low, high) {
  return Math.min(Math.max(value, low), Math.max(high, low));
}
