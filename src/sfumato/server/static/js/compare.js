/** Two pictures in one frame with a line to drag between them, and what differs in their recipes. */

/** @import {App, Picture, Why} from "./types" */

import { api } from "./api.js";
import { openDialog } from "./dialog.js";
import { h, setVars } from "./dom.js";
import { nameOf, shown } from "./words.js";

/**
 * @param {App} app
 * @param {Picture} a
 * @param {Picture} b
 */
export async function openCompare(app, a, b) {
  const why = await api.why(a.id, b.id);
  const frame = h(
    "div",
    { class: "compare-frame", vars: { "--cut": "50%", "--ratio": a.width / a.height } },
    h("img", { src: a.urls.file, alt: `First: ${a.prompt}`, draggable: "false" }),
    h("img", { src: b.urls.file, alt: `Second: ${b.prompt}`, class: "over", draggable: "false" }),
    h("span", { class: "compare-line", "aria-hidden": "true" }),
    h("span", { class: "compare-mark first", "aria-hidden": "true" }, "A"),
    h("span", { class: "compare-mark second", "aria-hidden": "true" }, "B"),
  );
  const slider = h("input", {
    type: "range",
    class: "compare-slider",
    min: 0,
    max: 100,
    step: 0.5,
    value: 50,
    "aria-label": "How much of the first picture is shown",
    oninput: () => setVars(frame, { "--cut": `${slider.value}%` }),
  });
  frame.append(slider);

  openDialog({
    title: "Compare",
    kind: "full",
    body: [
      h(
        "div",
        { class: "compare" },
        h("div", { class: "compare-area" }, frame),
        h("div", { class: "compare-side" }, h("p", { class: "why" }, why.summary), why.reasons.length > 0 && table(app, why.reasons)),
      ),
    ],
  });
  slider.focus();
}

/** @param {App} app @param {Why["reasons"]} rows */
function table(app, rows) {
  const { samplers, schedules } = app.facts.methods;
  const title = (/** @type {string} */ name, /** @type {unknown} */ value) =>
    [...samplers, ...schedules].find((row) => name.startsWith("s") && row.name === value)?.title ?? shown(value);
  return h(
    "table",
    { class: "differences" },
    h("caption", {}, "What differs"),
    h("thead", {}, h("tr", {}, h("td", {}), h("th", { scope: "col" }, "A"), h("th", { scope: "col" }, "B"))),
    h(
      "tbody",
      {},
      rows.flatMap(({ field, a, b, does }) => [
        h(
          "tr",
          {},
          h("th", { scope: "row" }, nameOf(field)),
          h("td", {}, title(field, a)),
          h("td", {}, title(field, b)),
        ),
        h("tr", { class: "why-does" }, h("td", { colspan: 3 }, does)),
      ]),
    ),
  );
}
