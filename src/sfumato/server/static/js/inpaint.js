/** The brush over a picture: what it covers will be painted anew. */

/** @import {App} from "./types" */

import { api } from "./api.js";
import { openDialog } from "./dialog.js";
import { announce, h, iconButton, loadImage, setVars } from "./dom.js";
import { Mask } from "./mask.js";
import { handle } from "./pointer.js";
import { attempt, toast } from "./toast.js";
import { View } from "./view.js";

/** The server takes a mask of any size; a larger one costs memory here and wins nothing. */
const MOST = 2048;
/** A blue that few pictures are made of, thin enough to see what is under it. */
const TINT = "rgb(28 84 200 / 0.58)";

/**
 * Opens the brush over the wish's starting picture; resolves when it is closed.
 * @param {App} app
 * @returns {Promise<void>}
 */
export async function openInpaint(app) {
  const { image, mask: before } = app.wish.value;
  if (!image) return;
  const picture = await loadImage(api.input(image));
  const shrink = Math.min(1, MOST / Math.max(image.width, image.height));
  const mask = new Mask(Math.round(image.width * shrink), Math.round(image.height * shrink));
  if (before) mask.add({ kind: "picture", image: await loadImage(api.input(before)) });
  await new Promise((/** @type {(value: void) => void} */ closed) => edit(app, picture, mask, closed));
}

/**
 * @param {App} app
 * @param {HTMLImageElement} picture
 * @param {Mask} mask
 * @param {(value: void) => void} closed
 */
function edit(app, picture, mask, closed) {
  const canvas = h("canvas", {
    class: "inpaint-canvas",
    tabindex: 0,
    role: "application",
    "aria-label": "Brush over what should be repainted. The arrows move the brush, Enter presses it.",
  });
  const brush = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const view = new View(mask.canvas.width, mask.canvas.height);
  const most = Math.round(Math.max(mask.canvas.width, mask.canvas.height) / 2);
  const state = { size: Math.max(2, Math.round(most / 4)), erase: false, space: false };
  /** @type {[number, number] | null} in canvas pixels */
  let hover = null;

  // The colours of the mask over the picture: the mask's shape, filled with the tint.
  const tint = document.createElement("canvas");
  tint.width = mask.canvas.width;
  tint.height = mask.canvas.height;
  const tinter = /** @type {CanvasRenderingContext2D} */ (tint.getContext("2d"));

  let asked = 0;
  const redraw = () => {
    asked ||= requestAnimationFrame(() => {
      asked = 0;
      paint();
    });
  };

  function paint() {
    const scale = devicePixelRatio || 1;
    brush.setTransform(scale, 0, 0, scale, 0, 0);
    brush.clearRect(0, 0, canvas.width, canvas.height);
    brush.imageSmoothingQuality = "high";
    const box = /** @type {const} */ ([view.x, view.y, view.width * view.scale, view.height * view.scale]);
    brush.drawImage(picture, ...box);
    tinter.globalCompositeOperation = "copy";
    tinter.drawImage(mask.canvas, 0, 0);
    tinter.globalCompositeOperation = "source-in";
    tinter.fillStyle = TINT;
    tinter.fillRect(0, 0, tint.width, tint.height);
    brush.drawImage(tint, ...box);
    if (hover) ring(hover);
    tools.sync();
  }

  /** The brush's edge, light and dark, so that it shows on every picture. @param {[number, number]} point */
  function ring(point) {
    for (const [colour, width] of /** @type {[string, number][]} */ ([["#000a", 3], ["#fff", 1.5]])) {
      brush.beginPath();
      brush.arc(point[0], point[1], (state.size / 2) * view.scale, 0, Math.PI * 2);
      brush.strokeStyle = colour;
      brush.lineWidth = width;
      brush.stroke();
    }
  }

  const begin = (/** @type {[number, number]} */ point) =>
    mask.add({ kind: "stroke", erase: state.erase, size: state.size, points: [point] });
  handle(canvas, view, {
    begin,
    go: (point) => mask.extend(point),
    drop: () => mask.drop(),
    hover: (point) => (hover = point),
    redraw,
    panning: () => state.space,
  });
  const tools = makeTools({ mask, state, most, redraw, zoom });
  function zoom(/** @type {number} */ by) {
    if (by === 0) view.fit(canvas.clientWidth, canvas.clientHeight);
    else view.zoom(by, [canvas.clientWidth / 2, canvas.clientHeight / 2]);
    redraw();
  }

  canvas.addEventListener("keydown", (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    const far = event.shiftKey ? 40 : 10;
    const at = hover ?? /** @type {[number, number]} */ ([canvas.clientWidth / 2, canvas.clientHeight / 2]);
    if (way) hover = [at[0] + way[0] * far, at[1] + way[1] * far];
    else if (event.key === "Enter") {
      hover = at;
      begin(view.toPicture(at));
    } else if (event.key === " ") state.space = true;
    else return;
    event.preventDefault();
    redraw();
  });
  canvas.addEventListener("keyup", (event) => event.key === " " && (state.space = false));

  async function use() {
    if (mask.empty) return toast("Nothing is brushed yet: what you brush over is painted anew.");
    const sent = await api.upload(await mask.toPng(), "mask");
    app.wish.set({ mask: sent });
    dialog.close();
    announce("The brushed part will be repainted.");
    return undefined;
  }
  const dialog = openDialog({
    title: "Brush over what should be repainted",
    kind: "full inpaint",
    body: [canvas, tools.node],
    foot: [
      h("p", { class: "quiet grow" }, "Two fingers or the wheel enlarge; the space bar moves."),
      h("button", { type: "button", class: "button main", onclick: () => void attempt(use) }, "Use this part"),
    ],
    onclose: () => closed(),
  });
  dialog.node.addEventListener("keydown", (event) => tools.key(event));
  new ResizeObserver(() => {
    const scale = devicePixelRatio || 1;
    canvas.width = Math.round(canvas.clientWidth * scale);
    canvas.height = Math.round(canvas.clientHeight * scale);
    zoom(0);
  }).observe(canvas);
  canvas.focus();
}

/**
 * @param {{mask: Mask, state: {size: number, erase: boolean}, most: number, redraw: () => void, zoom: (by: number) => void}} parts
 */
function makeTools({ mask, state, most, redraw, zoom }) {
  const after = (/** @type {() => void} */ work) => () => {
    work();
    redraw();
  };
  const draw = iconButton("brush", "Brush (B)", after(() => (state.erase = false)));
  const erase = iconButton("eraser", "Eraser (E)", after(() => (state.erase = true)));
  const size = h("input", {
    type: "range",
    class: "slider",
    min: 1,
    max: most,
    value: state.size,
    "aria-label": "Size of the brush ([ and ])",
    oninput: after(() => (state.size = Number(size.value))),
  });
  const undo = iconButton("undo", "Undo (Ctrl+Z)", after(() => mask.undo()));
  const redo = iconButton("redo", "Redo (Ctrl+Shift+Z)", after(() => mask.redo()));
  const node = h(
    "div",
    { class: "inpaint-tools", role: "toolbar", "aria-label": "Brush" },
    h("div", { class: "together" }, draw, erase),
    size,
    h("div", { class: "together" }, undo, redo),
    h(
      "div",
      { class: "together" },
      iconButton("invert", "Invert", after(() => mask.add({ kind: "invert" }))),
      iconButton("clear", "Clear", after(() => mask.add({ kind: "clear" }))),
    ),
    h(
      "div",
      { class: "together" },
      iconButton("minus", "Smaller view (−)", () => zoom(1 / 1.4)),
      iconButton("fit", "The whole picture (0)", () => zoom(0)),
      iconButton("plus", "Larger view (+)", () => zoom(1.4)),
    ),
  );

  function sync() {
    draw.setAttribute("aria-pressed", String(!state.erase));
    erase.setAttribute("aria-pressed", String(state.erase));
    undo.toggleAttribute("disabled", !mask.canUndo);
    redo.toggleAttribute("disabled", !mask.canRedo);
    size.value = String(state.size);
    setVars(size, { "--share": `${((state.size - 1) / (most - 1)) * 100}%` });
  }

  /** @param {KeyboardEvent} event */
  function key(event) {
    const command = event.ctrlKey || event.metaKey;
    const letter = event.key.toLowerCase();
    if (command && letter === "z") (event.shiftKey ? redo : undo).click();
    else if (command && letter === "y") redo.click();
    else if (command) return;
    else if (letter === "b") draw.click();
    else if (letter === "e") erase.click();
    else if (letter === "[") state.size = Math.max(1, Math.round(state.size / 1.25) - 1);
    else if (letter === "]") state.size = Math.min(most, Math.round(state.size * 1.25) + 1);
    else if (letter === "+" || letter === "=") zoom(1.4);
    else if (letter === "-") zoom(1 / 1.4);
    else if (letter === "0") zoom(0);
    else return;
    event.preventDefault();
    redraw();
  }
  return { node, sync, key };
}
