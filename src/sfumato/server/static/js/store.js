/** What the page remembers: values that tell when they change, and outlive a reload. */

/** @import {Habits, Store} from "./types" */

/** @type {Readonly<Habits>} */
export const HABITS = Object.freeze({
  theme: "system",
  explain: true,
  locked: false,
  more: false,
  rest: false,
  previews: 0,
});

/**
 * @template {object} T
 * @param {string} key in localStorage
 * @param {T} initial values; what was stored counts where its type is still the same
 * @returns {Store<T>}
 */
export function makeStore(key, initial) {
  let value = { ...initial, ...stored(key, initial) };
  /** @type {Set<(value: Readonly<T>, changed: (keyof T)[]) => void>} */
  const listeners = new Set();
  return {
    get value() {
      return value;
    },
    set(patch) {
      const keys = /** @type {(keyof T)[]} */ (Object.keys(patch));
      const changed = keys.filter((name) => value[name] !== patch[name]);
      if (!changed.length) return;
      value = { ...value, ...patch };
      try {
        localStorage.setItem(key, JSON.stringify(value));
      } catch {
        // Private windows may refuse; the page then works without a memory.
      }
      listeners.forEach((fn) => fn(value, changed));
    },
    subscribe(fn) {
      listeners.add(fn);
      return () => listeners.delete(fn);
    },
  };
}

/**
 * @template {object} T
 * @param {string} key
 * @param {T} initial
 * @returns {Partial<T>}
 */
function stored(key, initial) {
  try {
    const kept = JSON.parse(localStorage.getItem(key) ?? "{}");
    const fits = Object.entries(initial).filter(
      ([name, first]) =>
        name in kept && (first === null || kept[name] === null || typeof kept[name] === typeof first),
    );
    return /** @type {Partial<T>} */ (Object.fromEntries(fits.map(([name]) => [name, kept[name]])));
  } catch {
    return {};
  }
}
