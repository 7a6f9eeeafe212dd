// The tiles, the plots and the tables of paths and listeners.

import { h, text, attr, order, swatch, meter } from "./dom.js";
import { pathColor } from "./colors.js";
import { bits, bytes, compact, count, percent, perSecond, rate, seconds, short, words } from "./format.js";
import { Plot } from "./plot.js";

const sum = (list, f) => list.reduce((n, x) => n + f(x), 0);

// Tiles shows a few large numbers.
export class Tiles {
  constructor(parent) {
    this.tiles = {};
    for (const [id, title] of [["requests", "Requests"], ["throughput", "Throughput to clients"], ["connections", "Client connections"],
      ["latency", "Latency (p99)"], ["reuse", "Connection reuse"], ["backends", "Backends in service"]]) {
      const t = { big: h("span"), unit: h("small"), note: h("p") };
      this.tiles[id] = t;
      parent.append(h("div", { class: "card tile", id: "tile-" + id }, h("h3", null, title), h("div", { class: "big" }, t.big, t.unit), t.note));
    }
    this.share = h("div", { class: "meter" });
    this.tiles.connections.note.before(this.share);
  }

  set(id, [big, unit], note) {
    const t = this.tiles[id];
    text(t.big, big);
    text(t.unit, unit || "");
    text(t.note, note);
  }

  update(s, points) {
    const last = points[points.length - 1] || { requests: 0, errors: 0, mptcp: 0, tcp: 0, p50: 0, p99: 0, paths: [] };
    const total = sum(s.totals.requests, (r) => sum(r.code_classes, (n) => n));
    const share = last.requests ? last.errors / last.requests : 0;
    this.set("requests", perSecond(last.requests), `${percent(share)} errors · ${compact(total)} in all`);
    const paths = last.paths || [];
    this.set("throughput", bits(sum(paths, (p) => p.out)), `${rate(sum(paths, (p) => p.in))} from clients`);
    const open = last.mptcp + last.tcp;
    this.set("connections", [count(s.connections_open), `of ${compact(s.totals.connections)} so far`],
      open ? `${percent(last.mptcp / open, 0)} Multipath TCP` : "");
    meter(this.share, open ? [{ share: last.mptcp / open, color: "var(--accent)", title: `${last.mptcp} Multipath TCP` }] : []);
    const shown = last.p99 ? last : points.findLast((p) => p.p99) || last;
    this.set("latency", seconds(shown.p99), `median ${short(shown.p50)}`);
    const opened = sum(s.pools, (p) => p.connections.opened), reused = sum(s.pools, (p) => p.connections.reused);
    this.set("reuse", opened + reused ? [percent(reused / (opened + reused)).replace(" %", ""), "%"] : ["–"],
      `${count(sum(s.pools, (p) => p.connections.in_use))} in use · ${count(sum(s.pools, (p) => p.connections.idle))} idle`);
    const backends = s.pools.flatMap((p) => p.backends);
    const well = backends.filter((b) => b.state === "up" || b.state === "warming").length;
    const waiting = sum(s.pools, (p) => p.queue_length);
    this.set("backends", [`${well}`, `of ${backends.length}`], waiting ? `${count(waiting)} requests wait for room` : "no request waits");
    attr(this.tiles.backends.big, "class", well < backends.length ? "bad-text" : null);
  }
}

// pathNames lists the paths of points, in the order of their colours.
function pathNames(points) {
  const names = new Set();
  for (const p of points) for (const q of p.paths || []) names.add(q.name);
  return [...names].sort();
}

const ofPath = (points, name, way) => points.map((p) => {
  const q = (p.paths || []).find((q) => q.name === name);
  return q ? q[way] : 0;
});

export function makePlots(parent, tip) {
  const plot = (o) => new Plot(parent, tip, o);
  return [
    plot({ id: "requests", title: "Requests per second", kind: "lines", least: 1, format: (v) => perSecond(v)[0] + perSecond(v)[1].replace("/s", ""),
      series: (points) => [
        { label: "all", color: "var(--line-0)", fill: true, values: points.map((p) => p.requests) },
        { label: "failed", color: "var(--line-1)", values: points.map((p) => p.errors) },
      ] }),
    plot({ id: "throughput", title: "Throughput by path, out above, in below", kind: "stack", least: 1, format: rate,
      series: (points) => pathNames(points).flatMap((name) => [
        { label: name, tip: name + " out", color: pathColor(name), side: 1, values: ofPath(points, name, "out") },
        { label: name, tip: name + " in", color: pathColor(name), side: -1, values: ofPath(points, name, "in") },
      ]) }),
    plot({ id: "connections", title: "Client connections", kind: "stack", least: 1, format: count,
      series: (points) => [
        { label: "Multipath TCP", color: "var(--line-0)", side: 1, values: points.map((p) => p.mptcp) },
        { label: "TCP", color: "var(--line-4)", side: 1, values: points.map((p) => p.tcp) },
      ] }),
    plot({ id: "latency", title: "Latency of requests", kind: "lines", log: true, least: 0.0001, format: short,
      series: (points) => [
        { label: "99th percentile", color: "var(--line-3)", fill: true, values: points.map((p) => p.p99 || null) },
        { label: "median", color: "var(--line-2)", values: points.map((p) => p.p50 || null) },
      ] }),
  ];
}

// rows keeps table rows by key, so that they can be updated in place.
class Rows {
  constructor(body, make) {
    Object.assign(this, { body, make, rows: new Map() });
  }

  update(list, key, fill) {
    const seen = new Map();
    for (const item of list) {
      const k = key(item);
      const row = this.rows.get(k) || this.make(item);
      fill(row, item);
      seen.set(k, row);
    }
    this.rows = seen;
    order(this.body, [...seen.values()].map((r) => r.tr));
  }
}

// cells makes a row of as many cells as there are classes.
export function cells(classes, props) {
  const td = classes.map((c) => h("td", c ? { class: c } : null));
  return { tr: h("tr", props, td), td };
}

export class Paths {
  constructor(body) {
    this.rows = new Rows(body, (p) => {
      const r = cells(["", "n", "n", "n", "n", "n", "n", "n", "n", "n", "n", ""]);
      r.td[0].append(swatch(pathColor(p.name)), h("span", null, p.name));
      r.meter = h("div", { class: "meter" });
      r.td[11].append(r.meter);
      return r;
    });
  }

  update(s) {
    const totals = new Map(s.totals.paths.map((t) => [t.name, t]));
    const both = (p, f) => totals.has(p.name) ? totals.get(p.name).mptcp[f] + totals.get(p.name).tcp[f] : 0;
    const all = sum(s.paths, (p) => both(p, "bytes_in") + both(p, "bytes_out"));
    this.rows.update(s.paths, (p) => p.name, (r, p) => {
      const sent = both(p, "bytes_out"), again = both(p, "retransmitted_bytes");
      const share = all ? (sent + both(p, "bytes_in")) / all : 0;
      [p.subflows.active, p.subflows.backup, p.subflows.stale].forEach((n, i) => text(r.td[i + 1], count(n)));
      text(r.td[4], short(p.rtt_median_seconds));
      text(r.td[5], p.rtt_max_seconds ? `${short(p.rtt_min_seconds)} – ${short(p.rtt_max_seconds)}` : "–");
      text(r.td[6], rate(p.out_bytes_per_second));
      text(r.td[7], rate(p.in_bytes_per_second));
      text(r.td[8], bytes(sent));
      text(r.td[9], bytes(both(p, "bytes_in")));
      text(r.td[10], sent + again ? percent(again / (sent + again), 2) : "–");
      meter(r.meter, [{ share, color: pathColor(p.name), title: percent(share) }]);
    });
  }
}

export class Listeners {
  constructor(body) {
    this.rows = new Rows(body, () => cells(["", "", "mono", "n", "n"]));
  }

  update(s) {
    this.rows.update(s.listeners, (l) => l.name, (r, l) => {
      text(r.td[0], l.name);
      text(r.td[1], l.tls ? l.mode + " · TLS" : l.mode);
      text(r.td[2], (l.addresses || []).join("  "));
      text(r.td[3], count(l.open));
      text(r.td[4], count(l.accepted));
    });
  }
}

// reasons shows counts by word, the largest first.
export function reasons(parent, counts, none, color) {
  const list = Object.entries(counts).filter(([, n]) => n > 0).sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1));
  if (!list.length) return parent.replaceChildren(h("span", { class: "quiet" }, none));
  const most = list[0][1];
  parent.replaceChildren(h("div", { class: "words" }, list.flatMap(([word, n]) => [
    h("span", null, words(word)),
    meter(h("div", { class: "meter" }), [{ share: n / most, color }]),
    h("span", { class: "n" }, count(n)),
  ])));
}
