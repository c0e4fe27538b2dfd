/** The images that are shown: the collection, page after page, or the matches of a search, best first. */
import { post, request } from "./api.js";
import { asBody, asParameters, isAny, NONE } from "./filters.js";
import { remember } from "./images.js";
import { examples } from "./query.js";
import { base64, find } from "./uploads.js";

/** @typedef {import("./images.js").Image} Image */
/** @typedef {{refine: boolean, regions: boolean, crops: boolean}} How how to search: `refine` orders by what the nearest
 *   matches have in common, `regions` compares parts of the images, too, `crops` parts of the query, which is one image */

const PAGE = 120;
const FIRST = 300; // matches; all that the service allows when these have been looked through

/** What a search for an upload that this browser has no more ends with. */
export class MissingUploadError extends Error {}

/** The images of the collection, by id. */
export class CollectionFeed {
  /** @param {import("./filters.js").Filters} filters @param {any} info */
  constructor(filters, info) {
    this.filters = filters;
    this.info = info;
    this.images = /** @type {Image[]} */ ([]);
    this.isDone = false;
    this.isAll = true;
    this.isSearch = false;
    this.total = isAny(filters) ? null : info.images;
    this.took = null;
    this.after = 0;
  }

  /** Loads the next page, or as many images as wanted. @param {AbortSignal} [signal] @param {number} [least] */
  async more(signal, least = 0) {
    const limit = Math.min(Math.max(least - this.images.length, PAGE), this.info.limits.page);
    const parameters = new URLSearchParams([...asParameters(this.filters), ["after", String(this.after)], ["limit", String(limit)]]);
    const found = await request(`/v1/images?${parameters}`, { signal });
    remember(found.images);
    this.images = [...this.images, ...found.images];
    this.isDone = found.next === null;
    this.after = found.next ?? this.after;
    if (this.isDone) this.total = this.images.length;
    else if (this.images.length < least) await this.more(signal, least);
  }

  /** Counts of labels, folders and attributes in the whole collection, and the number of images that the filters admit.
   * @param {AbortSignal} signal */
  async counts(signal) {
    const all = await request("/v1/images?facets=true&limit=1", { signal });
    if (this.total === null) {
      const parameters = new URLSearchParams([...asParameters(this.filters), ["facets", "true"], ["limit", "1"]]);
      this.total = (await request(`/v1/images?${parameters}`, { signal })).total;
    }
    return all.facets;
  }
}

/** The matches of a search. */
export class SearchFeed {
  /** @param {import("./query.js").Term[]} terms @param {import("./filters.js").Filters} filters @param {How} how
   * @param {any} info */
  constructor(terms, filters, how, info) {
    this.terms = terms;
    this.filters = filters;
    this.how = how;
    this.info = info;
    this.images = /** @type {Image[]} */ ([]);
    this.isDone = false;
    this.isAll = false; // whether nothing else matches
    this.isSearch = true;
    this.took = /** @type {number | null} */ (null);
    /** @type {SearchFeed} */ this.base = isAny(filters) ? new SearchFeed(terms, NONE, how, info) : this;
  }

  get total() {
    return this.images.length;
  }

  /** Searches; a second time for all matches that the service gives. @param {AbortSignal} [signal] @param {number} [least] */
  async more(signal, least = 0) {
    const isFirst = this.images.length === 0 && least <= FIRST;
    const k = Math.min(isFirst ? FIRST : this.info.limits.k, this.info.limits.k);
    const found = await this.search(k, signal);
    remember(found.matches);
    this.images = found.matches;
    this.took = found.took_ms.total;
    this.isAll = found.matches.length < k;
    this.isDone = this.isAll || k === this.info.limits.k;
  }

  /** The matches without any filter, among which labels and the like are counted. @param {AbortSignal} signal */
  async unfiltered(signal) {
    if (this.base.images.length === 0 && !this.base.isDone) await this.base.more(signal);
    return this.base.images;
  }

  /** @param {number} k @param {AbortSignal} [signal] */
  async search(k, signal) {
    const [only] = this.terms;
    if (this.terms.length === 1 && only.kind === "image" && !only.region) return this.searchUpload(only.value, k, signal);
    const body = { ...(await examples(this.terms, async (key) => base64((await upload(key)).blob))), k, ...this.how };
    const where = asBody(this.filters);
    return post("/v1/search", where ? { ...body, where } : body, signal);
  }

  /** @param {string} key @param {number} k @param {AbortSignal} [signal] */
  async searchUpload(key, k, signal) {
    const { blob } = await upload(key);
    const kind = blob.type.startsWith("image/") ? blob.type : "application/octet-stream";
    const how = Object.entries(this.how).map(([name, isSo]) => [name, String(isSo)]);
    const parameters = new URLSearchParams([...asParameters(this.filters), ["k", String(k)], ...how]);
    const headers = { "Content-Type": kind };
    return request(`/v1/search?${parameters}`, { method: "POST", headers, body: blob, signal });
  }
}

/** @param {string} key */
async function upload(key) {
  const found = await find(key);
  if (!found) throw new MissingUploadError(key);
  return found;
}
