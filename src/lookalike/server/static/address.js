/** The state of the page in its address, so that a search can be kept, shared and gone back to. */
import { canBeCut, term } from "./query.js";

/**
 * @typedef {import("./filters.js").Filters} Filters
 * @typedef {Filters & {terms: import("./query.js").Term[], cut: number | null} & import("./feed.js").How} State
 */

const TERM = /^(?:(\d*\.?\d+)\*)?(?:(id|image):([\w-]+)(?:@([\d.]+),([\d.]+),([\d.]+),([\d.]+))?|text:(.+))$/s;
const KNOWN = { plus: 1, minus: -1 };
const PARTS = { images: { regions: true }, query: { crops: true } };

/**
 * @param {string} search such as "?plus=id:42&label=cats"
 * @returns {State}
 */
export function read(search) {
  /** @type {State} */
  const state = { terms: [], labels: [], under: null, where: {}, cut: null, refine: false, regions: false, crops: false };
  for (const [name, value] of new URLSearchParams(search)) {
    if (name === "plus" || name === "minus") readTerm(state, KNOWN[name], value);
    else if (name === "label") state.labels.push(value);
    else if (name === "under") state.under = value;
    else if (name === "where") readCondition(state, value);
    else if (name === "order") state.refine = value === "kind";
    else if (name === "parts") Object.assign(state, PARTS[/** @type {keyof PARTS} */ (value)]);
    else if (name === "cut" && Math.abs(Number(value)) <= 1) state.cut = Number(value);
  }
  return state.refine ? { ...state, regions: false, crops: false } : state;
}

/** @param {State} state */
export function write({ terms, labels, under, where, cut, refine, regions, crops }) {
  const parameters = [
    ...terms.map((each) => [each.sign > 0 ? "plus" : "minus", termText(each)]),
    ...labels.map((label) => ["label", label]),
    ...(under === null ? [] : [["under", under]]),
    ...Object.entries(where).flatMap(([name, values]) => values.map((value) => ["where", condition(name, value)])),
    ...(refine && terms.length ? [["order", "kind"]] : []),
    ...(regions && terms.length ? [["parts", "images"]] : []),
    ...(crops && canBeCut(terms) ? [["parts", "query"]] : []),
    ...(cut === null ? [] : [["cut", String(cut)]]),
  ];
  const readable = (/** @type {string} */ text) => encodeURIComponent(text).replace(/%3A|%2C|%2F|%40|%2A/gi, decodeURIComponent);
  return parameters.length ? `?${parameters.map((each) => each.map(readable).join("=")).join("&")}` : "/";
}

/** @param {string} name @param {string | number} value */
function condition(name, value) {
  return `${name}=${JSON.stringify(value)}`;
}

/** @param {import("./query.js").Term} each */
function termText({ kind, value, weight, region }) {
  const part = region ? `@${region.map((share) => Number(share.toFixed(4))).join(",")}` : "";
  return `${weight === 1 ? "" : `${weight}*`}${kind}:${value}${part}`;
}

/** @param {State} state @param {number} sign @param {string} value */
function readTerm(state, sign, value) {
  const found = TERM.exec(value);
  if (!found) return;
  const [, weight, kind, name, ...rest] = found;
  if (kind === "id" && !/^\d{1,15}$/.test(name)) return;
  const more = { sign, weight: Number(weight ?? 1) || 1, region: rest[0] === undefined ? null : regionOf(rest.slice(0, 4).map(Number)) };
  state.terms.push(kind ? term(/** @type {any} */ (kind), name, /** @type {any} */ (more)) : term("text", rest[4], /** @type {any} */ (more)));
}

/** The part of an image, or null if there is no such part; what rounding has added is taken off. @param {number[]} shares */
function regionOf([x, y, width, height]) {
  const [across, down] = [Math.min(width, 1 - x), Math.min(height, 1 - y)];
  return across > 0 && down > 0 && width - across < 0.001 && height - down < 0.001 ? [x, y, across, down] : null;
}

/** @param {State} state @param {string} text */
function readCondition(state, text) {
  const at = text.indexOf("=");
  try {
    const value = JSON.parse(text.slice(at + 1));
    const isValue = typeof value === "string" || typeof value === "number";
    if (at > 0 && isValue) (state.where[text.slice(0, at)] ??= []).push(value);
  } catch {
    // Somebody has changed the address; what cannot be read is left out.
  }
}
