/** What chance tells of matches, and how probable it is that their label is the query's. */
import { number } from "./counts.js";
import { byId } from "./element.js";

/** @typedef {import("./images.js").Image} Image */

const BEYOND = 0.1; // so many expected as near by chance, or fewer, are beyond it
const NEAR = 1;
const RATHER = 0.5; // the probability from which on it is told that a match is a copy

/** "beyond chance", "near chance", or "" for what any query finds, or where nobody can tell. @param {Image} image */
export function chanceText({ expected }) {
  if (typeof expected !== "number" || expected > NEAR) return "";
  return expected <= BEYOND ? "beyond chance" : "near chance";
}

/** "same label as the query: 83 %", or "" where that is not known. @param {Image} image */
export function probabilityText({ probability }) {
  if (typeof probability !== "number") return "";
  return `same label as the query: ${Math.min(Math.max(Math.round(100 * probability), 1), 99)} %`;
}

/** "a copy: 97 %" of what is rather an edited copy of the query, or the query of it, than not; else "". @param {Image} image */
export function copyText({ copy_probability: share }) {
  if (typeof share !== "number" || share < RATHER) return "";
  return `a copy: ${Math.min(Math.round(100 * share), 99)} %`;
}

/** How many matches are beyond chance. @param {Image[]} images */
export function countBeyond(images) {
  return images.filter(({ expected }) => typeof expected === "number" && expected <= BEYOND).length;
}

/** Says so where chance finds as near ones as each match. @param {Image[]} images */
export function showChance(images) {
  byId("chance").hidden = !images.length || !images.every(({ expected }) => typeof expected === "number" && expected > NEAR);
}

/** Says what the line in the histogram is. @param {Image[]} images @param {number} beyond */
export function explainLine(images, beyond) {
  const isKnown = images.some(({ expected }) => typeof expected === "number");
  byId("cut-chance").hidden = !isKnown || beyond === 0;
  byId("cut-chance").textContent =
    beyond === images.length ? "All of them are beyond chance." : `Right of the line: ${number(beyond)} beyond chance.`;
}
