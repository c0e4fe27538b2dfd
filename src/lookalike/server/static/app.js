/** The page: its state, and what is shown for it. Begin reading here; `gestures.js` has what people can do. */
import { read, write } from "./address.js";
import { announce } from "./announcer.js";
import { request, waiting } from "./api.js";
import { Box, defaultName } from "./box.js";
import { showChance } from "./chance.js";
import { CopiesSwitch } from "./copies_switch.js";
import { counted, nameAndFolder, number, scoreText } from "./counts.js";
import { byId } from "./element.js";
import { Facets, groupsAmong, groupsOf } from "./facets.js";
import { CollectionFeed, SearchFeed } from "./feed.js";
import { isAny, NONE, toggled } from "./filters.js";
import { fold, foldOf, unfoldedItems } from "./folding.js";
import { listenToGestures } from "./gestures.js";
import { Grid } from "./grid.js";
import { Histogram } from "./histogram.js";
import { remembered } from "./images.js";
import { clearNotice } from "./notice.js";
import { explain, explainEmpty } from "./outcomes.js";
import { Order } from "./order.js";
import { PartsSwitches } from "./parts_switches.js";
import { canBeCut, isComplete, withTerm } from "./query.js";
import { QueryPanel } from "./query_panel.js";
import { rememberScroll, savedScroll, saveScroll } from "./scrolling.js";
import { Selection } from "./selection.js";
import { guardWithToken } from "./session.js";
import { setUpThemes } from "./theme_switch.js";
import { foldText } from "./tile.js";

const KEPT_FEEDS = 12; // that Back shows at once
const SKELETON_MS = 120;
const AHEAD = "1500px"; // below the screen, where more is loaded

/**
 * @typedef {import("./address.js").State} State
 * @typedef {import("./images.js").Image} Image
 * @typedef {import("./folding.js").Item} Item
 */

export class App {
  constructor() {
    /** @type {State} */ this.state = read(location.search);
    /** @type {any} */ this.info = null;
    /** @type {CollectionFeed | SearchFeed | null} */ this.feed = null;
    /** @type {Map<string, CollectionFeed | SearchFeed>} */ this.feeds = new Map();
    /** @type {Set<string>} */ this.unfolded = new Set(); // folds of which every image is shown
    /** @type {any} */ this.counts = null; // the facets of the collection
    this.run = new AbortController();
    this.isLoading = false;
    this.onMore = () => {}; // called when more images have been loaded
    this.selection = new Selection(() => this.grid.refresh());
    this.grid = new Grid(byId("grid"), this.#context());
    this.box = new Box({ onChange: (terms) => this.go({ terms, cut: null }), onShow: (each) => this.#showTerm(each) });
    this.panel = new QueryPanel({
      onRegion: (each, region) => this.go({ terms: withTerm(this.state.terms, { ...each, region }), cut: null }),
    });
    this.histogram = new Histogram({ onCut: (cut, isDone) => this.#cut(cut, isDone) });
    this.order = new Order((refine) => this.go(refine ? { refine, regions: false, crops: false } : { refine }));
    this.parts = new PartsSwitches((changes) => this.go({ ...changes, refine: false })); // which orders whole images
    this.copies = new CopiesSwitch(() => this.#arrange());
    this.facets = new Facets({ onToggle: (kind, name, value) => this.go(toggled(this.state, kind, name, value)) });
  }

  /** Learns what the service has, and shows what the address asks for. */
  async start() {
    try {
      await this.#learn();
    } catch (error) {
      this.#fail(error);
      return;
    }
    rememberScroll(() => this.feed?.images.length ?? 0);
    addEventListener("popstate", () => this.#back());
    new IntersectionObserver((entries) => entries.at(-1)?.isIntersecting && this.more(), { rootMargin: AHEAD }).observe(byId("sentinel"));
    await this.#show(savedScroll());
  }

  /** Goes to another state, to which Back leads from the next one. @param {Partial<State>} changes */
  go(changes) {
    const next = { ...this.state, ...changes };
    if (write(next) === write(this.state)) return;
    saveScroll(this.feed?.images.length ?? 0);
    this.state = next;
    history.pushState({ y: 0, count: 0 }, "", write(next));
    void this.#show({ y: 0, count: 0 });
  }

  /** Does again what has failed. */
  retry() {
    if (this.info) void this.#show({ y: scrollY, count: 0 });
    else void this.start();
  }

  /** Shows each of some copies, or one again. @param {Item} item */
  unfold(item) {
    const key = foldOf(item.image);
    if (!key) return;
    if (!this.unfolded.delete(key)) this.unfolded.add(key);
    this.#arrange();
    announce(this.unfolded.has(key) ? `${foldText(item)} are shown` : "One of them is shown");
  }

  async #learn() {
    this.info = await request("/v1/info");
    byId("about").textContent = `${this.info.name}: ${counted(this.info.images, "image")}, compared by ${this.info.model.name}. Lookalike ${this.info.version}.`;
    this.box.offerText(this.info.takes_text);
  }

  /** What the state of tiles depends on. @returns {import("./grid.js").Context} */
  #context() {
    const app = this;
    return {
      get hasQuery() {
        return app.state.terms.length > 0;
      },
      picked: ({ images }) => app.selection.shareOf(images),
      signOf: (id) => app.state.terms.find((each) => each.kind === "id" && each.value === String(id))?.sign ?? 0,
      isUnfolded: ({ image }) => app.unfolded.has(foldOf(image) ?? ""),
    };
  }

  #back() {
    this.state = read(location.search);
    void this.#show(savedScroll());
  }

  /** Shows the current state. @param {{y: number, count: number}} place where to scroll, after so many are loaded */
  async #show({ y, count }) {
    this.run.abort();
    const run = (this.run = new AbortController());
    this.#showQuery();
    if (this.state.terms.length && !isComplete(this.state.terms)) return this.#showNothing();
    const feed = (this.feed = this.#feed());
    this.#wait(true);
    try {
      if (!feed.images.length || feed.images.length < count) await feed.more(run.signal, count);
      if (run.signal.aborted) return;
      this.#wait(false);
      this.#arrange();
      scrollTo({ top: y, behavior: "instant" });
      if (!y) announce(this.#spoken());
      await this.#refine(feed, run.signal);
    } catch (error) {
      if (!run.signal.aborted) this.#fail(error);
    }
  }

  #showQuery() {
    const { terms } = this.state;
    this.box.show(terms);
    this.panel.show(terms);
    this.order.show(this.state);
    this.parts.show(this.state, this.info.regions > 0);
    byId("unfilter").hidden = !isAny(this.state);
    const { classList } = document.documentElement;
    if (classList.contains("searching") !== terms.length > 0) {
      byId("copies").hidden = byId("scores").hidden = byId("facets").hidden = true; // until there are those of what comes, so that nothing moves
    }
    classList.toggle("searching", terms.length > 0);
    const [first] = terms;
    const image = first?.kind === "id" ? remembered(Number(first.value)) : null;
    const name = image ? nameAndFolder(image.key)[0] : first && defaultName(first);
    document.title = name ? `${name} – Lookalike` : "Lookalike";
  }

  #showNothing() {
    this.feed = null;
    this.#wait(false);
    this.#arrange();
  }

  /** The feed of the state; a search that is known is not done again. */
  #feed() {
    const key = write({ ...this.state, cut: null });
    const { labels, under, where, terms, refine, regions, crops } = this.state;
    const filters = { labels, under, where };
    const how = { refine, regions: regions && this.info.regions > 0, crops: crops && canBeCut(terms) };
    const known = this.feeds.get(key);
    const feed = known ?? (terms.length ? new SearchFeed(terms, filters, how, this.info) : new CollectionFeed(filters, this.info));
    if (!known && feed instanceof SearchFeed && isAny(filters)) {
      const base = this.feeds.get(write({ ...this.state, ...NONE, cut: null }));
      if (base instanceof SearchFeed) feed.base = base;
    }
    this.feeds.delete(key);
    this.feeds.set(key, feed);
    if (this.feeds.size > KEPT_FEEDS) this.feeds.delete(/** @type {string} */ (this.feeds.keys().next().value));
    return feed;
  }

  /** Loads what follows, as soon as the end comes near. */
  async more() {
    const { feed, run } = this;
    if (!feed || feed.isDone || this.isLoading || !feed.images.length || this.state.cut !== null) return;
    this.isLoading = true;
    try {
      await feed.more(run.signal);
      if (feed !== this.feed) return;
      this.#arrange();
      this.onMore();
      if (feed instanceof SearchFeed) await this.#refine(feed, run.signal);
    } catch (error) {
      if (!run.signal.aborted) byId("end").textContent = `More could not be loaded: ${/** @type {Error} */ (error).message}`;
    } finally {
      this.isLoading = false;
    }
    if (feed === this.feed && !feed.isDone && byId("sentinel").getBoundingClientRect().top < innerHeight + 1500) void this.more();
  }

  /** Arranges the images that are not cut off, and says how many there are. */
  #arrange() {
    const { feed } = this;
    const shown = this.#shown();
    clearNotice();
    this.grid.show(this.copies.isOn ? fold(shown, this.unfolded) : unfoldedItems(shown), feed?.isSearch ?? false);
    byId("copies").hidden = !feed?.images.length;
    byId("heading").textContent = this.#heading(shown.length);
    byId("took").textContent = feed?.took ? `${Math.max(Math.round(feed.took), 1)} ms` : "";
    byId("end").textContent = feed?.isDone && shown.length > 20 ? "That is all." : "";
    showChance(feed?.isSearch ? feed.images : []);
    if (!shown.length) explainEmpty(this.#emptiness(), this.remedies());
  }

  /** The images that have the least score that is wanted. */
  #shown() {
    const { cut } = this.state;
    const images = this.feed?.images ?? [];
    return cut === null || !this.feed?.isSearch ? images : images.filter((image) => (image.score ?? 1) >= cut);
  }

  /** @param {number} shown */
  #heading(shown) {
    const { feed } = this;
    if (!feed) return "No images";
    if (!feed.isSearch) return feed.total === null ? "Images" : counted(feed.total, "image");
    const all = counted(feed.images.length, "match", "matches");
    if (shown < feed.images.length) return `${number(shown)} of ${feed.isAll ? "" : "the best "}${all}`;
    return feed.isAll ? all : `The best ${all}`;
  }

  #spoken() {
    const [best] = this.feed?.images ?? [];
    const heading = this.#heading(this.#shown().length);
    return best?.score === undefined ? heading : `${heading}, the best with the score ${scoreText(best.score)}`;
  }

  #emptiness() {
    const isIncomplete = !this.feed;
    const isSearch = this.feed?.isSearch ?? false;
    return { isSearch, isFiltered: isAny(this.state), isIncomplete, hasCut: this.state.cut !== null };
  }

  /** Shows the histogram and the facets, whose counts may take a moment. @param {CollectionFeed | SearchFeed} feed
   * @param {AbortSignal} signal */
  async #refine(feed, signal) {
    this.histogram.show(feed.isSearch ? feed.images : [], this.state.cut);
    if (feed instanceof SearchFeed) {
      await feed.unfiltered(signal);
      if (!signal.aborted) this.#showFacets(feed);
      return;
    }
    this.counts = await feed.counts(signal);
    if (signal.aborted) return;
    this.facets.show(groupsOf(this.counts), this.state, "Counts are of the whole collection.");
    byId("heading").textContent = this.#heading(0);
  }

  /** @param {SearchFeed} feed */
  #showFacets(feed) {
    const { cut } = this.state;
    const { images } = feed.base;
    const groups = groupsAmong(images, (image) => cut === null || (image.score ?? 1) >= cut);
    this.facets.show(groups, this.state, `Counts are of the ${counted(images.length, "best match", "best matches")} without filters.`);
  }

  /** Cuts off what has a lower score, while the slider moves. @param {number | null} cut @param {boolean} isDone */
  #cut(cut, isDone) {
    this.state = { ...this.state, cut };
    if (isDone) {
      history.replaceState(history.state, "", write(this.state));
      announce(this.#heading(this.#shown().length));
    }
    cancelAnimationFrame(this.frame ?? 0);
    this.frame = requestAnimationFrame(() => {
      this.#arrange();
      if (this.feed instanceof SearchFeed) this.#showFacets(this.feed);
    });
  }

  /** Shows that something is awaited, but only if it takes a moment. @param {boolean} isSo */
  #wait(isSo) {
    clearTimeout(this.skeletonTimer);
    byId("grid").setAttribute("aria-busy", String(isSo));
    const show = () => {
      byId("skeleton").hidden = !isSo || this.grid.items.length > 0;
      document.documentElement.classList.toggle("waiting", isSo);
    };
    if (isSo) this.skeletonTimer = setTimeout(show, SKELETON_MS);
    else show();
  }

  /** @param {unknown} error */
  #fail(error) {
    this.#wait(false);
    this.feed = null;
    this.grid.show([], false);
    this.histogram.show([], null);
    byId("copies").hidden = true;
    showChance([]);
    byId("heading").textContent = "No images";
    byId("took").textContent = byId("end").textContent = "";
    explain(error, this.remedies());
  }

  /** What may help where there is nothing to show. */
  remedies() {
    return {
      retry: () => this.retry(),
      unfilter: () => this.go({ ...NONE, cut: null }),
      clear: () => this.go({ terms: [], ...NONE, cut: null }),
      choose: () => byId("file").click(),
    };
  }

  /** Shows an image of the query in the rail, which is put on the screen. @param {import("./query.js").Term} each */
  #showTerm(each) {
    this.panel.show(this.state.terms, each);
    document.documentElement.classList.add("refining");
    byId("refine").setAttribute("aria-expanded", "true");
    byId("stage").focus();
  }
}

guardWithToken();
setUpThemes();
waiting.on = (seconds) => {
  byId("took").classList.toggle("busy", seconds > 0);
  byId("took").textContent = seconds ? `The service is busy; trying again in ${counted(Math.round(seconds), "second")} …` : "";
};
const app = new App();
listenToGestures(app);
addEventListener("online", () => byId("notice").dataset.kind === "error" && !byId("notice").hidden && app.retry());
void app.start();
