/** What people can do on the page: clicks, touches and keys on the images, the buttons, the dialogs. */
import { tell } from "./announcer.js";
import { request } from "./api.js";
import { byId } from "./element.js";
import { asParameters, NONE } from "./filters.js";
import { remember } from "./images.js";
import { Intake } from "./intake.js";
import { listenToKeys } from "./keys.js";
import { term, withFeedback, withTerm } from "./query.js";
import { setUpSelectionBar } from "./selection_bar.js";
import { Viewer } from "./viewer.js";

const AHEAD = 10; // images before the last one that is loaded, more are asked for
const LONG_TOUCH_MS = 450;

/**
 * @typedef {import("./app.js").App} App
 * @typedef {import("./folding.js").Item} Item
 * @typedef {import("./images.js").Image} Image
 */

/** @param {App} app */
export function listenToGestures(app) {
  const viewer = new Viewer(viewing(app));
  app.onMore = () => viewer.refresh();
  const actions = actionsOf(app, viewer);
  app.grid.root.addEventListener("click", (event) => clicked(app, actions, event));
  app.grid.root.addEventListener("change", (event) => picked(app, event));
  listenToLongTouches(app);
  listenToPointing(app);
  listenToKeys(app.grid, actions);
  new Intake({
    onTerms: (terms, isAdded) => app.go({ terms: isAdded ? terms.reduce(withTerm, app.state.terms) : terms, cut: null }),
    takesText: () => app.info?.takes_text ?? false,
    hasQuery: () => app.state.terms.length > 0,
    limit: () => app.info?.limits.body_bytes ?? Infinity,
  });
  setUpSelectionBar(app);
  setUpButtons(app);
}

/** @param {App} app @param {Viewer} viewer */
function actionsOf(app, viewer) {
  return {
    alike: (/** @type {Image} */ image) => app.go({ terms: [term("id", image.id)], cut: null }),
    large: (/** @type {Item} */ { image }) => viewer.open(image),
    feedback: (/** @type {Item} */ { image }, /** @type {1 | -1} */ sign) => {
      if (sign < 0 && !app.state.terms.length) return;
      app.go({ terms: withFeedback(app.state.terms, image.id, sign), cut: null });
    },
    pick: (/** @type {Item} */ item) => app.selection.toggle(item),
    range: (/** @type {number} */ to) => selectRange(app, to),
    all: () => app.selection.add(app.grid.items.flatMap((item) => item.images)),
    escape: () => {
      if (!app.selection.images.size) return false;
      app.selection.clear();
      return true;
    },
    query: () => app.box.focus(),
    help: () => byId("help").showModal(),
  };
}

/** @param {App} app @param {ReturnType<typeof actionsOf>} actions @param {MouseEvent} event */
function clicked(app, actions, event) {
  const target = /** @type {HTMLElement} */ (event.target);
  const item = app.grid.itemOf(target);
  const button = /** @type {HTMLElement | null} */ (target.closest("button"));
  if (!item || !button) return;
  const kind = button.classList[0];
  if (kind === "alike" && event.shiftKey) selectRange(app, app.grid.placeOf(item.image.id));
  else if (kind === "alike" && (event.ctrlKey || event.metaKey)) app.selection.toggle(item);
  else if (kind === "alike") actions.alike(item.image);
  else if (kind === "enlarge") actions.large(item);
  else if (kind === "copies") app.unfold(item);
  else actions.feedback(item, kind === "plus" ? 1 : -1);
}

/** @param {App} app @param {Event} event */
function picked(app, event) {
  const item = app.grid.itemOf(/** @type {Element} */ (event.target));
  if (!item) return;
  const { anchor } = app.selection;
  const isRange = shifted && anchor !== null && anchor !== item.image.id;
  if (isRange) selectRange(app, app.grid.placeOf(item.image.id));
  else app.selection.toggle(item);
}

let shifted = false; // whether Shift is held; a checkbox's change does not tell
addEventListener("pointerdown", (event) => (shifted = event.shiftKey), true);
addEventListener("keydown", (event) => (shifted = event.shiftKey), true);

/** Selects everything from where the last one was selected. @param {App} app @param {number} to */
function selectRange(app, to) {
  const start = app.selection.anchor ?? app.grid.active ?? 0;
  const from = Math.max(app.grid.placeOf(start), 0);
  const { items } = app.grid;
  app.selection.anchor = items[from]?.image.id ?? null;
  app.selection.add(items.slice(Math.min(from, to), Math.max(from, to) + 1).flatMap((item) => item.images));
}

/** While an image is pointed at or has the focus, the part of the query that it is like is framed. @param {App} app */
function listenToPointing(app) {
  const { root } = app.grid;
  const point = (/** @type {Event} */ { target }) => app.panel.point(app.grid.itemOf(/** @type {Element} */ (target))?.image.query_region);
  for (const begin of ["pointerover", "focusin"]) root.addEventListener(begin, point);
  for (const end of ["pointerleave", "focusout"]) root.addEventListener(end, () => app.panel.point());
}

/** A long touch on an image selects it, and then is no click. @param {App} app */
function listenToLongTouches(app) {
  const { root } = app.grid;
  let timer = 0;
  let isLong = false;
  root.addEventListener("pointerdown", (event) => {
    const target = /** @type {Element} */ (event.target);
    const item = event.pointerType === "touch" && target.closest(".alike") ? app.grid.itemOf(target) : null;
    isLong = false;
    if (item) timer = window.setTimeout(() => {
      isLong = true;
      app.selection.toggle(item);
    }, LONG_TOUCH_MS);
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) root.addEventListener(end, () => clearTimeout(timer));
  root.addEventListener("contextmenu", (event) => isLong && event.preventDefault());
  root.addEventListener("click", (event) => {
    if (!isLong) return;
    isLong = false;
    event.stopPropagation();
    event.preventDefault();
  }, true);
}

/** What the viewer needs of the page. @param {App} app @returns {import("./viewer.js").Listener} */
function viewing(app) {
  return {
    step: (image, by) => {
      const place = app.grid.placeOf(image.id) + by;
      if (place + AHEAD > app.grid.items.length) void app.more();
      return app.grid.items[place]?.image ?? null;
    },
    alike: (image) => app.go({ terms: [term("id", image.id)], cut: null }),
    closed: (image) => app.grid.focus(app.grid.placeOf(image.id)),
    query: () => app.panel.term,
  };
}

/** @param {App} app */
function setUpButtons(app) {
  const clicks = {
    home: (/** @type {MouseEvent} */ event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      app.go({ terms: [], ...NONE, cut: null });
      scrollTo({ top: 0 });
    },
    skip: () => app.grid.focus(Math.max(app.grid.placeOf(app.grid.active ?? 0), 0)),
    surprise: () => void surprise(app),
    unfilter: () => app.go({ ...NONE }),
    refine: () => {
      const isOpen = document.documentElement.classList.toggle("refining");
      byId("refine").setAttribute("aria-expanded", String(isOpen));
    },
    "help-open": () => byId("help").showModal(),
    "help-close": () => byId("help").close(),
  };
  for (const [id, click] of Object.entries(clicks)) byId(id).addEventListener("click", click);
  byId("help").addEventListener("click", (/** @type {MouseEvent} */ event) => event.target === byId("help") && byId("help").close());
}

/** Begins with any image that the filters admit. @param {App} app */
async function surprise(app) {
  try {
    const image = await request(`/v1/images/random?${new URLSearchParams(asParameters(app.state))}`);
    remember([image]);
    app.go({ terms: [term("id", image.id)], cut: null });
    scrollTo({ top: 0 });
  } catch (error) {
    tell(/** @type {Error} */ (error).message);
  }
}
