/**
 * Makes big photographs smaller before they are sent. Models look at far fewer pixels, and parts stay sharp enough: the
 * order of the matches stays, and scores move by about 0.01, as they do when a photograph is saved again as a JPEG.
 */

const SMALL_BYTES = 2 ** 21; // goes as it is
const SIDE = 2048; // of the longer side; a quarter of it is still twice what most models take
const QUALITY = 0.92;
const DRAWN = new Set(["image/jpeg", "image/png", "image/webp", "image/avif"]);

/**
 * A file, or the same image with fewer pixels: upright, and in sRGB. What the browser cannot draw stays as it is.
 * @param {Blob} file
 * @returns {Promise<Blob>}
 */
export async function shrink(file) {
  if (file.size <= SMALL_BYTES || !DRAWN.has(file.type)) return file;
  try {
    const smaller = await redrawn(file);
    return smaller && smaller.size < file.size ? smaller : file;
  } catch {
    return file;
  }
}

/** @param {Blob} file @returns {Promise<Blob | null>} */
async function redrawn(file) {
  const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
  const scale = SIDE / Math.max(bitmap.width, bitmap.height);
  if (scale >= 1) return null;
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(Math.round(bitmap.width * scale), 1);
  canvas.height = Math.max(Math.round(bitmap.height * scale), 1);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { alpha: false }));
  context.imageSmoothingQuality = "high";
  context.fillStyle = "#fff"; // what the service, too, puts behind transparent pixels
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
}
