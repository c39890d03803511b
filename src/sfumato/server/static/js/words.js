/** How things are said: times, sizes, recipes. */

/** @import {Form, Methods, Picture, Wish} from "./types" */

/**
 * @param {number | null} seconds
 * @returns {string}
 */
export function timeLeft(seconds) {
  if (seconds === null || !Number.isFinite(seconds)) return "";
  if (seconds < 1) return "a moment left";
  if (seconds < 90) return `about ${Math.ceil(seconds)} s left`;
  const minutes = Math.round(seconds / 60);
  return minutes < 90 ? `about ${minutes} min left` : `about ${Math.round(minutes / 60)} h left`;
}

/**
 * "Today", "Yesterday" or the date.
 * @param {number} seconds since 1970
 * @returns {string}
 */
export function day(seconds) {
  const then = new Date(seconds * 1000);
  const now = new Date();
  const yesterday = new Date(now.getFullYear(), now.getMonth(), now.getDate() - 1);
  if (then >= now || then.toDateString() === now.toDateString()) return "Today";
  if (then.toDateString() === yesterday.toDateString()) return "Yesterday";
  return then.toLocaleDateString("en-GB", { day: "numeric", month: "long", year: "numeric" });
}

/**
 * @param {number} seconds since 1970
 * @returns {string}
 */
export function moment(seconds) {
  return new Date(seconds * 1000).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}

/**
 * The title of a sampler or schedule; its name where the server does not know it.
 * @param {Methods} methods
 * @param {"samplers" | "schedules"} kind
 * @param {string | null} name
 * @returns {string}
 */
export function titleOf(methods, kind, name) {
  return methods[kind].find((row) => row.name === name)?.title ?? name ?? "";
}

/**
 * A picture's recipe in short parts, without its prompt.
 * @param {Picture} picture
 * @param {Methods} methods
 * @returns {string[]}
 */
export function recipeParts(picture, methods) {
  const how = [
    titleOf(methods, "samplers", picture.sampler),
    titleOf(methods, "schedules", picture.schedule),
  ].filter(Boolean);
  return [
    picture.seed === null ? "" : `seed ${picture.seed}`,
    picture.steps === null ? "" : `${picture.steps} steps`,
    how.join(", "),
    picture.guidance === null ? "" : `guidance ${picture.guidance}`,
    `${picture.width}\u00a0×\u00a0${picture.height}`,
    picture.model,
  ].filter(Boolean);
}

/**
 * @param {number} count
 * @param {string} one
 * @param {string} many
 */
export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

/** What the fields of a recipe are called on the page. @type {Readonly<Record<string, string>>} */
export const NAMES = Object.freeze({
  prompt: "Prompt",
  negative: "Leave out",
  seed: "Seed",
  steps: "Steps",
  guidance: "Guidance",
  rescale: "Rescale",
  interval: "Guided between",
  guidance_rule: "Guided by",
  sigmas: "Noise levels",
  sampler: "Sampler",
  schedule: "Schedule",
  width: "Width",
  height: "Height",
  count: "Pictures",
  wander: "Wander",
  path_seed: "Path",
  variation_seed: "Variation",
  variation_strength: "Variation strength",
  seed_width: "Noise width",
  seed_height: "Noise height",
  like: "Like",
  stream: "Noise stream",
  step_noise: "Steps' noise",
  sde_noise: "SDE noise",
  first_noise: "First noise",
  whole_times: "Whole times",
  discard_penultimate: "Skip lowest level",
  strength_steps: "Strength counts",
  weighting: "Brackets",
  empty_negative: "No negative prompt",
  t5_padding: "T5's padding",
  fixed_shift: "Fixed shift",
  rounding: "Rounding",
  template: "Template",
  negative_template: "Template, left out",
  clip_skip: "Clip skip",
  distilled: "Distilled guidance",
  shift: "Shift",
  apg_along: "Along",
  apg_longest: "Longest",
  zero_steps: "Resting steps",
  pag: "Attention guidance",
  pag_layers: "Its layers",
  slg: "Skip-layer guidance",
  slg_layers: "Skipped layers",
  slg_during: "During",
  threshold: "Threshold",
  mimic_scale: "Mimicked guidance",
  mimic_quantile: "Share kept",
  imagen_quantile: "Share kept",
  imagen_limit: "Limit",
  upscale: "Enlarged",
  upscaler: "Enlarged by",
  vae: "VAE",
  embeddings: "Embeddings",
  model: "Model",
  image: "Starting picture",
  strength: "Strength",
  fit: "Fit",
  mask: "Mask",
  mask_blur: "Soft edge",
  mask_fill: "Fill",
  mask_padding: "Room around",
  mask_invert: "Inverted",
});

/** A field of a request in the page's words. @param {string} field */
export const nameOf = (field) =>
  NAMES[field] ?? field.charAt(0).toUpperCase() + field.slice(1).replaceAll("_", " ");

/** What goes without saying. @type {Readonly<Record<string, unknown>>} */
export const PLAIN = Object.freeze({
  rescale: 0,
  guidance_rule: "cfg",
  count: 1,
  like: "sfumato",
  stream: "cpu",
  step_noise: "continued",
  sde_noise: "steps",
  first_noise: "sigma",
  strength_steps: "share",
  whole_times: false,
  discard_penultimate: false,
  weighting: "a1111",
  empty_negative: "zeros",
  t5_padding: "long",
  fixed_shift: false,
  rounding: "round",
  clip_skip: 1,
});

/**
 * What a wish says beyond what goes without saying.
 * @param {Form} form
 * @param {Partial<Wish>} wish
 * @returns {[string, unknown][]}
 */
export function told(form, wish) {
  const whole = /** @type {Wish} */ ({ ...form.blank, ...wish });
  return form.rows
    .map(({ name }) => name)
    .filter((name) => form.said(name, whole) && form.heeded(name, whole) && PLAIN[name] !== whole[name])
    .filter((name) => !(Array.isArray(whole[name]) && whole[name].length === 0))
    .map((name) => [name, whole[name]]);
}

/**
 * A value in a table of a recipe.
 * @param {unknown} value
 * @returns {string}
 */
export function shown(value) {
  if (value === null || value === undefined || value === "") return "—";
  if (Array.isArray(value)) return value.map((one) => one?.name ?? String(one)).join(", ") || "none";
  if (typeof value === "object" && "sha256" in value) return String(value.sha256).slice(0, 10);
  if (typeof value === "object") return JSON.stringify(value);
  if (value === true) return "yes";
  if (value === false) return "no";
  return String(value);
}
