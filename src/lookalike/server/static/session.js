/** Asks for the token, and exchanges it for a cookie that scripts cannot read. */
import { gate, post } from "./api.js";
import { byId } from "./element.js";

/** @type {Promise<void> | null} */
let asking = null;

/** Sets up the form that asks for the token when the service wants one. */
export function guardWithToken() {
  gate.ask = () => (asking ??= ask().finally(() => (asking = null)));
  byId("token").addEventListener("cancel", (/** @type {Event} */ event) => event.preventDefault());
}

/** Done when there is a session. @returns {Promise<void>} */
function ask() {
  const [dialog, form, field, wrong] = ["token", "token-form", "token-value", "token-wrong"].map(byId);
  if (!dialog.open) dialog.showModal();
  field.focus();
  return new Promise((resolve) => {
    const enter = async (/** @type {Event} */ event) => {
      event.preventDefault();
      wrong.textContent = "";
      try {
        await post("/v1/session", { token: field.value.trim() });
        form.removeEventListener("submit", enter);
        field.value = "";
        dialog.close();
        resolve();
      } catch (error) {
        wrong.textContent = /** @type {any} */ (error).status === 401 ? "That is not the token." : /** @type {Error} */ (error).message;
        field.select();
      }
    };
    form.addEventListener("submit", enter);
  });
}
