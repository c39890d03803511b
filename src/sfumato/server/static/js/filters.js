/** What narrows the gallery: words, and a row of filters. */

/** @import {App} from "./types" */

import { debounce, h, icon } from "./dom.js";

const PAUSE = 250;

/**
 * @param {App} app
 * @param {() => void} search
 */
export function makeFilters(app, search) {
  const soon = debounce(search, PAUSE);
  const words = h("input", {
    type: "search",
    id: "search",
    class: "search",
    placeholder: "Search the prompts",
    "aria-label": "Search the prompts",
    autocomplete: "off",
    spellcheck: "false",
    oninput: soon,
  });
  const choice = (
    /** @type {string} */ label,
    /** @type {[string, string][]} */ options,
  ) =>
    h(
      "select",
      { "aria-label": label, onchange: search },
      h("option", { value: "" }, label),
      options.map(([value, title]) => h("option", { value }, title)),
    );
  const model = choice("Any model", app.facts.models.map((row) => [row.name, row.title]));
  const sampler = choice("Any sampler", app.facts.methods.samplers.map((row) => [row.name, row.title]));
  const source = choice("From anywhere", [
    ["sfumato", "made here"],
    ["a1111", "A1111"],
    ["comfyui", "ComfyUI"],
    ["invokeai", "InvokeAI"],
    ["novelai", "NovelAI"],
    ["other", "elsewhere"],
  ]);
  const tag = h("input", {
    type: "text",
    class: "tag-filter",
    placeholder: "Tag",
    "aria-label": "Tag",
    autocapitalize: "off",
    oninput: soon,
  });
  const date = (/** @type {string} */ label) =>
    h("label", { class: "date" }, h("span", {}, label), h("input", { type: "date", onchange: search }));
  const [from, to] = [date("From"), date("To")];
  const toggle = (/** @type {string} */ name, /** @type {string} */ label) => {
    const button = h(
      "button",
      {
        type: "button",
        class: "toggle",
        "aria-pressed": "false",
        onclick: () => {
          button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
          search();
        },
      },
      icon(name),
      h("span", {}, label),
    );
    return button;
  };
  const [loved, trash] = [toggle("heart", "Favourites"), toggle("trash", "Trash")];
  const pressed = (/** @type {HTMLElement} */ node) => node.getAttribute("aria-pressed") === "true";
  const clear = h("button", { type: "button", class: "text-button", onclick: reset }, "Clear");
  const node = h(
    "form",
    { class: "filters", role: "search", onsubmit: (/** @type {Event} */ event) => event.preventDefault() },
    h("div", { class: "search-box" }, icon("search"), words),
    h("div", { class: "filter-row" }, loved, model, sampler, source, tag, from, to, trash, clear),
  );

  function reset() {
    for (const box of [words, model, sampler, source, tag, input(from), input(to)]) box.value = "";
    for (const button of [loved, trash]) button.setAttribute("aria-pressed", "false");
    search();
  }

  /** @returns {Record<string, string>} */
  function query() {
    const [after, before] = [midnight(input(from).value), midnight(input(to).value, 1)];
    const all = {
      q: words.value.trim(),
      model: model.value,
      sampler: sampler.value,
      source: source.value,
      tag: tag.value.trim(),
      favourite: pressed(loved) ? "true" : "",
      after: after === null ? "" : String(after),
      before: before === null ? "" : String(before),
      trash: pressed(trash) ? "true" : "",
    };
    const asked = Object.fromEntries(Object.entries(all).filter(([, value]) => value));
    clear.hidden = !Object.keys(asked).length;
    return asked;
  }

  return {
    node,
    query,
    inTrash: () => pressed(trash),
    any: () => Object.keys(query()).length > 0,
    /** Why nothing can be found, where that is plain. */
    wrong: () =>
      input(from).value && input(to).value && input(from).value > input(to).value
        ? "The first day lies after the last one."
        : "",
  };
}

/** @param {HTMLElement} label @returns {HTMLInputElement} */
function input(label) {
  return /** @type {HTMLInputElement} */ (label.querySelector("input"));
}

/**
 * The first second of a day, where the user is; a day may have 23 or 25 hours.
 * @param {string} date
 * @param {number} [later] so many days after it
 */
function midnight(date, later = 0) {
  const [year, month, dayOfMonth] = date.split("-").map(Number);
  return date ? new Date(year, month - 1, dayOfMonth + later).getTime() / 1000 : null;
}
