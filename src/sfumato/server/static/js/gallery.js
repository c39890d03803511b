/** The gallery: every picture, searched and paged; chosen ones compared, kept or thrown away. */

/** @import {App, Gallery, Picture} from "./types" */

import { api } from "./api.js";
import { announce, byId, debounce, h, icon } from "./dom.js";
import { makeFilters } from "./filters.js";
import { galleryKeys } from "./gallerykeys.js";
import { makeSelection } from "./selection.js";
import { attempt } from "./toast.js";
import { day, plural } from "./words.js";

const PAGE = 60;
const SETTLE = 300; // ms: several pictures that change at once are one search

/**
 * @param {App} app
 * @returns {Gallery}
 */
export function makeGallery(app) {
  const root = byId("gallery");
  const wall = h("div", { class: "wall" });
  const total = h("p", { class: "total", role: "status" });
  const rest = h("button", { type: "button", class: "button rest", hidden: true, onclick: () => void page() }, "Show more");
  const nothing = h("p", { class: "nothing", hidden: true });
  /** @type {Picture[]} in the order of the wall */
  let shown = [];
  /** @type {string | null} */
  let cursor = null;
  let turn = 0;
  let opened = false;

  const filters = makeFilters(app, () => void search());
  const selection = makeSelection(app, {
    inTrash: () => filters.inTrash(),
    refresh: () => void search(),
    mark: (id, on) => tileOf(id)?.classList.toggle("chosen", on),
  });
  root.replaceChildren(filters.node, selection.node, total, wall, nothing, rest);
  galleryKeys(wall, { choose: (id) => selection.toggle(id), open: (id) => void openAt(id) });
  const end = new IntersectionObserver((seen) => seen.some((each) => each.isIntersecting) && void page(), {
    rootMargin: "600px",
  });

  const soon = debounce(() => void search(shown.length), SETTLE);

  /** @param {string} id @returns {HTMLElement | null} */
  const tileOf = (id) => wall.querySelector(`[data-id="${CSS.escape(id)}"]`);

  /** @param {number} [many] what somebody has scrolled through stays there */
  async function search(many = PAGE) {
    const mine = ++turn;
    const found = await attempt(() => gather(many));
    if (!found || mine !== turn) return;
    const held = wall.contains(document.activeElement)
      ? document.activeElement?.closest("[data-id]")?.getAttribute("data-id")
      : null;
    shown = [];
    wall.replaceChildren();
    append(found.pictures);
    more(found.cursor);
    if (held) /** @type {HTMLElement | null} */ (tileOf(held)?.querySelector(".tile-face"))?.focus();
    total.textContent = plural(found.total, "picture");
    announce(`${plural(found.total, "picture")} found.`);
    nothing.hidden = found.total > 0;
    nothing.textContent = filters.inTrash()
      ? "The trash is empty."
      : filters.any()
        ? filters.wrong() || "No picture fits. Try fewer words, or clear the filters."
        : "Nothing here yet. What you paint is kept here, with its recipe.";
    selection.trash(found.total);
  }

  /** The first pictures, in as many pages as it takes. @param {number} many */
  async function gather(many) {
    const query = { ...filters.query(), limit: String(PAGE) };
    const found = await api.search(query);
    while (found.cursor && found.pictures.length < many) {
      const next = await api.search({ ...query, cursor: found.cursor });
      found.pictures.push(...next.pictures);
      found.cursor = next.cursor;
    }
    return found;
  }

  /** Where the wall goes on. An end that is still in sight after a page tells so only when asked anew. @param {string | null} next */
  function more(next) {
    cursor = next;
    rest.hidden = !cursor;
    end.disconnect();
    if (cursor) end.observe(rest);
  }

  async function page() {
    if (!cursor) return;
    const mine = turn;
    const asked = cursor;
    cursor = null; // one page at a time
    const found = await attempt(() => api.search({ ...filters.query(), limit: String(PAGE), cursor: asked }));
    if (mine !== turn) return;
    // Where it failed the button stays; what is in sight does not ask again and again.
    if (!found) return void (cursor = asked);
    append(found.pictures);
    more(found.cursor);
  }

  /** @param {Picture[]} pictures */
  function append(pictures) {
    pictures.forEach(app.pictures.learn);
    for (const picture of pictures) {
      const date = day(picture.created);
      const before = shown.at(-1);
      if (!before || day(before.created) !== date) {
        wall.append(h("section", { class: "day" }, h("h2", {}, date), h("ul", { class: "tiles" })));
      }
      wall.lastElementChild?.querySelector("ul")?.append(tile(picture));
      shown.push(picture);
    }
    wall.querySelector(".tile-face")?.setAttribute("tabindex", "0");
  }

  /** @param {Picture} picture */
  function tile(picture) {
    const chosen = selection.has(picture.id);
    const words = picture.prompt || "A picture without a prompt";
    return h(
      "li",
      { class: `tile ${chosen ? "chosen" : ""} ${picture.favourite ? "loved" : ""}`, data: { id: picture.id } },
      h(
        "button",
        { type: "button", class: "tile-face", tabindex: -1, "aria-label": words, onclick: () => void openAt(picture.id) },
        h("img", { src: picture.urls.thumb, alt: "", loading: "lazy", width: 320, height: 320 }),
      ),
      h("span", { class: "tile-words", "aria-hidden": "true" }, words),
      h("span", { class: "tile-heart" }, icon("heart-full")),
      h(
        "button",
        {
          type: "button",
          class: "tile-check",
          tabindex: -1,
          "aria-label": `Choose: ${words}`,
          "aria-pressed": String(chosen),
          onclick: () => selection.toggle(picture.id),
        },
        icon("check"),
      ),
    );
  }

  /** @param {string} id */
  async function openAt(id) {
    if (selection.comparing()) return selection.toggle(id);
    const { openViewer } = await import("./viewer.js");
    openViewer(app, {
      start: id,
      around: (from, by) => {
        const place = shown.findIndex((picture) => picture.id === from) + by;
        if (place >= shown.length - 5) void page();
        return shown[place] ? app.pictures.known(shown[place].id) ?? shown[place] : null;
      },
      onclose: (last) => /** @type {HTMLElement | null} */ (tileOf(last)?.querySelector(".tile-face"))?.focus(),
    });
  }

  app.pictures.subscribe((picture) => {
    const node = tileOf(picture.id);
    const belongs = Boolean(picture.trashed) === filters.inTrash();
    if (node && belongs) {
      const fresh = tile(picture);
      const held = node.contains(document.activeElement);
      fresh.querySelector(".tile-face")?.setAttribute("tabindex", node.querySelector(".tile-face")?.getAttribute("tabindex") ?? "-1");
      node.replaceWith(fresh);
      if (held) /** @type {HTMLElement | null} */ (fresh.querySelector(".tile-face"))?.focus();
      shown = shown.map((each) => (each.id === picture.id ? picture : each));
    } else if (opened && document.body.dataset.view === "gallery") soon();
  });

  return {
    open() {
      opened = true;
      void search();
    },
    choose(picture) {
      selection.compareWith(picture);
    },
    search: () => byId("search").focus(),
  };
}
