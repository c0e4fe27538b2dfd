/** A tile of the grid: an image with its true ratio, what is known of it, and what can be done with it. */
import { chanceText } from "./chance.js";
import { counted, nameAndFolder, scoreText } from "./counts.js";
import { byId } from "./element.js";
import { srcset, thumbnail } from "./images.js";
import { frame, partText } from "./parts.js";

const RETRY_MS = 2500;

/**
 * @typedef {{item: import("./folding.js").Item, width: number, height: number, column: number,
 *   hasQuery: boolean, picked: import("./selection.js").Share, sign: number, isUnfolded: boolean, isEager: boolean}} Shown
 */

/** @param {Shown} shown @returns {HTMLElement} */
export function makeTile(shown) {
  const tile = byId("tile-template").content.firstElementChild.cloneNode(true);
  const { image } = shown.item;
  tile.dataset.id = String(image.id);
  tile.setAttribute("aria-colindex", String(shown.column));
  tile.style.width = `${shown.width}px`;
  tile.firstElementChild.style.height = `${shown.height}px`;
  showImage(tile, shown);
  showFacts(tile, image);
  name(tile, shown.item);
  showState(tile, shown);
  return tile;
}

/** Shows what may change while a tile stays. @param {HTMLElement} tile
 * @param {Pick<Shown, "hasQuery" | "picked" | "sign" | "isUnfolded">} state */
export function showState(tile, { hasQuery, picked, sign, isUnfolded }) {
  const find = (/** @type {string} */ selector) => /** @type {any} */ (tile.querySelector(selector));
  tile.setAttribute("aria-selected", String(picked === "all"));
  find("input").checked = picked === "all";
  find("input").indeterminate = picked === "some";
  find(".minus").hidden = !hasQuery;
  find(".plus").setAttribute("aria-pressed", String(sign > 0));
  find(".minus").setAttribute("aria-pressed", String(sign < 0));
  find(".copies").setAttribute("aria-expanded", String(isUnfolded));
}

/** Makes a tile's widgets reachable with Tab, or not. @param {HTMLElement} tile @param {boolean} isActive */
export function setActive(tile, isActive) {
  for (const widget of tile.querySelectorAll("button, input")) /** @type {any} */ (widget).tabIndex = isActive ? 0 : -1;
}

/** @param {any} tile @param {Shown} shown */
function showImage(tile, { item, width, height, isEager }) {
  const image = tile.querySelector("img");
  const across = item.image.width && item.image.height ? [item.image.width, item.image.height] : [1, 1];
  [image.width, image.height] = across;
  if (isEager) image.loading = "eager";
  image.addEventListener("error", () => failed(image, item.image.key));
  image.sizes = `${Math.round(width)}px`;
  image.srcset = srcset(item.image);
  image.src = thumbnail(item.image, Math.max(width, height));
  frame(tile.querySelector(".part"), item.image.region, item.image.width, item.image.height);
}

/** Asks once more, since the service may have been busy; then the name stands in for the image.
 * @param {HTMLImageElement} image @param {string} key */
function failed(image, key) {
  if (!image.dataset.again) {
    image.dataset.again = "true";
    setTimeout(() => {
      image.srcset = image.srcset; // eslint-disable-line no-self-assign -- which loads it anew
    }, RETRY_MS);
    return;
  }
  image.hidden = true;
  const shown = /** @type {HTMLElement} */ (image.nextElementSibling);
  shown.textContent = nameAndFolder(key)[0];
  shown.hidden = false;
  image.closest(".picture")?.querySelector(".part")?.setAttribute("hidden", "");
}

/** @param {any} tile @param {import("./images.js").Image} image */
function showFacts(tile, image) {
  const [base] = nameAndFolder(image.key);
  if (image.score === undefined) tile.querySelector(".bar").hidden = true;
  else {
    tile.querySelector(".bar i").style.width = `${Math.max(image.score, 0) * 100}%`;
    tile.querySelector(".score").textContent = scoreText(image.score);
    tile.querySelector(".score").title = [chanceText(image), partText(image)].filter(Boolean).join(", ");
  }
  tile.querySelector(".label").textContent = image.label ?? "";
  tile.querySelector(".name bdi").textContent = base;
  tile.querySelector(".name").title = image.key;
  tile.querySelector(".facts").textContent = attributesText(image);
}

/** "2024 · red", with the names where there is room for them. @param {import("./images.js").Image} image */
export function attributesText({ attributes }) {
  return Object.entries(attributes)
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `${name} ${value}`)
    .join(" · ");
}

/** "3 identical files", "3 copies of one image". @param {import("./folding.js").Item} item */
export function foldText({ copies, isSameFile }) {
  return isSameFile ? counted(copies, "identical file") : `${counted(copies, "copy", "copies")} of one image`;
}

/** The names of a tile's widgets for those who do not see it. @param {any} tile @param {import("./folding.js").Item} item */
function name(tile, item) {
  const { image, copies } = item;
  const say = (/** @type {string} */ selector, /** @type {string} */ text, /** @type {boolean} */ shown = true) => {
    const widget = tile.querySelector(selector);
    widget.setAttribute("aria-label", text);
    if (shown) widget.title = text;
  };
  const facts = [image.key];
  if (image.score !== undefined) facts.push(`score ${scoreText(image.score)}`);
  facts.push(...[chanceText(image), partText(image)].filter(Boolean));
  if (image.label) facts.push(`label ${image.label}`);
  const [base] = nameAndFolder(image.key);
  tile.setAttribute("aria-label", image.key); // else it would be called what all of its buttons are called
  say(".alike", `More like ${facts.join(", ")}`, false);
  const others = item.images.length - 1;
  say(".pick input", `Select ${image.key}${others ? ` and ${counted(others, "copy", "copies")} of it` : ""}`, false);
  tile.querySelector(".pick").title = "Select (X)";
  say(".enlarge", `Enlarge ${base}`);
  say(".plus", `More like ${base}, beside the rest`);
  say(".minus", `Less like ${base}`);
  tile.querySelector(".copies").hidden = copies < 2;
  tile.querySelector(".copies span").textContent = String(copies);
  say(".copies", `${foldText(item)}: show each`);
}
