/** Keeps the images that were dropped here in this browser, so that Back and a reload still have them. */

const MOST = 40; // that are kept
/** @type {Map<string, Upload>} */
const inMemory = new Map();
/** @type {Map<string, string>} */
const addresses = new Map();

/** @typedef {{key: string, blob: Blob, name: string, at: number}} Upload */

/**
 * @param {Blob} blob
 * @param {string} name
 * @returns {Promise<Upload>}
 */
export async function keep(blob, name) {
  const digits = crypto.getRandomValues(new Uint32Array(3));
  const upload = { key: Array.from(digits, (digit) => digit.toString(36)).join("-"), blob, name, at: Date.now() };
  inMemory.set(upload.key, upload);
  await inStore("readwrite", (store) => store.put(upload)).catch(() => undefined); // private windows may keep nothing
  void prune();
  return upload;
}

/**
 * An upload, or null if this browser has it no more.
 * @param {string} key
 * @returns {Promise<Upload | null>}
 */
export async function find(key) {
  const found = inMemory.get(key) ?? (await inStore("readonly", (store) => store.get(key)).catch(() => undefined));
  if (found) inMemory.set(key, found);
  return found ?? null;
}

/** An address under which the page can show an upload. @param {Upload} upload */
export function addressOf({ key, blob }) {
  if (!addresses.has(key)) addresses.set(key, URL.createObjectURL(blob));
  return /** @type {string} */ (addresses.get(key));
}

/** The bytes of an upload in base64. @param {Blob} blob @returns {Promise<string>} */
export async function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).split(",", 2)[1] ?? "");
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}

async function prune() {
  const all = await inStore("readonly", (store) => store.getAll()).catch(() => []);
  const old = all.sort((/** @type {Upload} */ a, /** @type {Upload} */ b) => b.at - a.at).slice(MOST);
  for (const { key } of old) await inStore("readwrite", (store) => store.delete(key)).catch(() => undefined);
}

/**
 * @param {IDBTransactionMode} mode
 * @param {(store: IDBObjectStore) => IDBRequest} work
 * @returns {Promise<any>}
 */
async function inStore(mode, work) {
  const database = await opened();
  return done(work(database.transaction("uploads", mode).objectStore("uploads")));
}

/** @type {Promise<IDBDatabase> | null} */
let opening = null;

function opened() {
  if (!opening) {
    const asked = indexedDB.open("lookalike", 1);
    asked.onupgradeneeded = () => asked.result.createObjectStore("uploads", { keyPath: "key" });
    opening = done(asked);
  }
  return opening;
}

/** @template T @param {IDBRequest<T>} asked @returns {Promise<T>} */
function done(asked) {
  return new Promise((resolve, reject) => {
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
  });
}
