/** What can be done with a finished picture, as a row of buttons. */

/** @import {App, Picture, Wish} from "./types" */

import { openDialog } from "./dialog.js";
import { h, icon, iconButton } from "./dom.js";
import { makeTags } from "./tags.js";
import { attempt, toast } from "./toast.js";
import { titleOf } from "./words.js";

/**
 * @param {App} app
 * @param {Picture} picture
 * @param {{leave?: () => void}} [how] leave: closes what stands in the way of the controls
 * @returns {HTMLElement}
 */
export function actionRow(app, picture, { leave = () => {} } = {}) {
  const labelled = (
    /** @type {string} */ name,
    /** @type {string} */ label,
    /** @type {string} */ tip,
    /** @type {() => Promise<unknown>} */ work,
  ) =>
    h(
      "button",
      { type: "button", class: "action", "data-tip": tip, "aria-description": tip, onclick: () => void attempt(work) },
      icon(name),
      h("span", {}, label),
    );
  return h(
    "div",
    { class: "actions", role: "toolbar", "aria-label": "What to do with this picture" },
    h(
      "div",
      { class: "actions-main" },
      labelled("recipe", "Use recipe", "Put all of its settings into the controls", () =>
        useRecipe(app, picture, leave),
      ),
      labelled("wander", "Wander", "Keep its starting noise and take another path from it", () =>
        wander(app, picture, leave),
      ),
      labelled("vary", "Vary", "Pictures near this one: its noise, turned a little towards others", async () => {
        const { openVary } = await import("./vary.js");
        openVary(app, picture, leave);
      }),
      labelled("brush", "Repaint a part", "Brush over what should become something else", () =>
        repaint(app, picture, leave),
      ),
      labelled("start", "Start from it", "Make the next picture out of this one", () =>
        startFrom(app, picture, leave),
      ),
    ),
    h("div", { class: "actions-more" }, smallActions(app, picture, leave)),
  );
}

/**
 * @param {App} app
 * @param {Picture} picture
 * @param {() => void} leave
 */
function smallActions(app, picture, leave) {
  const heart = iconButton(
    picture.favourite ? "heart-full" : "heart",
    "Favourite (F)",
    () => {
      const on = !app.pictures.known(picture.id)?.favourite;
      void attempt(() => app.pictures.favourite(picture.id, on));
    },
    { "aria-pressed": String(picture.favourite), class: "heart", data: { act: "favourite" } },
  );
  const link = (
    /** @type {string} */ name,
    /** @type {string} */ label,
    /** @type {Record<string, any>} */ props,
  ) => h("a", { class: "icon-button", href: picture.urls.file, "aria-label": label, "data-tip": label, ...props }, icon(name));
  return [
    heart,
    link("download", "Download", { download: fileName(picture) }),
    link("expand", "Open at full size", { target: "_blank", rel: "noopener" }),
    iconButton("tag", "Tags", () =>
      openDialog({ title: "Tags", body: [makeTags(app, app.pictures.known(picture.id) ?? picture)] }),
    ),
    iconButton("compare", "Compare with another", () => {
      leave();
      app.chooseToCompare(picture);
    }),
    iconButton("code", "The calls that make this picture", () =>
      void attempt(async () => {
        const { openCalls } = await import("./calls.js");
        await openCalls(app, await wishOf(app, picture));
      }),
    ),
    iconButton("check", "Verify: does its recipe make this very picture?", () =>
      void attempt(async () => {
        const { openVerify } = await import("./verify.js");
        await openVerify(app, app.pictures.known(picture.id) ?? picture);
      }),
    ),
    iconButton(
      "trash",
      "Delete (it goes to the trash)",
      () => void attempt(() => app.pictures.trash([picture.id])),
      { data: { act: "delete" } },
    ),
  ];
}

/** @param {Picture} picture */
function fileName(picture) {
  const words = picture.prompt.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? ["picture"];
  const kind = /\.(\w+)$/.exec(picture.urls.file)?.[1] ?? "png";
  return `${words.join("-").slice(0, 60)}-${picture.seed ?? picture.id}.${kind}`;
}

/**
 * All of a picture's wish, read from its own file.
 * @param {App} app
 * @param {Picture} picture
 * @returns {Promise<Wish>}
 */
export async function wishOf(app, picture) {
  const { request } = await app.pictures.reading(picture);
  return { ...app.form.blank, ...request };
}

/** @param {App} app @param {Picture} picture @param {() => void} leave */
export async function useRecipe(app, picture, leave) {
  const wish = await wishOf(app, picture);
  leave();
  app.panel.load(wish);
  app.go("paint");
  toast("Its recipe is in the controls.");
}

/** @param {App} app @param {Picture} picture @param {() => void} leave */
async function wander(app, picture, leave) {
  const wish = await wishOf(app, picture);
  const { samplers } = app.facts.methods;
  const draws = (/** @type {string | null} */ name) => samplers.find((row) => row.name === name)?.stochastic;
  const sampler = draws(wish.sampler)
    ? wish.sampler
    : (samplers.find((row) => row.name === "euler_ancestral") ?? samplers.find((row) => row.stochastic))?.name ?? null;
  if (sampler !== wish.sampler) {
    const [before, after] = [wish.sampler, sampler].map((name) => titleOf(app.facts.methods, "samplers", name));
    toast(`${before} draws no noise on its way and cannot wander; ${after} took its place.`);
  }
  leave();
  app.go("paint");
  app.stage.follow(await app.queue.paint({ ...wish, sampler, wander: true, path_seed: null, count: 1 }));
}

/** @param {App} app @param {Picture} picture @param {() => void} leave */
async function startFrom(app, picture, leave) {
  const { setStart } = await import("./start.js");
  await setStart(app, { url: picture.urls.file, prompt: picture.prompt, size: picture });
  leave();
  app.go("paint");
  app.panel.focus();
}

/** @param {App} app @param {Picture} picture @param {() => void} leave */
async function repaint(app, picture, leave) {
  const { setStart } = await import("./start.js");
  const { openInpaint } = await import("./inpaint.js");
  await setStart(app, { url: picture.urls.file, prompt: picture.prompt, size: picture });
  leave();
  app.go("paint");
  await openInpaint(app);
}
