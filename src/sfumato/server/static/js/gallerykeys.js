/** The arrows in the gallery: to the nearest picture on that side, as the eye would go. */

/** @type {Readonly<Record<string, [number, number]>>} */
const WAYS = Object.freeze({ ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] });

/**
 * @param {HTMLElement} wall
 * @param {{choose: (id: string) => void, open: (id: string) => void}} acts
 */
export function galleryKeys(wall, { choose }) {
  const faces = () => /** @type {HTMLElement[]} */ ([...wall.querySelectorAll(".tile-face")]);

  /** One tile of the wall is on the way of Tab; the arrows move on from it. @param {HTMLElement} face */
  function rove(face) {
    wall.querySelectorAll('.tile-face[tabindex="0"]').forEach((each) => each.setAttribute("tabindex", "-1"));
    face.setAttribute("tabindex", "0");
  }
  wall.addEventListener("focusin", (event) => {
    const face = /** @type {HTMLElement} */ (event.target);
    if (face.matches(".tile-face")) rove(face);
  });
  wall.addEventListener("keydown", (event) => {
    const face = /** @type {HTMLElement} */ (event.target);
    const id = face.closest("[data-id]")?.getAttribute("data-id");
    if (!face.matches(".tile-face") || !id) return;
    if (event.key === "x" || event.key === "X") {
      event.preventDefault();
      choose(id);
      return;
    }
    const all = faces();
    const way = WAYS[event.key];
    const to =
      event.key === "Home" ? all[0] : event.key === "End" ? all.at(-1) : way ? nearest(face, all, way) : undefined;
    if (!to) return;
    event.preventDefault();
    to.focus();
    to.scrollIntoView({ block: "nearest" });
  });
}

/**
 * @param {HTMLElement} from
 * @param {HTMLElement[]} all in reading order
 * @param {[number, number]} way
 */
function nearest(from, all, [across, down]) {
  if (across) return all[all.indexOf(from) + across];
  const middle = (/** @type {DOMRect} */ box) => box.left + box.width / 2;
  const here = from.getBoundingClientRect();
  const rows = all
    .map((face) => ({ face, box: face.getBoundingClientRect() }))
    .filter(({ box }) => (down > 0 ? box.top >= here.bottom - 1 : box.bottom <= here.top + 1));
  const far = (/** @type {DOMRect} */ box) =>
    Math.abs(box.top - here.top) * 1000 + Math.abs(middle(box) - middle(here));
  return rows.sort((a, b) => far(a.box) - far(b.box))[0]?.face;
}
