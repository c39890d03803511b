/** A mask as a list of what was done to it: strokes can be taken back and done again without end. */

/**
 * @typedef {{kind: "stroke", erase: boolean, size: number, points: [number, number][]}} Stroke
 * @typedef {Stroke | {kind: "clear"} | {kind: "invert"} | {kind: "picture", image: CanvasImageSource}} Deed
 */

/** Where the mask is opaque, the picture is repainted. Coordinates are pixels of the picture. */
export class Mask {
  /**
   * @param {number} width
   * @param {number} height
   */
  constructor(width, height) {
    this.canvas = document.createElement("canvas");
    this.canvas.width = width;
    this.canvas.height = height;
    /** @type {Deed[]} */
    this.done = [];
    /** @type {Deed[]} */
    this.undone = [];
    /** What the newest deed has made impossible to do again. @type {Deed[]} */
    this.lost = [];
    this.brush = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d", { willReadFrequently: true }));
  }

  get canUndo() {
    return this.done.length > 0;
  }

  get canRedo() {
    return this.undone.length > 0;
  }

  /** @param {Deed} deed */
  add(deed) {
    this.done.push(deed);
    this.lost = this.undone;
    this.undone = [];
    this.#apply(deed);
  }

  /** Goes on with the newest stroke. @param {[number, number]} point */
  extend(point) {
    const stroke = this.done.at(-1);
    if (stroke?.kind !== "stroke") return;
    const from = stroke.points.at(-1) ?? point;
    stroke.points.push(point);
    this.#line(stroke, [from, point]);
  }

  undo() {
    const deed = this.done.pop();
    if (deed) this.undone.push(deed);
    this.#redraw();
  }

  redo() {
    const deed = this.undone.pop();
    if (!deed) return;
    this.done.push(deed);
    this.#apply(deed);
  }

  /** Forgets the newest deed, as if it had never been. */
  drop() {
    this.done.pop();
    this.undone = this.lost;
    this.#redraw();
  }

  /** Whether nothing would be repainted. */
  get empty() {
    const { data } = this.brush.getImageData(0, 0, this.canvas.width, this.canvas.height);
    for (let i = 3; i < data.length; i += 4) if (data[i] > 127) return false;
    return true;
  }

  /** White on black, as the server reads it. @returns {Promise<Blob>} */
  toPng() {
    const out = document.createElement("canvas");
    out.width = this.canvas.width;
    out.height = this.canvas.height;
    const brush = /** @type {CanvasRenderingContext2D} */ (out.getContext("2d"));
    brush.fillStyle = "#000";
    brush.fillRect(0, 0, out.width, out.height);
    brush.drawImage(this.canvas, 0, 0);
    return new Promise((resolve, reject) =>
      out.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("the mask cannot be written"))), "image/png"),
    );
  }

  #redraw() {
    this.brush.clearRect(0, 0, this.canvas.width, this.canvas.height);
    for (const deed of this.done) this.#apply(deed);
  }

  /** @param {Deed} deed */
  #apply(deed) {
    const { width, height } = this.canvas;
    if (deed.kind === "stroke") this.#line(deed, deed.points);
    else if (deed.kind === "clear") this.brush.clearRect(0, 0, width, height);
    else if (deed.kind === "picture") this.#fromPicture(deed.image);
    else {
      this.brush.globalCompositeOperation = "xor";
      this.brush.fillStyle = "#fff";
      this.brush.fillRect(0, 0, width, height);
      this.brush.globalCompositeOperation = "source-over";
    }
  }

  /** @param {Stroke} stroke @param {[number, number][]} points */
  #line(stroke, points) {
    const { brush } = this;
    brush.globalCompositeOperation = stroke.erase ? "destination-out" : "source-over";
    brush.strokeStyle = brush.fillStyle = "#fff";
    brush.lineWidth = stroke.size;
    brush.lineCap = brush.lineJoin = "round";
    brush.beginPath();
    if (points.length === 1 || points.every(([x, y]) => x === points[0][0] && y === points[0][1])) {
      brush.arc(points[0][0], points[0][1], stroke.size / 2, 0, Math.PI * 2);
      brush.fill();
    } else {
      points.forEach(([x, y], i) => (i ? brush.lineTo(x, y) : brush.moveTo(x, y)));
      brush.stroke();
    }
    brush.globalCompositeOperation = "source-over";
  }

  /** A mask that was sent before: its white becomes opaque. @param {CanvasImageSource} image */
  #fromPicture(image) {
    const { width, height } = this.canvas;
    this.brush.drawImage(image, 0, 0, width, height);
    const pixels = this.brush.getImageData(0, 0, width, height);
    for (let i = 0; i < pixels.data.length; i += 4) {
      pixels.data[i + 3] = pixels.data[i];
      pixels.data.fill(255, i, i + 3);
    }
    this.brush.putImageData(pixels, 0, 0);
  }
}
