/** Takes the selected images elsewhere: their paths to the clipboard, a list of them to a file. */
import { make } from "./element.js";

/** @typedef {import("./images.js").Image} Image */

const RISKY = /^[=+\-@\t\r]/; // what a spreadsheet would take for a formula

/** @param {Image[]} images */
export async function copyPaths(images) {
  const text = images.map((image) => image.key).join("\n");
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = make("textarea", { class: "aside" }); // without TLS there is no clipboard but this
  area.value = text;
  document.body.append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  if (!isDone) throw new Error("the browser does not allow it");
}

/** The images as CSV (RFC 4180), one a line. @param {Image[]} images */
export function asCsv(images) {
  const names = [...new Set(images.flatMap((image) => Object.keys(image.attributes)))].sort();
  const lines = images.map(({ id, key, label, score, width, height, attributes }) =>
    [id, key, label, score, width, height, ...names.map((name) => attributes[name])].map(cell).join(","),
  );
  return [["id", "path", "label", "score", "width", "height", ...names].map(cell).join(","), ...lines, ""].join("\r\n");
}

/** Has the browser save something. @param {Blob} blob @param {string} name */
export function download(blob, name) {
  const address = URL.createObjectURL(blob);
  const link = make("a", { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

/** @param {unknown} value */
function cell(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return String(value);
  const text = RISKY.test(String(value)) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) || text.startsWith(" ") ? `"${text.replaceAll('"', '""')}"` : text;
}
