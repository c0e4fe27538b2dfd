/** The box of the query: a chip for each part of it, with its sign and its weight, and whatever is added. */
import { nameAndFolder } from "./counts.js";
import { byId, iconButton, make } from "./element.js";
import { imageOf, thumbnail } from "./images.js";
import { isSame, WEIGHTS } from "./query.js";
import { addressOf, find } from "./uploads.js";

const NAMES = new Map([[0.25, "¼"], [0.5, "½"]]);

/** @typedef {import("./query.js").Term} Term */

export class Box {
  /** @param {{onChange: (terms: Term[]) => void, onShow: (term: Term) => void}} listener */
  constructor({ onChange, onShow }) {
    this.onChange = onChange;
    this.onShow = onShow;
    /** @type {Term[]} */ this.terms = [];
    this.takesText = false;
    byId("clear").addEventListener("click", () => {
      onChange([]);
      this.focus();
    });
  }

  /** @param {boolean} takesText */
  offerText(takesText) {
    this.takesText = takesText;
    byId("text").hidden = !takesText;
    this.#invite();
  }

  focus() {
    byId(this.takesText ? "text" : "invite").focus();
  }

  /** @param {Term[]} terms */
  show(terms) {
    const chips = byId("chips");
    const held = chips.contains(document.activeElement) ? heldBy(document.activeElement) : null;
    const old = new Map([...chips.children].map((chip) => [chip.dataset.key, chip]));
    this.terms = terms;
    chips.replaceChildren(...terms.map((each) => this.#chip(each, old)));
    byId("clear").hidden = terms.length === 0;
    byId("box").classList.toggle("many", terms.length > 1);
    this.#invite();
    if (held) (chips.querySelector(`[data-key="${CSS.escape(held.key)}"] .${held.kind}`) ?? byId("clear")).focus?.();
  }

  #invite() {
    byId("invite").hidden = this.takesText;
    byId("invite").textContent = this.terms.length ? "Add an image" : "Drop, paste or choose an image";
    byId("text").placeholder = this.terms.length ? "Add a description" : "Describe it, or drop an image";
  }

  /** A chip, which keeps its image if the term was there. @param {Term} each @param {Map<string, any>} old */
  #chip(each, old) {
    const key = `${each.kind}:${each.value}`;
    const kept = old.get(key);
    const chip = make("li", { class: "chip", "data-key": key, "data-kind": each.kind, "data-sign": each.sign > 0 ? "plus" : "minus" });
    chip.append(kept?.querySelector(".show, .words") ?? this.#face(chip, each), this.#sign(each), this.#weight(each), this.#remove(each));
    chip.classList.toggle("cropped", Boolean(each.region));
    this.#name(chip, kept?.dataset.name ?? defaultName(each));
    return chip;
  }

  /** @param {any} chip @param {Term} each */
  #face(chip, each) {
    if (each.kind === "text") return make("bdi", { class: "words", text: each.value });
    const image = make("img", { alt: "", draggable: "false" });
    const show = make("button", { type: "button", class: "show" }, image);
    show.addEventListener("click", () => this.onShow(this.terms.find((other) => isSame(other, each)) ?? each));
    image.addEventListener("error", () => show.classList.add("blank"));
    void termImage(each, 128)
      .then(({ name, source }) => {
        if (source) image.src = source;
        else show.classList.add("blank");
        this.#name(show.closest(".chip") ?? chip, name);
      })
      .catch(() => show.classList.add("blank"));
    return show;
  }

  /** Names a chip's widgets. @param {any} chip @param {string} name */
  #name(chip, name) {
    chip.dataset.name = name;
    const like = chip.dataset.sign === "plus" ? "like" : "unlike";
    const labels = { ".show": `Show ${name}`, ".sign": `Counts as ${like}: ${name}`, ".weight": `Weight of ${name}`, ".remove": `Remove ${name}` };
    for (const [selector, label] of Object.entries(labels)) {
      const widget = chip.querySelector(selector);
      widget?.setAttribute("aria-label", label);
      if (widget) widget.title = label;
    }
  }

  /** @param {Term} each */
  #sign(each) {
    const turned = () => this.#with(each, { sign: each.sign > 0 ? -1 : 1 });
    return iconButton(each.sign > 0 ? "plus" : "minus", "", turned, "sign");
  }

  /** @param {Term} each */
  #weight(each) {
    const values = [...new Set([...WEIGHTS, each.weight])].sort((a, b) => a - b);
    const options = values.map((value) => make("option", { value, selected: value === each.weight, text: `×${NAMES.get(value) ?? value}` }));
    const choice = make("select", { class: "weight" }, ...options);
    choice.addEventListener("change", () => this.#with(each, { weight: Number(choice.value) }));
    return choice;
  }

  /** @param {Term} each */
  #remove(each) {
    return iconButton("close", "", () => this.onChange(this.terms.filter((other) => !isSame(other, each))), "remove");
  }

  /** @param {Term} each @param {Partial<Term>} more */
  #with(each, more) {
    this.onChange(this.terms.map((other) => (isSame(other, each) ? { ...each, ...more } : other)));
  }
}

/**
 * The image of a term and its name; without a source if this browser has it no more.
 * @param {Term} each
 * @param {number} pixels
 */
export async function termImage(each, pixels) {
  if (each.kind === "id") {
    const image = await imageOf(Number(each.value));
    return { name: nameAndFolder(image.key)[0], source: thumbnail(image, pixels), image };
  }
  const upload = await find(each.value);
  return { name: upload?.name ?? "an image that is gone", source: upload && addressOf(upload), image: null };
}

/** @param {Term} each */
export function defaultName(each) {
  return { id: `image ${each.value}`, text: each.value, image: "the image" }[each.kind];
}

/** Which widget of which chip has the focus. @param {any} widget */
function heldBy(widget) {
  return { key: widget.closest(".chip")?.dataset.key ?? "", kind: widget.classList[0] ?? "remove" };
}
