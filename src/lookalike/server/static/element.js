/** Finds and makes elements; text is only ever set as text, never as markup. */

/**
 * The element with an id, which the page has.
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  return document.getElementById(id);
}

/**
 * Makes an element.
 * @param {string} tag
 * @param {Record<string, any>} [properties] attributes; a function is a listener of that name, `text` the contents
 * @param {...(Node|string|null)} children
 * @returns {any}
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "text") element.textContent = value;
    else if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, String(value));
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/**
 * An icon of the page's symbols.
 * @param {string} name
 */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/**
 * A button with an icon.
 * @param {string} name of the icon
 * @param {string} label
 * @param {(event: MouseEvent) => void} onClick
 * @param {string} [kind] its classes
 */
export function iconButton(name, label, onClick, kind = "icon") {
  return make("button", { type: "button", class: kind, "aria-label": label, title: label, click: onClick }, icon(name));
}
