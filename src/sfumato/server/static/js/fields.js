/**
 * The controls of the panel in one table. A field of a request that has no row here is shown all the
 * same, in a control made from what the server tells of it: see rest.js.
 */

/** @import {App, Wish} from "./types" */

import { defaultsOf, finishedNote, finishedSize, samplerNote, wanderNote } from "./likes.js";

/**
 * @typedef {object} Field
 * @property {string} name of the field of a wish
 * @property {"range" | "number" | "select" | "switch" | "text" | "list"} kind
 * @property {string} label
 * @property {string} hint one sentence that says what it does
 * @property {"main" | "more" | "rest" | "start" | "mask"} group
 * @property {string} [section] of "more": the heading that it stands under, where it is the first one
 * @property {number} [min]
 * @property {number} [max] of the slider; a larger number may be typed, up to `limit`
 * @property {number} [step]
 * @property {string} [limit] the server's limit of this name
 * @property {number | string} [fallback] what null means, where no model says it
 * @property {boolean} [wide] of a select: it takes a line of its own
 * @property {string} [holder] what stands in an empty box
 * @property {"numbers" | "words"} [items] of a list
 * @property {(app: App) => [value: string | number | boolean | null, title: string][]} [choices]
 * @property {(app: App, wish: Readonly<Wish>) => string} [note] what is to be said of the value
 * @property {(app: App, wish: Readonly<Wish>) => boolean} [only] whether it is shown; one that says
 *   something always is, and one that needs another field only with that
 */

/** @type {readonly Field[]} */
export const FIELDS = [
  {
    name: "model",
    kind: "select",
    label: "Model",
    hint: "What has learned to paint; each model has a taste and a size of its own.",
    group: "more",
    wide: true,
    choices: (app) => app.facts.models.map((row) => [row.name, row.title]),
  },
  {
    name: "steps",
    kind: "range",
    label: "Steps",
    hint: "How many times the noise is refined: more steps mean finer work and more time.",
    group: "main",
    min: 1,
    max: 60,
    step: 1,
    limit: "steps",
  },
  {
    name: "guidance",
    kind: "range",
    label: "Guidance",
    hint: "How strictly the picture follows the prompt; too much makes it harsh.",
    group: "main",
    min: 1,
    max: 15,
    step: 0.5,
  },
  {
    name: "distilled",
    kind: "range",
    label: "Distilled guidance",
    hint: "The guidance that this model has learned to take as a number: higher is stricter, and costs no time.",
    group: "main",
    min: 1,
    max: 10,
    step: 0.5,
    only: (app, wish) => defaultsOf(app, wish)?.distilled != null,
  },
  {
    name: "count",
    kind: "range",
    label: "Pictures",
    hint: "How many to paint, each from the next seed.",
    group: "main",
    min: 1,
    max: 9,
    step: 1,
    limit: "count",
  },
  {
    name: "upscale",
    kind: "select",
    label: "Enlarge",
    hint: "Makes the finished picture larger with a network that draws its edges anew.",
    group: "more",
    choices: () => [
      [null, "no"],
      [2, "2 times"],
      [4, "4 times"],
    ],
    note: finishedNote,
    only: (app, wish) => Math.max(...finishedSize(app, { ...wish, upscale: 2 })) <= (app.form.row("width")?.most ?? Infinity),
  },
  {
    name: "sampler",
    kind: "select",
    label: "Sampler",
    hint: "The way of walking from noise to picture.",
    group: "more",
    section: "The walk",
    choices: (app) => app.facts.methods.samplers.map((row) => [row.name, row.title]),
    note: samplerNote,
  },
  {
    name: "schedule",
    kind: "select",
    label: "Schedule",
    hint: "How much noise is taken away at which step.",
    group: "more",
    choices: (app) => app.facts.methods.schedules.map((row) => [row.name, row.title]),
  },
  {
    name: "sigmas",
    kind: "list",
    items: "numbers",
    label: "Own noise levels",
    hint: "Falling numbers in place of steps and schedule, such as 14.6, 5, 1.6, 0.4.",
    group: "more",
    holder: "as scheduled",
  },
  {
    name: "wander",
    kind: "switch",
    label: "Wander",
    hint: "Keeps the seed's starting noise and takes a fresh path from it, so that no two pictures are alike.",
    group: "more",
    note: wanderNote,
  },
  {
    name: "path_seed",
    kind: "text",
    label: "Path",
    hint: "The number of the path that a wander takes; leave it empty for a new one each time.",
    group: "more",
    holder: "a new one",
  },
  {
    name: "rescale",
    kind: "range",
    label: "Rescale",
    hint: "Takes back the glare that strong guidance brings; 0 leaves it as it is.",
    group: "more",
    section: "Guidance",
    min: 0,
    max: 1,
    step: 0.05,
  },
  {
    name: "guidance_rule",
    kind: "select",
    label: "Guided by",
    hint: "By which rule the prompt leads: as usual, with a calmer beginning (CFG-Zero*), or without burning colours (APG).",
    group: "more",
    choices: () => [
      ["cfg", "the usual rule"],
      ["zero_star", "CFG-Zero*"],
      ["apg", "APG"],
    ],
  },
  {
    name: "interval",
    kind: "list",
    items: "numbers",
    label: "Guided between",
    hint: "Guides only between two noise levels, such as 0.28, 5.42: quicker, and with more variety.",
    group: "more",
    holder: "at every level",
  },
  {
    name: "variation_strength",
    kind: "range",
    label: "Variation",
    hint: "How far the starting noise is turned towards another seed's: a little of it keeps the picture and changes its details.",
    group: "more",
    section: "The starting noise",
    min: 0,
    max: 1,
    step: 0.05,
    fallback: 0,
  },
  {
    name: "variation_seed",
    kind: "text",
    label: "Towards",
    hint: "The seed that it is turned towards; leave it empty for a new one each time.",
    group: "more",
    holder: "a new one",
  },
  {
    name: "like",
    kind: "select",
    label: "Like",
    hint: "Whose numerics fill what is left open, so that a seed gives the picture that it gives there.",
    group: "more",
    section: "As elsewhere",
    choices: () => [
      ["sfumato", "sfumato"],
      ["a1111", "A1111"],
      ["comfy", "ComfyUI"],
      ["diffusers", "diffusers"],
    ],
  },
  {
    name: "stream",
    kind: "select",
    label: "Noise stream",
    hint: "Where a seed's noise comes from: choose NVIDIA's to repeat pictures that other programs made on such a card.",
    group: "more",
    choices: () => [
      ["cpu", "the processor's"],
      ["nv", "an NVIDIA card's"],
    ],
    fallback: "cpu",
  },
  {
    name: "weighting",
    kind: "select",
    label: "Brackets",
    hint: "By whose rule the brackets in a prompt, as in (red:1.3), weigh its words.",
    group: "more",
    choices: () => [
      ["a1111", "A1111's"],
      ["comfy", "ComfyUI's"],
      ["plain", "none, they are letters"],
    ],
    fallback: "a1111",
  },
  {
    name: "clip_skip",
    kind: "range",
    label: "Clip skip",
    hint: "From which layer of CLIP the prompt is heard: 1 is the usual one, 2 the one before it. For Stable Diffusion 1 and 2.",
    group: "more",
    min: 1,
    max: 12,
    step: 1,
  },
];
