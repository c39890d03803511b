/** Fingers, pens and mice on the mask: one draws, two move and enlarge, the wheel enlarges. */

/** @import {View} from "./view.js" */

/**
 * @typedef {object} Hand what the pointer does
 * @property {(point: [number, number]) => void} begin
 * @property {(point: [number, number]) => void} go
 * @property {() => void} drop takes back a stroke that turned out to be a pinch
 * @property {(point: [number, number] | null) => void} hover in canvas pixels
 * @property {() => void} redraw
 * @property {() => boolean} panning whether the space bar is held
 */

/**
 * @param {HTMLCanvasElement} canvas
 * @param {View} view
 * @param {Hand} hand
 */
export function handle(canvas, view, hand) {
  /** @type {Map<number, [number, number]>} */
  const down = new Map();
  let moving = false;
  let drawn = 0;

  const at = (/** @type {MouseEvent} */ event) => {
    const box = canvas.getBoundingClientRect();
    return /** @type {[number, number]} */ ([event.clientX - box.left, event.clientY - box.top]);
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 1) return;
    event.preventDefault();
    canvas.focus();
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, at(event));
    if (down.size === 2) {
      // The first finger of a pinch has left a dot; a real stroke stays.
      if (!moving && drawn < 4) hand.drop();
      moving = true;
    } else if (down.size === 1) {
      moving = event.button === 1 || hand.panning();
      drawn = 0;
      if (!moving) hand.begin(view.toPicture(at(event)));
    }
    hand.redraw();
  });

  canvas.addEventListener("pointermove", (event) => {
    const point = at(event);
    hand.hover(event.pointerType === "touch" ? null : point);
    const before = down.get(event.pointerId);
    if (before && moving) {
      if (down.size >= 2) pinch(event.pointerId, before, point);
      else view.move(point[0] - before[0], point[1] - before[1]);
    } else if (before) {
      const all = event.getCoalescedEvents?.() ?? [];
      for (const each of all.length ? all : [event]) hand.go(view.toPicture(at(each)));
      drawn += 1;
    }
    if (before) down.set(event.pointerId, point);
    hand.redraw();
  });

  /**
   * @param {number} id
   * @param {[number, number]} before
   * @param {[number, number]} after
   */
  function pinch(id, before, after) {
    const other = [...down].find(([each]) => each !== id)?.[1];
    if (!other) return;
    const span = ([x, y] = before) => Math.hypot(x - other[0], y - other[1]);
    const middle = /** @type {[number, number]} */ ([(after[0] + other[0]) / 2, (after[1] + other[1]) / 2]);
    view.move((after[0] - before[0]) / 2, (after[1] - before[1]) / 2);
    if (span(before) > 10) view.zoom(span(after) / span(before), middle);
  }

  const up = (/** @type {PointerEvent} */ event) => {
    down.delete(event.pointerId);
    if (!down.size) moving = false;
  };
  canvas.addEventListener("pointerup", up);
  canvas.addEventListener("pointercancel", up);
  canvas.addEventListener("pointerleave", () => {
    hand.hover(null);
    hand.redraw();
  });
  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      view.zoom(Math.exp(-event.deltaY / 400), at(event));
      hand.redraw();
    },
    { passive: false },
  );
}
