/** The switch that says whether copies are shown as one, which the browser remembers. */
import { byId } from "./element.js";

const NAME = "copies"; // in the storage of the browser
const EACH = "each";

export class CopiesSwitch {
  /** @param {() => void} onChange */
  constructor(onChange) {
    this.box = byId("as-one");
    this.box.checked = remembered() !== EACH;
    this.box.addEventListener("change", () => {
      remember(this.isOn ? "one" : EACH);
      onChange();
    });
  }

  /** Whether copies are shown as one. @returns {boolean} */
  get isOn() {
    return this.box.checked;
  }
}

function remembered() {
  try {
    return localStorage.getItem(NAME);
  } catch {
    return null;
  }
}

/** @param {string} choice */
function remember(choice) {
  try {
    localStorage.setItem(NAME, choice);
  } catch {
    // Storage may be forbidden; then the choice lasts as long as the page.
  }
}
