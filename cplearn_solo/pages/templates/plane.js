"use strict";
// The map of a gallery: points that become thumbnails where there is room for them.

class Plane {
  static crowd = 1000; // more points than this are drawn smaller
  static side = 36; // of a thumbnail
  static near = 14; // pixels from the pointer, within which an image is selected
  static most = 80; // the largest scale; at scale 1 all is shown

  constructor(canvas, points) {
    this.canvas = canvas;
    this.points = points;
    this.pen = canvas.getContext("2d");
    this.fingers = new Map();
    this.kinds = { ...(images.classes && { class: images.classes }), ...(images.codes && { code: images.codes }) };
    this.sheets = [];
    for (let first = 0; first < points.length; first += images.columns ** 2) {
      const [sheet, probe] = [new Image(), document.body.appendChild(thumb(first))];
      sheet.onload = () => this.draw();
      sheet.src = getComputedStyle(probe).backgroundImage.slice(5, -2); // between quotes
      probe.remove();
      this.sheets.push(sheet);
    }
    byId("colour").replaceChildren(...Object.keys(this.kinds).map((kind) => new Option(`by ${kind}`, kind)));
    byId("colour").parentElement.hidden = !Object.keys(this.kinds).length;
    byId("colour").onchange = () => this.paint();
    byId("closer").onclick = () => this.zoom(1.5);
    byId("further").onclick = () => this.zoom(1 / 1.5);
    byId("all").onclick = () => this.reset();
    canvas.onkeydown = (event) => this.key(event);
    canvas.onwheel = (event) => this.wheel(event);
    canvas.onpointerdown = (event) => this.down(event);
    canvas.onpointermove = (event) => this.move(event);
    canvas.onpointerup = (event) => this.up(event);
    canvas.onpointercancel = canvas.onpointerleave = (event) => this.leave(event);
    canvas.onfocus = canvas.onblur = () => this.draw();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.paint());
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.reset();
    this.paint();
  }

  // -- what is seen: the point at the middle, and how many times all is enlarged

  reset() {
    this.middle = [0.5, 0.5];
    this.scale = 1;
    this.marked = null;
    this.draw();
  }

  goTo(i) {
    this.middle = [...this.points[i]];
    this.scale = Math.max(this.scale, 12);
    this.marked = i;
    this.canvas.focus({ preventScroll: true });
    this.draw();
  }

  zoom(times, x = this.width / 2, y = this.height / 2) {
    const [before, scale] = [this.at(x, y), this.scale];
    this.scale = Math.min(Math.max(scale * times, 0.8), Plane.most);
    const after = this.at(x, y);
    this.middle = this.middle.map((value, k) => value + before[k] - after[k]);
    this.draw();
  }

  get unit() { // pixels
    return 0.94 * Math.min(this.width, this.height) * this.scale;
  }

  at(x, y) {
    return [this.middle[0] + (x - this.width / 2) / this.unit, this.middle[1] + (y - this.height / 2) / this.unit];
  }

  pixel(i) {
    return [0, 1].map((k) => (this.points[i][k] - this.middle[k]) * this.unit + (k ? this.height : this.width) / 2);
  }

  // The image nearest to a place, or nothing if none is near
  nearest(x, y, within = Plane.near) {
    let [best, least] = [null, within];
    this.points.forEach((_, i) => {
      const [px, py] = this.pixel(i);
      const distance = Math.hypot(px - x, py - y);
      if (distance < least) [best, least] = [i, distance];
    });
    return best;
  }

  // -- drawing

  resize() {
    const ratio = devicePixelRatio;
    [this.width, this.height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    [this.canvas.width, this.canvas.height] = [this.width * ratio, this.height * ratio];
    this.pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.draw();
  }

  // A colour for each kind, the most common first, and a legend of the first ones
  paint() {
    const values = this.kinds[byId("colour").value] ?? this.points.map(() => null);
    const counts = new Map();
    for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
    const common = [...counts.keys()].filter((value) => value !== null).sort((a, b) => counts.get(b) - counts.get(a));
    const light = matchMedia("(prefers-color-scheme: dark)").matches ? 65 : 45;
    const colour = new Map(common.map((value, k) => [value, `hsl(${(k * 137.5 + 210) % 360} 70% ${light}%)`]));
    this.colours = values.map((value) => colour.get(value) ?? "gray");
    const chips = common.slice(0, 10).map((value) => {
      const [chip, dot] = [document.createElement("span"), document.createElement("i")];
      dot.style.background = colour.get(value);
      chip.append(dot, ` ${value}`);
      return chip;
    });
    const rest = common.length - chips.length;
    byId("legend").replaceChildren(...chips, rest > 0 ? ` and ${rest} more` : "");
    this.draw();
  }

  draw() {
    if (this.due) return;
    this.due = requestAnimationFrame(() => {
      this.due = null;
      this.drawNow();
    });
  }

  drawNow() {
    const { pen, width, height } = this;
    pen.clearRect(0, 0, width, height);
    const inside = [...this.points.keys()].filter((i) => {
      const [x, y] = this.pixel(i);
      return x > -Plane.side && y > -Plane.side && x < width + Plane.side && y < height + Plane.side;
    });
    this.pictures = inside.length * Plane.side ** 2 < 1.2 * width * height; // as many as there is room for
    const dot = Math.min((this.points.length > Plane.crowd ? 2 : 3) * Math.sqrt(this.scale), 4); // radius in pixels
    for (const i of inside) {
      const [x, y] = this.pixel(i);
      pen.fillStyle = this.colours[i];
      if (this.pictures) this.picture(i, x, y);
      else {
        pen.beginPath();
        pen.arc(x, y, dot, 0, 2 * Math.PI);
        pen.fill();
      }
    }
    if (this.canvas.matches(":focus-visible")) this.marked = this.nearest(width / 2, height / 2, Infinity);
    if (this.marked !== null) {
      const [x, y] = this.pixel(this.marked);
      pen.strokeStyle = getComputedStyle(this.canvas).color;
      pen.lineWidth = 2;
      const side = this.pictures ? Plane.side + 8 : 14;
      pen.strokeRect(x - side / 2, y - side / 2, side, side);
    }
  }

  picture(i, x, y) {
    const [sheet, columns] = [this.sheets[Math.floor(i / images.columns ** 2)], images.columns];
    if (!sheet.naturalWidth) return;
    const [side, half] = [sheet.naturalWidth / columns, Plane.side / 2];
    this.pen.fillRect(x - half - 2, y - half - 2, Plane.side + 4, Plane.side + 4);
    const [column, row] = [i % columns, Math.floor(i / columns) % columns];
    this.pen.drawImage(sheet, column * side, row * side, side, side, x - half, y - half, Plane.side, Plane.side);
  }

  // -- pointers and keys

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  down(event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.fingers.set(event.pointerId, this.place(event));
    this.moved = this.fingers.size > 1 ? Infinity : 0;
  }

  move(event) {
    const now = this.place(event);
    const before = this.fingers.get(event.pointerId);
    if (!before) return this.hover(now);
    this.hide();
    const others = [...this.fingers.entries()].filter(([id]) => id !== event.pointerId).map(([, place]) => place);
    const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
    this.moved += Math.hypot(dx, dy);
    this.fingers.set(event.pointerId, now);
    if (others.length) {
      const apart = (place) => Math.hypot(place[0] - others[0][0], place[1] - others[0][1]);
      this.zoom(apart(now) / Math.max(apart(before), 1), ...others[0]);
    } else {
      this.middle = [this.middle[0] - dx / this.unit, this.middle[1] - dy / this.unit];
      this.draw();
    }
  }

  up(event) {
    const clicked = this.moved < 5; // pixels
    this.leave(event);
    const found = clicked ? this.nearest(...this.place(event), this.pictures ? Plane.side / 2 : Plane.near) : null;
    if (found !== null) show(found);
  }

  leave(event) {
    this.fingers.delete(event.pointerId);
    this.hide();
  }

  wheel(event) {
    if (document.activeElement !== this.canvas && !event.ctrlKey) return; // the page scrolls
    event.preventDefault();
    this.zoom(Math.exp(-event.deltaY / 300), ...this.place(event));
  }

  key(event) {
    const step = 60 / this.unit;
    const move = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] }[event.key];
    if (move) this.middle = this.middle.map((value, k) => value + move[k]);
    else if (event.key === "+" || event.key === "=") this.zoom(1.3);
    else if (event.key === "-") this.zoom(1 / 1.3);
    else if (event.key === "0") this.reset();
    else if (event.key === "Enter") show(this.nearest(this.width / 2, this.height / 2, Infinity));
    else return;
    event.preventDefault();
    this.draw();
  }

  hover([x, y]) {
    const i = this.nearest(x, y);
    this.canvas.style.cursor = i === null ? "grab" : "pointer";
    if (i === null) return this.hide();
    const box = byId("hover");
    const text = document.createElement("span");
    text.textContent = [images.names[i], about(i)].filter(Boolean).join("; ");
    box.replaceChildren(thumb(i), text);
    box.hidden = false;
    box.style.left = `${Math.min(x + 14, Math.max(0, this.width - box.offsetWidth))}px`;
    box.style.top = `${y + 14 + box.offsetHeight > this.height ? Math.max(0, y - 14 - box.offsetHeight) : y + 14}px`;
  }

  hide() {
    byId("hover").hidden = true;
  }
}
