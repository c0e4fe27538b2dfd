// Asks for what the page needs first while its modules are still on their way; `api.js` takes the answers. No module.
globalThis.early = new Map();
for (const path of ["/v1/info", ...(location.search ? [] : ["/v1/images?after=0&limit=120"])]) {
  const answer = fetch(path, { credentials: "same-origin" });
  answer.catch(() => undefined); // whoever takes it tells what is wrong
  globalThis.early.set(path, answer);
}
