/** The pictures that the page has met, and what can be done to them. */

/** @import {Link, Picture, Pictures, Reading} from "./types" */

import { api, bytesOf } from "./api.js";
import { toast } from "./toast.js";
import { plural } from "./words.js";

const KEPT = 2000;

/**
 * @param {Link} link
 * @returns {Pictures}
 */
export function makePictures(link) {
  /** @type {Map<string, Picture>} */
  const known = new Map();
  /** @type {Map<string, Reading>} */
  const readings = new Map();
  /** @type {Set<(picture: Picture) => void>} */
  const listeners = new Set();

  /** @param {Picture} picture */
  function changed(picture) {
    learn(picture);
    listeners.forEach((fn) => fn(picture));
  }

  /** @param {Picture} picture */
  function learn(picture) {
    known.set(picture.id, picture);
    if (known.size > KEPT) known.delete(/** @type {string} */ (known.keys().next().value));
  }

  link.on("picture", changed);
  link.on("library", async ({ id }) => {
    // Another tab or another client changed it.
    if (!known.has(id)) return;
    const picture = await api.picture(id).catch(() => null);
    if (picture) changed(picture);
  });

  /** @type {Pictures} */
  const pictures = {
    known: (id) => known.get(id),
    trashed: () => [...known.values()].filter((picture) => picture.trashed).map((picture) => picture.id),
    learn,
    add: changed,
    async favourite(id, on) {
      changed(await api.change(id, { favourite: on }));
    },
    async tag(id, tags) {
      changed(await api.change(id, { tags }));
    },
    async trash(ids) {
      for (const id of ids) changed(await api.trash(id));
      toast(`${plural(ids.length, "picture")} in the trash.`, {
        label: "Undo",
        act: () => pictures.restore(ids),
      });
    },
    async restore(ids) {
      for (const id of ids) changed(await api.restore(id));
      toast(`${plural(ids.length, "picture")} brought back.`);
    },
    forget(ids) {
      ids.forEach((id) => known.delete(id));
    },
    async reading(picture) {
      const kept = readings.get(picture.id);
      if (kept) return kept;
      const reading = await api.read(await bytesOf(picture.urls.file));
      readings.set(picture.id, reading);
      return reading;
    },
    subscribe(fn) {
      listeners.add(fn);
      return () => listeners.delete(fn);
    },
  };
  return pictures;
}
