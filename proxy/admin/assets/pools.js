// Pools with their backends.

import { h, text, attr, order, swatch, meter } from "./dom.js";
import { cells } from "./overview.js";
import { count, percent, span } from "./format.js";

const tone = { up: "good", warming: "good", draining: "warn", ejected: "bad", down: "bad" };
const headings = [["Backend"], ["State"], ["Weight", "n"], ["Active", "n"], ["In use", "n"], ["Idle", "n"], ["Opened", "n"],
  ["Reused", "n"], ["Reuse", "n"], ["Requests", "n"], ["Failures", "n"], ["Last error"], [""]];

export class Pools {
  // drain is called with (pool, backend, on); null where that is not offered.
  constructor(parent) {
    this.parent = parent;
    this.pools = new Map();
    this.drain = null;
  }

  update(s) {
    const now = Date.parse(s.time);
    const seen = new Map();
    for (const p of s.pools) {
      const pool = this.pools.get(p.name) || this.make(p.name);
      this.fill(pool, p, now);
      seen.set(p.name, pool);
    }
    this.pools = seen;
    if (!seen.size) this.parent.replaceChildren(h("p", { class: "quiet" }, "No pools."));
    else order(this.parent, [...seen.values()].map((p) => p.card));
  }

  make(name) {
    const facts = ["reuse", "in use", "idle", "queue", "queue refused", "queue timeouts", "retries", "retries refused"].map((label) => {
      const value = h("b");
      return { value, e: h("span", null, value, " ", h("span", null, label)), label };
    });
    const state = h("span", { class: "pill" });
    const body = h("tbody");
    const card = h("div", { class: "card pool", "data-pool": name },
      h("header", null, h("b", null, name), state, facts.map((f) => f.e)),
      h("div", { class: "scroll" }, h("table", null,
        h("thead", null, h("tr", null, headings.map(([t, c]) => h("th", c ? { class: c } : null, t)))), body)));
    return { card, body, state, facts, rows: new Map() };
  }

  fill(pool, p, now) {
    const well = p.backends.filter((b) => b.state === "up" || b.state === "warming").length;
    text(pool.state, well === p.backends.length ? "all in service" : `${well} of ${p.backends.length} in service`);
    attr(pool.state, "class", "pill " + (well === 0 ? "bad" : well < p.backends.length ? "warn" : "good"));
    const values = [percent(p.reuse_ratio), count(p.connections.in_use), count(p.connections.idle), count(p.queue_length),
      count(p.queue_refused), count(p.queue_timeouts), count(p.retries), count(p.retries_refused)];
    pool.facts.forEach((f, i) => {
      text(f.value, values[i]);
      // What is rare is shown when it happens.
      f.e.hidden = i > 3 && values[i] === "0";
    });
    const seen = new Map();
    for (const b of p.backends) {
      const row = pool.rows.get(b.name) || this.makeRow(p.name, b.name);
      this.fillRow(row, b, now);
      seen.set(b.name, row);
    }
    pool.rows = seen;
    order(pool.body, [...seen.values()].map((r) => r.tr));
  }

  makeRow(pool, backend) {
    const r = cells(["", "", ...Array(9).fill("n"), "error", ""], { "data-backend": backend });
    r.name = h("span");
    r.address = h("span", { class: "mono quiet" });
    r.td[0].append(r.name, " ", r.address);
    r.state = h("span", { class: "pill" });
    r.td[1].append(r.state);
    r.button = h("button", { type: "button", onclick: () => this.ask(pool, backend, r) }, "Drain");
    r.td[12].append(r.button);
    return r;
  }

  fillRow(r, b, now) {
    text(r.name, b.name);
    text(r.address, b.address === b.name ? "" : b.address);
    text(r.state, b.state);
    attr(r.state, "class", "pill " + (tone[b.state] || ""));
    attr(r.state, "title", b.why || null);
    const c = b.connections;
    [b.weight, b.active_requests, c.in_use, c.idle, c.opened, c.reused].forEach((n, i) => text(r.td[i + 2], count(n)));
    text(r.td[8], c.opened + c.reused ? percent(b.reuse_ratio) : "–");
    text(r.td[9], count(b.requests));
    text(r.td[10], count(b.failures));
    attr(r.td[10], "class", b.failures ? "n bad-text" : "n");
    const ago = b.last_failure ? `${span((now - Date.parse(b.last_failure)) / 1000)} ago: ` : "";
    text(r.td[11], b.last_error ? ago + b.last_error : "");
    attr(r.td[11], "title", b.last_error || null);
    r.draining = b.state === "draining";
    text(r.button, r.draining ? "Resume" : "Drain");
    r.button.hidden = !this.drain;
  }

  async ask(pool, backend, r) {
    const on = !r.draining;
    if (on && !confirm(`Take ${backend} of pool ${pool} out of service for new clients?`)) return;
    r.button.disabled = true;
    await this.drain(pool, backend, on);
    r.button.disabled = false;
  }
}
