/** What a request may say, as the server tells it; and how a wish becomes a request. */

/** @import {FieldFact, Form, Wish} from "./types" */

/** Whoever changes the one says nothing more by the others: the levels are either own, or planned. */
const INSTEAD = Object.freeze({
  sigmas: ["steps", "schedule"],
  steps: ["sigmas"],
  schedule: ["sigmas", "steps"],
});

/**
 * @param {readonly FieldFact[]} rows
 * @returns {Form}
 */
export function makeForm(rows) {
  const byName = new Map(rows.map((row) => [row.name, row]));
  const blank = /** @type {Readonly<Wish>} */ (
    Object.freeze(Object.fromEntries(rows.map((row) => [row.name, row.usual])))
  );
  const said = (/** @type {unknown} */ value, /** @type {unknown} */ usual) =>
    JSON.stringify(value) !== JSON.stringify(usual);

  /** @type {Form["heeded"]} */
  const heeded = (name, wish) => {
    const need = byName.get(name)?.needs;
    if (!need) return true;
    const value = wish[need.field];
    return need.value === null ? said(value, blank[need.field]) : value === need.value;
  };

  return {
    rows,
    blank,
    heeded,
    row: (name) => byName.get(name),
    said: (name, wish) => said(wish[name], blank[name]),
    changed(name, value, wish) {
      const opened = rows.filter((row) => row.follows === name).map((row) => row.name);
      const instead = value === null ? [] : (/** @type {Record<string, string[]>} */ (INSTEAD)[name] ?? []);
      // Without own levels there is nothing that stands in their place.
      const idle = name !== "sigmas" && wish.sigmas === null ? [] : instead;
      return Object.fromEntries([
        ...[...opened, ...idle].map((each) => [each, blank[each]]),
        [name, value],
      ]);
    },
    request(wish) {
      const sent = rows
        .filter(({ name }) => wish[name] !== null && wish[name] !== undefined && heeded(name, wish))
        .map(({ name }) => [name, wish[name]]);
      const request = Object.fromEntries(sent);
      for (const name of ["image", "mask"]) if (request[name]) request[name] = request[name].sha256;
      return request;
    },
  };
}
