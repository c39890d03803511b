/** The prompt and what to leave out: their boxes, what they were drawn from, and how they are read. */

/** @import {App, Wish} from "./types" */

import { fieldFrame } from "./controls.js";
import { h } from "./dom.js";
import { makeReading } from "./tokens.js";

/** @typedef {"prompt" | "negative"} What */

/** @param {App} app @returns {Node[]} */
export function makePrompts(app) {
  const reading = makeReading(app);
  return [
    words(app, "prompt", "Prompt", "What the picture shows: things, moods, manners of drawing.", reading.of("prompt")),
    negative(app, words(app, "negative", "Leave out", "What the picture is led away from.", reading.of("negative"))),
  ];
}

/**
 * @param {App} app
 * @param {What} name
 * @param {string} label
 * @param {string} hint
 * @param {{count: Node, body: Node[]}} reading
 */
function words(app, name, label, hint, { count, body }) {
  const box = h("textarea", {
    id: `f-${name}`,
    rows: name === "prompt" ? 3 : 2,
    spellcheck: "false",
    autocapitalize: "off",
    "aria-describedby": `f-${name}-hint f-${name}-error`,
    oninput: () => app.wish.set({ [name]: box.value }),
  });
  const show = () => box.value !== app.wish.value[name] && (box.value = app.wish.value[name]);
  app.wish.subscribe(show);
  show();
  const frame = fieldFrame({ name, label, hint, control: count, body: [box, ...body, template(app, name)] });
  frame.classList.add("words");
  return frame;
}

/** What the words were drawn from stays in the recipe until somebody takes it out. @param {App} app @param {What} what */
function template(app, what) {
  const name = what === "prompt" ? "template" : "negative_template";
  const words = h("span", {});
  const forget = h("button", { type: "button", class: "text-button", onclick: () => app.wish.set({ [name]: "" }) }, "Forget it");
  const node = h("p", { class: "aside", data: { field: name } }, words, " ", forget);
  const show = () => {
    words.textContent = `Drawn from the template ${app.wish.value[name]}`;
    node.hidden = !app.wish.value[name];
  };
  app.wish.subscribe((_, changed) => changed.includes(name) && show());
  show();
  return node;
}

/** @param {App} app @param {HTMLElement} box */
function negative(app, box) {
  const frame = h("details", { class: "negative" }, h("summary", {}, "Leave something out"), box);
  const show = (/** @type {Readonly<Wish>} */ wish) => wish.negative && (frame.open = true);
  app.wish.subscribe(show);
  show(app.wish.value);
  return frame;
}
