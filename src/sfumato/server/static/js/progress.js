/** The line that fills while a picture is painted; the same line is dragged when it is finished. */

/** @import {Job} from "./types" */

import { announce, h, setVars } from "./dom.js";
import { timeLeft } from "./words.js";

/**
 * Fills the foot of the stage for a job under way, or updates it.
 * @param {HTMLElement} foot
 * @param {Job} job
 * @param {number} before how many jobs are painted before it
 * @param {() => unknown} cancel
 */
export function liveFoot(foot, job, before, cancel) {
  if (foot.firstElementChild?.getAttribute("data-job") !== job.id) {
    foot.replaceChildren(build(job, cancel));
  }
  const share = job.steps ? (job.picture + job.step / job.steps) / job.count : 0;
  const line = /** @type {HTMLElement} */ (foot.querySelector(".line"));
  setVars(line, { "--share": `${share * 100}%` });
  line.setAttribute("aria-valuenow", String(Math.round(share * 100)));
  line.setAttribute("aria-valuetext", words(job, before));
  line.classList.toggle("unknown", job.state === "queued" || job.step === 0);
  /** @type {HTMLElement} */ (foot.querySelector(".step-word")).textContent = words(job, before);
  /** @type {HTMLElement} */ (foot.querySelector(".time-left")).textContent =
    job.state === "running" && job.step > 0 ? timeLeft(job.seconds_left) : "";
  const reason = /** @type {HTMLElement} */ (foot.querySelector(".reason"));
  if (reason.textContent !== hindrance(job)) announce(hindrance(job));
  reason.textContent = hindrance(job);
  reason.hidden = !reason.textContent;
}

/** What keeps a job that waits from being painted, beside those before it. @param {Job} job */
export const hindrance = (job) => (job.state === "queued" ? job.error : "");

/** @param {Job} job @param {() => unknown} cancel */
function build(job, cancel) {
  return h(
    "div",
    { class: "live", data: { job: job.id } },
    h("div", {
      class: "line progress",
      role: "progressbar",
      "aria-label": `Painting: ${job.request.prompt}`,
      "aria-valuemin": 0,
      "aria-valuemax": 100,
      "aria-valuenow": 0,
    }),
    h(
      "div",
      { class: "foot-row" },
      h(
        "div",
        { class: "foot-words" },
        h("p", { class: "caption" }, h("q", {}, job.request.prompt || "no prompt")),
        h("p", { class: "recipe" }, h("span", { class: "step-word" }), h("span", { class: "time-left" })),
        h("p", { class: "reason", hidden: true }),
      ),
      h("button", { type: "button", class: "button", onclick: cancel }, "Cancel"),
    ),
  );
}

/** @param {Job} job @param {number} before */
function words(job, before) {
  if (hindrance(job)) return "Waiting";
  if (job.state === "queued") return before > 0 ? `Waiting; ${before} before it` : "Next in line";
  if (job.step === 0) return "Laying out the noise";
  const which = job.count > 1 ? `Picture ${job.picture + 1} of ${job.count}, step` : "Step";
  return `${which} ${job.step} of ${job.steps}`;
}
