/** A group of copies on the page: the image to keep first, then its copies with their reasons. */
import { counted, nameAndFolder } from "./counts.js";
import { make } from "./element.js";
import { ratioOf, srcset, thumbnail } from "./images.js";

/**
 * @typedef {import("./images.js").Image & {decision: import("./decisions.js").Decision}} Decided
 * @typedef {Decided & {grade: string, agreement: number, probability: number | null, reason: string}} Copy
 * @typedef {{keep: Decided, why: string, copies: Copy[]}} Group
 * @typedef {{decide: (ids: number[], decision: import("./decisions.js").Decision) => void,
 *   look: (group: Group, copy: Copy) => void, canDecide: boolean}} Acts what the widgets of a group do
 */

const CERTAIN = 0.995; // a probability that rounds to 100 %
const SIDE = 240; // pixels of the page, the height of an image
const NAMES = /** @type {const} */ ({ marked: "Marked as a copy", kept: "Kept" });

/** @param {Group} group @param {number} place from 1 @param {Acts} acts */
export function groupElement(group, place, acts) {
  const id = `group-${group.keep.id}`;
  const all = group.copies.map((copy) => copy.id);
  return make(
    "section",
    { class: "copies-of", "aria-labelledby": id },
    make(
      "div",
      { class: "group-head" },
      make("h2", { id, text: `${place}. ${counted(group.copies.length, "copy", "copies")}` }),
      acts.canDecide ? make("button", { type: "button", class: "quiet", text: "Mark as suggested", click: () => acts.decide(all, "marked") }) : null,
    ),
    make("div", { class: "row", role: "list" }, keepElement(group, acts), ...group.copies.map((copy) => copyElement(group, copy, acts))),
  );
}

/** @param {Group} group @param {Acts} acts */
function keepElement({ keep, why }, acts) {
  return imageElement(keep, acts, make("p", { class: "grade" }, make("strong", { text: "Keep" }), why ? `, ${why}` : ""), null);
}

/** @param {Group} group @param {Copy} copy @param {Acts} acts */
function copyElement(group, copy, acts) {
  const sure = copy.grade.startsWith("same ") && copy.agreement === 1 ? "" : ` ${copy.agreement.toFixed(2)}`;
  const isDoubtful = copy.grade === "edited copy" && copy.probability !== null && copy.probability < CERTAIN;
  const doubt = isDoubtful ? `, ${Math.round(100 * (copy.probability ?? 0))} % probable` : "";
  const told = make("p", { class: "grade" }, make("strong", { text: copy.grade }), sure, doubt);
  return imageElement(copy, acts, told, () => acts.look(group, copy));
}

/** @param {Decided & {reason?: string}} image @param {Acts} acts @param {Node} told @param {(() => void) | null} look */
function imageElement(image, acts, told, look) {
  const [name, folder] = nameAndFolder(image.key);
  const picture = make("img", { alt: image.key, loading: "lazy", decoding: "async", draggable: "false", sizes: `${Math.round(SIDE * ratioOf(image))}px`, width: image.width || 1, height: image.height || 1 });
  picture.srcset = srcset(image);
  picture.src = thumbnail(image, 2 * SIDE);
  picture.addEventListener("error", () => picture.replaceWith(make("span", { class: "failed", text: "Its file is gone or has changed" })), { once: true });
  return make(
    "div",
    { class: "copy", role: "listitem", tabindex: "-1", "data-id": image.id },
    look ? make("button", { type: "button", class: "picture", tabindex: "-1", title: "Compare (Space)", click: look }, picture) : make("div", { class: "picture" }, picture),
    told,
    make("p", { class: "name", title: image.key }, make("bdi", { text: name })),
    make("p", { class: "hint", text: [folder, `${image.width} × ${image.height}`].filter(Boolean).join(" · ") }),
    image.reason ? make("p", { class: "reason hint", text: image.reason }) : null,
    acts.canDecide ? deciding(image, acts) : null,
  );
}

/** @param {Decided} image @param {Acts} acts */
function deciding({ id, key }, { decide }) {
  const button = (/** @type {"marked" | "kept"} */ decision, /** @type {string} */ text, /** @type {string} */ what) =>
    make("button", { type: "button", class: "facet", tabindex: "-1", "data-decision": decision, "aria-pressed": "false", "aria-label": `${what}: ${key}`, text, click: (/** @type {Event} */ event) => decide([id], /** @type {any} */ (event.currentTarget).getAttribute("aria-pressed") === "true" ? null : decision) });
  return make("div", { class: "deciding", role: "group" }, button("marked", "Mark", "Mark as a copy"), button("kept", "Keep", "Keep"));
}

/** Shows what is decided on an image. @param {any} element of the image @param {import("./decisions.js").Decision} decision */
export function showDecision(element, decision) {
  if (decision) element.dataset.decided = decision;
  else delete element.dataset.decided;
  for (const button of element.querySelectorAll(".deciding button")) button.setAttribute("aria-pressed", String(button.dataset.decision === decision));
  element.setAttribute("aria-description", decision ? NAMES[decision] : "");
}
