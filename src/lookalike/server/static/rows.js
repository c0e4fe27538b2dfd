/** Arranges images in rows of one height each that fill the width; arithmetic only, so that nothing ever jumps. */

const NARROWEST = 0.5; // ratios beyond these are shown whole within them
const WIDEST = 3;

/** @typedef {{start: number, end: number, height: number}} Row the images from start up to end, and their height */

/** The ratio that an image is shown with. @param {number} ratio */
export function shownRatio(ratio) {
  return Math.min(Math.max(ratio, NARROWEST), WIDEST);
}

/**
 * @param {number[]} ratios of the images, in their order
 * @param {{width: number, height: number, gap: number, most?: number}} wanted the width of a row, about its height, between
 *   two images, and the most images of a row
 * @returns {Row[]}
 */
export function arrange(ratios, { width, height, gap, most = Infinity }) {
  const rows = [];
  let start = 0;
  let sum = 0;
  for (let i = 0; i < ratios.length; i++) {
    const fitted = (width - gap * (i - start)) / (sum + ratios[i]);
    const without = i > start ? (width - gap * (i - start - 1)) / sum : Infinity;
    if (i > start && fitted < height && without - height < height - fitted) {
      rows.push({ start, end: i, height: without });
      [start, sum] = [i, ratios[i]];
    } else sum += ratios[i];
    const full = (width - gap * (i - start)) / sum;
    if (full <= height || i + 1 - start === most) {
      rows.push({ start, end: i + 1, height: full });
      [start, sum] = [i + 1, 0];
    }
  }
  if (start < ratios.length) {
    const full = (width - gap * (ratios.length - start - 1)) / sum;
    rows.push({ start, end: ratios.length, height: Math.min(height, full) });
  }
  return rows;
}
