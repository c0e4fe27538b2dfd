/** What stands in place of the images: that there are none, that something is wrong, and what to do. */
import { byId, make } from "./element.js";

/** @typedef {{label: string, click: () => void, isMain?: boolean}} Action */

/**
 * @param {string} title
 * @param {string} detail
 * @param {{hints?: Node[], actions?: Action[], kind?: "empty" | "error"}} [more]
 */
export function notify(title, detail, { hints = [], actions = [], kind = "empty" } = {}) {
  const notice = byId("notice");
  notice.dataset.kind = kind;
  notice.setAttribute("role", kind === "error" ? "alert" : "region");
  byId("notice-title").textContent = title;
  byId("notice-detail").textContent = detail;
  byId("notice-hints").replaceChildren(...hints.map((hint) => make("li", {}, hint)));
  byId("notice-hints").hidden = hints.length === 0;
  byId("notice-actions").replaceChildren(...actions.map(button));
  notice.hidden = false;
}

export function clearNotice() {
  byId("notice").hidden = true;
}

/** @param {Action} action */
function button({ label, click, isMain }) {
  return make("button", { type: "button", class: isMain ? "main" : "quiet", text: label, click });
}

/** What to do about a problem, from its hints. @param {any[]} hints */
export function hintNodes(hints) {
  return hints.map(({ action, arguments: given, purpose }) => {
    const line = make("span", { text: purpose ? `To ${purpose}: ` : "" });
    line.append(make("code", { text: command(action, given ?? {}) }));
    return line;
  });
}

/** What is typed where the service runs; other actions as a call. @param {string} action @param {Record<string, any>} given */
function command(action, given) {
  if (action === "install_extra" && given.extra) return `pip install "lookalike[${given.extra}]"`;
  if (action === "reindex" && given.path) return `lookalike index -c ${given.path}${given.model ? ` --model ${given.model}` : ""} --reindex`;
  if (action === "rebuild" && given.path) return `lookalike build -c ${given.path}`;
  const values = Object.entries(given).map(([name, value]) => `${name}=${value === null ? "…" : JSON.stringify(value)}`);
  return `${action}(${values.join(", ")})`;
}
