/** The keyboard: one table of keys, which the help shows as it is. */

/** @import {App} from "./types" */

import { byId, h } from "./dom.js";
import { roll } from "./seed.js";

/**
 * @typedef {object} Shortcut
 * @property {string} keys as shown
 * @property {string} does
 * @property {(event: KeyboardEvent) => boolean} [when]
 * @property {(app: App) => void} [act]
 * @property {boolean} [typing] whether it also works while somebody types
 */

const plain = (/** @type {string} */ key) => (/** @type {KeyboardEvent} */ event) =>
  event.key.toLowerCase() === key && !event.ctrlKey && !event.metaKey && !event.altKey;

const press = (/** @type {string} */ selector) => () =>
  /** @type {HTMLElement | null} */ (document.querySelector(selector))?.click();

/** @type {readonly Shortcut[]} */
const SHORTCUTS = [
  {
    keys: "Ctrl Enter",
    does: "Paint",
    when: (event) => event.key === "Enter" && (event.ctrlKey || event.metaKey),
    act: (app) => void app.panel.paint(),
    typing: true,
  },
  { keys: "P", does: "Go to the prompt", when: plain("p"), act: toPrompt },
  { keys: "G", does: "Gallery, and back", when: plain("g"), act: (app) => app.go(location.hash === "#gallery" ? "paint" : "gallery") },
  { keys: "/", does: "Search the gallery", when: plain("/"), act: (app) => app.searchGallery() },
  { keys: "D", does: "Roll another seed", when: plain("d"), act: roll },
  { keys: "L", does: "Keep or free the seed", when: plain("l"), act: press("#lock") },
  { keys: "F", does: "Favourite", when: plain("f"), act: press('#stage [data-act="favourite"]') },
  { keys: "C", does: "The calls that make this picture", when: plain("c"), act: press("#show-calls") },
  { keys: "S", does: "A sheet of many pictures", when: plain("s"), act: press("#show-sheets") },
  { keys: "O", does: "Open a picture", when: plain("o"), act: press("#open-file") },
  { keys: "T", does: "Light or dark", when: plain("t"), act: press("#theme") },
  { keys: "?", does: "These keys", when: (event) => event.key === "?", act: () => void openHelp() },
  { keys: "← → ↑ ↓", does: "Walk through the gallery; Enter opens, X chooses" },
  { keys: "Esc", does: "Close what is open" },
  { keys: "Ctrl V", does: "Bring a copied picture" },
];

/** @param {App} app */
export function makeShortcuts(app) {
  addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    const typing = target.matches?.("textarea, select, input:not([type=range], [type=checkbox])");
    if (event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const row = SHORTCUTS.find((each) => each.when?.(event) && (each.typing || !typing));
    if (!row?.act) return;
    event.preventDefault();
    row.act(app);
  });
  byId("help").addEventListener("click", () => void openHelp());
}

/** @param {App} app */
function toPrompt(app) {
  app.go("paint");
  app.panel.focus();
}

async function openHelp() {
  const { openDialog } = await import("./dialog.js");
  openDialog({
    title: "Keys",
    body: [
      h(
        "dl",
        { class: "keys" },
        SHORTCUTS.map(({ keys, does }) =>
          h("div", {}, h("dt", {}, keys.split(" ").map((key) => h("kbd", {}, key))), h("dd", {}, does)),
        ),
      ),
    ],
  });
}
