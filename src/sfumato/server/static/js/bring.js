/** What a picture from outside is for: its recipe, a start, a part to repaint, the gallery. */

/** @import {App, Reading} from "./types" */

import { ApiError, api } from "./api.js";
import { openDialog } from "./dialog.js";
import { h, icon } from "./dom.js";
import { attempt, toast } from "./toast.js";
import { nameOf, shown, told } from "./words.js";

/** @param {App} app @param {File} file */
export async function ask(app, file) {
  const url = URL.createObjectURL(file);
  const reading = h("div", { class: "reading" }, h("p", { class: "quiet" }, "Reading …"));
  const choice = (
    /** @type {string} */ name,
    /** @type {string} */ title,
    /** @type {string} */ text,
    /** @type {() => Promise<unknown>} */ work,
  ) =>
    h(
      "button",
      {
        type: "button",
        class: "choice",
        onclick: () =>
          void attempt(async () => {
            dialog.close();
            await work();
          }),
      },
      icon(name),
      h("span", {}, h("strong", {}, title), h("span", { class: "quiet" }, text)),
    );
  const dialog = openDialog({
    title: file.name || "A pasted picture",
    kind: "wide",
    body: [
      h(
        "div",
        { class: "dropped" },
        h("img", { class: "dropped-picture", src: url, alt: "The picture that was brought" }),
        h(
          "div",
          { class: "choices" },
          reading,
          choice("start", "Start from it", "It becomes the start of the next picture.", () => start(app, file, false)),
          choice("brush", "Repaint a part of it", "Brush over what should become something else.", () => start(app, file, true)),
          choice("gallery", "Keep it in the gallery", "With whatever recipe it holds.", async () => {
            const picture = await api.keep(file);
            // Its event may have come before this answer, when nobody knew the picture yet.
            app.pictures.add(picture);
            app.go("paint");
            app.stage.show(picture);
            toast("It is in the gallery.");
          }),
        ),
      ),
    ],
    onclose: () => URL.revokeObjectURL(url),
  });
  try {
    const said = await api.read(file);
    const use = () => {
      dialog.close();
      app.panel.load(said.request);
      app.go("paint");
      toast("Its recipe is in the controls.");
    };
    reading.replaceChildren(...recipe(app, said, use));
    reading.querySelector("button")?.focus();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    reading.replaceChildren(h("p", { class: "quiet" }, error.message));
  }
}

/** @param {App} app @param {File} file @param {boolean} part */
async function start(app, file, part) {
  const { setStart } = await import("./start.js");
  await setStart(app, { file });
  app.go("paint");
  if (!part) return app.panel.focus();
  const { openInpaint } = await import("./inpaint.js");
  return openInpaint(app);
}

/** What a picture says of itself. @param {App} app @param {Reading} said @param {() => void} use */
function recipe(app, said, use) {
  const rows = told(app.form, said.request);
  if (!rows.length) return [h("p", { class: "quiet" }, "This picture does not say how it was made.")];
  const unread = Object.entries(said.unread);
  return [
    h(
      "dl",
      { class: "facts" },
      rows.map(([name, value]) => h("div", {}, h("dt", {}, nameOf(name)), h("dd", {}, shown(value)))),
    ),
    unread.length > 0 &&
      h(
        "div",
        { class: "unread" },
        h("p", {}, "Not followed here:"),
        h("dl", { class: "facts" }, unread.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, shown(value))))),
      ),
    h("p", { class: "quiet" }, said.exact ? "This is its whole recipe." : "This is an outline; the same picture may need more than it says."),
    h("button", { type: "button", class: "button main", onclick: use }, icon("recipe"), h("span", {}, "Use this recipe")),
  ].filter((node) => node !== false);
}
