/** The door: says what went wrong with the last try. */

import { byId } from "./dom.js";

const asked = new URLSearchParams(location.search);
const wait = Number(asked.get("wait"));
const wrong = byId("wrong");

/** @param {string} text */
function say(text) {
  wrong.textContent = text;
  wrong.hidden = !text;
}

/** @param {number} seconds */
function count(seconds) {
  say(seconds > 0 ? `Too many tries. Wait ${seconds} s.` : "");
  byId("named").closest("form")?.querySelector("button")?.toggleAttribute("disabled", seconds > 0);
  if (seconds > 0) setTimeout(() => count(seconds - 1), 1000);
}

if (asked.has("wrong")) say("That was not right. Try again.");
if (wait > 0) count(Math.min(wait, 3600));
