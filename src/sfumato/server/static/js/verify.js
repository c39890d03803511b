/** Verifying: the picture is made again by its own recipe, and the two are compared to the bit. */

/** @import {App, Job, Picture} from "./types" */

import { api } from "./api.js";
import { openDialog } from "./dialog.js";
import { h } from "./dom.js";
import { isOver } from "./queue.js";
import { attempt } from "./toast.js";

/** @param {App} app @param {Picture} picture */
export async function openVerify(app, picture) {
  const { job } = await api.verify(picture.id);
  const words = h("p", { class: "verdict", role: "status" }, "Its twin is being painted…");
  const why = h("ul", { class: "verdict-reasons" });
  let told = false;
  /** @param {Job} now */
  const look = (now) => {
    if (now.id !== job.id || !isOver(now) || told) return;
    told = true;
    forget();
    void attempt(async () => {
      if (now.state !== "done") return void (words.textContent = now.error || "Its twin was cancelled.");
      const { verdict } = await api.verdict(picture.id, job.id);
      if (!verdict) return void (words.textContent = "Its twin is gone; verify it once more.");
      words.textContent = verdict.equal ? "Equal to the bit: its recipe makes this very picture here." : `Not equal: ${verdict.words}.`;
      why.replaceChildren(...verdict.reasons.map((reason) => h("li", {}, reason)));
      // The twin has told what it was made for.
      if (verdict.picture !== picture.id) await app.pictures.trash([verdict.picture]);
    });
  };
  const forget = app.link.on("job", look);
  openDialog({
    title: "Is it what its recipe makes?",
    body: [h("img", { class: "vary-picture", src: picture.urls.thumb, alt: picture.prompt }), words, why],
    onclose: forget,
  });
  look((await api.job(job.id)).job);
}
