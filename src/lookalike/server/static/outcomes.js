/** What the page says when there is nothing to show: why, and what to do. */
import { Problem } from "./api.js";
import { MissingUploadError } from "./feed.js";
import { hintNodes, notify } from "./notice.js";

/** @typedef {{retry: () => void, unfilter: () => void, clear: () => void, choose: () => void}} Remedies */

/** @param {unknown} error @param {Remedies} remedies */
export function explain(error, { retry, clear, choose }) {
  const start = { label: "Back to all images", click: clear };
  if (error instanceof MissingUploadError) {
    const again = { label: "Choose the image again", click: choose, isMain: true };
    notify("The image is not in this browser", "An image that is dropped here stays in the browser that it was dropped in. Choose it again to search for it.", { actions: [again, start] });
  } else if (error instanceof Problem) {
    const mayPass = error.status === 0 || error.status >= 500;
    const again = { label: "Try again", click: retry, isMain: true };
    const detail = error.detail.charAt(0).toUpperCase() + error.detail.slice(1);
    notify(error.title, detail, { hints: hintNodes(error.hints), actions: mayPass ? [again, start] : [start], kind: "error" });
  } else {
    console.error(error);
    notify("Something is wrong with this page", String(error), { actions: [{ label: "Load it again", click: () => location.reload() }], kind: "error" });
  }
}

/** @param {{isSearch: boolean, isFiltered: boolean, isIncomplete: boolean, hasCut: boolean}} state @param {Remedies} remedies */
export function explainEmpty({ isSearch, isFiltered, isIncomplete, hasCut }, { unfilter, clear, choose }) {
  const all = { label: "Back to all images", click: clear };
  if (isIncomplete) {
    notify("What should it look like?", "The query says only what the images should be unlike. Add one that they should be like.", { actions: [{ label: "Choose an image", click: choose, isMain: true }, all] });
  } else if (isFiltered || hasCut) {
    notify("Nothing matches", isFiltered ? "No image has all that the filters ask for." : "No match has so high a score.", { actions: [{ label: "Remove filters", click: unfilter, isMain: true }, all] });
  } else if (isSearch) notify("Nothing was found", "The collection has no other images.", { actions: [all] });
  else notify("There are no images yet", "Index a folder where the service runs; they appear here by themselves.", { hints: [code("lookalike index FOLDER")] });
}

/** @param {string} text */
function code(text) {
  const element = document.createElement("code");
  element.textContent = text;
  return element;
}
