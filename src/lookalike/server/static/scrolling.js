/** Keeps in the history how far the page is scrolled, so that Back leads to the same place. */

const PAUSE_MS = 150;

/** @param {() => number} count how many images are loaded */
export function rememberScroll(count) {
  history.scrollRestoration = "manual";
  let timer = 0;
  const save = () => saveScroll(count());
  addEventListener("scroll", () => {
    clearTimeout(timer);
    timer = window.setTimeout(save, PAUSE_MS);
  }, { passive: true });
  addEventListener("pagehide", save);
}

/** @param {number} count */
export function saveScroll(count) {
  history.replaceState({ y: scrollY, count }, "");
}

/** Where the page was. @returns {{y: number, count: number}} */
export function savedScroll() {
  const { y = 0, count = 0 } = history.state ?? {};
  return { y, count };
}
