/** The panel of controls, and what happens when Paint is pressed. */

/** @import {App, Panel} from "./types" */
/** @import {Field} from "./fields.js" */

import { ApiError } from "./api.js";
import { clearErrors, fieldFrame, makeControl, showError } from "./controls.js";
import { byId, h } from "./dom.js";
import { FIELDS } from "./fields.js";
import { isUsual } from "./likes.js";
import { makeSeed } from "./seed.js";
import { makeSize } from "./size.js";
import { makeStartCard } from "./start.js";
import { toast } from "./toast.js";
import { makePrompts } from "./prompt.js";
import { behind, restOf } from "./rest.js";

/**
 * @param {App} app
 * @returns {Panel}
 */
export function makePanel(app) {
  const panel = byId("controls");
  const complaint = byId("complaint");
  const button = byId("paint");
  const main = rowsOf(app, "main").map((field) => makeControl(app, field));
  panel.replaceChildren(
    ...makePrompts(app),
    makeStartCard(app),
    h("div", { class: "fields" }, makeSize(app), makeSeed(app), main),
    ...makeMore(app),
    asUsual(app),
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
      if (innerWidth < 900) scrollTo({ top: 0, behavior: "smooth" });
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
      const whole = { ...app.form.blank, ...wish, count: 1 };
      app.wish.set({ ...whole, seed: wish.seed == null ? null : String(wish.seed) });
      app.habits.set({ locked: wish.seed != null });
    },
  };
}

/** Where there is more than one model to choose from, the choice is no detail. @param {App} app @param {"main" | "more"} group */
const rowsOf = (app, group) =>
  FIELDS.filter((field) => (field.name === "model" && app.facts.models.length > 1 ? "main" : field.group) === group);

/** What is folded away: the controls that many change now and then, and those that few ever do. @param {App} app */
function makeMore(app) {
  const rest = restOf(app);
  // A field that belongs to another stands behind it.
  const more = rowsOf(app, "more").flatMap((field) => [field, ...behind(app, field.name, rest)]);
  return [
    folded(app, "more", "More", more, [previews(app)]),
    folded(app, "rest", "Everything else", rest.filter((field) => !more.includes(field)), []),
  ];
}

/**
 * @param {App} app
 * @param {"more" | "rest"} name
 * @param {string} title
 * @param {Field[]} fields
 * @param {Node[]} last
 */
function folded(app, name, title, fields, last) {
  const said = h("span", { class: "said" });
  const node = h(
    "details",
    { class: "more", data: { fold: name }, ontoggle: () => app.habits.set({ [name]: node.open }) },
    h("summary", {}, title, said),
    h(
      "div",
      { class: "fields" },
      fields.flatMap((field) => [field.section && h("h2", {}, field.section), makeControl(app, field)]),
      last,
    ),
  );
  node.open = app.habits.value[name];
  // Nothing that counts is out of sight: what is not as usual is named beside the title.
  const show = () => {
    const { value } = app.wish;
    const named = fields.filter((field) => app.form.heeded(field.name, value) && !isUsual(app, field, value));
    said.textContent = named.map((field) => field.label).join(", ");
  };
  app.wish.subscribe(show);
  show();
  return node;
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

/** One way back for all of the controls; the prompts, the seed and a picture to start from stay. @param {App} app */
function asUsual(app) {
  const { form, wish } = app;
  const fields = [...FIELDS, ...restOf(app)].filter((field) => field.name !== "count");
  const back = () => {
    const before = wish.value;
    const names = [...fields.map((field) => field.name), "width", "height"];
    wish.set(Object.fromEntries(names.map((name) => [name, form.blank[name]])));
    toast("All controls are as the model likes them.", { label: "Undo", act: () => wish.set(before) });
  };
  const button = h("button", { type: "button", class: "text-button as-usual", onclick: back }, "All controls back to what the model likes");
  const show = () => (button.hidden = fields.every((field) => isUsual(app, field, wish.value)));
  wish.subscribe(show);
  show();
  return button;
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
