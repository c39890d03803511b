/** Light or dark: as the system is, until somebody says otherwise. */

/** @import {Habits, Store} from "./types" */

import { byId } from "./dom.js";

/** @param {Store<Habits>} habits */
export function makeTheme(habits) {
  const button = byId("theme");
  const system = matchMedia("(prefers-color-scheme: dark)");
  const dark = () => (habits.value.theme === "system" ? system.matches : habits.value.theme === "dark");

  function show() {
    const { theme } = habits.value;
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    const label = dark() ? "To light (T)" : "To dark (T)";
    button.setAttribute("aria-label", label);
    button.setAttribute("data-tip", label);
    button.querySelector("use")?.setAttribute("href", `icons.svg#${dark() ? "sun" : "moon"}`);
  }
  button.addEventListener("click", () => {
    const wanted = dark() ? "light" : "dark";
    // What the system wants anyway is not a choice of its own: the page goes on following it.
    habits.set({ theme: (wanted === "dark") === system.matches ? "system" : wanted });
  });
  system.addEventListener("change", show);
  habits.subscribe(show);
  show();
}
