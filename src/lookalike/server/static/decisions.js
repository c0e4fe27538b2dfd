/** What is decided on copies: marked, kept, or nothing; sent to the service one after the other. */
import { post } from "./api.js";

/** @typedef {"marked" | "kept" | null} Decision */

export class Decisions {
  /** @param {(error: Error) => void} onFailure */
  constructor(onFailure) {
    /** @type {Map<number, Decision>} */ this.known = new Map();
    this.marked = 0; // of all images of the collection
    this.onFailure = onFailure;
    this.sent = Promise.resolve();
  }

  /** @param {number} id @returns {Decision} */
  of(id) {
    return this.known.get(id) ?? null;
  }

  /**
   * Decides at once; if the service does not take it, it is as before.
   * @param {number[]} ids
   * @param {Decision} decision
   * @param {() => void} show
   */
  decide(ids, decision, show) {
    const changed = ids.filter((id) => this.of(id) !== decision);
    if (!changed.length) return;
    const before = changed.map((id) => /** @type {const} */ ([id, this.of(id)]));
    for (const id of changed) this.#set(id, decision);
    show();
    this.sent = this.sent.then(async () => {
      try {
        await post("/v1/duplicates/decisions", { ids: changed, decision });
      } catch (error) {
        for (const [id, earlier] of before) this.#set(id, earlier);
        show();
        this.onFailure(/** @type {Error} */ (error));
      }
    });
  }

  /** @param {number} id @param {Decision} decision */
  #set(id, decision) {
    this.marked += Number(decision === "marked") - Number(this.of(id) === "marked");
    this.known.set(id, decision);
  }
}
