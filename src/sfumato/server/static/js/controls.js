/** Controls made from the table of fields: label, value, sentence, and the place for an error. */

/** @import {App} from "./types" */
/** @import {Field} from "./fields.js" */

import { h, iconButton, setVars } from "./dom.js";
import { isUsual, valueOf } from "./likes.js";

/**
 * The frame that every control stands in.
 * @param {{name: string, label: string, hint: string, control?: Node, body: Node[], reset?: () => void}} parts
 */
export function fieldFrame({ name, label, hint, control, body, reset }) {
  return h(
    "div",
    { class: "field", data: { field: name } },
    h(
      "div",
      { class: "field-head" },
      h("label", { for: `f-${name}` }, label),
      reset && iconButton("reset", `${label}: back to what the model likes`, reset, { class: "small reset" }),
      h("span", { class: "grow" }),
      control,
    ),
    body,
    h("p", { class: "hint", id: `f-${name}-hint` }, hint),
    h("p", { class: "note", hidden: true }),
    h("p", { class: "field-error", id: `f-${name}-error`, role: "alert", hidden: true }),
  );
}

/**
 * @param {App} app
 * @param {Field} field
 * @returns {HTMLElement}
 */
export function makeControl(app, field) {
  const blank = app.form.blank[field.name];
  const set = (/** @type {unknown} */ value) => app.wish.set(app.form.changed(field.name, value ?? blank, app.wish.value));
  const common = { id: `f-${field.name}`, "aria-describedby": `f-${field.name}-hint f-${field.name}-error` };
  const parts = { range, number: range, select, switch: toggle, text, list }[field.kind](app, field, common, set);
  const node = fieldFrame({
    name: field.name,
    label: field.label,
    hint: field.hint,
    ...parts,
    reset: () => set(blank),
  });
  const note = /** @type {HTMLElement} */ (node.querySelector(".note"));
  const show = () => {
    const wish = app.wish.value;
    const shows = app.form.heeded(field.name, wish) && (field.only?.(app, wish) ?? true);
    node.hidden = !shows && !(app.form.heeded(field.name, wish) && app.form.said(field.name, wish));
    node.classList.toggle("changed", !isUsual(app, field, wish));
    note.textContent = field.note?.(app, wish) ?? "";
    note.hidden = !note.textContent;
    parts.show(valueOf(app, field, wish));
  };
  app.wish.subscribe((_, changed) => {
    if (changed.some((name) => name !== "prompt" && name !== "negative")) show();
  });
  show();
  return node;
}

/**
 * @typedef {{control?: Node, body: Node[], show: (value: any) => void}} Parts
 * @typedef {(app: App, field: Field, common: Record<string, string>, set: (value: unknown) => void) => Parts} Maker
 */

/** A slider for the eye and a number for the hand. @type {Maker} */
function range(app, field, common, set) {
  const { min = 0, step = 1 } = field;
  const limit = field.limit ? app.facts.about.limits[field.limit] : undefined;
  const max = Math.min(field.max ?? 100, limit ?? Infinity);
  const typed = () => {
    if (number.value === "") return set(null);
    const value = Number(number.value);
    if (Number.isFinite(value)) set(value);
    return undefined;
  };
  const number = h("input", {
    ...common,
    type: "number",
    class: "number",
    min,
    max: limit ?? null,
    step: "any",
    inputmode: "decimal",
    placeholder: field.fallback === "" ? (field.kind === "number" ? "–" : "none") : null,
    onchange: typed,
  });
  const slider = h("input", {
    type: "range",
    class: "slider",
    min,
    max,
    step,
    "aria-label": `${field.label}, as a slider`,
    tabindex: -1,
    oninput: () => set(Number(slider.value)),
  });
  number.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowUp" && event.key !== "ArrowDown") return;
    event.preventDefault();
    const by = (event.key === "ArrowUp" ? step : -step) * (event.shiftKey ? 5 : 1);
    const value = Math.min(limit ?? Math.max(max, 100), Math.max(min, Number(number.value) + by));
    set(Number(value.toFixed(4)));
  });
  return {
    control: number,
    body: field.kind === "range" ? [slider] : [],
    show(value) {
      if (number.value !== String(value)) number.value = String(value);
      slider.value = String(value === "" ? min : value);
      const share = (Number(slider.value) - min) / (max - min || 1);
      setVars(slider, { "--share": `${share * 100}%` });
    },
  };
}

/** @type {Maker} */
function select(app, field, common, set) {
  const choices = field.choices?.(app) ?? [];
  const word = (/** @type {unknown} */ value) => String(value ?? "");
  const meant = () => choices.find(([value]) => word(value) === box.value)?.[0];
  const box = h(
    "select",
    { ...common, onchange: () => set(meant() === undefined ? box.value : meant()) },
    choices.map(([value, title]) => h("option", { value: word(value) }, title)),
  );
  return {
    ...(field.wide ? { body: [box] } : { control: box, body: [] }),
    show(value) {
      const shown = word(value);
      // A recipe may name what this server does not have: it is shown, and the server says why not.
      if (shown && !choices.some(([known]) => word(known) === shown) && box.dataset.extra !== shown) {
        box.append(h("option", { value: shown }, `${shown} (not here)`));
        box.dataset.extra = shown;
      }
      box.value = shown;
    },
  };
}

/** @type {Maker} */
function toggle(_app, _field, common, set) {
  const box = h("input", {
    ...common,
    type: "checkbox",
    role: "switch",
    class: "switch",
    onchange: () => set(box.checked),
  });
  return { control: box, body: [], show: (value) => (box.checked = Boolean(value)) };
}

/** @type {Maker} */
function text(_app, field, common, set) {
  const box = h("input", {
    ...common,
    type: "text",
    class: "number wide",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: field.holder ?? "",
    onchange: () => set(box.value.trim() || null),
  });
  return { control: box, body: [], show: (value) => (box.value = value) };
}

/** Several numbers or names in a row. @type {Maker} */
function list(_app, field, common, set) {
  const take = () => {
    const parts = box.value.split(/[\s,;]+/).filter(Boolean);
    const values = field.items === "numbers" ? parts.map(Number) : parts;
    const wrong = values.some(Number.isNaN);
    const place = /** @type {HTMLElement | null} */ (box.closest(".field")?.querySelector(".field-error"));
    box.toggleAttribute("aria-invalid", wrong);
    if (wrong) box.setAttribute("aria-invalid", "true");
    if (place) {
      place.hidden = !wrong;
      place.textContent = wrong ? "Numbers with commas between them, such as 5, 1.5, 0.4." : "";
    }
    if (!wrong) set(values.length ? values : null);
  };
  const box = h("input", {
    ...common,
    type: "text",
    class: "listed",
    autocomplete: "off",
    spellcheck: "false",
    placeholder: field.holder ?? "",
    onchange: take,
  });
  return { body: [box], show: (value) => (box.value = Array.isArray(value) ? value.join(", ") : "") };
}

/**
 * Puts what the server refused next to the control that it speaks of.
 * @param {HTMLElement} panel
 * @param {string} field
 * @param {string} message
 * @returns {boolean} whether there is such a control
 */
export function showError(panel, field, message) {
  const node = /** @type {HTMLElement | null} */ (panel.querySelector(`[data-field~="${CSS.escape(field)}"]`));
  const place = /** @type {HTMLElement | null} */ (node?.querySelector(".field-error") ?? null);
  if (!field || !node || !place) return false;
  place.textContent = message;
  place.hidden = false;
  node.hidden = false;
  node.closest("details")?.setAttribute("open", "");
  const input = /** @type {HTMLElement | null} */ (node.querySelector("input, textarea, select"));
  input?.setAttribute("aria-invalid", "true");
  input?.focus();
  node.scrollIntoView({ block: "nearest" });
  return true;
}

/** @param {HTMLElement} panel */
export function clearErrors(panel) {
  panel.querySelectorAll("[aria-invalid]").forEach((node) => node.removeAttribute("aria-invalid"));
  panel.querySelectorAll(".field-error").forEach((node) => node.setAttribute("hidden", ""));
}
