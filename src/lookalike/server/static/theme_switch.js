/** The button that goes through the themes: the system's, light, dark. */
import { byId } from "./element.js";

const NEXT = /** @type {const} */ ({ system: "light", light: "dark", dark: "system" });
const NAMES = /** @type {const} */ ({ system: "as the system", light: "light", dark: "dark" });

export function setUpThemes() {
  show();
  byId("theme").addEventListener("click", () => {
    choose(NEXT[current()]);
    show();
  });
}

/** @typedef {keyof typeof NEXT} Theme */

/** @returns {Theme} */
function current() {
  const chosen = document.documentElement.dataset.theme;
  return chosen === "light" || chosen === "dark" ? chosen : "system";
}

/** @param {Theme} theme */
function choose(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("theme", theme);
  } catch {
    // Storage may be forbidden; then the choice lasts as long as the page.
  }
}

function show() {
  const theme = current();
  const label = `Theme: ${NAMES[theme]}; switch to ${NAMES[NEXT[theme]]}`;
  byId("theme").setAttribute("aria-label", label);
  byId("theme").title = label;
  byId("theme").querySelector("use").setAttribute("href", `#i-${theme}`);
}
