/** One sheet: a table of pictures that fills in cell by cell while its jobs are painted. */

/** @import {App, Cell, Picture, Sheet} from "./types" */

import { api } from "./api.js";
import { confirmed, openDialog } from "./dialog.js";
import { announce, h, icon } from "./dom.js";
import { ladderNodes } from "./ladder.js";
import { attempt, toast } from "./toast.js";
import { NAMES, titleOf } from "./words.js";

const OVER = new Set(["done", "failed", "cancelled"]);

/** @param {App} app @param {Sheet} sheet */
export function openSheet(app, sheet) {
  /** @type {Map<string, {cell: Cell, node: HTMLElement}[]>} by job; two cells may share one */
  const cells = new Map();
  for (const cell of sheet.cells) {
    const node = h("td", { class: "sheet-cell" });
    cells.set(cell.job, [...(cells.get(cell.job) ?? []), { cell, node }]);
  }
  const state = h("p", { class: "quiet sheet-state", role: "status" });
  const stop = h("button", { type: "button", class: "button", onclick: () => void attempt(cancel) }, "Give up the rest");
  const remove = h(
    "button",
    { type: "button", class: "button", onclick: () => void attempt(async () => (await forgetSheet(sheet)) && dialog.close()) },
    icon("trash"),
    h("span", {}, "Delete"),
  );
  const climbs = isLadder(sheet);
  const curve = h("div", { class: "ladder" });
  const dialog = openDialog({
    title: sheet.request.prompt || "A sheet",
    kind: "full",
    body: [h("div", { class: "sheet" }, grids(app, sheet, cells), curve)],
    foot: [state, h("span", { class: "grow" }), stop, ...saves(sheet), remove],
    onclose: () => forget.forEach((each) => each()),
  });

  /** @param {{cell: Cell, node: HTMLElement}} place */
  function show({ cell, node }) {
    node.dataset.state = cell.state;
    if (cell.picture) return void node.replaceChildren(pictureButton(cell.picture));
    const words = { queued: "waits", running: "…", done: "gone", failed: cell.error, cancelled: "given up" }[cell.state];
    if (cell.state !== "running" || !node.querySelector("img")) node.replaceChildren(h("span", { class: "quiet" }, words));
  }

  /** @param {Picture} picture */
  function pictureButton(picture) {
    const look = () => {
      dialog.close();
      app.go("paint");
      app.stage.show(picture);
    };
    return h(
      "button",
      { type: "button", class: "sheet-picture", "aria-label": "Show this picture alone", onclick: look },
      h("img", { src: picture.urls.file, alt: picture.prompt, draggable: "false" }),
    );
  }

  function tell() {
    const all = [...cells.values()].flat().map(({ cell }) => cell);
    const left = all.filter((cell) => !OVER.has(cell.state)).length;
    stop.hidden = left === 0;
    const hindered = all.find((cell) => cell.state === "queued" && cell.error)?.error ?? "";
    state.textContent = left ? [`${all.length - left} of ${all.length}`, hindered].filter(Boolean).join(" · ") : "";
    if (!left) announce("The sheet is finished.");
    if (!left && climbs && !curve.childElementCount) void attempt(climb);
  }

  async function climb() {
    const { ladder } = await api.ladder(sheet.id);
    if (ladder) curve.replaceChildren(...ladderNodes(ladder, use));
  }

  /** @param {number} steps */
  function use(steps) {
    app.wish.set({ steps });
    dialog.close();
    toast(`Steps are ${steps} now.`);
  }

  async function cancel() {
    learn((await api.cancelSheet(sheet.id)).sheet);
  }

  /** @param {Sheet} now */
  function learn(now) {
    for (const cell of now.cells) {
      for (const place of cells.get(cell.job) ?? []) {
        // An answer that was on its way while an event overtook it knows less.
        if (OVER.has(place.cell.state) && !OVER.has(cell.state)) continue;
        Object.assign(place.cell, { state: cell.state, error: cell.error, picture: cell.picture });
        show(place);
      }
    }
    tell();
  }

  const forget = [
    app.link.on("job", (job) => {
      for (const place of cells.get(job.id) ?? []) {
        Object.assign(place.cell, { state: job.state, error: job.error, picture: job.pictures[0] ?? null });
        show(place);
      }
      if (cells.has(job.id)) tell();
    }),
    app.link.on("step", (event) => {
      for (const { cell, node } of cells.get(event.job) ?? []) {
        if (cell.picture) continue;
        const image = node.querySelector("img") ?? h("img", { alt: "", class: "sheet-sketch" });
        image.src = event.preview ?? event.sketch;
        if (!image.isConnected) node.replaceChildren(image);
      }
    }),
    // What happened while the connection was lost, or before this dialog listened.
    app.link.on("up", () => void attempt(async () => learn((await api.sheet(sheet.id)).sheet))),
  ];
  [...cells.values()].flat().forEach(show);
  void attempt(async () => learn((await api.sheet(sheet.id)).sheet));
}

/** The whole of it as one picture, a file for each value of z. @param {Sheet} sheet */
function saves({ id, axes: [, , z] }) {
  return (z?.values ?? [""]).map((value, k) =>
    h("a", { class: "button", href: api.sheetPicture(id, k), download: "" }, icon("download"), h("span", {}, `Save ${value}`.trim())),
  );
}

/** Forgets a sheet, if that is meant. @param {{id: string, ended: number, count: number}} sheet */
export async function forgetSheet({ id, ended, count }) {
  const yes = await confirmed({
    title: "Delete this sheet?",
    text: ended < count ? "What is not painted yet is given up. The pictures stay in the gallery." : "Its pictures stay in the gallery.",
    yes: "Delete the sheet",
  });
  if (yes) await api.deleteSheet(id);
  return yes;
}

/** Along three or more rising numbers of steps, and down along seeds or nothing. @param {Sheet} sheet */
function isLadder({ axes: [x, y, z] }) {
  const steps = x.values.map(Number);
  const rising = x.field === "steps" && steps.length > 2 && steps.every((n, i) => !i || n > steps[i - 1]);
  return rising && !z && (!y || y.field === "seed");
}

/**
 * A table for each value of z.
 * @param {App} app
 * @param {Sheet} sheet
 * @param {Map<string, {cell: Cell, node: HTMLElement}[]>} cells
 */
function grids(app, sheet, cells) {
  const [x, y, z] = sheet.axes;
  const all = [...cells.values()].flat();
  const at = (/** @type {number} */ i, /** @type {number} */ j, /** @type {number} */ k) =>
    all.find(({ cell }) => cell.place.join() === [i, j, k].join())?.node ?? h("td");
  const label = (/** @type {import("./types").SheetAxis} */ axis, /** @type {string} */ value) => {
    const kind = axis.field === "sampler" ? "samplers" : axis.field === "schedule" ? "schedules" : null;
    return kind ? titleOf(app.facts.methods, kind, value) : value;
  };
  const name = (/** @type {import("./types").SheetAxis} */ axis) => axis.needle ?? NAMES[axis.field] ?? axis.field;
  return (z?.values ?? [""]).map((depth, k) =>
    h(
      "table",
      { class: "sheet-grid", vars: { "--columns": x.values.length } },
      h("caption", {}, z ? `${name(z)} ${label(z, depth)}` : y ? `${name(x)} × ${name(y)}` : name(x)),
      h("thead", {}, h("tr", {}, y && h("td", {}), x.values.map((value) => h("th", { scope: "col" }, label(x, value))))),
      h(
        "tbody",
        {},
        (y?.values ?? [""]).map((value, j) =>
          h("tr", {}, y && h("th", { scope: "row" }, label(y, value)), x.values.map((_, i) => at(i, j, k))),
        ),
      ),
    ),
  );
}
