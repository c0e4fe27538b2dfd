/** The query image beside the grid, on which a part can be chosen. */
import { termImage } from "./box.js";
import { byId } from "./element.js";
import { frame } from "./parts.js";
import { isSame } from "./query.js";
import { inWords, RegionTool } from "./region.js";

/** @typedef {import("./query.js").Term} Term */

export class QueryPanel {
  /** @param {{onRegion: (term: Term, region: import("./query.js").Region | null) => void}} listener */
  constructor({ onRegion }) {
    /** @type {Term | null} */ this.term = null;
    this.key = "";
    const done = (/** @type {any} */ region) => this.term && onRegion(this.term, region);
    this.tool = new RegionTool(byId("stage"), byId("region"), done);
    byId("whole").addEventListener("click", () => {
      done(null);
      byId("stage").focus();
    });
    byId("stage-image").addEventListener("error", () => this.#cannotShow(true));
    byId("stage-image").addEventListener("load", () => this.#cannotShow(false));
  }

  /** Shows one of the query's images: the one that is wanted, the one that was there, or the first. @param {Term[]} terms
   * @param {Term | null} [wanted] */
  show(terms, wanted = null) {
    const images = terms.filter((each) => each.kind !== "text");
    const same = (/** @type {Term | null} */ one) => one && images.find((each) => isSame(each, one));
    this.term = same(wanted) ?? same(this.term) ?? images[0] ?? null;
    byId("query-panel").hidden = !this.term;
    if (!this.term) {
      this.key = "";
      return;
    }
    this.tool.show(this.term.region);
    byId("whole").hidden = !this.term.region;
    byId("query-title").textContent = this.term.sign < 0 ? "Unlike this" : this.term.region ? "Part of the query" : "Query";
    if (this.key !== `${this.term.kind}:${this.term.value}`) void this.#showImage(this.term);
  }

  /** Frames the part of the query that a match is like, or nothing. @param {import("./parts.js").Part} [part] */
  point(part) {
    const shown = byId("stage-image");
    frame(byId("stage-part"), part, shown.naturalWidth, shown.naturalHeight);
  }

  /** @param {Term} each */
  async #showImage(each) {
    const key = (this.key = `${each.kind}:${each.value}`);
    const { name, source, image } = await termImage(each, 512).catch(() => ({ name: "", source: null, image: null }));
    if (this.key !== key) return;
    const shown = byId("stage-image");
    if (image?.width) [shown.width, shown.height] = [image.width, image.height];
    else ["width", "height"].forEach((side) => shown.removeAttribute(side));
    if (source) shown.src = source;
    else byId("query-panel").hidden = true;
    byId("stage-name").textContent = name;
    const part = each.region ? `, the part ${inWords(each.region)}` : "";
    byId("stage").setAttribute("aria-label", `The query image ${name}${part}`);
  }

  /** @param {boolean} isSo */
  #cannotShow(isSo) {
    byId("stage").hidden = isSo;
    byId("stage-help").hidden = isSo;
    byId("stage-none").hidden = !isSo;
  }
}
