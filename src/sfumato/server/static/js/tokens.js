/** How the model reads the prompts: a quiet count while somebody types, and what it will not take. */

/** @import {App, Heard, Learnt, Tokens} from "./types" */

import { ApiError, api } from "./api.js";
import { debounce, h } from "./dom.js";

const PAUSE = 350;
/** What of a wish decides how its prompts are read. */
const READ = ["prompt", "negative", "model", "steps", "like", "weighting", "embeddings"];

/** @param {App} app */
export function makeReading(app) {
  const places = { prompt: makePlace("prompt"), negative: makePlace("negative") };
  let turn = 0;

  async function read() {
    const mine = ++turn;
    const { wish, form } = app;
    const asked = /** @type {import("./types").Wish} */ (Object.fromEntries(READ.map((name) => [name, wish.value[name]])));
    try {
      const told = await api.tokens(form.request(asked));
      // A recipe hears the learnt words that it names, and no others; those that could be are offered.
      const all = asked.embeddings ? await api.tokens(form.request({ ...asked, embeddings: null })) : told;
      if (mine !== turn) return;
      const unheard = Object.keys(all.embeddings).filter((name) => !(name in told.embeddings));
      for (const place of Object.values(places)) place.show(told);
      places.prompt.offer(unheard, () => hear(app, unheard));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (mine === turn) for (const place of Object.values(places)) place.fail(error);
    }
  }
  const soon = debounce(() => void read(), PAUSE);
  app.wish.subscribe((_, changed) => changed.some((name) => READ.includes(String(name))) && soon());
  soon();
  return { of: (/** @type {"prompt" | "negative"} */ what) => places[what] };
}

/** @param {App} app @param {string[]} names */
function hear(app, names) {
  const more = names.map((name) => /** @type {Learnt} */ ({ name, sha256: "" }));
  app.wish.set({ embeddings: [...(app.wish.value.embeddings ?? []), ...more] });
}

/** @param {"prompt" | "negative"} what */
function makePlace(what) {
  const id = `tokens-${what}`;
  const list = h("div", { class: "tokens", id, hidden: true });
  const count = h("button", {
    type: "button",
    class: "token-count",
    "aria-expanded": "false",
    "aria-controls": id,
    hidden: true,
    onclick: () => {
      list.hidden = !list.hidden;
      count.setAttribute("aria-expanded", String(!list.hidden));
    },
  });
  const trouble = h("p", { class: "trouble", role: "status" });
  const offered = h("p", { class: "aside", hidden: true });
  const strange = h("p", { class: "aside", role: "status", hidden: true });
  const absent = h("p", { class: "aside", role: "status", hidden: true });

  /** @param {Tokens} told */
  function show(told) {
    const heard = told.heard.filter((each) => each.what === what);
    const most = heard.reduce((a, b) => (b.count > a.count ? b : a), heard[0]);
    count.hidden = !most || most.count === 0;
    if (count.hidden) list.hidden = true;
    if (most) count.textContent = summary(heard, most);
    const others = h("p", { class: "quiet" }, `Also read, and not counted here: ${told.unread.join(", ")}.`);
    list.replaceChildren(...heard.map((each) => row(each, heard)), ...(told.unread.length ? [others] : []));
    const networks = what === "prompt" ? told.networks : [];
    trouble.replaceChildren(...troubles(heard, networks));
    count.classList.toggle("over", heard.some((each) => each.beyond));
    strange.hidden = what !== "prompt" || !told.strange.length;
    strange.replaceChildren(
      `${told.model} was never shown: `,
      h("strong", {}, told.strange.join(", ")),
      ". It may paint something else.",
    );
    absent.hidden = what !== "prompt" || !told.absent.length;
    absent.replaceChildren(
      `${told.model} paints without its `,
      h("strong", {}, told.absent.join(" and ")),
      ", which its file does not hold. It hears less of the prompt.",
    );
  }

  return {
    count,
    body: [list, trouble, strange, absent, offered],
    show,
    /** @param {string[]} names @param {() => void} take */
    offer(names, take) {
      offered.hidden = !names.length;
      offered.replaceChildren(
        `${names.join(", ")}: learnt here, and not heard by this recipe. `,
        h("button", { type: "button", class: "text-button", onclick: take }, "Hear it"),
      );
    },
    /** @param {ApiError} error */
    fail(error) {
      count.hidden = list.hidden = strange.hidden = absent.hidden = true;
      const mine = error.status === 422 && (what === "prompt" ? error.field !== "negative" : error.field === "negative");
      trouble.replaceChildren(mine ? error.message : "");
    },
  };
}

/** @param {Heard[]} heard @param {Heard} most */
function summary(heard, most) {
  const room = most.chunks.reduce((sum, chunk) => sum + chunk.room, 0);
  const joined = new Set(heard.filter((each) => each.step === 1).map((each) => each.text)).size;
  const ways = new Set(heard.map((each) => each.step)).size;
  return [
    `${most.count} of ${room} tokens`,
    joined > 1 && `${joined} prompts joined`,
    ways > 1 && `${ways} stages`,
  ].filter(Boolean).join(" · ");
}

/** @param {Heard[]} heard @param {string[]} networks @returns {HTMLElement[]} */
function troubles(heard, networks) {
  const beyond = [...new Set(heard.map((each) => each.beyond).filter(Boolean))];
  const unknown = [...new Set(heard.flatMap((each) => each.unknown))];
  return [
    ...beyond.map((words) => h("span", {}, "Too long; this falls off: ", h("s", {}, words))),
    unknown.length > 0 && h("span", {}, "This model cannot read: ", h("strong", {}, unknown.join(", "))),
    networks.length > 0 && h("span", {}, "It cannot attach networks yet: ", h("strong", {}, networks.join(" "))),
  ].filter((node) => node instanceof HTMLElement);
}

/** One text, chunk by chunk. @param {Heard} heard @param {Heard[]} all */
function row({ step, weight, encoders, chunks, beyond }, all) {
  const several = (/** @type {(each: Heard) => unknown} */ of) => new Set(all.map(of)).size > 1;
  const about = [
    several((each) => each.step) && `from step ${step}`,
    several((each) => `${each.step} ${each.text}`) && weight !== 1 && `weighs ${weight}`,
    several((each) => each.encoders.join()) && encoders.join(", "),
  ].filter(Boolean);
  return h(
    "div",
    { class: "token-row" },
    about.length > 0 && h("p", { class: "quiet" }, about.join(" · ")),
    chunks.map((chunk) =>
      h(
        "p",
        { class: "chunk" },
        chunk.tokens.map((token) => h("span", {
          class: ["token", token.ends && "ends", token.learnt && "learnt"].filter(Boolean).join(" "),
          vars: { "--weight": Math.max(-1, Math.min(1, (token.weight - 1) * 1.6)) },
          "data-weight": token.weight === 1 ? null : token.weight.toFixed(2),
        }, token.text)),
      ),
    ),
    beyond && h("p", { class: "chunk beyond" }, h("s", {}, beyond)),
  );
}
