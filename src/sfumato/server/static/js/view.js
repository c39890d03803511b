/** Where a picture lies in a canvas: moved, enlarged, and back to picture coordinates. */

const MOST = 32;

export class View {
  /**
   * @param {number} width of the picture
   * @param {number} height
   */
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.scale = 1;
    this.x = 0;
    this.y = 0;
    this.fitted = 1;
  }

  /** The whole picture in a box. @param {number} width @param {number} height */
  fit(width, height) {
    const room = 24;
    this.fitted = Math.min((width - room) / this.width, (height - room) / this.height);
    this.scale = this.fitted;
    this.x = (width - this.width * this.scale) / 2;
    this.y = (height - this.height * this.scale) / 2;
  }

  /**
   * @param {number} by factor
   * @param {[number, number]} about the point of the canvas that stays where it is
   */
  zoom(by, [px, py]) {
    const scale = Math.min(this.fitted * MOST, Math.max(this.fitted * 0.5, this.scale * by));
    this.x = px - ((px - this.x) * scale) / this.scale;
    this.y = py - ((py - this.y) * scale) / this.scale;
    this.scale = scale;
  }

  /** @param {number} dx @param {number} dy */
  move(dx, dy) {
    this.x += dx;
    this.y += dy;
  }

  /** A point of the canvas in the picture's pixels. @param {[number, number]} point @returns {[number, number]} */
  toPicture([px, py]) {
    return [(px - this.x) / this.scale, (py - this.y) / this.scale];
  }
}
