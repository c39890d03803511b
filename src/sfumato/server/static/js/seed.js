/** The seed: a number, a die to roll it, and a lock that keeps it. */

/** @import {App} from "./types" */

import { h, iconButton } from "./dom.js";
import { fieldFrame } from "./controls.js";

/** @param {App} app */
export function makeSeed(app) {
  const { wish, habits } = app;
  const box = h("input", {
    id: "f-seed",
    type: "text",
    class: "number wide",
    inputmode: "numeric",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: "a new one",
    "aria-describedby": "f-seed-hint f-seed-error",
    oninput: () => {
      const seed = box.value.replace(/[\s,.']/g, "") || null;
      wish.set({ seed });
      habits.set({ locked: seed !== null });
    },
  });
  const dice = iconButton("dice", "Roll another seed (D)", () => roll(app), { id: "dice" });
  const lock = iconButton("unlock", "", () => habits.set({ locked: !habits.value.locked }), { id: "lock" });

  function show() {
    const { locked } = habits.value;
    const label = locked ? "Kept: the next picture has the same seed (L)" : "Free: each picture has a new seed (L)";
    lock.setAttribute("aria-label", label);
    lock.setAttribute("data-tip", label);
    lock.setAttribute("aria-pressed", String(locked));
    lock.querySelector("use")?.setAttribute("href", `icons.svg#${locked ? "lock" : "unlock"}`);
    box.classList.toggle("free", !locked);
    const seed = wish.value.seed ?? "";
    if (box.value !== seed && document.activeElement !== box) box.value = seed;
  }
  wish.subscribe((_, changed) => changed.includes("seed") && show());
  habits.subscribe((_, changed) => changed.includes("locked") && show());
  show();
  return fieldFrame({
    name: "seed",
    label: "Seed",
    hint: "The number of the starting noise, the raw clay: the same seed lays out the same clay. Lock it to keep it.",
    control: h("span", { class: "together" }, box, dice, lock),
    body: [],
  });
}

/** A new seed, short enough to be typed again; chosen by hand, so it is kept. @param {App} app */
export function roll(app) {
  const [seed] = crypto.getRandomValues(new Uint32Array(1));
  app.wish.set({ seed: String(seed) });
  app.habits.set({ locked: true });
}
