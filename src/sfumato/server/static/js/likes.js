/** What counts where a wish leaves something open: what its model and its sampler like. */

/** @import {App, Wish} from "./types" */
/** @import {Field} from "./fields.js" */

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

/**
 * The value that counts: the wish's own, or the model's.
 * @param {App} app
 * @param {Field} field
 * @param {Readonly<Wish>} wish
 * @returns {unknown}
 */
export function valueOf(app, field, wish) {
  const own = wish[field.name];
  if (own !== null) return own;
  if (field.name === "model") return app.facts.models.find((row) => row.default)?.name ?? "";
  const likes = /** @type {Record<string, unknown> | null} */ (/** @type {unknown} */ (defaultsOf(app, wish)));
  return likes?.[field.name] ?? field.fallback ?? "";
}
