/** The tray under the stage: what waits, what is being painted, and the latest pictures. */

/** @import {App, Job, Picture} from "./types" */

import { api } from "./api.js";
import { byId, h, iconButton, setVars } from "./dom.js";
import { hindrance } from "./progress.js";
import { attempt } from "./toast.js";

const LATEST = 30;

/** Shows something on the stage, and the stage, which may be out of sight on a phone. @param {() => void} show */
function toStage(show) {
  show();
  if (innerWidth < 900) scrollTo({ top: 0 });
}

/** @param {App} app */
export async function makeTray(app) {
  const tray = byId("tray");
  const waiting = h("ul", { class: "tray-jobs", "aria-label": "Being painted, and waiting" });
  const latest = h("ul", { class: "tray-pictures", "aria-label": "The latest pictures" });
  tray.replaceChildren(waiting, latest);
  /** @type {Picture[]} */
  let pictures = [];

  /** @param {Job} job */
  function jobTile(job) {
    const share = job.steps ? (job.picture + job.step / job.steps) / job.count : 0;
    const sketch = app.queue.sketches(job.id, job.picture).at(-1);
    const doing = job.state === "running" ? "Being painted" : "Waiting";
    const label = [`${doing}: ${job.request.prompt}`, hindrance(job)].filter(Boolean).join(". ");
    const place = hindrance(job) ? "!" : job.state === "queued" ? String(app.queue.before(job.id)) : "…";
    return h(
      "li",
      { class: `tile job ${job.state}`, vars: { "--share": `${share * 100}%` } },
      h(
        "button",
        { type: "button", class: "tile-face", "aria-label": label, "data-tip": hindrance(job) || job.request.prompt, onclick: () => toStage(() => app.stage.follow(job)) },
        sketch ? h("img", { src: sketch, alt: "" }) : h("span", {}, place),
      ),
      iconButton("close", `Cancel: ${job.request.prompt}`, () => void attempt(() => app.queue.cancel(job.id)), {
        class: "small corner",
      }),
    );
  }

  /** @param {Picture} picture */
  const pictureTile = (picture) =>
    h(
      "li",
      { class: "tile", data: { id: picture.id } },
      h(
        "button",
        {
          type: "button",
          class: "tile-face",
          "aria-label": picture.prompt || "A picture without a prompt",
          onclick: () => toStage(() => app.stage.show(app.pictures.known(picture.id) ?? picture)),
        },
        h("img", { src: picture.urls.thumb, alt: "", loading: "lazy" }),
      ),
    );

  const showJobs = () => {
    const focused = waiting.contains(document.activeElement);
    if (focused) return; // not under the fingers of somebody who is about to cancel
    waiting.replaceChildren(...app.queue.active().map(jobTile));
    setVars(tray, { "--jobs": app.queue.active().length });
  };
  const showPictures = () => {
    latest.replaceChildren(...pictures.map(pictureTile));
    tray.classList.toggle("empty", !pictures.length && !app.queue.active().length);
  };

  app.queue.subscribe((job) => {
    showJobs();
    tray.classList.toggle("empty", !pictures.length && !app.queue.active().length);
    if (job.state !== "running") waiting.querySelector(":focus")?.dispatchEvent(new Event("blur"));
  });
  waiting.addEventListener("focusout", () => setTimeout(showJobs));
  app.pictures.subscribe((picture) => {
    const others = pictures.filter((known) => known.id !== picture.id);
    if (picture.trashed && others.length === pictures.length) return;
    const before = pictures.map((each) => each.id).join();
    pictures = picture.trashed ? others : [...others, picture];
    pictures = pictures.sort((a, b) => b.created - a.created).slice(0, LATEST);
    if (pictures.map((each) => each.id).join() !== before) showPictures();
  });

  const page = await attempt(() => api.search({ limit: String(LATEST) }));
  page?.pictures.forEach(app.pictures.learn);
  const fresh = new Set(pictures.map((picture) => picture.id));
  pictures = [...pictures, ...(page?.pictures ?? []).filter((picture) => !fresh.has(picture.id))];
  showJobs();
  showPictures();
  return pictures[0] ?? null;
}
