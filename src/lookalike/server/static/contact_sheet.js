/** Draws images with their names on one sheet, to print or to send. */
import { nameAndFolder, scoreText } from "./counts.js";
import { ratioOf, thumbnail } from "./images.js";
import { arrange, shownRatio } from "./rows.js";

export const MOST = 300; // images on a sheet
const WIDTH = 2400;
const ROW = 380;
const GAP = 24;
const MARGIN = 72;
const CAPTION = 84;
const LINE = 3; // pixels of each line of a frame
const LINES = /** @type {[number, string][]} */ ([[1.5, "#141210"], [4.5, "#fff"], [7.5, "#141210"]]); // from the edge inwards
const FONT = "system-ui, sans-serif";

/** @typedef {import("./images.js").Image} Image */

/**
 * @param {Image[]} images
 * @returns {Promise<Blob>} a JPEG
 */
export async function drawSheet(images) {
  const ratios = images.map((image) => shownRatio(ratioOf(image)));
  const rows = arrange(ratios, { width: WIDTH - 2 * MARGIN, height: ROW, gap: GAP });
  const canvas = document.createElement("canvas");
  canvas.width = Math.ceil(2 * MARGIN + Math.max(...rows.map((row) => widthOf(row, ratios))));
  canvas.height = Math.ceil(2 * MARGIN + rows.reduce((sum, row) => sum + row.height + CAPTION, 0));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  let y = MARGIN;
  for (const row of rows) {
    let x = MARGIN;
    for (let i = row.start; i < row.end; i++) {
      await drawImage(context, images[i], { x, y, width: ratios[i] * row.height, height: row.height });
      x += ratios[i] * row.height + GAP;
    }
    y += row.height + CAPTION;
  }
  return new Promise((resolve, reject) => {
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the sheet is too large"))), "image/jpeg", 0.9);
  });
}

/** @param {import("./rows.js").Row} row @param {number[]} ratios */
function widthOf({ start, end, height }, ratios) {
  return ratios.slice(start, end).reduce((sum, ratio) => sum + ratio * height + GAP, -GAP);
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {Image} image
 * @param {{x: number, y: number, width: number, height: number}} box
 */
async function drawImage(context, image, { x, y, width, height }) {
  context.fillStyle = "#eeedea";
  context.fillRect(x, y, width, height);
  const drawn = await loaded(thumbnail(image, Math.max(width, height)));
  if (drawn) {
    const scale = Math.min(width / drawn.naturalWidth, height / drawn.naturalHeight);
    const [across, down] = [drawn.naturalWidth * scale, drawn.naturalHeight * scale];
    const [left, top] = [x + (width - across) / 2, y + (height - down) / 2];
    context.drawImage(drawn, left, top, across, down);
    if (image.region) frame(context, image.region, { left, top, across, down });
  }
  const facts = [image.score === undefined ? "" : scoreText(image.score), image.label ?? ""].filter(Boolean);
  line(context, nameAndFolder(image.key)[0], `600 24px ${FONT}`, "#1e1d1b", x, y + height + 30, width);
  line(context, facts.join("   "), `22px ${FONT}`, "#646260", x, y + height + 58, width);
}

/** Frames a part of an image, so that it shows on light and on dark. @param {CanvasRenderingContext2D} context
 * @param {import("./parts.js").Part} part @param {{left: number, top: number, across: number, down: number}} image */
function frame(context, part, { left, top, across, down }) {
  for (const [inset, colour] of LINES) {
    const [x, y] = [left + part.x * across + inset, top + part.y * down + inset];
    Object.assign(context, { strokeStyle: colour, lineWidth: LINE });
    context.strokeRect(x, y, Math.max(part.width * across - 2 * inset, 1), Math.max(part.height * down - 2 * inset, 1));
  }
}

/** A line of text that is cut off where it is too long. @param {CanvasRenderingContext2D} context @param {string} text
 * @param {string} font @param {string} colour @param {number} x @param {number} y @param {number} width */
function line(context, text, font, colour, x, y, width) {
  Object.assign(context, { font, fillStyle: colour });
  let shown = [...text];
  while (shown.length > 1 && context.measureText(shown.join("")).width > width) shown = [...shown.slice(0, -2), "…"];
  context.fillText(shown.join(""), x, y);
}

/** @param {string} source @returns {Promise<HTMLImageElement | null>} */
async function loaded(source) {
  const image = new Image();
  image.src = source;
  return image.decode().then(
    () => image,
    () => null,
  );
}
