/** Talks to the service: waits where it is busy, asks for the token where it wants one, and makes problems of errors. */

const ATTEMPTS = 6; // while the service is busy
const LONGEST_WAIT_S = 20;

/** What is wrong, as RFC 9457 describes it; status 0 is a service that cannot be reached. */
export class Problem extends Error {
  /** @param {{status: number, title: string, detail: string, hints?: any[]}} members */
  constructor({ status, title, detail, hints = [] }) {
    super(detail);
    this.status = status;
    this.title = title;
    this.detail = detail;
    this.hints = hints;
  }
}

/** Asks for the token, and is done when there is a session; `session.js` sets it. @type {{ask: () => Promise<void>}} */
export const gate = { ask: () => Promise.reject(new Error("no session")) };

/** Is told for how many seconds the service is waited for; 0 ends it. @type {{on: (seconds: number) => void}} */
export const waiting = { on: () => {} };

/**
 * Sends a request and returns its answer, which is good. Requests that change nothing may be sent again.
 * @param {string} path
 * @param {RequestInit} [options]
 * @returns {Promise<any>} the JSON of the answer
 */
export async function request(path, options = {}) {
  for (let attempt = 1; ; attempt++) {
    const response = await reached(path, options);
    if (response.ok) return response.status === 204 ? null : await response.json();
    const problem = await problemOf(response);
    if (response.status === 401 && path !== "/v1/session") {
      /** @type {any} */ (globalThis).early?.clear(); // what was asked for without the token has no better answer
      await gate.ask();
    } else if (response.status === 503 && attempt < ATTEMPTS) await wait(response, attempt, options.signal);
    else throw problem;
  }
}

/**
 * @param {string} path
 * @param {any} value
 * @param {AbortSignal} [signal]
 */
export function post(path, value, signal) {
  const headers = { "Content-Type": "application/json" };
  return request(path, { method: "POST", headers, body: JSON.stringify(value), signal });
}

/** @param {string} path @param {RequestInit} options */
async function reached(path, options) {
  try {
    return await (asked(path) ?? fetch(path, { credentials: "same-origin", ...options }));
  } catch (error) {
    if (options.signal?.aborted) throw error;
    const detail = navigator.onLine
      ? "There is no answer. It may have been stopped, or is being started."
      : "This device is offline.";
    throw new Problem({ status: 0, title: "The service cannot be reached", detail });
  }
}

/** The answer that `early.js` has asked for, once. @param {string} path @returns {Promise<Response> | undefined} */
function asked(path) {
  const { early } = /** @type {any} */ (globalThis);
  const answer = early?.get(path);
  early?.delete(path);
  return answer;
}

/** @param {Response} response */
async function problemOf(response) {
  const told = await response.json().catch(() => ({}));
  return new Problem({
    status: response.status,
    title: told.title ?? `The service answered ${response.status}`,
    detail: told.detail ?? response.statusText,
    hints: told.hints ?? [],
  });
}

/** @param {Response} response @param {number} attempt @param {AbortSignal | null} [signal] */
async function wait(response, attempt, signal) {
  const asked = Number(response.headers.get("Retry-After")) || 1;
  const seconds = Math.min(asked * 2 ** Math.min(attempt - 1, 2), LONGEST_WAIT_S);
  waiting.on(seconds);
  await new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
  waiting.on(0);
}
