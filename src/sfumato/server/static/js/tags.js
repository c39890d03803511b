/** The tags of a picture: written, taken away, kept on the server. */

/** @import {App, Picture} from "./types" */

import { h, iconButton } from "./dom.js";
import { attempt } from "./toast.js";

/**
 * @param {App} app
 * @param {Picture} picture
 */
export function makeTags(app, picture) {
  let tags = [...picture.tags];
  const list = h("ul", { class: "tag-list", "aria-label": "Tags" });
  const box = h("input", {
    type: "text",
    class: "tag-box",
    placeholder: "Add a tag",
    "aria-label": "Add a tag",
    autocapitalize: "off",
    maxlength: 60,
    onkeydown: (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Enter" && event.key !== ",") return;
      event.preventDefault();
      add();
    },
    onchange: add,
  });

  function add() {
    const fresh = box.value.split(",").map((tag) => tag.trim()).filter((tag) => tag && !tags.includes(tag));
    box.value = "";
    if (fresh.length) void keep([...tags, ...fresh]);
  }

  /** @param {string[]} wanted */
  async function keep(wanted) {
    const done = await attempt(async () => {
      await app.pictures.tag(picture.id, wanted);
      return true;
    });
    if (done) tags = app.pictures.known(picture.id)?.tags ?? wanted;
    show();
  }

  function show() {
    list.replaceChildren(
      ...tags.map((tag) =>
        h(
          "li",
          { class: "tag" },
          tag,
          iconButton("close", `Take away the tag ${tag}`, () => void keep(tags.filter((each) => each !== tag)), {
            class: "small",
          }),
        ),
      ),
    );
    list.hidden = !tags.length;
  }
  show();
  return h("div", { class: "tags" }, list, box);
}
