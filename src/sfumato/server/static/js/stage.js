/** The stage: the picture as it comes out of the noise, and when it is finished. */

/** @import {App, Job, Picture, Stage} from "./types" */
/** @import {Easel} from "./easel.js" */

import { actionRow } from "./actions.js";
import { announce, byId, h, icon, setVars } from "./dom.js";
import { makeEasel } from "./easel.js";
import { isOver } from "./queue.js";
import { makeScrubber } from "./scrubber.js";
import { attempt } from "./toast.js";
import { liveFoot } from "./progress.js";
import { plural, recipeParts } from "./words.js";
import { makeWelcome } from "./welcome.js";

const GAP = 12;
/** A picture of 128 pixels is shown at five times its size, and no larger: it would only be mush. */
const MOST = 5;

/**
 * @param {App} app
 * @returns {Stage}
 */
export function makeStage(app) {
  const area = byId("stage-area");
  const foot = byId("stage-foot");
  const welcome = makeWelcome(app);
  /** @type {{job: string | null, picture: Picture | null, easels: Easel[], ratio: number, width: number}} */
  let now = { job: null, picture: null, easels: [], ratio: 1, width: 0 };
  /** Whether the next job that starts takes the stage; not while somebody looks at an older picture. */
  let live = true;
  /** The job that waits on a stage that nobody has asked anything of. */
  let filler = "";

  /** @param {number} count @param {{width: number, height: number}} size */
  function setUp(count, size) {
    welcome.hide();
    const easels = Array.from({ length: count }, () => makeEasel(size));
    area.replaceChildren(
      h("div", { class: "frames" }, easels.map((easel) => easel.node)),
    );
    now = { ...now, easels, ratio: size.width / size.height, width: size.width };
    fit();
  }

  /** The largest tiles that fit: tries each number of columns. */
  function fit() {
    const count = now.easels.length;
    if (!count) return;
    const { width, height } = area.getBoundingClientRect();
    let best = { tile: 0, columns: 1 };
    for (let columns = 1; columns <= count; columns++) {
      const rows = Math.ceil(count / columns);
      const across = (width - GAP * (columns - 1)) / columns;
      const down = ((height - GAP * (rows - 1)) / rows) * now.ratio;
      const tile = Math.floor(Math.min(across, down, now.width * MOST));
      if (tile > best.tile) best = { tile, columns };
    }
    setVars(area, { "--tile": `${best.tile}px`, "--columns": best.columns });
  }
  new ResizeObserver(fit).observe(area);

  /** @param {Job} job */
  function follow(job) {
    live = true;
    filler = "";
    const { width, height } = sizeOf(app, job);
    now = { ...now, job: job.id, picture: null };
    setUp(job.count, { width, height });
    now.easels.forEach((easel, i) => {
      easel.wait(true);
      const sketch = app.queue.sketches(job.id, i).at(-1);
      if (sketch) void easel.draw(sketch, { fade: 0 }).then(() => easel.wait(false));
    });
    job.pictures.forEach((picture) => settle(picture));
    update(job);
  }

  /** A picture of the job is finished. @param {Picture} picture */
  function settle(picture) {
    const easel = now.easels[picture.number];
    if (!easel || easel.node.dataset.picture === picture.id) return;
    easel.node.dataset.picture = picture.id;
    void easel.finish(picture.urls.file, picture.prompt).then(() => easel.wait(false));
    if (now.easels.length > 1) makeChoice(easel, picture);
  }

  /** A tile of several: a press shows it alone. @param {Easel} easel @param {Picture} picture */
  function makeChoice(easel, picture) {
    const label = `Show picture ${picture.number + 1} alone`;
    easel.node.append(
      h("button", { type: "button", class: "easel-choice", "aria-label": label, onclick: () => show(picture) }),
    );
  }

  /** @param {Job} job */
  function update(job) {
    if (job.id !== now.job || now.picture) return;
    job.pictures.forEach((picture) => settle(picture));
    if (!isOver(job)) return void liveFoot(foot, job, app.queue.before(job.id), () => attempt(() => app.queue.cancel(job.id)));
    now.easels.forEach((easel) => easel.wait(false));
    if (job.state === "failed") return ended(job.error, "The picture could not be painted.");
    if (job.state === "cancelled" && !job.pictures.length) return ended("", "Cancelled.");
    announce(plural(job.pictures.length, "picture is", "pictures are") + " finished.");
    if (job.count === 1 && job.pictures[0]) return present(job.pictures[0]);
    foot.replaceChildren(
      h("p", { class: "caption" }, h("q", {}, job.request.prompt), " ", plural(job.pictures.length, "picture"), ". Choose one to see it alone."),
    );
    return undefined;
  }

  /** @param {string} why @param {string} what */
  function ended(why, what) {
    announce(`${what} ${why}`);
    foot.replaceChildren(
      h("p", { class: why ? "caption error" : "caption", role: why ? "alert" : null }, why || what),
    );
  }

  /** The line, the recipe and the buttons under a finished picture. @param {Picture} picture */
  function present(picture) {
    now = { ...now, picture };
    const easel = now.easels[0];
    const step = h("span", { class: "step-word" });
    const sketches = picture.job ? app.queue.sketches(picture.job, picture.number) : [];
    const parts = recipeParts(picture, app.facts.methods);
    foot.replaceChildren(
      makeScrubber(picture, easel, sketches, (text) => (step.textContent = text)) ?? h("div", { class: "scrubber" }),
      h(
        "div",
        { class: "foot-row", data: { picture: picture.id } },
        h(
          "div",
          { class: "foot-words" },
          h("p", { class: "caption" }, backToAll(picture), h("q", {}, picture.prompt || "no prompt")),
          h("p", { class: "recipe" }, step, parts.join(" · ")),
        ),
        actionRow(app, picture),
      ),
    );
  }

  /** @param {Picture} picture */
  function backToAll(picture) {
    const job = picture.job ? app.queue.job(picture.job) : undefined;
    if (!job || job.pictures.length < 2) return null;
    return h(
      "button",
      { type: "button", class: "text-button back", onclick: () => follow(job) },
      icon("grid"),
      `All ${job.pictures.length}`,
    );
  }

  /** @param {Picture} picture */
  function show(picture) {
    live = false;
    now = { ...now, job: picture.job, picture };
    setUp(1, picture);
    now.easels[0].node.dataset.picture = picture.id;
    void attempt(() => now.easels[0].finish(picture.urls.file, picture.prompt));
    present(picture);
  }

  app.link.on("step", (event) => {
    if (event.job !== now.job || now.picture) return;
    const easel = now.easels[event.picture];
    if (!easel || easel.node.dataset.picture) return;
    const url = event.preview ?? event.sketch;
    void easel.draw(url).then(() => easel.wait(false));
  });
  app.queue.subscribe((job) => {
    const watching = now.job ? app.queue.job(now.job) : undefined;
    const free = live && (!watching || isOver(watching) || filler === watching.id);
    // An empty stage takes a job that waits, too, until one runs: what it waits for is told there.
    const fills = !now.job && job.state === "queued";
    if (free && job.id !== now.job && (job.state === "running" || fills)) {
      follow(job);
      if (fills) filler = job.id;
    } else if (watching) update(watching);
  });
  app.pictures.subscribe((picture) => {
    if (picture.id !== now.picture?.id) return;
    if (picture.trashed) return void clear();
    const held = document.activeElement?.closest("[data-act]")?.getAttribute("data-act");
    if (picture.favourite !== now.picture.favourite) present(picture);
    if (held) /** @type {HTMLElement | null} */ (foot.querySelector(`[data-act="${held}"]`))?.focus();
  });

  function clear() {
    now = { job: null, picture: null, easels: [], ratio: 1, width: 0 };
    live = true;
    foot.replaceChildren();
    area.replaceChildren(welcome.node);
    welcome.show();
  }
  clear();
  return { follow, show, current: () => now.picture };
}

/** @param {App} app @param {Job} job */
function sizeOf(app, job) {
  const { models } = app.facts;
  const model = models.find((row) => row.name === job.request.model) ?? models.find((row) => row.default);
  return {
    width: job.request.width ?? model?.defaults?.width ?? 512,
    height: job.request.height ?? model?.defaults?.height ?? 512,
  };
}
