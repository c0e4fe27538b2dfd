/** Zooms and moves several images in step. */

const MOST = 12;
const DOUBLE = 3; // what a double click zooms to
const STEP = 1.4;

export class Zoom {
  /** @param {HTMLElement[]} stages each with an image @param {(scale: number) => void} onChange */
  constructor(stages, onChange) {
    this.stages = stages;
    this.onChange = onChange;
    this.scale = 1;
    this.x = 0; // how far the images are moved, in shares of a stage
    this.y = 0;
    /** @type {Map<number, PointerEvent>} */ this.pointers = new Map();
    for (const stage of stages) this.#listen(stage);
  }

  reset() {
    this.#set(1, 0, 0);
  }

  /** Zooms about the middle of a stage, or about another place in shares from it. @param {number} factor
   * @param {[number, number]} [about] */
  by(factor, about = [0, 0]) {
    const scale = Math.min(Math.max(this.scale * factor, 1), MOST);
    const ratio = scale / this.scale;
    this.#set(scale, about[0] - (about[0] - this.x) * ratio, about[1] - (about[1] - this.y) * ratio);
  }

  /** @param {number} across in shares of a stage @param {number} down */
  move(across, down) {
    this.#set(this.scale, this.x + across, this.y + down);
  }

  in() {
    this.by(STEP);
  }

  out() {
    this.by(1 / STEP);
  }

  /** @param {number} scale @param {number} x @param {number} y */
  #set(scale, x, y) {
    const most = (scale - 1) / 2;
    this.scale = scale;
    this.x = Math.min(Math.max(x, -most), most);
    this.y = Math.min(Math.max(y, -most), most);
    for (const stage of this.stages) {
      const image = /** @type {HTMLElement} */ (stage.querySelector("img"));
      image.style.transform = `translate(${this.x * 100}%, ${this.y * 100}%) scale(${scale})`;
      this.#placeFrame(stage.querySelector(".part"));
      stage.classList.toggle("near", scale > 1);
    }
    this.onChange(scale);
  }

  /** Puts the frame where the image is; it is not scaled as images are, so that its lines stay as they are.
   * @param {SVGElement | null} drawing */
  #placeFrame(drawing) {
    if (!drawing) return;
    const start = (/** @type {number} */ moved) => `${(0.5 + moved - this.scale / 2) * 100}%`;
    const side = `${this.scale * 100}%`;
    Object.assign(drawing.style, { left: start(this.x), top: start(this.y), width: side, height: side });
  }

  /** @param {HTMLElement} stage */
  #listen(stage) {
    stage.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.by(Math.exp(-event.deltaY / (event.ctrlKey ? 100 : 400)), this.#at(stage, event));
    }, { passive: false });
    stage.addEventListener("dblclick", (event) => {
      if (this.scale > 1) this.reset();
      else this.by(DOUBLE, this.#at(stage, event));
    });
    stage.addEventListener("pointerdown", (event) => {
      event.preventDefault();
      stage.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, event);
    });
    stage.addEventListener("pointermove", (event) => this.#dragged(stage, event));
    for (const end of ["pointerup", "pointercancel"]) {
      stage.addEventListener(end, (event) => this.pointers.delete(/** @type {PointerEvent} */ (event).pointerId));
    }
  }

  /** One pointer moves the images, two pinch them. @param {HTMLElement} stage @param {PointerEvent} event */
  #dragged(stage, event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const other = [...this.pointers.values()].find((each) => each.pointerId !== event.pointerId);
    if (other) {
      const [was, is] = [before, event].map((each) => Math.hypot(each.clientX - other.clientX, each.clientY - other.clientY));
      this.by(is / Math.max(was, 1), this.#at(stage, other));
    } else this.move((event.clientX - before.clientX) / stage.clientWidth, (event.clientY - before.clientY) / stage.clientHeight);
    this.pointers.set(event.pointerId, event);
  }

  /** Where a pointer is, in shares from the middle of a stage. @param {HTMLElement} stage @param {MouseEvent} event
   * @returns {[number, number]} */
  #at(stage, event) {
    const box = stage.getBoundingClientRect();
    return [(event.clientX - box.x) / box.width - 0.5, (event.clientY - box.y) / box.height - 0.5];
  }
}
