/** Parts of images that are alike: in words, and with frames around them. */

/** @typedef {{x: number, y: number, width: number, height: number}} Part in shares of an image's sides */

const MIDDLE = [0.4, 0.6]; // of a side: what lies between is neither left nor right

/** Where a part is: "upper left", "right", "middle" and the like. @param {Part} part */
export function partWords({ x, y, width, height }) {
  const down = third(y + height / 2, ["upper", "", "lower"]);
  const across = third(x + width / 2, ["left", "", "right"]);
  return [down, across].filter(Boolean).join(" ") || "middle";
}

/** "upper left part, like the query's right part"; "" if all of the image is like all of the query.
 * @param {import("./images.js").Image} image */
export function partText({ region, query_region: asked }) {
  const own = region ? `${partWords(region)} part` : "";
  return [own, asked ? `like the query's ${partWords(asked)} part` : ""].filter(Boolean).join(", ");
}

/**
 * Draws a frame around a part of an image, or takes it away. The drawing lies over the image and, as `object-fit: contain`
 * does, fits its sides into the same box, so that it is right however large that becomes.
 * @param {SVGElement} drawing with an `svg` that clips the lines, so that all of them are within the part
 * @param {Part | null | undefined} part
 * @param {number} width of the image, in any unit, or 0 if it is not known
 * @param {number} height
 */
export function frame(drawing, part, width, height) {
  const isShown = Boolean(part && width && height);
  drawing.toggleAttribute("hidden", !isShown);
  if (!part || !isShown) return;
  drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const box = { x: part.x * width, y: part.y * height, width: part.width * width, height: part.height * height };
  const clip = /** @type {SVGElement} */ (drawing.firstElementChild);
  for (const [name, value] of Object.entries(box)) clip.setAttribute(name, String(value));
}

/** @param {number} place @param {[string, string, string]} words */
function third(place, words) {
  if (place < MIDDLE[0]) return words[0];
  return place > MIDDLE[1] ? words[2] : words[1];
}
