/** Takes images and texts however they come: dropped, pasted, chosen, photographed, typed. */
import { tell } from "./announcer.js";
import { byId } from "./element.js";
import { term } from "./query.js";
import { shrink } from "./shrink.js";
import { keep } from "./uploads.js";

const MOST = 10; // at once
const IMAGE = /\.(jpe?g|png|gif|webp|tiff?|bmp|avif|heic|heif|p[bgnp]m)$/i;

/** @typedef {{onTerms: (terms: import("./query.js").Term[], isAdded: boolean) => void, takesText: () => boolean,
 *   hasQuery: () => boolean, limit: () => number}} Listener */

export class Intake {
  /** @param {Listener} listener */
  constructor(listener) {
    this.listener = listener;
    this.depth = 0; // of what the pointer has entered while something is dragged
    this.#buttons();
    byId("box").addEventListener("submit", (/** @type {Event} */ event) => this.#typed(event));
    addEventListener("paste", (event) => this.#pasted(event));
    this.#dropping();
  }

  /** @param {Iterable<File>} files @param {boolean} isAdded to the query, or a new one */
  async take(files, isAdded) {
    const images = [...files].filter((file) => file.type.startsWith("image/") || IMAGE.test(file.name)).slice(0, MOST);
    if (!images.length) return void tell("That is no image. Drop the file of an image.");
    const terms = [];
    for (const file of images) {
      const blob = await shrink(file);
      if (blob.size > this.listener.limit()) tell(`${file.name} is larger than the service takes. Make it smaller first.`);
      else terms.push(term("image", (await keep(blob, file.name || "pasted image")).key));
    }
    if (terms.length) this.listener.onTerms(terms, isAdded);
  }

  #buttons() {
    for (const [button, input] of [["choose", "file"], ["invite", "file"], ["photograph", "camera"]]) {
      byId(button).addEventListener("click", () => byId(input).click());
    }
    for (const id of ["file", "camera"]) {
      byId(id).addEventListener("change", async () => {
        const files = [...byId(id).files];
        byId(id).value = "";
        if (files.length) await this.take(files, true);
      });
    }
  }

  /** @param {Event} event */
  #typed(event) {
    event.preventDefault();
    const text = byId("text").value.trim();
    if (!text || !this.listener.takesText()) return;
    byId("text").value = "";
    this.listener.onTerms([term("text", text)], true);
  }

  /** @param {ClipboardEvent} event */
  #pasted(event) {
    if (document.querySelector("dialog[open]")) return;
    const target = /** @type {Element} */ (event.target);
    const isAdded = Boolean(target.closest?.("#box"));
    const files = event.clipboardData?.files;
    if (files?.length) {
      event.preventDefault();
      void this.take(files, isAdded);
      return;
    }
    const text = event.clipboardData?.getData("text").trim();
    if (!text || target.closest?.("input, textarea")) return;
    event.preventDefault();
    if (this.listener.takesText()) this.listener.onTerms([term("text", text.slice(0, 1000))], isAdded);
    else tell("This collection is searched by images: paste one.");
  }

  #dropping() {
    addEventListener("dragenter", (event) => this.#dragged(event, 1));
    addEventListener("dragleave", (event) => this.#dragged(event, -1));
    addEventListener("dragover", (event) => {
      if (!isOffered(event)) return;
      event.preventDefault();
      const isOver = /** @type {any} */ (event.target).closest?.("#drop-add, #box");
      byId("drop-add").classList.toggle("over", Boolean(isOver));
      byId("drop-new").classList.toggle("over", !isOver);
    });
    addEventListener("drop", (event) => {
      event.preventDefault();
      this.#end();
      const isAdded = Boolean(/** @type {any} */ (event.target).closest?.("#drop-add, #box"));
      const files = event.dataTransfer?.files;
      if (files?.length) void this.take(files, isAdded);
      else tell("Only files can be dropped here: this page never fetches addresses. Save the image first, or copy it.");
    });
  }

  /** @param {DragEvent} event @param {number} step */
  #dragged(event, step) {
    if (!isOffered(event)) return;
    event.preventDefault();
    this.depth = Math.max(this.depth + step, 0);
    byId("drop").hidden = this.depth === 0;
    byId("drop-add").hidden = !this.listener.hasQuery();
  }

  #end() {
    this.depth = 0;
    byId("drop").hidden = true;
  }
}

/** Whether what is dragged comes from outside. @param {DragEvent} event */
function isOffered(event) {
  const types = event.dataTransfer?.types ?? [];
  return types.includes("Files") || types.includes("text/uri-list");
}
