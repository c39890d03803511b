/** Sheets: the wish of the panel, painted with one or two of its fields changed from cell to cell. */

/** @import {App, SheetHead} from "./types" */

import { ApiError, api } from "./api.js";
import { openDialog } from "./dialog.js";
import { h, iconButton } from "./dom.js";
import { defaultsOf } from "./likes.js";
import { forgetSheet, openSheet } from "./sheet.js";
import { attempt } from "./toast.js";
import { NAMES, moment, plural } from "./words.js";

/** What an axis may change, and what to begin with where no model says it. @type {readonly [string, string][]} */
const AXES = [
  ["steps", "4,8,12,16,24,32"],
  ["guidance", "1,3,5,7"],
  ["seed", "1..4"],
  ["sampler", "euler,euler_ancestral,dpmpp_2m"],
  ["schedule", "normal,karras"],
  ["variation_strength", "0,0.1,0.2,0.4"],
  ["rescale", "0,0.5,0.7"],
  ["size", ""],
  ["model", ""],
  ["prompt", "a red fox,a blue fox"],
];
/** A sheet can wait: whoever presses Paint meanwhile goes first. */
const PRIORITY = -1;

/** @param {App} app */
export async function openSheets(app) {
  const { sheets } = await api.sheets();
  const [x, y] = [axis(app, "x", "From left to right", "steps"), axis(app, "y", "Downwards", "")];
  const complaint = h("p", { class: "complaint", role: "alert", hidden: true });
  const paint = async () => {
    complaint.hidden = true;
    try {
      const seed = app.habits.value.locked ? app.wish.value.seed : null;
      const wish = { ...app.wish.value, seed, count: 1 };
      const { sheet } = await api.submitSheet(app.form.request(wish), { x: x.text(), ...(y.text() ? { y: y.text() } : {}), priority: PRIORITY });
      dialog.close();
      openSheet(app, sheet);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      complaint.textContent = error.message;
      complaint.hidden = false;
    }
  };
  const dialog = openDialog({
    title: "Sheets",
    kind: "wide",
    body: [
      h("p", { class: "quiet" }, "One picture for each value, or for each pair of values; all else is as in the controls."),
      x.node,
      y.node,
      complaint,
      h(
        "p",
        { class: "sheet-buttons" },
        h("button", { type: "button", class: "button main", onclick: () => void attempt(paint) }, "Paint the sheet"),
      ),
      sheets.length > 0 && h("h3", {}, "Earlier ones"),
      h("ul", { class: "sheet-list" }, sheets.slice(0, 12).map((head) => row(app, head, () => dialog.close()))),
    ].filter((node) => node instanceof Node),
  });
  x.focus();
}

/** @param {App} app @param {string} field */
function beginning(app, field) {
  if (field === "model") return app.facts.models.map((row) => row.name).join(",");
  const { width = 512, height = 512 } = defaultsOf(app, app.wish.value) ?? {};
  if (field === "size") return [1, 1.5].map((times) => `${width * times}x${height * times}`).join(",");
  return AXES.find(([name]) => name === field)?.[1] ?? "";
}

/**
 * @param {App} app
 * @param {string} id
 * @param {string} label
 * @param {string} first the field to begin with; empty for none
 */
function axis(app, id, label, first) {
  const values = h("input", { type: "text", id: `axis-${id}-values`, class: "axis-values", spellcheck: "false", autocomplete: "off", "aria-label": `${label}: its values` });
  const field = h(
    "select",
    { id: `axis-${id}`, onchange: () => show() },
    id !== "x" && h("option", { value: "" }, "nothing"),
    AXES.map(([name]) => h("option", { value: name }, NAMES[name] ?? "Size")),
  );
  const show = () => {
    values.value = beginning(app, field.value);
    values.hidden = !field.value;
  };
  field.value = first;
  show();
  return {
    node: h("div", { class: "axis" }, h("label", { for: `axis-${id}` }, label), field, values),
    text: () => (field.value ? `${field.value}=${values.value}` : ""),
    focus: () => values.focus(),
  };
}

/** @param {App} app @param {SheetHead} head @param {() => void} leave */
function row(app, head, leave) {
  const open = async () => {
    const { sheet } = await api.sheet(head.id);
    leave();
    openSheet(app, sheet);
  };
  const axes = head.axes.map((axis) => NAMES[axis.field] ?? axis.field).join(" × ");
  const node = h("li", { class: "sheet-row" });
  const remove = () => attempt(async () => (await forgetSheet(head)) && node.remove());
  const far = head.ended < head.count ? `${head.ended} of ${head.count}` : plural(head.count, "picture");
  const name = head.request.prompt || "no prompt";
  node.append(
    h(
      "button",
      { type: "button", class: "choice", onclick: () => void attempt(open) },
      h("span", {}, h("strong", {}, name), h("span", { class: "quiet" }, `${axes} · ${far} · ${moment(head.created)}`)),
    ),
    iconButton("trash", `Delete the sheet: ${name}`, () => void remove()),
  );
  return node;
}
