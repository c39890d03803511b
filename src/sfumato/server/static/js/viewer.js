/** One picture of the gallery, large, with its recipe; the arrows go on to the next. */

/** @import {App, Picture} from "./types" */

import { actionRow } from "./actions.js";
import { openDialog } from "./dialog.js";
import { h, iconButton, setVars } from "./dom.js";
import { makeEasel } from "./easel.js";
import { makeScrubber } from "./scrubber.js";
import { makeTags } from "./tags.js";
import { attempt } from "./toast.js";
import { NAMES, moment, titleOf } from "./words.js";

/**
 * @param {App} app
 * @param {{start: string, around: (from: string, by: number) => Picture | null, onclose: (last: string) => void}} walk
 */
export function openViewer(app, { start, around, onclose }) {
  const body = h("div", { class: "viewer" });
  let now = start;
  const dialog = openDialog({
    title: "Picture",
    kind: "full",
    body: [body],
    onclose: () => {
      forget();
      onclose(now);
    },
  });

  /** @param {number} by */
  function walk(by) {
    const next = around(now, by);
    if (next) show(next);
  }

  /** @param {Picture} picture */
  function show(picture) {
    now = picture.id;
    const easel = makeEasel(picture);
    const step = h("span", { class: "step-word" });
    const leave = () => dialog.close();
    const area = h("div", { class: "viewer-area" }, easel.node);
    body.replaceChildren(
      h(
        "div",
        { class: "viewer-picture" },
        iconButton("left", "The newer picture (←)", () => walk(-1), { class: "walk", disabled: !around(now, -1) }),
        area,
        iconButton("right", "The older picture (→)", () => walk(1), { class: "walk", disabled: !around(now, 1) }),
      ),
      h(
        "div",
        { class: "viewer-side" },
        h("p", { class: "viewer-prompt" }, picture.prompt || "No prompt"),
        makeScrubber(picture, easel, [], (text) => (step.textContent = text)),
        step,
        picture.trashed ? restoreRow(picture) : actionRow(app, picture, { leave }),
        makeTags(app, picture),
        recipeTable(app, picture),
      ),
    );
    fit(area, picture);
    void attempt(() => easel.finish(picture.urls.file, picture.prompt));
  }

  /** @param {Picture} picture */
  function restoreRow(picture) {
    const restore = () => attempt(() => app.pictures.restore([picture.id])).then(() => dialog.close());
    return h("button", { type: "button", class: "button", onclick: () => void restore() }, "Restore from the trash");
  }

  const forget = app.pictures.subscribe((picture) => {
    if (picture.id !== now) return;
    if (picture.trashed) return walkOn();
    const heart = body.querySelector('[data-act="favourite"]');
    heart?.setAttribute("aria-pressed", String(picture.favourite));
    heart?.querySelector("use")?.setAttribute("href", `icons.svg#${picture.favourite ? "heart-full" : "heart"}`);
  });

  /** The picture is gone to the trash: the next one takes its place. */
  function walkOn() {
    const next = around(now, 1) ?? around(now, -1);
    if (next && !next.trashed) show(next);
    else dialog.close();
  }

  dialog.node.addEventListener("keydown", (event) => {
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.matches("input, select, textarea")) return;
    if (event.key === "ArrowLeft") walk(-1);
    else if (event.key === "ArrowRight") walk(1);
    else if (event.key === "f" || event.key === "F") /** @type {HTMLElement | null} */ (body.querySelector(".heart"))?.click();
    else if (event.key === "Delete") /** @type {HTMLElement | null} */ (body.querySelector('[data-act="delete"]'))?.click();
  });
  const first = app.pictures.known(start);
  if (first) show(first);
}

/** @param {HTMLElement} area @param {Picture} picture */
function fit(area, picture) {
  const ratio = picture.width / picture.height;
  const measure = () => {
    const { width, height } = area.getBoundingClientRect();
    setVars(area, { "--tile": `${Math.floor(Math.min(width, height * ratio, picture.width * 6))}px`, "--columns": 1 });
  };
  new ResizeObserver(measure).observe(area);
  measure();
}

/** @param {App} app @param {Picture} picture */
function recipeTable(app, picture) {
  /** @type {[string, string][]} */
  const rows = [
    [NAMES.negative, picture.negative],
    [NAMES.seed, picture.seed ?? ""],
    [NAMES.steps, String(picture.steps ?? "")],
    [NAMES.guidance, String(picture.guidance ?? "")],
    [NAMES.sampler, titleOf(app.facts.methods, "samplers", picture.sampler)],
    [NAMES.schedule, titleOf(app.facts.methods, "schedules", picture.schedule)],
    ["Size", `${picture.width} × ${picture.height}`],
    [NAMES.model, picture.model],
    ["Made with", picture.source],
    ["Kept since", moment(picture.created)],
  ];
  return h(
    "dl",
    { class: "facts" },
    rows.filter(([, value]) => value).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))),
  );
}
