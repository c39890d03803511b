/** Dialogs: Esc or a click beside them closes, and the focus goes back to where it was. */

import { byId, h, iconButton } from "./dom.js";

/**
 * @param {{title: string, kind?: string, body: Node[], foot?: Node[], onclose?: () => void}} parts
 *   kind is a class: "narrow", "wide" or "full"
 * @returns {{close: () => void, node: HTMLDialogElement}}
 */
export function openDialog({ title, kind = "narrow", body, foot = [], onclose }) {
  const close = () => node.close();
  const node = h(
    "dialog",
    { class: `dialog ${kind}`, "aria-label": title },
    h(
      "div",
      { class: "dialog-inner" },
      h(
        "header",
        { class: "dialog-head" },
        h("h2", {}, title),
        iconButton("close", "Close (Esc)", close),
      ),
      h("div", { class: "dialog-body" }, body),
      foot.length > 0 && h("footer", { class: "dialog-foot" }, foot),
    ),
  );
  // Only a press that also began on the backdrop: a selection dragged out of the dialog is no wish to leave.
  let began = false;
  node.addEventListener("pointerdown", (event) => (began = event.target === node));
  node.addEventListener("click", (event) => began && event.target === node && close());
  // Whatever lies outside the topmost dialog is neither seen nor heard: what the page says goes with it.
  const voices = byId("voices");
  const before = voices.parentElement ?? document.body;
  node.addEventListener("close", () => {
    if (node.contains(voices)) (before.isConnected ? before : document.body).append(voices);
    node.remove();
    onclose?.();
  });
  document.body.append(node);
  node.showModal();
  node.append(voices);
  return { close, node };
}

/**
 * Asks before something that cannot be undone.
 * @param {{title: string, text: string, yes: string}} words
 * @returns {Promise<boolean>}
 */
export function confirmed({ title, text, yes }) {
  return new Promise((resolve) => {
    let answer = false;
    const done = (/** @type {boolean} */ value) => {
      answer = value;
      dialog.close();
    };
    const dialog = openDialog({
      title,
      body: [h("p", {}, text)],
      foot: [
        h("button", { type: "button", class: "button", onclick: () => done(false) }, "Keep"),
        h("button", { type: "button", class: "button danger", onclick: () => done(true) }, yes),
      ],
      onclose: () => resolve(answer),
    });
  });
}
