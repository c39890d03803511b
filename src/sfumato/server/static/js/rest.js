/** Controls for the fields of a request that have no row of their own, made from what the server tells. */

/** @import {App, FieldFact} from "./types" */
/** @import {Field} from "./fields.js" */

import { FIELDS } from "./fields.js";
import { START_FIELDS } from "./startfields.js";
import { nameOf } from "./words.js";

/** They have places of their own on the page. */
const PLACED = new Set([
  "prompt",
  "negative",
  "template",
  "negative_template",
  "embeddings",
  "seed",
  "width",
  "height",
  "image",
  "mask",
]);
/** What the server's sentence can say more plainly here. @type {Readonly<Record<string, string>>} */
const HINTS = Object.freeze({
  apg_along: "How much of the push along the picture itself APG leaves; 0 takes the glare away.",
  apg_longest: "How long APG lets the push be at most; 0 is any length.",
  zero_steps: "How many of the first steps rest, so that the beginning does not run astray.",
  pag: "Leads away from the picture without self-attention: firmer shapes, for more time.",
  slg: "Leads away from the picture with layers left out: better hands and bodies in Stable Diffusion 3.5.",
  threshold: "What holds colours that strong guidance would burn.",
  seed_width: "With the height below: the composition of the seed's picture at that size is kept at this one.",
  seed_height: "With the width above.",
  vae: "Another decoder, by the name of its file.",
  text_encoders: "Text encoders in files of their own, by their names.",
});

/** Behind which control they stand, where no need of theirs says it. @type {Readonly<Record<string, string>>} */
const BEHIND = Object.freeze({ pag: "interval", slg: "interval", threshold: "interval", seed_width: "variation_strength", seed_height: "variation_strength" });

/**
 * What stands behind a control, and behind that in turn.
 * @param {App} app
 * @param {string} name
 * @param {readonly Field[]} rest
 * @returns {Field[]}
 */
export function behind(app, name, rest) {
  return rest
    .filter((field) => (BEHIND[field.name] ?? app.form.row(field.name)?.needs?.field) === name)
    .flatMap((field) => [field, ...behind(app, field.name, rest)]);
}

/** @param {App} app @returns {Field[]} */
export function restOf(app) {
  const shown = new Set([...FIELDS, ...START_FIELDS].map((field) => field.name));
  return app.form.rows.filter((row) => !shown.has(row.name) && !PLACED.has(row.name)).map(made);
}

/** @param {FieldFact} row @returns {Field} */
function made(row) {
  const { name, kind, open } = row;
  const common = { name, label: nameOf(name), hint: HINTS[name] ?? row.about.replaceAll("`", ""), group: /** @type {const} */ ("rest") };
  if (kind === "flag" && !open) return { ...common, kind: "switch" };
  if (kind === "flag" || kind === "choice") return { ...common, kind: "select", choices: () => choices(row) };
  const fine = kind === "real" && row.most !== null && row.most <= 2;
  if (kind === "whole" || kind === "real") {
    return { ...common, kind: "number", min: row.least ?? undefined, max: row.most ?? undefined, step: fine ? 0.05 : 1, fallback: "" };
  }
  if (kind === "reals" || kind === "wholes") return { ...common, kind: "list", items: "numbers", holder: "as usual" };
  if (kind === "names") return { ...common, kind: "list", items: "words", holder: "as usual" };
  return { ...common, kind: "text", holder: kind === "seed" ? "a new one" : "as usual" };
}

/** @param {FieldFact} row @returns {[string | number | boolean | null, string][]} */
function choices({ kind, open, choices: all }) {
  /** @type {[string | number | boolean | null, string][]} */
  const usual = open ? [[null, "as usual"]] : [];
  if (kind === "flag") return [...usual, [true, "yes"], [false, "no"]];
  return [...usual, .../** @type {[string, string][]} */ (all.map((value) => [value, String(value).replaceAll("_", " ")]))];
}
