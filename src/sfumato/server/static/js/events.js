/** The server's events, over one connection that comes back by itself. */

/** @import {Link, LinkEvents} from "./types" */

const NAMES = /** @type {const} */ (["job", "step", "picture", "library"]);
const FIRST_WAIT = 500;
const LONGEST_WAIT = 8000;

/** @returns {Link} */
export function makeLink() {
  /** @type {Map<string, Set<(data: any) => void>>} */
  const listeners = new Map();
  let wait = FIRST_WAIT;

  /** @type {(name: keyof LinkEvents, data: unknown) => void} */
  const tell = (name, data) => listeners.get(name)?.forEach((fn) => fn(data));

  function open() {
    const source = new EventSource("api/events");
    source.addEventListener("open", () => {
      wait = FIRST_WAIT;
      tell("up", null);
    });
    for (const name of NAMES) {
      source.addEventListener(name, (event) => tell(name, JSON.parse(event.data)));
    }
    source.addEventListener("error", () => {
      // EventSource gives up for good on some answers; one way back for all of them is simpler.
      source.close();
      tell("down", null);
      setTimeout(open, wait);
      wait = Math.min(wait * 2, LONGEST_WAIT);
    });
    addEventListener("pagehide", () => source.close(), { once: true });
  }

  return {
    open,
    on(name, fn) {
      const all = listeners.get(name) ?? new Set();
      listeners.set(name, all.add(fn));
      return () => all.delete(fn);
    },
  };
}
