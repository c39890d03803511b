/** Pictures that come from outside: dropped, pasted or opened; then asked what they are for. */

/** @import {App} from "./types" */

import { api } from "./api.js";
import { byId } from "./dom.js";
import { attempt, toast } from "./toast.js";

/** @param {App} app */
export function makeDrop(app) {
  const veil = byId("veil");
  let depth = 0;
  const carries = (/** @type {DragEvent} */ event) => Boolean(event.dataTransfer?.types.includes("Files"));
  const lift = () => {
    depth = 0;
    veil.hidden = true;
  };
  addEventListener("dragenter", (event) => {
    if (!carries(event)) return;
    depth += 1;
    veil.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (carries(event) && --depth <= 0) lift();
  });
  addEventListener("dragover", (event) => carries(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!carries(event)) return;
    event.preventDefault();
    lift();
    take([...(event.dataTransfer?.files ?? [])]);
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (!files.length) return;
    event.preventDefault();
    take(files);
  });
  const picker = /** @type {HTMLInputElement} */ (byId("open-file"));
  picker.addEventListener("change", () => {
    take([...(picker.files ?? [])]);
    picker.value = "";
  });

  /** @param {File[]} files */
  function take(files) {
    const pictures = files.filter((file) => file.type.startsWith("image/"));
    if (!pictures.length) return toast("That is not a picture that can be opened here.", null, "error");
    if (pictures.length === 1) return void import("./bring.js").then(({ ask }) => ask(app, pictures[0]));
    return void attempt(async () => {
      for (const file of pictures) app.pictures.add(await api.keep(file));
      app.go("gallery");
      toast(`${pictures.length} pictures are in the gallery.`);
    });
  }
}
