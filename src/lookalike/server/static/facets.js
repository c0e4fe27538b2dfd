/** Labels, folders and attributes as chips with their counts, each of which filters. */
import { nameAndFolder, number } from "./counts.js";
import { byId, make } from "./element.js";
import { canFilter, has } from "./filters.js";

const FIRST = 10; // values that are shown before "more"
const SOME = 20; // matches that count about as much as the best one when values are put in order

/**
 * @typedef {{kind: "label" | "folder" | "attribute", name: string, values: Map<any, number>}} Group
 */

export class Facets {
  /** @param {{onToggle: (kind: Group["kind"], name: string, value: any) => void}} listener */
  constructor({ onToggle }) {
    this.onToggle = onToggle;
    /** @type {Set<string>} */ this.open = new Set();
    this.signature = "";
    /** @type {[Group[], import("./filters.js").Filters, string] | null} */ this.last = null; // what was shown
  }

  /** @param {Group[]} groups @param {import("./filters.js").Filters} filters @param {string} note what is counted */
  show(groups, filters, note) {
    this.last = [groups, filters, note];
    const shown = groups.filter(isCategory).map((group) => withChosen(group, filters)).filter((group) => group.values.size > 0);
    byId("facets").hidden = shown.length === 0;
    byId("facets-note").textContent = note;
    const signature = JSON.stringify([shown.map(({ kind, name, values }) => [kind, name, [...values.keys()]]), [...this.open]]);
    if (signature !== this.signature) {
      const held = document.activeElement?.closest?.(".facet, .more")?.getAttribute("data-key");
      byId("facet-groups").replaceChildren(...shown.map((group) => this.#group(group)));
      if (held) byId("facet-groups").querySelector(`[data-key="${CSS.escape(held)}"]`)?.focus();
    }
    this.signature = signature;
    for (const group of shown) this.#count(group, filters);
  }

  /** @param {Group} group */
  #group({ kind, name, values }) {
    const key = `${kind} ${name}`;
    const title = { label: "Labels", folder: "Folders", attribute: name }[kind];
    const isOpen = this.open.has(key) || values.size <= FIRST + 2;
    const chips = [...values.keys()].slice(0, isOpen ? Infinity : FIRST).map((value) => this.#chip(kind, name, value));
    const more = make("button", { type: "button", class: "more link", "data-key": `more ${key}`, text: `${values.size - FIRST} more` });
    more.addEventListener("click", () => {
      this.open.add(key);
      if (this.last) this.show(...this.last);
    });
    const list = make("div", { class: "chips-of" }, ...chips, isOpen ? null : more);
    return make("fieldset", { class: "group", "data-group": key }, make("legend", {}, make("bdi", { text: title })), list);
  }

  /** @param {Group["kind"]} kind @param {string} name @param {any} value */
  #chip(kind, name, value) {
    const text = kind === "folder" ? folderText(String(value)) : String(value);
    const properties = { type: "button", class: "facet", "data-value": value, "data-key": `${kind} ${name} ${value}`, title: String(value) };
    const chip = make("button", properties, make("bdi", { text }), make("span", { class: "count" }));
    chip.addEventListener("click", () => this.onToggle(kind, name, value));
    return chip;
  }

  /** @param {Group} group @param {import("./filters.js").Filters} filters */
  #count({ kind, name, values }, filters) {
    const group = byId("facet-groups").querySelector(`[data-group="${CSS.escape(`${kind} ${name}`)}"]`);
    const chips = [...group.querySelectorAll(".facet")];
    [...values].slice(0, chips.length).forEach(([value, images], i) => {
      chips[i].setAttribute("aria-pressed", String(has(filters, kind, name, value)));
      chips[i].classList.toggle("none", images === 0);
      chips[i].querySelector(".count").textContent = number(images);
    });
  }
}

/** The groups of a collection's facets. @param {any} facets */
export function groupsOf({ labels, folders, attributes }) {
  const values = (/** @type {any[]} */ counts) =>
    new Map(counts.filter(({ value }) => value !== null && value !== "").map(({ value, images }) => [value, images]));
  return [
    group("label", "", values(labels)),
    group("folder", "", values(folders)),
    ...Object.keys(attributes).filter(canFilter).map((name) => group("attribute", name, values(attributes[name]))),
  ];
}

/**
 * The groups of some matches, best first. The values that the best have come first, and stay in place when fewer are
 * counted.
 * @param {import("./images.js").Image[]} images
 * @param {(image: import("./images.js").Image) => boolean} isCounted
 */
export function groupsAmong(images, isCounted) {
  const groups = [group("label", "", new Map()), group("folder", "", new Map())];
  /** @type {Map<string, Group>} */
  const attributes = new Map();
  for (const [place, image] of images.entries()) {
    const one = isCounted(image) ? 1 : 0;
    if (image.label) add(groups[0], image.label, one, place);
    const [, folder] = nameAndFolder(image.key);
    if (folder) add(groups[1], folder, one, place);
    for (const [name, value] of Object.entries(image.attributes)) {
      if (value === null || !canFilter(name)) continue;
      if (!attributes.has(name)) attributes.set(name, group("attribute", name, new Map()));
      add(/** @type {Group} */ (attributes.get(name)), value, one, place);
    }
  }
  return [...groups, ...attributes.values()].map(sorted);
}

/** @param {any} given */
function sorted({ kind, name, values, weights }) {
  return group(kind, name, new Map([...values].sort(([a], [b]) => weights.get(b) - weights.get(a))));
}

/** @param {any} into @param {any} value @param {number} one @param {number} place among the matches */
function add(into, value, one, place) {
  into.values.set(value, (into.values.get(value) ?? 0) + one);
  into.weights.set(value, (into.weights.get(value) ?? 0) + 1 / (place + SOME));
}

/** @param {Group["kind"]} kind @param {string} name @param {Map<any, number>} values @returns {any} */
function group(kind, name, values) {
  return { kind, name, values, weights: new Map() };
}

/** Whether values are shared by several images; numbers that nearly all differ, such as prices, are no chips.
 * @param {Group} given */
function isCategory({ values }) {
  const most = Math.max(0, ...values.values());
  return values.size <= FIRST || most > 3 || ![...values.keys()].every((value) => typeof value === "number");
}

/** A group with the values that filter at the moment, even if nothing has them. @param {Group} given
 * @param {import("./filters.js").Filters} filters @returns {Group} */
function withChosen({ kind, name, values }, filters) {
  const chosen = { label: filters.labels, folder: filters.under === null ? [] : [filters.under], attribute: filters.where[name] ?? [] }[kind];
  const all = new Map(values);
  for (const value of chosen) if (!all.has(value)) all.set(value, 0);
  return { kind, name, values: all };
}

/** The end of a long folder. @param {string} folder */
function folderText(folder) {
  const parts = folder.split("/");
  return parts.length > 2 ? `…/${parts.slice(-2).join("/")}` : folder;
}
