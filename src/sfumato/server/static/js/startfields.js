/** The controls of a picture to start from, and of the part of it that is repainted. */

/** @import {Field} from "./fields.js" */

/** @type {readonly Field[]} */
export const START_FIELDS = [
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
