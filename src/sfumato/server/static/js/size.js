/** The size: shapes to choose from, at the number of pixels that the model likes, or any other. */

/** @import {App} from "./types" */

import { fieldFrame } from "./controls.js";
import { h, iconButton, setVars } from "./dom.js";
import { defaultsOf } from "./likes.js";

/** @type {readonly [name: string, across: number, down: number][]} */
const SHAPES = [
  ["Square", 1, 1],
  ["Portrait", 3, 4],
  ["Tall", 9, 16],
  ["Landscape", 4, 3],
  ["Wide", 16, 9],
];

/**
 * The size of a shape: about as many pixels as the model's own, in multiples that it can paint.
 * @param {number} ratio width / height
 * @param {{width: number, height: number}} own of the model
 * @returns {{width: number, height: number}}
 */
export function sizeFor(ratio, own) {
  const area = own.width * own.height;
  const unit = area >= 512 * 512 ? 64 : 8;
  const snap = (/** @type {number} */ value) => Math.max(unit, Math.round(value / unit) * unit);
  return { width: snap(Math.sqrt(area * ratio)), height: snap(Math.sqrt(area / ratio)) };
}

/** @param {App} app */
export function makeSize(app) {
  const own = () => defaultsOf(app, app.wish.value) ?? { width: 512, height: 512 };
  const now = () => ({
    width: app.wish.value.width ?? own().width,
    height: app.wish.value.height ?? own().height,
  });
  const set = (/** @type {{width: number, height: number}} */ size) => {
    const same = size.width === own().width && size.height === own().height;
    app.wish.set(same ? { width: null, height: null } : size);
  };
  const shapes = SHAPES.map(([name, across, down]) => {
    const drawn = h("span", { class: "shape" });
    setVars(drawn, { "--across": across / Math.max(across, down), "--down": down / Math.max(across, down) });
    return h(
      "button",
      {
        type: "button",
        class: "shape-button",
        "aria-label": `${name}, ${across} to ${down}`,
        "data-tip": `${name} ${across}:${down}`,
        onclick: () => set(sizeFor(across / down, own())),
      },
      drawn,
    );
  });
  const side = (/** @type {"width" | "height"} */ name) => {
    const box = h("input", {
      id: name === "width" ? "f-size" : "f-height",
      type: "number",
      class: "number",
      min: 8,
      step: 8,
      inputmode: "numeric",
      "aria-label": name === "width" ? "Width in pixels" : "Height in pixels",
      "aria-describedby": "f-size-hint f-size-error",
      onchange: () => box.value && set({ ...now(), [name]: Number(box.value) }),
    });
    return box;
  };
  const [width, height] = [side("width"), side("height")];
  const swap = iconButton("swap", "Swap width and height", () => set({ width: now().height, height: now().width }), {
    class: "small",
  });
  const frame = fieldFrame({
    name: "width height",
    label: "Size",
    hint: "The shape of the picture, in pixels.",
    control: h("span", { class: "together" }, width, h("span", { class: "times" }, "×"), height, swap),
    body: [h("div", { class: "shapes", role: "group", "aria-label": "Shapes" }, shapes)],
  });
  // One error for both sides, and one label: the first of them is what the label names.
  frame.querySelector("label")?.setAttribute("for", "f-size");
  const [hint, error] = [frame.querySelector(".hint"), frame.querySelector(".field-error")];
  if (hint) hint.id = "f-size-hint";
  if (error) error.id = "f-size-error";
  const note = /** @type {HTMLElement} */ (frame.querySelector(".note"));

  function show() {
    const size = now();
    width.value = String(size.width);
    height.value = String(size.height);
    SHAPES.forEach(([, across, down], i) => {
      const shape = sizeFor(across / down, own());
      shapes[i].setAttribute("aria-pressed", String(shape.width === size.width && shape.height === size.height));
    });
    const { width: w, height: h2 } = own();
    const other = size.width !== w || size.height !== h2;
    note.textContent = other && w * h2 < 256 * 256
      ? `This model has learned ${w} × ${h2} only; at other sizes it may repeat or cut its subject.`
      : "";
    note.hidden = !note.textContent;
  }
  app.wish.subscribe((_, changed) => changed.some((name) => ["width", "height", "model"].includes(String(name))) && show());
  show();
  return frame;
}
