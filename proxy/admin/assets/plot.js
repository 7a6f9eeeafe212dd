// Plots over time on a canvas.
//
// A plot is drawn from points, [{t: milliseconds, ...}]. Its series function
// makes of them [{label, color, values, side}], where values has a number or
// null for each point. Kinds: "lines" draws lines, those with fill with a light
// area beneath, and with log on a logarithmic scale; "stack" puts areas on top of
// one another; those with side -1 grow downwards.

import { h, swatch } from "./dom.js";
import { css, resolve } from "./colors.js";
import { clock } from "./format.js";

const right = 8, top = 8, bottom = 20;
const font = "11px system-ui, sans-serif";
const gap = 12000; // ms without a point that break a line

export class Plot {
  constructor(parent, tip, { id, title, kind, series, format, least, log }) {
    Object.assign(this, { kind, series, format, least: least || 0, log, tip, title });
    this.keys = h("span");
    this.heading = h("h3", null, h("b", null, title));
    this.canvas = h("canvas", { role: "img", "aria-label": title, id: "plot-" + id });
    parent.append(h("div", { class: "card plot" }, this.heading, this.canvas));
    this.points = [];
    this.now = 0;
    this.range = 60000;
    new ResizeObserver(() => this.draw()).observe(this.canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.canvas.addEventListener("mousemove", (e) => this.hover(e));
    this.canvas.addEventListener("mouseleave", () => this.leave());
  }

  update(points, now, range) {
    const from = now - range;
    let i = points.findIndex((p) => p.t >= from);
    if (i < 0) i = points.length;
    this.points = points.slice(Math.max(0, i - 1));
    this.now = now;
    this.range = range;
    this.canvas.dataset.points = this.points.length;
    this.draw();
  }

  // layout stacks the series: each gets low and high for each point.
  layout() {
    const all = this.series(this.points);
    const up = this.points.map(() => 0), down = this.points.map(() => 0);
    let max = this.least, min = 0;
    for (const s of all) {
      const base = s.side < 0 ? down : up;
      s.low = [];
      s.high = s.values.map((v, i) => {
        if (v === null) return null;
        v *= s.side < 0 ? -1 : 1;
        const from = this.kind === "stack" ? base[i] : 0;
        s.low.push(from);
        const to = from + v;
        if (this.kind === "stack") base[i] = to;
        max = Math.max(max, to);
        min = Math.min(min, to);
        return to;
      });
    }
    return { all, max, min };
  }

  draw() {
    const { canvas } = this;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width || !height) return;
    const scale = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    const g = canvas.getContext("2d");
    g.setTransform(scale, 0, 0, scale, 0, 0);
    g.clearRect(0, 0, width, height);
    const { all, max, min } = this.layout();
    const ticks = this.log ? decades(all, this.least) : niceTicks(min, max || 1, 4);
    const y1 = Math.max(max, ticks[ticks.length - 1]);
    const y0 = this.log ? ticks[0] : min < 0 ? min - 0.06 * (max - min) : 0;
    const marks = ticks.filter((v) => v >= y0).map((v) => [v, this.mark(Math.abs(v))]);
    g.font = font;
    const left = Math.ceil(Math.max(36, ...marks.map(([, label]) => g.measureText(label).width + 14)));
    this.left = left;
    const x = (t) => left + (width - left - right) * (1 - (this.now - t) / this.range);
    const scaled = this.log ? (v) => Math.log10(Math.max(v, y0)) : (v) => v;
    const s0 = scaled(y0), s1 = scaled(y1);
    const y = (v) => top + (height - top - bottom) * (1 - (scaled(v) - s0) / (s1 - s0 || 1));
    this.at = { x, width, height };
    this.axes(g, marks, x, y, width, height);
    g.save();
    g.beginPath();
    g.rect(left, 0, width - left - right, height);
    g.clip();
    for (const s of all) this.drawSeries(g, s, x, y);
    if (min < 0) {
      g.strokeStyle = css("--quiet");
      g.lineWidth = 1;
      line(g, left, y(0), width - right, y(0));
    }
    if (this.cursor !== undefined && this.cursor < this.points.length) {
      g.strokeStyle = css("--quiet");
      g.setLineDash([3, 3]);
      const cx = x(this.points[this.cursor].t);
      line(g, cx, top, cx, height - bottom);
      g.setLineDash([]);
    }
    g.restore();
    this.legend(all);
  }

  // mark is the text at a round number.
  mark(v) {
    return v === 0 ? "0" : this.format(v).replace(/\.(\d*?)0+(?=\D|$)/, (_, d) => (d ? "." + d : ""));
  }

  axes(g, marks, x, y, width, height) {
    const { left } = this;
    g.fillStyle = css("--quiet");
    g.strokeStyle = css("--grid");
    g.lineWidth = 1;
    g.textAlign = "right";
    g.textBaseline = "middle";
    for (const [v, label] of marks) {
      const py = Math.round(y(v)) + 0.5;
      line(g, left, py, width - right, py);
      g.fillText(label, left - 8, py);
    }
    g.textAlign = "center";
    g.textBaseline = "alphabetic";
    const step = timeStep(this.range, (width - left - right) / 90);
    const zone = new Date(this.now).getTimezoneOffset() * 60000;
    for (let t = Math.ceil((this.now - this.range - zone) / step) * step + zone; t <= this.now; t += step) {
      const px = x(t);
      if (px < left + 18 || px > width - right - 18) continue;
      g.fillText(clock(t, step < 60000), px, height - 5);
    }
  }

  drawSeries(g, s, x, y) {
    const color = resolve(s.color);
    const filled = this.kind === "stack" || s.fill;
    let run = [];
    const end = () => {
      if (run.length === 1) run.push({ ...run[0], x: run[0].x + 1 });
      if (run.length) this.drawRun(g, run, color, filled);
      run = [];
    };
    let k = 0;
    this.points.forEach((p, i) => {
      if (i > 0 && p.t - this.points[i - 1].t > gap) end();
      if (s.high[i] === null) return end();
      const low = s.low[k++];
      // A layer of nothing has no edge: it would hide the one beneath.
      if (this.kind === "stack" && s.high[i] === low && !(s.values[i - 1] || s.values[i + 1])) return end();
      run.push({ x: x(p.t), high: y(s.high[i]), low: y(low) });
    });
    end();
  }

  drawRun(g, run, color, filled) {
    if (filled) {
      g.beginPath();
      run.forEach((p, i) => (i ? g.lineTo(p.x, p.high) : g.moveTo(p.x, p.high)));
      for (let i = run.length - 1; i >= 0; i--) g.lineTo(run[i].x, run[i].low);
      g.closePath();
      g.globalAlpha = this.kind === "stack" ? 0.55 : 0.14;
      g.fillStyle = color;
      g.fill();
      g.globalAlpha = 1;
    }
    g.beginPath();
    run.forEach((p, i) => (i ? g.lineTo(p.x, p.high) : g.moveTo(p.x, p.high)));
    g.strokeStyle = color;
    g.lineWidth = 1.6;
    g.lineJoin = "round";
    g.stroke();
  }

  // legend tells the colours; a label that comes twice, for both sides, once.
  legend(all) {
    const keys = new Map(all.map((s) => [s.label, s.color]));
    const mark = [...keys].flat().join("\n");
    if (mark === this.legendMark) return;
    this.legendMark = mark;
    this.heading.replaceChildren(this.heading.firstChild,
      ...[...keys].map(([label, color]) => h("span", { class: "key" }, swatch(color), label)));
  }

  hover(e) {
    if (!this.points.length || !this.at) return;
    const px = e.offsetX;
    let best = 0;
    this.points.forEach((p, i) => {
      if (Math.abs(this.at.x(p.t) - px) < Math.abs(this.at.x(this.points[best].t) - px)) best = i;
    });
    this.cursor = best;
    this.draw();
    const rows = this.series(this.points).map((s) => h("div", null, swatch(s.color), s.tip || s.label,
      h("b", null, s.values[best] === null ? "–" : this.format(s.values[best]))));
    this.tip.replaceChildren(h("div", { class: "quiet" }, clock(this.points[best].t, true)), ...rows);
    this.tip.hidden = false;
    const box = this.tip.getBoundingClientRect();
    const tx = e.clientX + 16 + box.width > innerWidth ? e.clientX - 16 - box.width : e.clientX + 16;
    this.tip.style.left = tx + "px";
    this.tip.style.top = Math.min(e.clientY + 12, innerHeight - box.height - 8) + "px";
  }

  leave() {
    this.cursor = undefined;
    this.tip.hidden = true;
    this.draw();
  }
}

function line(g, x0, y0, x1, y1) {
  g.beginPath();
  g.moveTo(x0, y0);
  g.lineTo(x1, y1);
  g.stroke();
}

// niceTicks gives round numbers from below min to above max.
function niceTicks(min, max, wanted) {
  const raw = (max - min) / wanted;
  const unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * unit).find((s) => s >= raw * 0.999);
  const ticks = [];
  for (let i = Math.floor(min / step + 1e-9); i <= Math.ceil(max / step - 1e-9); i++) ticks.push(i * step);
  return ticks;
}

// decades gives powers of ten around the values of all series, for a
// logarithmic plot; the least is the lowest there may be.
function decades(all, least) {
  const values = all.flatMap((s) => s.values).filter((v) => v > 0);
  if (!values.length) values.push(least);
  const from = Math.floor(Math.log10(Math.max(least, Math.min(...values))) + 1e-9);
  const to = Math.max(from + 1, Math.ceil(Math.log10(Math.max(...values)) - 1e-9));
  const ticks = [];
  for (let i = from; i <= to; i++) ticks.push(10 ** i);
  if (ticks.length < 4) return ticks.flatMap((t, i) => (i === ticks.length - 1 ? [t] : [t, 3 * t]));
  return ticks;
}

// timeStep gives the ms between marks so that there are at most as many.
function timeStep(range, most) {
  const steps = [10, 15, 30, 60, 120, 180, 300, 600].map((s) => s * 1000);
  return steps.find((s) => range / s <= most) || steps[steps.length - 1];
}
