/** Short messages at the foot of the page, some with a way back. */

import { byId, h, iconButton } from "./dom.js";
import { ApiError } from "./api.js";

const SHORT = 4000;
const LONG = 9000;

/**
 * @param {string} text
 * @param {{label: string, act: () => unknown} | null} [action]
 * @param {"plain" | "error"} [kind]
 */
export function toast(text, action = null, kind = "plain") {
  /** What had the focus before the message's own button took it. @type {EventTarget | null} */
  let before = null;
  const close = () => {
    const held = note.contains(document.activeElement);
    note.remove();
    if (held && before instanceof HTMLElement && before.isConnected) before.focus();
  };
  const note = h(
    "div",
    { class: `toast ${kind}` },
    h("span", {}, text),
    action &&
      h(
        "button",
        {
          type: "button",
          class: "text-button",
          onclick: () => {
            close();
            void attempt(async () => action.act());
          },
        },
        action.label,
      ),
    iconButton("close", "Close this message", close, { class: "small" }),
  );
  const shelf = byId("toasts");
  shelf.append(note);
  while (shelf.children.length > 3) shelf.firstElementChild?.remove();

  // It stays for as long as somebody reads it or reaches for its button.
  let timer = 0;
  const wait = () => (timer = setTimeout(close, action || kind === "error" ? LONG : SHORT));
  const hold = () => clearTimeout(timer);
  note.addEventListener("pointerenter", hold);
  note.addEventListener("focusin", (event) => {
    hold();
    if (!note.contains(/** @type {Node | null} */ (event.relatedTarget))) before = event.relatedTarget;
  });
  note.addEventListener("pointerleave", wait);
  note.addEventListener("focusout", wait);
  wait();
}

/**
 * Runs what may be refused, and says so where it is.
 * @template T
 * @param {() => Promise<T>} work
 * @returns {Promise<T | undefined>}
 */
export async function attempt(work) {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    toast(error.message, null, "error");
    return undefined;
  }
}
