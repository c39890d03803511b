/** The pictures chosen in the gallery, and the bar of what can be done with them. */

/** @import {App, Picture} from "./types" */

import { api } from "./api.js";
import { confirmed } from "./dialog.js";
import { h, icon } from "./dom.js";
import { attempt, toast } from "./toast.js";
import { plural } from "./words.js";

/**
 * @param {App} app
 * @param {{inTrash: () => boolean, refresh: () => void, mark: (id: string, on: boolean) => void}} gallery
 */
export function makeSelection(app, { inTrash, refresh, mark }) {
  /** @type {Set<string>} in the order of choosing */
  const chosen = new Set();
  /** Whether a picture waits for another to be compared with. */
  let waiting = false;
  const words = h("span", { class: "selection-words", role: "status" });
  const button = (
    /** @type {string} */ name,
    /** @type {string} */ label,
    /** @type {() => Promise<unknown>} */ work,
  ) => h("button", { type: "button", class: "button", onclick: () => void attempt(work) }, icon(name), h("span", {}, label));

  const compare = button("compare", "Compare", openCompare);
  const love = button("heart", "Favourite", () => each((id) => app.pictures.favourite(id, true)));
  const remove = button("trash", "Delete", () => app.pictures.trash(take()));
  const restore = button("restore", "Restore", () => app.pictures.restore(take()));
  const empty = button("trash", "Empty the trash", emptyTrash);
  const none = h("button", { type: "button", class: "text-button", onclick: () => take() && show() }, "Choose none");
  const node = h("div", { class: "selection", hidden: true }, words, compare, love, remove, restore, empty, none);
  let trashed = 0;

  function show() {
    const trash = inTrash();
    node.hidden = !chosen.size && !(trash && trashed > 0);
    words.textContent = waiting
      ? "Choose the picture to compare it with."
      : chosen.size
        ? `${plural(chosen.size, "picture")} chosen`
        : "Pictures stay here until the trash is emptied.";
    compare.hidden = trash || waiting || !chosen.size;
    compare.toggleAttribute("disabled", chosen.size !== 2);
    love.hidden = remove.hidden = trash || waiting || !chosen.size;
    restore.hidden = !trash || !chosen.size;
    empty.hidden = !trash || chosen.size > 0;
    none.hidden = !chosen.size;
  }

  /** Everything that was chosen; nothing is, after that. */
  function take() {
    const ids = [...chosen];
    chosen.clear();
    waiting = false;
    ids.forEach((id) => mark(id, false));
    show();
    return ids;
  }

  /** @param {(id: string) => Promise<void>} work */
  async function each(work) {
    for (const id of take()) await work(id);
  }

  async function openCompare() {
    const [a, b] = take().map((id) => app.pictures.known(id));
    const compareModule = await import("./compare.js");
    if (a && b) await compareModule.openCompare(app, a, b);
  }

  async function emptyTrash() {
    const yes = await confirmed({
      title: "Empty the trash?",
      text: `${plural(trashed, "picture")} will be gone for good, with their recipes.`,
      yes: "Delete for good",
    });
    if (!yes) return;
    app.pictures.forget(app.pictures.trashed());
    const { deleted } = await api.emptyTrash();
    toast(`${plural(deleted, "picture")} deleted for good.`);
    refresh();
  }

  /** @param {string} id */
  function toggle(id) {
    const on = !chosen.delete(id);
    if (on) chosen.add(id);
    mark(id, on);
    if (!chosen.size) waiting = false;
    show();
    if (waiting && chosen.size === 2) void attempt(openCompare);
  }

  return {
    node,
    toggle,
    has: (/** @type {string} */ id) => chosen.has(id),
    comparing: () => waiting,
    trash(/** @type {number} */ count) {
      trashed = count;
      show();
    },
    compareWith(/** @type {Picture} */ picture) {
      take();
      waiting = true;
      toggle(picture.id);
    },
  };
}
