/** The page on which people decide which copies to keep. Begin reading here. */
import { announce, tell } from "./announcer.js";
import { Problem, request } from "./api.js";
import { groupElement, showDecision } from "./copy_group.js";
import { counted, number } from "./counts.js";
import { Decisions } from "./decisions.js";
import { byId, make } from "./element.js";
import { hintNodes, notify, clearNotice } from "./notice.js";
import { setUpPairViewer, showPair } from "./pair_viewer.js";
import { guardWithToken } from "./session.js";
import { setUpThemes } from "./theme_switch.js";

const PAGE = 40; // groups that are asked for at a time

/** @typedef {import("./copy_group.js").Group} Group */

class Review {
  constructor() {
    /** @type {Group[]} */ this.groups = [];
    /** @type {number | null} */ this.total = null;
    this.run = new AbortController();
    this.decisions = new Decisions((error) => tell(`Not decided: ${error.message}`));
    this.isLoading = false;
    this.canDecide = false;
  }

  /** Begins anew, with the copies of a grade. */
  async start() {
    this.run.abort();
    this.run = new AbortController();
    [this.groups, this.total, this.isLoading] = [[], null, false];
    byId("groups").replaceChildren();
    clearNotice();
    await this.more();
  }

  /** Asks for the next groups, if there are more. */
  async more() {
    if (this.isLoading || (this.total !== null && this.groups.length >= this.total)) return;
    this.isLoading = true;
    const { signal } = this.run;
    const asked = new URLSearchParams({ grade: byId("grade").value, offset: String(this.groups.length), limit: String(PAGE) });
    try {
      const answer = await request(`/v1/duplicates?${asked}`, { signal });
      if (!signal.aborted) this.#show(answer);
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    } finally {
      if (!signal.aborted) this.isLoading = false;
    }
  }

  /** @param {{groups: Group[], total: number, copies: number, images: number, pending: number, marked: number, writable: boolean}} answer */
  #show({ groups, total, copies, images, pending, marked, writable }) {
    if (this.total === null) this.decisions.marked = marked;
    [this.total, this.canDecide] = [total, writable];
    byId("heading").textContent = total ? `${counted(copies, "copy", "copies")} of ${counted(total, "image")}` : "No copies";
    byId("took").textContent = `among ${counted(images, "image")}`;
    this.#showPending(pending, images, total);
    const acts = { decide: this.decide.bind(this), look: showPair, canDecide: writable };
    for (const group of groups) {
      for (const image of [group.keep, ...group.copies]) this.decisions.known.set(image.id, image.decision);
      this.groups.push(group);
      byId("groups").append(groupElement(group, this.groups.length, acts));
    }
    this.showDecisions();
    const first = byId("groups").querySelector(".copy");
    if (first && !byId("groups").querySelector('.copy[tabindex="0"]')) first.tabIndex = 0;
    if (groups.length && total > this.groups.length) requestAnimationFrame(() => isNear(byId("sentinel")) && void this.more());
  }

  /** @param {number} pending @param {number} images @param {number} total */
  #showPending(pending, images, total) {
    const line = byId("pending");
    line.hidden = !pending;
    line.replaceChildren(pending === images ? "Only files with the same bytes are known yet. To compare the images: " : `${counted(pending, "image has", "images have")} not been compared yet. To compare them: `, make("code", { text: "lookalike duplicates" }));
    if (!total && !pending) notify("No copies", "No image of this collection is a copy of another one.", { actions: [{ label: "Back to all images", click: () => location.assign("/") }] });
  }

  /** @param {unknown} error */
  #fail(error) {
    const again = { label: "Try again", click: () => void this.start(), isMain: true };
    if (error instanceof Problem) notify(error.title, error.detail, { hints: hintNodes(error.hints), actions: [again], kind: "error" });
    else throw error;
  }

  /** @param {number[]} ids @param {import("./decisions.js").Decision} decision */
  decide(ids, decision) {
    if (!this.canDecide) tell("This service was not started with --writable, so that nothing can be decided here");
    else this.decisions.decide(ids, decision, () => this.showDecisions());
  }

  showDecisions() {
    for (const element of byId("groups").querySelectorAll(".copy")) showDecision(element, this.decisions.of(Number(element.dataset.id)));
    byId("marked").hidden = !this.decisions.marked;
    byId("marked-count").textContent = `${number(this.decisions.marked)} marked`;
  }

  /** The group and the image that have the focus. @param {any} element */
  placeOf(element) {
    const section = element.closest(".copies-of");
    const at = [...byId("groups").children].indexOf(section);
    return { section, at, group: this.groups[at] };
  }
}

/** Moves the focus to an image, which alone can be reached with Tab. @param {any} element */
function focus(element) {
  if (!element) return;
  for (const other of byId("groups").querySelectorAll('.copy[tabindex="0"]')) other.tabIndex = -1;
  element.tabIndex = 0;
  element.focus();
  element.scrollIntoView({ block: "nearest", inline: "nearest" });
}

/** @param {any} element */
function isNear(element) {
  return element.getBoundingClientRect().top < innerHeight + 800;
}

/** What keys do on an image. @param {Review} review @param {any} image @param {string} key @returns {boolean} whether it does anything */
function act(review, image, key) {
  const { section, at, group } = review.placeOf(image);
  const id = Number(image.dataset.id);
  const copy = group.copies.find((each) => each.id === id);
  const inGroup = (/** @type {number} */ place) => byId("groups").children[place]?.querySelector(".copy");
  if (key === "ArrowRight") focus(image.nextElementSibling);
  else if (key === "ArrowLeft") focus(image.previousElementSibling);
  else if (key === "ArrowDown") focus(inGroup(at + 1));
  else if (key === "ArrowUp") focus(inGroup(at - 1));
  else if (key === "Home") focus(section.querySelector(".copy"));
  else if (key === "End") focus([...section.querySelectorAll(".copy")].at(-1));
  else if (key === "x") review.decide([id], "marked");
  else if (key === "k") review.decide([id], "kept");
  else if (key === "u") review.decide([id], null);
  else if (key === "n") {
    review.decide(group.copies.map((each) => each.id), "marked");
    focus(inGroup(at + 1));
  } else if (key === " " && copy) showPair(group, copy);
  else return false;
  return true;
}

/** @param {Review} review */
function listen(review) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (event.key === "?" && target.tagName !== "SELECT") return void byId("help").showModal();
    const image = target.closest(".copy");
    const isButton = target.tagName === "BUTTON" && [" ", "Enter"].includes(event.key);
    if (image && !isButton && act(review, image, event.key.length === 1 ? event.key.toLowerCase() : event.key)) event.preventDefault();
    else if (!image && target.tagName !== "SELECT" && ["ArrowDown", "ArrowRight"].includes(event.key)) {
      focus(byId("groups").querySelector('.copy[tabindex="0"]'));
      event.preventDefault();
    }
  });
  byId("groups").addEventListener("focusin", (/** @type {Event} */ event) => {
    const image = /** @type {any} */ (event.target).closest(".copy");
    if (!image || image.tabIndex === 0) return;
    for (const other of byId("groups").querySelectorAll('.copy[tabindex="0"]')) other.tabIndex = -1;
    image.tabIndex = 0;
  });
  byId("grade").addEventListener("change", async () => {
    await review.start();
    announce(byId("heading").textContent);
  });
  byId("help-open").addEventListener("click", () => byId("help").showModal());
  byId("help-close").addEventListener("click", () => byId("help").close());
  new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && void review.more(), { rootMargin: "800px" }).observe(byId("sentinel"));
}

guardWithToken();
setUpThemes();
setUpPairViewer();
const review = new Review();
listen(review);
void review.start();
