/** The raw clay: a slow drift of warm noise behind an empty stage, and in a frame that waits. */

import { calm, h } from "./dom.js";

const CELLS = 14;
const PERIOD = 90; // ms between two drawings: it moves slowly, and costs next to nothing
// Umber, sienna, ochre, haze and paper, as red, green, blue.
const PALETTE = [
  [92, 70, 56],
  [160, 98, 66],
  [206, 164, 112],
  [134, 150, 152],
  [226, 214, 196],
];

/** @returns {{node: HTMLCanvasElement, start: () => void, stop: () => void}} */
export function makeSmoke() {
  const node = h("canvas", { class: "smoke", width: CELLS, height: CELLS, "aria-hidden": "true" });
  const brush = /** @type {CanvasRenderingContext2D} */ (node.getContext("2d"));
  const phases = Array.from({ length: CELLS * CELLS }, () => [
    Math.random() * Math.PI * 2,
    0.25 + Math.random() * 0.5,
    Math.random() * PALETTE.length,
  ]);
  let timer = 0;

  /** @param {number} seconds */
  function draw(seconds) {
    const image = brush.createImageData(CELLS, CELLS);
    phases.forEach(([phase, speed, hue], i) => {
      const swing = Math.sin(phase + seconds * speed);
      const place = (hue + swing * 0.8 + PALETTE.length) % PALETTE.length;
      const [a, b] = [Math.floor(place), (Math.floor(place) + 1) % PALETTE.length];
      const share = place - a;
      for (let channel = 0; channel < 3; channel++) {
        image.data[i * 4 + channel] =
          PALETTE[a][channel] * (1 - share) + PALETTE[b][channel] * share + swing * 10;
      }
      image.data[i * 4 + 3] = 255;
    });
    brush.putImageData(image, 0, 0);
  }

  function stop() {
    clearInterval(timer);
    timer = 0;
  }
  return {
    node,
    start() {
      stop();
      draw(0);
      if (!calm.matches) {
        timer = setInterval(() => !document.hidden && draw(performance.now() / 1000), PERIOD);
      }
    },
    stop,
  };
}
