/** What can be done with the selected images. */
import { tell } from "./announcer.js";
import { drawSheet, MOST } from "./contact_sheet.js";
import { counted } from "./counts.js";
import { byId } from "./element.js";
import { asCsv, copyPaths, download } from "./export.js";
import { firsts } from "./folding.js";
import { term } from "./query.js";

const MOST_TERMS = 50; // of a query

/** @param {import("./app.js").App} app */
export function setUpSelectionBar(app) {
  const images = () => [...app.selection.images.values()];
  const clicks = {
    search: () => {
      const wanted = app.copies.isOn ? firsts(images()) : images();
      app.go({ terms: wanted.slice(0, MOST_TERMS).map((image) => term("id", image.id)), cut: null });
      app.selection.clear();
    },
    copy: async () => {
      await copyPaths(images());
      tell(`${counted(images().length, "path")} copied`);
    },
    list: () => download(new Blob([asCsv(images())], { type: "text/csv" }), "lookalike.csv"),
    sheet: () => sheet(images()),
    clear: () => app.selection.clear(),
  };
  for (const [name, click] of Object.entries(clicks)) {
    byId(`selection-${name}`).addEventListener("click", async () => {
      try {
        await click();
      } catch (error) {
        tell(`That did not work: ${/** @type {Error} */ (error).message}`);
      }
    });
  }
}

/** @param {import("./images.js").Image[]} images */
async function sheet(images) {
  const button = byId("selection-sheet");
  button.disabled = true;
  tell(images.length > MOST ? `Drawing the first ${MOST} images …` : "Drawing the contact sheet …");
  try {
    download(await drawSheet(images.slice(0, MOST)), "lookalike.jpg");
    tell("The contact sheet is saved");
  } finally {
    button.disabled = false;
  }
}
