/** The query: images, texts and the collection's own images, each with a sign and a weight. Values, never changed. */

/**
 * @typedef {[number, number, number, number]} Region x, y, width, height, in shares of an image's sides
 * @typedef {{kind: "id" | "text" | "image", value: string, sign: 1 | -1, weight: number, region: Region | null}} Term
 *   `value` is the id, the text, or the key of an uploaded image
 */

export const WEIGHTS = [0.25, 0.5, 1, 2, 4];
const FEEDBACK = 0.5; // the weight of what only refines a query

/**
 * @param {Term["kind"]} kind
 * @param {string | number} value
 * @param {Partial<Term>} [more]
 * @returns {Term}
 */
export function term(kind, value, more = {}) {
  return { kind, value: String(value), sign: 1, weight: 1, region: null, ...more };
}

/** Whether two terms are about the same. @param {Term} a @param {Term} b */
export function isSame(a, b) {
  return a.kind === b.kind && a.value === b.value;
}

/** The terms with one more, or with another one in place of the same. @param {Term[]} terms @param {Term} added */
export function withTerm(terms, added) {
  return terms.some((each) => isSame(each, added))
    ? terms.map((each) => (isSame(each, added) ? added : each))
    : [...terms, added];
}

/** The terms after a plus or a minus on an image; the same again takes it back. @param {Term[]} terms @param {number} id
 * @param {1 | -1} sign */
export function withFeedback(terms, id, sign) {
  const found = terms.find((each) => each.kind === "id" && each.value === String(id));
  if (found && found.sign === sign) return terms.filter((each) => each !== found);
  return withTerm(terms, term("id", id, { sign, weight: terms.length ? FEEDBACK : 1 }));
}

/** Whether there is anything to look for. @param {Term[]} terms */
export function isComplete(terms) {
  return terms.some((each) => each.sign > 0);
}

/** Whether it is one image, all of it, which can be cut into parts. @param {Term[]} terms */
export function canBeCut(terms) {
  const [only] = terms;
  return terms.length === 1 && only.sign > 0 && only.kind !== "text" && !only.region;
}

/**
 * The examples of a search, as the API takes them.
 * @param {Term[]} terms
 * @param {(key: string) => Promise<string>} base64 gives an uploaded image
 */
export async function examples(terms, base64) {
  const [positive, negative] = [/** @type {any[]} */ ([]), /** @type {any[]} */ ([])];
  for (const { kind, value, sign, weight, region } of terms) {
    const example = /** @type {any} */ ({ weight, ...(region && { region }) });
    if (kind === "id") example.id = Number(value);
    else if (kind === "text") example.text = value;
    else example.image = await base64(value);
    (sign > 0 ? positive : negative).push(example);
  }
  return { positive, negative };
}
