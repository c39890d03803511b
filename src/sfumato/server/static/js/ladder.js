/** The ladder of steps: how unlike its last rung a picture still is, as a curve, and the advice. */

/** @import {Ladder} from "./types" */

import { h } from "./dom.js";

/** As wide as it will stand, so that its words are as large as the page's. */
const WIDTH = Math.min(600, innerWidth - 60);
const HEIGHT = 150;
const EDGE = 30;
/** How the advice is followed on this page. @type {Readonly<Record<string, string>>} */
const ADVICE = Object.freeze({
  higher: "Climb higher: a sheet along Steps with larger numbers behind the last.",
  seeds: "Look at more of them: the same sheet, downwards along Seed.",
  sampler: "Or try another sampler.",
  calm: "Or take a sampler that draws no noise on its way, such as DPM++ 2M.",
});

/** @param {Ladder} ladder @param {(steps: number) => void} use */
export function ladderNodes(ladder, use) {
  const { recommended, advice } = ladder;
  return [
    h("h3", {}, recommended === null ? ladder.headline : `Worth their time: ${ladder.headline}`),
    curve(ladder),
    h("p", { class: "quiet" }, ladder.reason),
    h("p", { class: "quiet" }, advice.map((each) => ADVICE[each] ?? "").join(" ")),
    recommended !== null &&
      h("button", { type: "button", class: "button", onclick: () => use(recommended) }, `Use ${recommended} steps`),
  ].filter((node) => node instanceof Node);
}

/** Of each rung the seed that is farthest off; both ways of the square root, so that the small shows. @param {Ladder} ladder */
function curve({ rungs, recommended, same, near }) {
  const points = rungs.map(({ steps, changes }) => ({ steps, change: Math.max(...changes) }));
  const most = Math.max(...points.map((point) => point.change), near);
  const [first, last] = [Math.log(points[0].steps), Math.log(points[points.length - 1].steps)];
  const x = (/** @type {number} */ n) => EDGE + ((Math.log(n) - first) / (last - first)) * (WIDTH - 2 * EDGE);
  const y = (/** @type {number} */ change) => HEIGHT - EDGE - Math.sqrt(change / most) * (HEIGHT - 2 * EDGE);
  const words = points.map((point) => `${point.steps} steps ${point.change.toFixed(4)}`).join(", ");
  const svg = make("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `Change of the picture: ${words}`, class: "ladder-curve" });
  // One above its line and one below, for the two lie close together.
  for (const [limit, told, below] of /** @type {const} */ ([[near, "tones, edges", -4], [same, "just seen", 12]])) {
    svg.append(make("line", { x1: EDGE, x2: WIDTH - EDGE, y1: y(limit), y2: y(limit) }));
    svg.append(make("text", { x: EDGE, y: y(limit) + below, class: "limit" }, told));
  }
  svg.append(make("polyline", { points: points.map((point) => `${x(point.steps)},${y(point.change)}`).join(" ") }));
  for (const point of points) {
    const chosen = point.steps === recommended;
    svg.append(make("circle", { cx: x(point.steps), cy: y(point.change), r: chosen ? 7 : 4, class: chosen ? "chosen" : "" }));
    svg.append(make("text", { x: x(point.steps), y: HEIGHT - 8 }, String(point.steps)));
  }
  return svg;
}

/** @param {string} tag @param {Record<string, string | number>} props */
function make(tag, props, text = "") {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(props)) node.setAttribute(key, String(value));
  node.textContent = text;
  return node;
}
