/** The same picture made without the page: as a command line, in Python, and over HTTP. */

/** @import {App, Calls, Wish} from "./types" */

import { api } from "./api.js";
import { openDialog } from "./dialog.js";
import { announce, h, icon } from "./dom.js";

/** @type {readonly [keyof Calls, string, string][]} */
const WAYS = [
  ["command", "Command line", "In a terminal."],
  ["python", "Python", "With the library, in a program of your own."],
  ["http", "HTTP", "To this server, from anywhere that may reach it."],
];

/** @param {App} app @param {Wish} wish */
export async function openCalls(app, wish) {
  const calls = await api.calls(app.form.request(wish));
  openDialog({
    title: "The same picture, made elsewhere",
    kind: "wide",
    body: WAYS.map(([key, title, where]) => {
      const text = calls[key];
      const code = h("pre", { class: "code", tabindex: 0, "aria-label": title }, text);
      const button = h(
        "button",
        { type: "button", class: "button small-button", onclick: () => void copy(text, code, button) },
        icon("copy"),
        h("span", {}, "Copy"),
      );
      return h(
        "section",
        { class: "call", data: { way: key } },
        h("div", { class: "call-head" }, h("h3", {}, title), h("span", { class: "quiet" }, where), button),
        code,
      );
    }),
  });
}

/**
 * @param {string} text
 * @param {HTMLElement} code
 * @param {HTMLElement} button
 */
async function copy(text, code, button) {
  const word = /** @type {HTMLElement} */ (button.querySelector("span"));
  try {
    await navigator.clipboard.writeText(text);
    word.textContent = "Copied";
  } catch {
    // Without a secure context there is no clipboard: the text is marked, for the keyboard to copy.
    getSelection()?.selectAllChildren(code);
    word.textContent = "Press Ctrl+C";
  }
  announce(`${word.textContent}.`);
  setTimeout(() => (word.textContent = "Copy"), 2000);
}
