/** Says what has happened: to screen readers always, and to everybody for a few seconds where nothing else shows it. */
import { byId } from "./element.js";

const SHOWN_MS = 3500;
let timer = 0;

/**
 * Tells screen readers, when they have finished what they are saying.
 * @param {string} text
 */
export function announce(text) {
  const live = byId("live");
  live.textContent = "";
  requestAnimationFrame(() => (live.textContent = text));
}

/**
 * Shows a line for a few seconds, too.
 * @param {string} text
 */
export function tell(text) {
  const toast = byId("toast");
  toast.textContent = text;
  toast.classList.add("shown");
  clearTimeout(timer);
  timer = window.setTimeout(() => toast.classList.remove("shown"), SHOWN_MS);
  announce(text);
}
