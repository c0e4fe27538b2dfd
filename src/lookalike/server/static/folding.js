/** Folds copies behind the first of them: files with the same bytes, and edited ones that `lookalike duplicates` has found. */

/**
 * @typedef {import("./images.js").Image} Image
 * @typedef {{image: Image, images: Image[], copies: number, isSameFile: boolean}} Item a tile: the image that it shows, all
 *   that it stands for, and how many there are in its fold if it is the first of it, all of them the same file or not
 */

/** What copies of one another have in common. @param {Image} image */
export function foldOf({ group, sha256 }) {
  return group ?? sha256;
}

/**
 * @param {Image[]} images
 * @param {Set<string>} unfolded the folds of which each image is shown
 * @returns {Item[]} what is shown, in order
 */
export function fold(images, unfolded) {
  return [...folds(images)].flatMap(([key, [first, ...others]]) => {
    const isSameFile = others.every(({ sha256 }) => sha256 === first.sha256);
    const isOpen = typeof key === "string" && unfolded.has(key);
    const item = { image: first, images: isOpen ? [first] : [first, ...others], copies: others.length + 1, isSameFile };
    return isOpen ? [item, ...unfoldedItems(others)] : [item];
  });
}

/** Each image on a tile of its own. @param {Image[]} images @returns {Item[]} */
export function unfoldedItems(images) {
  return images.map((image) => ({ image, images: [image], copies: 1, isSameFile: true }));
}

/** Of images that are copies of one another only the first. @param {Image[]} images */
export function firsts(images) {
  return [...folds(images).values()].map(([first]) => first);
}

/** @param {Image[]} images */
function folds(images) {
  /** @type {Map<string | Image, Image[]>} */
  const found = new Map();
  for (const image of images) {
    const key = foldOf(image) ?? image;
    const known = found.get(key);
    if (known) known.push(image);
    else found.set(key, [image]);
  }
  return found;
}
