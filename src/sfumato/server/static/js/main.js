/** The page: makes its parts once, and hands them to one another. */

/** @import {App, Facts, Gallery} from "./types" */

import { ApiError, api } from "./api.js";
import { byId, h, iconButton } from "./dom.js";
import { makeDrop } from "./drop.js";
import { makeLink } from "./events.js";
import { makeForm } from "./form.js";
import { makePanel } from "./panel.js";
import { makePictures } from "./pictures.js";
import { makeQueue } from "./queue.js";
import { makeShortcuts } from "./shortcuts.js";
import { makeStage } from "./stage.js";
import { HABITS, makeStore } from "./store.js";
import { makeTheme } from "./theme.js";
import { attempt } from "./toast.js";
import { makeTray } from "./tray.js";
import { EXAMPLES } from "./welcome.js";

const AGAIN = 1000;

const habits = makeStore("sfumato.habits", HABITS);
makeTheme(habits);
void begin();

async function begin() {
  const facts = await gather();
  const link = makeLink();
  const pictures = makePictures(link);
  const form = makeForm(facts.fields);
  const wish = makeStore("sfumato.wish", { ...form.blank, prompt: EXAMPLES[0] });
  const queue = makeQueue({ form, link, pictures, habits });
  /** @type {App} */
  const app = { facts, form, wish, habits, link, queue, pictures, go, chooseToCompare, searchGallery, ...late() };
  app.panel = makePanel(app);
  app.stage = makeStage(app);
  /** Made when it is first gone to: the page is there sooner. @type {Promise<Gallery> | undefined} */
  let gallery;
  const getGallery = () => (gallery ??= import("./gallery.js").then((module) => module.makeGallery(app)));
  makeDrop(app);
  makeShortcuts(app);
  byId("show-calls").addEventListener("click", () => void showCalls(app));
  byId("show-sheets").addEventListener("click", () => void showSheets(app));
  showModel(app);
  if (facts.about.login) byId("help").after(iconButton("leave", "Log out", () => void leave(), { id: "leave" }));
  watchLink(app);
  addEventListener("hashchange", view);
  view();
  link.open();
  const newest = await makeTray(app);
  if (newest && !app.queue.active().length && !app.stage.current()) app.stage.show(newest);

  /** @param {"paint" | "gallery"} where */
  function go(where) {
    if (location.hash !== `#${where}`) location.hash = where;
    view();
  }

  function view() {
    const where = location.hash === "#gallery" ? "gallery" : "paint";
    if (document.body.dataset.view === where) return;
    document.body.dataset.view = where;
    for (const tab of document.querySelectorAll("[data-tab]")) {
      tab.toggleAttribute("aria-current", tab.getAttribute("data-tab") === where);
    }
    if (where === "gallery") void getGallery().then((made) => made.open());
  }

  function searchGallery() {
    go("gallery");
    void getGallery().then((made) => made.search());
  }

  /** @param {import("./types").Picture} picture */
  function chooseToCompare(picture) {
    void getGallery().then((made) => made.choose(picture));
    go("gallery");
  }
}

/** The parts that are made after the App that they belong to. @returns {Pick<App, "panel" | "stage">} */
function late() {
  return /** @type {any} */ ({ panel: null, stage: null });
}

/** Which model paints, and on what. @param {App} app */
function showModel({ facts, wish }) {
  const node = byId("model-name");
  const show = () => {
    node.textContent = wish.value.model ?? facts.about.model;
    node.title = [`on ${facts.about.device}`, facts.about.precision].filter(() => facts.about.device).join(", ");
  };
  wish.subscribe(show);
  show();
}

/** What the server offers; asked again until it answers. @returns {Promise<Facts>} */
async function gather() {
  for (;;) {
    try {
      const [about, models, methods, fields] = await Promise.all([api.about(), api.models(), api.samplers(), api.fields()]);
      byId("lost").hidden = true;
      return { about, models, methods, fields };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      byId("lost").hidden = false;
      await new Promise((done) => setTimeout(done, AGAIN));
    }
  }
}

async function leave() {
  await fetch("logout", { method: "POST", redirect: "manual" });
  location.assign("login");
}

/** @param {App} app */
function watchLink(app) {
  const lost = byId("lost");
  app.link.on("up", () => (lost.hidden = true));
  app.link.on("down", () => {
    // A page that is being left also loses its connection; that is nothing to tell.
    setTimeout(() => (lost.hidden = false), 400);
  });
}

/** @param {App} app */
async function showCalls(app) {
  await attempt(async () => {
    const { openCalls } = await import("./calls.js");
    const seed = app.habits.value.locked ? app.wish.value.seed : null;
    await openCalls(app, { ...app.wish.value, seed });
  });
}

/** @param {App} app */
async function showSheets(app) {
  await attempt(async () => {
    const { openSheets } = await import("./sheets.js");
    await openSheets(app);
  });
}

// A fault of the page itself is told, and not only to those who look into the console.
addEventListener("unhandledrejection", (event) => {
  const note = h("div", { class: "toast error" }, `Something went wrong on this page: ${event.reason}`);
  byId("toasts").append(note);
});
