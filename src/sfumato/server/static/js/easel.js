/** One picture in its frame: sketches drawn soft and large, fading into one another. */

import { calm, h, loadImage, setVars } from "./dom.js";

const FADE = 380;
const MUCH = 2.5;
const SKETCHY = 9;

/**
 * @typedef {object} Easel
 * @property {HTMLElement} node
 * @property {(url: string, how?: {fade?: number}) => Promise<void>} draw
 * @property {(url: string, alt: string) => Promise<void>} finish
 * @property {(on: boolean) => void} wait smoke, until the first sketch comes
 */

/**
 * @param {{width: number, height: number}} size of the picture, in its own pixels
 * @returns {Easel}
 */
export function makeEasel({ width, height }) {
  const canvas = h("canvas", { class: "easel-canvas", "aria-hidden": "true" });
  const image = h("img", { class: "easel-image", alt: "", hidden: true, draggable: "true" });
  const node = h("div", { class: "easel" }, canvas, image);
  setVars(node, { "--ratio": width / height });
  const brush = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  let turn = 0;

  /** The canvas has the pixels that the screen shows, so that smoothing is ours and not the browser's. */
  function measure() {
    const box = node.getBoundingClientRect();
    const scale = Math.min(devicePixelRatio || 1, 2);
    const [w, h2] = [Math.round(box.width * scale) || width, Math.round(box.height * scale) || height];
    if (canvas.width === w && canvas.height === h2) return;
    const before = canvas.width && canvas.height ? snapshot(canvas) : null;
    canvas.width = w;
    canvas.height = h2;
    if (before) brush.drawImage(before, 0, 0, w, h2);
  }

  /** @type {Easel["draw"]} */
  async function draw(url, { fade = FADE } = {}) {
    const mine = ++turn;
    const source = await loadImage(url);
    if (mine !== turn) return;
    measure();
    const next = softened(source, canvas.width, canvas.height);
    const shown = snapshot(canvas);
    image.hidden = true;
    const start = performance.now();
    const length = calm.matches ? 0 : fade;
    const frame = () => {
      if (mine !== turn) return;
      const share = length ? Math.min((performance.now() - start) / length, 1) : 1;
      brush.globalAlpha = 1;
      brush.imageSmoothingQuality = "high";
      brush.drawImage(shown, 0, 0);
      brush.globalAlpha = share * (2 - share);
      brush.drawImage(next, 0, 0, canvas.width, canvas.height);
      if (share < 1) requestAnimationFrame(frame);
    };
    frame();
  }

  return {
    node,
    draw,
    async finish(url, alt) {
      await draw(url);
      const mine = turn;
      await loadImage(url);
      image.src = url;
      image.alt = alt;
      // Enlarged by much, the canvas is the smoother one; the picture itself then lies over it unseen.
      image.classList.toggle("clear", canvas.width > width * MUCH);
      // The picture itself takes over, so that it can be saved, dragged and zoomed like any other.
      setTimeout(() => mine === turn && (image.hidden = false), calm.matches ? 0 : FADE + 40);
    },
    wait: (on) => node.classList.toggle("waiting", on),
  };
}

/** @param {HTMLCanvasElement} canvas */
function snapshot(canvas) {
  const copy = document.createElement("canvas");
  copy.width = Math.max(canvas.width, 1);
  copy.height = Math.max(canvas.height, 1);
  copy.getContext("2d")?.drawImage(canvas, 0, 0);
  return copy;
}

/**
 * A small sketch made large by doubling: each doubling rounds the corners of the one before, which a
 * single enlargement would leave as squares.
 * @param {HTMLImageElement} source
 * @param {number} width
 * @param {number} height
 * @returns {CanvasImageSource}
 */
function softened(source, width, height) {
  /** @type {HTMLImageElement | HTMLCanvasElement} */
  let now = source;
  let [w, h2] = [source.naturalWidth, source.naturalHeight];
  while (w * 2 <= width && h2 * 2 <= height) {
    w *= 2;
    h2 *= 2;
    const twice = document.createElement("canvas");
    twice.width = w;
    twice.height = h2;
    const brush = twice.getContext("2d");
    if (!brush) return source;
    brush.imageSmoothingQuality = "high";
    brush.drawImage(now, 0, 0, w, h2);
    now = twice;
  }
  const factor = width / source.naturalWidth;
  if (factor < SKETCHY) return now;
  // A sketch has so few pixels that doubling leaves its grid to be seen: it is smoke, and blurred.
  const haze = document.createElement("canvas");
  haze.width = width;
  haze.height = height;
  const brush = haze.getContext("2d");
  if (!brush) return now;
  brush.drawImage(now, 0, 0, width, height);
  brush.filter = `blur(${(factor * 0.34).toFixed(1)}px)`;
  brush.drawImage(now, 0, 0, width, height);
  return haze;
}
