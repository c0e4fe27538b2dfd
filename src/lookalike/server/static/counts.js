/** Numbers as people read them. */

const whole = new Intl.NumberFormat("en");

/** @param {number} n */
export function number(n) {
  return whole.format(n);
}

/**
 * "1 image", "713 images".
 * @param {number} n
 * @param {string} one
 * @param {string} [many]
 */
export function counted(n, one, many = `${one}s`) {
  return `${number(n)} ${n === 1 ? one : many}`;
}

/**
 * A score with so many digits that near ones differ; a minus sign instead of a hyphen.
 * @param {number} score
 */
export function scoreText(score) {
  return score.toFixed(3).replace("-", "−");
}

/**
 * The last part of a key, and the folders before it.
 * @param {string} key
 * @returns {[string, string]}
 */
export function nameAndFolder(key) {
  const at = key.lastIndexOf("/");
  return [key.slice(at + 1), key.slice(0, Math.max(at, 0))];
}
