/** What counts where a wish leaves something open: what its model and its sampler like. */

/** @import {App, Wish} from "./types" */
/** @import {Field} from "./fields.js" */

import { PLAIN } from "./words.js";

/** @param {App} app @param {Readonly<Wish>} wish */
export function samplerNote(app, wish) {
  const name = wish.sampler ?? defaultsOf(app, wish)?.sampler;
  const row = app.facts.methods.samplers.find((each) => each.name === name);
  if (!row) return "";
  const time = (row.cost ?? 1) > 1 ? "Takes twice the time for each step. " : "";
  return time + (row.stochastic ? "Draws noise on its way, so it can wander." : "");
}

/** @param {App} app @param {Readonly<Wish>} wish */
export function wanderNote(app, wish) {
  if (!wish.wander) return "";
  const name = wish.sampler ?? defaultsOf(app, wish)?.sampler;
  const row = app.facts.methods.samplers.find((each) => each.name === name);
  return row && !row.stochastic
    ? `${row.title} draws no noise on its way and cannot wander; choose Euler a, for one.`
    : "";
}

/**
 * What the chosen model likes.
 * @param {App} app
 * @param {Readonly<Wish>} wish
 */
export function defaultsOf(app, wish) {
  const { models } = app.facts;
  const row = models.find((model) => (wish.model ? model.name === wish.model : model.default));
  return row?.defaults ?? null;
}

/** Width and height of the finished picture. @param {App} app @param {Readonly<Wish>} wish @returns {[number, number]} */
export function finishedSize(app, wish) {
  const own = defaultsOf(app, wish);
  const times = wish.upscale ?? 1;
  return [(wish.width ?? own?.width ?? 512) * times, (wish.height ?? own?.height ?? 512) * times];
}

/** @param {App} app @param {Readonly<Wish>} wish */
export function finishedNote(app, wish) {
  return wish.upscale ? `The picture comes out at ${finishedSize(app, wish).join(" × ")} pixels.` : "";
}

/**
 * Whether a control is as it would be if nobody had touched it.
 * @param {App} app
 * @param {Field} field
 * @param {Readonly<Wish>} wish
 */
export function isUsual(app, field, wish) {
  if (!app.form.said(field.name, wish)) return true;
  const value = valueOf(app, field, wish);
  return value === valueOf(app, field, { ...wish, [field.name]: app.form.blank[field.name] }) || value === PLAIN[field.name];
}

/**
 * The value that counts: the wish's own, or the model's.
 * @param {App} app
 * @param {Field} field
 * @param {Readonly<Wish>} wish
 * @returns {unknown}
 */
export function valueOf(app, field, wish) {
  const own = wish[field.name];
  if (own !== null && own !== undefined) return own;
  if (field.name === "model") return app.facts.models.find((row) => row.default)?.name ?? "";
  const likes = /** @type {Record<string, unknown> | null} */ (/** @type {unknown} */ (defaultsOf(app, wish)));
  return likes?.[field.name] ?? field.fallback ?? "";
}
