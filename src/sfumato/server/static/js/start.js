/** The picture to start from: shown in the panel with what can be set about it. */

/** @import {App, Input} from "./types" */

import { api, bytesOf } from "./api.js";
import { makeControl } from "./controls.js";
import { byId, h, icon, iconButton } from "./dom.js";
import { defaultsOf } from "./likes.js";
import { sizeFor } from "./size.js";
import { START_FIELDS } from "./startfields.js";
import { attempt } from "./toast.js";

/**
 * Makes a picture the start of the next one.
 * @param {App} app
 * @param {{url?: string, file?: Blob, prompt?: string, size?: {width: number, height: number}}} source
 *   size: of a picture that was painted here, which is kept; another is fitted to the model
 */
export async function setStart(app, { url, file, prompt, size }) {
  const blob = file ?? (await bytesOf(/** @type {string} */ (url)));
  const image = await api.upload(blob, "picture");
  const own = defaultsOf(app, app.wish.value) ?? { width: 512, height: 512 };
  // A model that has learned one small size only is not asked for another shape.
  const fitted = own.width * own.height >= 256 * 256 ? sizeFor(image.width / image.height, own) : own;
  const { width, height } = size ?? fitted;
  const like = width === own.width && height === own.height;
  app.wish.set({
    image,
    mask: null,
    ...(like ? { width: null, height: null } : { width, height }),
    ...(prompt ? { prompt } : {}),
  });
}

/** @param {App} app */
export function clearStart(app) {
  app.wish.set({ image: null, mask: null });
}

/** @param {App} app */
export function makeStartCard(app) {
  const thumb = h("img", { class: "start-thumb", alt: "The picture to start from", onerror: () => clearStart(app) });
  const mask = h("img", { class: "start-mask", alt: "What will be repainted" });
  const brush = h(
    "button",
    { type: "button", class: "button small-button", onclick: () => void attempt(() => edit(app)) },
    icon("brush"),
    h("span", {}, "Repaint a part"),
  );
  const unmask = iconButton("close", "Repaint the whole picture", () => app.wish.set({ mask: null }), { class: "small" });
  const group = (/** @type {"start" | "mask"} */ name) =>
    h(
      "div",
      { class: "fields" },
      START_FIELDS.filter((field) => field.group === name).map((field) => makeControl(app, field)),
    );
  const maskFields = group("mask");
  const title = h("h2", {}, "Starting from");
  const card = h(
    "section",
    { class: "start-card", "aria-label": "Starting picture", data: { field: "image mask" } },
    h(
      "div",
      { class: "start-head" },
      h("div", { class: "start-pictures" }, thumb, mask),
      h("div", { class: "start-words" }, title, h("div", { class: "together" }, brush, unmask)),
      iconButton("close", "Start from noise again", () => clearStart(app), { class: "small" }),
    ),
    h("p", { class: "field-error", role: "alert", hidden: true }),
    group("start"),
    maskFields,
  );

  /** @param {HTMLImageElement} image @param {Input | null} input */
  function point(image, input) {
    image.hidden = !input;
    if (input && !image.src.endsWith(api.input(input))) image.src = api.input(input);
  }
  function show() {
    const { image, mask: painted } = app.wish.value;
    card.hidden = !image;
    point(thumb, image);
    point(mask, painted);
    maskFields.hidden = unmask.hidden = !painted;
    title.textContent = painted ? "Repainting a part" : "Starting from";
    brush.lastElementChild?.replaceChildren(painted ? "Change the part" : "Repaint a part");
  }
  app.wish.subscribe((_, changed) => changed.some((name) => name === "image" || name === "mask") && show());
  show();
  return card;
}

/** @param {App} app */
async function edit(app) {
  const { openInpaint } = await import("./inpaint.js");
  await openInpaint(app);
  byId("f-prompt").focus();
}
