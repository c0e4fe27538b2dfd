/** The order of the matches: by their likeness to the query, or by what the nearest of them have in common. */
import { byId } from "./element.js";
import { isComplete } from "./query.js";

const HINTS = {
  near: "The best for finding one particular picture.",
  kind: "The best for finding things of a kind; pictures that may be copies stay first.",
};

export class Order {
  /** @param {(refine: boolean) => void} onChoose */
  constructor(onChoose) {
    byId("order-near").addEventListener("click", () => onChoose(false));
    byId("order-kind").addEventListener("click", () => onChoose(true));
  }

  /** Shows which order it is, if there is something to be ordered. @param {import("./address.js").State} state */
  show({ terms, refine }) {
    byId("order").hidden = !isComplete(terms);
    byId("order-near").setAttribute("aria-pressed", String(!refine));
    byId("order-kind").setAttribute("aria-pressed", String(refine));
    byId("order-hint").textContent = refine ? HINTS.kind : HINTS.near;
  }
}
