/** What keys do: on the images, and everywhere. */

const WAYS = /** @type {const} */ ({
  ArrowLeft: "left", ArrowRight: "right", ArrowUp: "up", ArrowDown: "down", PageUp: "pageup", PageDown: "pagedown",
});

/**
 * @typedef {import("./folding.js").Item} Item
 * @typedef {{large: (item: Item) => void, feedback: (item: Item, sign: 1 | -1) => void, pick: (item: Item) => void,
 *   range: (place: number) => void, all: () => void, escape: () => boolean, query: () => void, help: () => void}} Actions
 */

/**
 * @param {import("./grid.js").Grid} grid
 * @param {Actions} actions
 */
export function listenToKeys(grid, actions) {
  grid.root.addEventListener("keydown", (event) => {
    if (onImages(grid, actions, event)) event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    if (!event.defaultPrevented && anywhere(actions, event)) event.preventDefault();
  });
}

/** @param {import("./grid.js").Grid} grid @param {Actions} actions @param {KeyboardEvent} event */
function onImages(grid, actions, event) {
  const target = /** @type {HTMLElement} */ (event.target);
  const item = grid.itemOf(target);
  if (!item) return false;
  const place = grid.placeOf(item.image.id);
  if (event.ctrlKey || event.metaKey || event.altKey) return event.key === "a" && !event.altKey && done(actions.all());
  const to = target_(grid, place, event.key);
  if (to !== null) return done(event.shiftKey && actions.range(to), grid.focus(to));
  if (event.key === " ") return target.matches(".alike") && done(actions.large(item));
  if (event.key === "+" || event.key === "=") return done(actions.feedback(item, 1));
  if (event.key === "-") return done(actions.feedback(item, -1));
  return event.key.toLowerCase() === "x" && done(actions.pick(item));
}

/** Where a key leads from a place, or null. @param {import("./grid.js").Grid} grid @param {number} place @param {string} key */
function target_(grid, place, key) {
  if (key === "Home") return 0;
  if (key === "End") return grid.items.length - 1;
  const way = WAYS[/** @type {keyof typeof WAYS} */ (key)];
  return way ? grid.neighbour(place, way) : null;
}

/** @param {Actions} actions @param {KeyboardEvent} event */
function anywhere(actions, event) {
  const isTyping = /** @type {Element} */ (event.target).matches?.("input:not([type=checkbox], [type=range]), textarea, select");
  if (isTyping || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return false;
  if (event.key === "/") return done(actions.query());
  if (event.key === "?") return done(actions.help());
  return event.key === "Escape" && actions.escape();
}

/** True, after something was done. @param {...any} _ */
function done(..._) {
  return true;
}
