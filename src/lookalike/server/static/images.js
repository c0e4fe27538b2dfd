/** What is known of the collection's images, by id, and the addresses of their thumbnails. */
import { request } from "./api.js";

/**
 * @typedef {{id: number, key: string, score?: number, expected?: number | null, probability?: number | null, copy_probability?: number | null,
 *   region?: import("./parts.js").Part, query_region?: import("./parts.js").Part, label: string | null, width: number, height: number,
 *   attributes: Record<string, any>, thumbnail: string, sha256: string | null, group: string | null}} Image
 */

const MOST = 20_000; // images that are remembered
const SIDES = [128, 256, 512, 1024, 2048];
/** @type {Map<number, Image>} */
const known = new Map();

/** @param {Image[]} images */
export function remember(images) {
  if (known.size > MOST) known.clear();
  for (const image of images) known.set(image.id, image);
}

/** @param {number} id */
export function remembered(id) {
  return known.get(id);
}

/**
 * @param {number} id
 * @returns {Promise<Image>}
 */
export async function imageOf(id) {
  const found = known.get(id) ?? (await request(`/v1/images/${id}`));
  known.set(id, found);
  return found;
}

/** The width divided by the height. @param {{width: number, height: number}} image */
export function ratioOf(image) {
  return image.width > 0 && image.height > 0 ? image.width / image.height : 1;
}

/**
 * The address of a thumbnail whose longer side has at least so many pixels of the screen.
 * @param {Image} image
 * @param {number} pixels
 */
export function thumbnail(image, pixels) {
  const side = SIDES.find((each) => each >= pixels) ?? SIDES[SIDES.length - 1];
  return `${image.thumbnail}&size=${side}`;
}

/**
 * The thumbnails of a size and larger, for screens of all densities.
 * @param {Image} image
 */
export function srcset(image) {
  const across = Math.min(ratioOf(image), 1); // a side is that of the longer one
  return SIDES.slice(0, 4)
    .map((side) => `${image.thumbnail}&size=${side} ${Math.max(Math.round(side * across), 1)}w`)
    .join(", ");
}
