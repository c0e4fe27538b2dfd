/** The histogram of the scores, which is a slider as well: what is left of it is cut off at once. */
import { countBeyond, explainLine } from "./chance.js";
import { counted, number, scoreText } from "./counts.js";
import { byId } from "./element.js";

const BINS = 40;
const STEP = 0.005;

export class Histogram {
  /** @param {{onCut: (cut: number | null, isDone: boolean) => void}} listener */
  constructor({ onCut }) {
    this.slider = byId("cut");
    /** @type {number[]} */ this.scores = [];
    this.beyond = 0;
    this.slider.addEventListener("input", () => {
      this.#showCut();
      onCut(this.cut, false);
    });
    this.slider.addEventListener("change", () => onCut(this.cut, true));
  }

  /** The least score, or null where nothing is cut off. */
  get cut() {
    const value = Number(this.slider.value);
    return value <= Number(this.slider.min) ? null : Number(value.toFixed(3));
  }

  /** @param {import("./images.js").Image[]} images @param {number | null} cut */
  show(images, cut) {
    byId("scores").hidden = images.length < 2;
    if (images.length < 2) return;
    const scores = images.map((image) => image.score ?? 0).sort((a, b) => b - a);
    this.scores = scores;
    this.beyond = countBeyond(images);
    explainLine(images, this.beyond);
    const low = Math.floor(scores[scores.length - 1] / STEP) * STEP;
    const high = Math.max(Math.ceil(scores[0] / STEP) * STEP, low + STEP);
    Object.assign(this.slider, { min: low.toFixed(3), max: high.toFixed(3), step: STEP });
    this.slider.value = String(cut ?? low.toFixed(3));
    byId("cut-low").textContent = scoreText(low);
    byId("cut-high").textContent = scoreText(high);
    this.#draw(low, high);
    this.#showCut();
  }

  /** @param {number} low @param {number} high */
  #draw(low, high) {
    const bins = new Array(BINS).fill(0);
    for (const score of this.scores) bins[Math.min(Math.floor(((score - low) / (high - low)) * BINS), BINS - 1)] += 1;
    const most = Math.max(...bins);
    const bars = bins.map((n, i) => {
      const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
      const height = n ? Math.max((n / most) * 100, 3) : 0;
      const shape = { x: i + 0.1, width: 0.8, y: 100 - height, height };
      for (const [name, value] of Object.entries(shape)) bar.setAttribute(name, String(value));
      return bar;
    });
    byId("bars").setAttribute("viewBox", `0 0 ${BINS} 100`);
    byId("bars").replaceChildren(...bars, ...this.#line(low, high));
  }

  /** Where "beyond chance" begins: what is as near has about so high a score. @param {number} low @param {number} high */
  #line(low, high) {
    if (!this.beyond || this.beyond === this.scores.length) return [];
    const at = (this.scores[this.beyond - 1] + this.scores[this.beyond]) / 2;
    const line = document.createElementNS("http://www.w3.org/2000/svg", "line");
    const x = ((at - low) / (high - low)) * BINS;
    for (const [name, value] of Object.entries({ x1: x, x2: x, y1: 0, y2: 100 })) line.setAttribute(name, String(value));
    return [line];
  }

  #showCut() {
    const { cut } = this;
    const left = cut === null ? this.scores.length : this.scores.filter((score) => score >= cut).length;
    const text = cut === null ? "all" : scoreText(cut);
    const share = (Number(this.slider.value) - Number(this.slider.min)) / (this.slider.max - this.slider.min);
    byId("bars").childNodes.forEach((/** @type {Element} */ bar, /** @type {number} */ i) => {
      bar.classList.toggle("off", cut !== null && (i + 0.5) / BINS < share);
    });
    byId("cut-value").textContent = cut === null ? "" : text;
    byId("cut-count").textContent =
      cut === null ? "Move the slider to leave out what is less alike." : `${number(left)} of ${counted(this.scores.length, "match", "matches")}`;
    this.slider.setAttribute("aria-valuetext", cut === null ? "nothing is left out" : `at least ${text}: ${left} of ${this.scores.length}`);
  }
}
