/** Shows a copy large beside the image that is to be kept. */
import { byId } from "./element.js";
import { thumbnail } from "./images.js";

const SIDE = 1024; // pixels

export function setUpPairViewer() {
  byId("pair-close").addEventListener("click", () => byId("pair").close());
  byId("pair").addEventListener("click", (/** @type {Event} */ event) => event.target === byId("pair") && byId("pair").close());
}

/** @param {import("./copy_group.js").Group} group @param {import("./copy_group.js").Copy} copy */
export function showPair({ keep }, copy) {
  for (const [name, image] of /** @type {const} */ ([["keep", keep], ["copy", copy]])) {
    byId(`pair-${name}`).src = thumbnail(image, SIDE);
    byId(`pair-${name}`).alt = image.key;
    byId(`pair-${name}-name`).textContent = `${image.key} · ${image.width} × ${image.height}`;
  }
  byId("pair-reason").textContent = copy.reason;
  byId("pair").showModal();
}
