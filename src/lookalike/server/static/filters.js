/** Filters by label, folder and attributes, as the two forms of the API want them. */

/** @typedef {{labels: string[], under: string | null, where: Record<string, (string | number)[]>}} Filters */

/** @type {Filters} */
export const NONE = { labels: [], under: null, where: {} };

/** @param {Filters} filters */
export function isAny({ labels, under, where }) {
  return labels.length > 0 || under !== null || Object.keys(where).length > 0;
}

/** Parameters of an address. @param {Filters} filters */
export function asParameters({ labels, under, where }) {
  const found = labels.map((label) => ["label", label]);
  if (under !== null) found.push(["under", under]);
  for (const [name, values] of Object.entries(where)) found.push(["where", `${name}=${values.map(asText).join(",")}`]);
  return found;
}

/** The member `where` of a search. @param {Filters} filters */
export function asBody(filters) {
  if (!isAny(filters)) return null;
  const { labels, under, where } = filters;
  return { ...(labels.length && { label: labels }), ...(under !== null && { under }), attributes: where };
}

/** Whether an attribute's name can stand in a condition. @param {string} name */
export function canFilter(name) {
  return !/[=<>!]/.test(name) && name.trim() === name;
}

/**
 * The filters with a value taken in, or taken out if it is there.
 * @param {Filters} filters
 * @param {"label" | "folder" | "attribute"} kind
 * @param {string} name of the attribute
 * @param {string | number} value
 * @returns {Filters}
 */
export function toggled(filters, kind, name, value) {
  if (kind === "folder") return { ...filters, under: filters.under === value ? null : String(value) };
  if (kind === "label") return { ...filters, labels: flipped(filters.labels, String(value)) };
  const values = flipped(filters.where[name] ?? [], value);
  const { [name]: _, ...others } = filters.where;
  return { ...filters, where: values.length ? { ...others, [name]: values } : others };
}

/** Whether a value is among the filters. @param {Filters} filters @param {string} kind @param {string} name
 * @param {any} value */
export function has(filters, kind, name, value) {
  if (kind === "folder") return filters.under === value;
  return (kind === "label" ? filters.labels : (filters.where[name] ?? [])).includes(value);
}

/** @template T @param {T[]} values @param {T} value */
function flipped(values, value) {
  return values.includes(value) ? values.filter((each) => each !== value) : [...values, value];
}

/** @param {string | number} value */
function asText(value) {
  return typeof value === "number" ? String(value) : `"${value.replaceAll('"', '""')}"`;
}
