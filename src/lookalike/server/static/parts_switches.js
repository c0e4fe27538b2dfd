/** The switches that say whether parts of the images, and of the query, are compared, too. */
import { byId } from "./element.js";
import { canBeCut, isComplete } from "./query.js";

export class PartsSwitches {
  /** @param {(changes: {regions?: boolean, crops?: boolean}) => void} onChange */
  constructor(onChange) {
    byId("parts-images").addEventListener("change", () => onChange({ regions: byId("parts-images").checked }));
    byId("parts-query").addEventListener("change", () => onChange({ crops: byId("parts-query").checked }));
  }

  /** Shows what can be chosen, and what is. @param {import("./address.js").State} state
   * @param {boolean} hasRegions whether the collection keeps vectors of parts */
  show({ terms, regions, crops }, hasRegions) {
    const [ofImages, ofQuery] = [isComplete(terms) && hasRegions, canBeCut(terms)];
    byId("parts").hidden = !ofImages && !ofQuery;
    byId("parts-images").parentElement.hidden = !ofImages;
    byId("parts-query").parentElement.hidden = !ofQuery;
    byId("parts-images").checked = regions;
    byId("parts-query").checked = crops;
  }
}
