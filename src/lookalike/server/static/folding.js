/** Folds files with the same bytes behind the first of them. */

/** @typedef {{image: import("./images.js").Image, copies: number, isCopy: boolean}} Item a tile: an image and its fold */

/**
 * @param {import("./images.js").Image[]} images
 * @param {Set<string>} unfolded the SHA-256s whose files are all shown
 * @returns {Item[]} what is shown, in order; `copies` counts the files of a fold, on its first item
 */
export function fold(images, unfolded) {
  /** @type {Map<string, Item[]>} */
  const folds = new Map();
  const items = [];
  for (const image of images) {
    const known = image.sha256 && folds.get(image.sha256);
    const item = { image, copies: 1, isCopy: Boolean(known) };
    if (known) {
      known[0].copies += 1;
      if (unfolded.has(/** @type {string} */ (image.sha256))) known.push(item);
    } else {
      items.push(item);
      if (image.sha256) folds.set(image.sha256, [item]);
    }
  }
  return items.flatMap((item) => (item.image.sha256 && folds.get(item.image.sha256)) || [item]);
}
