/** The line under a finished picture: drag it back to see the picture come out of the noise. */

/** @import {Picture} from "./types" */
/** @import {Easel} from "./easel.js" */

import { api } from "./api.js";
import { calm, h, iconButton, loadImage, setVars } from "./dom.js";

const PLAY_PERIOD = 110;

/**
 * @param {Picture} picture
 * @param {Easel} easel
 * @param {string[]} sketches seen while it was painted; shown at once while a frame is on its way
 * @param {(text: string) => void} say which step is shown
 * @returns {HTMLElement | null} null where nothing of the way was kept
 */
export function makeScrubber(picture, easel, sketches, say) {
  const last = picture.frames;
  if (last < 2) return null;
  let wanted = last;
  let playing = false;

  const stepOf = (/** @type {number} */ k) =>
    picture.steps === null ? k : Math.max(1, Math.round((k * picture.steps) / last));
  const words = (/** @type {number} */ k) => `Step ${stepOf(k)} of ${picture.steps ?? last}`;

  /** @param {number} k */
  async function show(k) {
    wanted = k;
    line.value = String(k);
    setVars(line, { "--share": `${((k - 1) / (last - 1)) * 100}%` });
    line.setAttribute("aria-valuetext", words(k));
    say(k === last ? "" : words(k));
    if (k === last) return easel.finish(picture.urls.file, picture.prompt);
    const sketch = sketches.length === last ? sketches[k - 1] : "";
    if (sketch) void easel.draw(sketch, { fade: 60 });
    // The server develops a frame when it is first asked for; only the one that is still wanted counts.
    const frame = api.frame(picture, k);
    const ready = await loadImage(frame).then(() => true, () => false);
    if (ready && wanted === k) await easel.draw(frame, { fade: playing ? 100 : 160 });
    return undefined;
  }

  const line = h("input", {
    type: "range",
    class: "line",
    min: 1,
    max: last,
    value: last,
    "aria-label": "The way from noise to picture",
    "aria-valuetext": words(last),
    vars: { "--share": "100%" },
    oninput: () => {
      playing = false;
      void show(Number(line.value));
    },
  });

  async function play() {
    if (playing) return void (playing = false);
    playing = true;
    for (let k = 1; k <= last && playing && line.isConnected; k++) {
      const started = performance.now();
      await show(k);
      const rest = PLAY_PERIOD - (performance.now() - started);
      if (rest > 0) await new Promise((done) => setTimeout(done, rest));
    }
    playing = false;
    return undefined;
  }

  return h(
    "div",
    { class: "scrubber" },
    iconButton("play", calm.matches ? "Show every step" : "Watch it come out of the noise", () => void play(), {
      class: "small",
    }),
    line,
  );
}
