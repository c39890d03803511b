/** The panel of controls, and what happens when Paint is pressed. */

/** @import {App, Panel, Wish} from "./types" */

import { ApiError } from "./api.js";
import { clearErrors, fieldFrame, makeControl, showError } from "./controls.js";
import { byId, h } from "./dom.js";
import { FIELDS } from "./fields.js";
import { makeSeed } from "./seed.js";
import { makeSize } from "./size.js";
import { makeStartCard } from "./start.js";
import { BLANK } from "./store.js";

/**
 * @param {App} app
 * @returns {Panel}
 */
export function makePanel(app) {
  const panel = byId("controls");
  const complaint = byId("complaint");
  const button = byId("paint");
  const fields = (/** @type {"main" | "more"} */ group) =>
    FIELDS.filter((field) => field.group === group).map((field) => makeControl(app, field));

  const more = h(
    "details",
    { class: "more", ontoggle: () => app.habits.set({ more: more.open }) },
    h("summary", {}, "More"),
    h("div", { class: "fields" }, fields("more"), previews(app)),
  );
  more.open = app.habits.value.more;
  panel.replaceChildren(
    words(app, "prompt", "Prompt", "What the picture shows: things, moods, manners of drawing.", 3),
    negative(app),
    makeStartCard(app),
    h("div", { class: "fields" }, makeSize(app), makeSeed(app), fields("main")),
    more,
    explain(app),
  );

  async function paint() {
    clearErrors(panel);
    complaint.hidden = true;
    button.setAttribute("aria-busy", "true");
    try {
      const wish = { ...app.wish.value, seed: app.habits.value.locked ? app.wish.value.seed : null };
      const job = await app.queue.paint(wish);
      // The seed that was drawn is shown, so that a lock keeps this very picture's.
      if (job.request.seed !== null) app.wish.set({ seed: String(job.request.seed) });
      app.go("paint");
      app.stage.follow(app.queue.active()[0] ?? job);
      if (innerWidth < 860) scrollTo({ top: 0, behavior: "smooth" });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (showError(panel, error.field, error.message)) return;
      complaint.textContent = error.message;
      complaint.hidden = false;
    } finally {
      button.removeAttribute("aria-busy");
    }
  }
  button.addEventListener("click", () => void paint());

  return {
    paint,
    focus: () => byId("f-prompt").focus(),
    load(wish) {
      clearErrors(panel);
      // Also what this page has no control for: the picture would be another without it.
      const whole = { ...BLANK, ...wish, count: 1 };
      app.wish.set({ ...whole, seed: wish.seed == null ? null : String(wish.seed) });
      app.habits.set({ locked: wish.seed != null });
    },
  };
}

/**
 * @param {App} app
 * @param {"prompt" | "negative"} name
 * @param {string} label
 * @param {string} hint
 * @param {number} rows
 */
function words(app, name, label, hint, rows) {
  const box = h("textarea", {
    id: `f-${name}`,
    rows,
    spellcheck: "false",
    autocapitalize: "off",
    "aria-describedby": `f-${name}-hint f-${name}-error`,
    // Other words may name other embeddings than those of a picture that was brought here.
    oninput: () => app.wish.set({ [name]: box.value, [name === "prompt" ? "template" : "negative_template"]: "", embeddings: null }),
  });
  const show = () => box.value !== app.wish.value[name] && (box.value = app.wish.value[name]);
  app.wish.subscribe(show);
  show();
  const frame = fieldFrame({ name, label, hint, body: [box] });
  frame.classList.add("words");
  return frame;
}

/** @param {App} app */
function negative(app) {
  const frame = h(
    "details",
    { class: "negative" },
    h("summary", {}, "Leave something out"),
    words(app, "negative", "Leave out", "What the picture is led away from.", 2),
  );
  const show = (/** @type {Readonly<Wish>} */ wish) => wish.negative && (frame.open = true);
  app.wish.subscribe(show);
  show(app.wish.value);
  return frame;
}

/** How many full previews are asked for; sketches come with every step. @param {App} app */
function previews(app) {
  const box = h(
    "select",
    { id: "f-previews", "aria-describedby": "f-previews-hint", onchange: () => app.habits.set({ previews: Number(box.value) }) },
    h("option", { value: "0" }, "while they cost little"),
    h("option", { value: "4" }, "4 on the way"),
    h("option", { value: "1000" }, "at every step"),
  );
  box.value = String(app.habits.value.previews);
  return fieldFrame({
    name: "previews",
    label: "Full previews",
    hint: "A sketch is shown at every step; a preview in full detail takes time of its own.",
    control: box,
    body: [],
  });
}

/** @param {App} app */
function explain(app) {
  const box = h("input", {
    type: "checkbox",
    role: "switch",
    class: "switch",
    id: "f-explain",
    onchange: () => app.habits.set({ explain: box.checked }),
  });
  const show = () => {
    box.checked = app.habits.value.explain;
    byId("panel").classList.toggle("terse", !box.checked);
  };
  app.habits.subscribe(show);
  show();
  return h("div", { class: "explain" }, h("label", { for: "f-explain" }, "Explain the controls"), box);
}
