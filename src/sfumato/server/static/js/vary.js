/** Variations around a picture: its starting noise, turned a little towards that of other seeds. */

/** @import {App, Picture} from "./types" */

import { wishOf } from "./actions.js";
import { openDialog } from "./dialog.js";
import { h, setVars } from "./dom.js";
import { attempt } from "./toast.js";

const STRENGTH = 0.2;
const COUNT = 4;

/**
 * @param {App} app
 * @param {Picture} picture
 * @param {() => void} leave closes what stands in the way of the stage
 */
export function openVary(app, picture, leave) {
  const far = slider("vary-strength", { min: 0.05, max: 1, step: 0.05, value: STRENGTH }, (value) => value.toFixed(2));
  const count = slider("vary-count", { min: 1, max: 9, step: 1, value: COUNT }, String);
  const paint = async () => {
    const wish = await wishOf(app, picture);
    const variation = { variation_strength: Number(far.input.value), variation_seed: null };
    const job = await app.queue.paint({ ...wish, ...variation, count: Number(count.input.value) });
    dialog.close();
    leave();
    app.go("paint");
    app.stage.follow(job);
  };
  const dialog = openDialog({
    title: "Variations",
    body: [
      h("img", { class: "vary-picture", src: picture.urls.thumb, alt: picture.prompt }),
      field("vary-strength", "How far", "At 0.05 nearly the same picture, at 1 quite another one.", far),
      field("vary-count", "How many", "Each is turned towards a seed of its own.", count),
    ],
    foot: [
      h("button", { type: "button", class: "button main", onclick: () => void attempt(paint) }, "Paint the variations"),
    ],
  });
  far.input.focus();
}

/**
 * @param {string} id
 * @param {Record<string, number>} range
 * @param {(value: number) => string} words
 */
function slider(id, range, words) {
  const share = (/** @type {number} */ value) => ({ "--share": `${((value - range.min) / (range.max - range.min)) * 100}%` });
  const output = h("output", { for: id }, words(range.value));
  const input = h("input", {
    ...range,
    id,
    type: "range",
    class: "slider",
    vars: share(range.value),
    "aria-describedby": `${id}-hint`,
    oninput: () => {
      output.textContent = words(Number(input.value));
      setVars(input, share(Number(input.value)));
    },
  });
  return { input, output };
}

/**
 * @param {string} id
 * @param {string} label
 * @param {string} hint
 * @param {{input: HTMLElement, output: HTMLElement}} parts
 */
function field(id, label, hint, { input, output }) {
  return h(
    "div",
    { class: "field" },
    h("div", { class: "field-head" }, h("label", { for: id }, label), h("span", { class: "grow" }), output),
    input,
    h("p", { class: "hint", id: `${id}-hint` }, hint),
  );
}
