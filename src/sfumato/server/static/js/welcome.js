/** What stands on the empty stage: smoke, a question, and a few prompts that work. */

/** @import {App} from "./types" */

import { h } from "./dom.js";
import { makeSmoke } from "./smoke.js";

/** Within what the bundled model has learned; one for each of its moods. */
export const EXAMPLES = Object.freeze([
  "a red fox, 3d",
  "a smiling cat, flat",
  "an octopus, neon",
  "a ship, blueprint",
  "a sunflower, sticker",
  "a cactus, pixel art",
]);

/**
 * @param {App} app
 * @returns {{node: HTMLElement, show: () => void, hide: () => void}}
 */
export function makeWelcome(app) {
  const smoke = makeSmoke();
  const chip = (/** @type {string} */ prompt) =>
    h(
      "button",
      {
        type: "button",
        class: "chip",
        onclick: () => {
          app.wish.set({ prompt });
          void app.panel.paint();
        },
      },
      prompt,
    );
  const node = h(
    "div",
    { class: "welcome" },
    smoke.node,
    h(
      "div",
      { class: "welcome-words" },
      h("h1", {}, "From smoke to form"),
      h("p", {}, "Say what you would like to see, and watch it come out of the noise. Or begin with one of these:"),
      h("div", { class: "chips" }, EXAMPLES.map(chip)),
      h("p", { class: "quiet" }, "A picture dropped on this page tells its recipe, or becomes the start of the next."),
    ),
  );
  return { node, show: smoke.start, hide: smoke.stop };
}
