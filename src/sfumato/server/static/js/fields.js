/** Every plain control of the panel in one table: a new option of a request is a new row here. */

/** @import {App, Wish} from "./types" */

import { samplerNote, wanderNote } from "./likes.js";

/**
 * @typedef {object} Field
 * @property {keyof Wish} name
 * @property {"range" | "select" | "switch" | "text"} kind
 * @property {string} label
 * @property {string} hint one sentence that says what it does
 * @property {"main" | "more" | "start" | "mask"} group
 * @property {number} [min]
 * @property {number} [max] of the slider; a larger number may be typed, up to `limit`
 * @property {number} [step]
 * @property {string} [limit] the server's limit of this name
 * @property {number | string} [fallback] what null means, where no model says it
 * @property {(app: App) => [value: string, title: string][]} [choices]
 * @property {(app: App, wish: Readonly<Wish>) => string} [note] what is to be said of the value
 * @property {(wish: Readonly<Wish>) => boolean} [only] whether it is shown
 */

/** @type {readonly Field[]} */
export const FIELDS = [
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
    name: "model",
    kind: "select",
    label: "Model",
    hint: "What has learned to paint; each model has a taste and a size of its own.",
    group: "more",
    choices: (app) => app.facts.models.map((row) => [row.name, row.title]),
  },
  {
    name: "sampler",
    kind: "select",
    label: "Sampler",
    hint: "The way of walking from noise to picture.",
    group: "more",
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
    only: (wish) => wish.wander,
  },
  {
    name: "variation_strength",
    kind: "range",
    label: "Variation",
    hint: "How far the starting noise is turned towards another seed's: a little of it keeps the picture and changes its details.",
    group: "more",
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
    only: (wish) => wish.variation_strength !== null,
  },
  {
    name: "rescale",
    kind: "range",
    label: "Rescale",
    hint: "Takes back the glare that strong guidance brings; 0 leaves it as it is.",
    group: "more",
    min: 0,
    max: 1,
    step: 0.05,
  },
  {
    name: "like",
    kind: "select",
    label: "Like",
    hint: "Whose numerics fill what is left open, so that a seed gives the picture that it gives there.",
    group: "more",
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
  {
    name: "strength",
    kind: "range",
    label: "Strength",
    hint: "How far the new picture may leave the one that it starts from.",
    group: "start",
    min: 0.05,
    max: 1,
    step: 0.05,
    fallback: 0.75,
  },
  {
    name: "fit",
    kind: "select",
    label: "Fit",
    hint: "How the starting picture meets another shape.",
    group: "start",
    choices: () => [
      ["crop", "cut its edges"],
      ["stretch", "stretch it"],
      ["pad", "add edges"],
    ],
  },
  {
    name: "mask_fill",
    kind: "select",
    label: "Fill",
    hint: "What stands under the brush when the painting begins.",
    group: "mask",
    choices: () => [
      ["original", "what was there"],
      ["blur", "its colours, blurred"],
      ["noise", "noise"],
      ["nothing", "nothing"],
    ],
  },
  {
    name: "mask_blur",
    kind: "range",
    label: "Soft edge",
    hint: "How many pixels the brushed edge melts into the rest.",
    group: "mask",
    min: 0,
    max: 64,
    step: 1,
  },
  {
    name: "mask_padding",
    kind: "range",
    label: "Room around",
    hint: "With it, only the brushed part is painted, enlarged, with so many pixels around it; without, the whole picture.",
    group: "mask",
    min: 0,
    max: 256,
    step: 4,
    fallback: "",
  },
  {
    name: "mask_invert",
    kind: "switch",
    label: "Invert",
    hint: "Repaints all but what was brushed.",
    group: "mask",
  },
];
