// The table of connections.

import { h, text, attr, order, swatch, meter } from "./dom.js";
import { cells } from "./overview.js";
import { pathColor } from "./colors.js";
import { bytes, count, percent, rate, short, span, words } from "./format.js";

const columns = [
  ["Client", "client", ""], ["Listener", "listener", ""], ["Protocol", null, ""], ["Host", null, ""], ["Subflows", "subflows", ""],
  ["RTT", "rtt", "n"], ["Out", "out", "n"], ["In", "in", "n"], ["Bytes", "bytes", "n"], ["Requests", "requests", "n"], ["Age", "id", "n"],
];
const subflowColumns = [["Path"], ["Local"], ["Remote"], ["State"], ["RTT", "n"], ["Out", "n"], ["In", "n"], ["Sent", "n"],
  ["Received", "n"], ["Share"], ["Retransmitted", "n"], ["Window", "n"], ["Control"]];
const tone = { active: "good", backup: "warn", stale: "bad", closed: "" };

export const nameOf = (p) => p.interface || p.local.replace(/:\d+$/, "").replace(/^\[|\]$/g, "");

export class Connections {
  // changed is called when another part of the list is wanted.
  constructor(table, changed) {
    this.body = table.tBodies[0];
    this.changed = changed;
    this.rows = new Map();
    this.sort = "-out";
    this.heads = columns.map(([label, key, c]) => {
      const th = h("th", c ? { class: c } : null);
      if (key) th.append(h("button", { type: "button", "data-sort": key, onclick: () => this.sortBy(key) }, label));
      else th.append(label);
      return th;
    });
    table.tHead.rows[0].replaceChildren(...this.heads);
    this.markSort();
  }

  sortBy(key) {
    // The largest first, except for names; age counts the other way round.
    const down = key === "client" || key === "listener" || key === "id" ? key : "-" + key;
    this.sort = this.sort === down ? (down[0] === "-" ? key : "-" + key) : down;
    this.markSort();
    this.changed();
  }

  markSort() {
    columns.forEach(([label, key], i) => {
      if (!key) return;
      const is = this.sort.replace("-", "") === key;
      let down = this.sort[0] === "-";
      if (key === "id") down = !down;
      attr(this.heads[i], "aria-sort", is ? (down ? "descending" : "ascending") : null);
      text(this.heads[i].firstChild, is ? `${label} ${down ? "↓" : "↑"}` : label);
    });
  }

  update(s) {
    const now = Date.parse(s.time);
    const seen = new Map();
    for (const c of s.connections) {
      const r = this.rows.get(c.id) || this.make(c);
      this.fill(r, c, now);
      seen.set(c.id, r);
    }
    this.rows = seen;
    order(this.body, [...seen.values()].flatMap((r) => (r.detail ? [r.tr, r.detail.tr] : [r.tr])));
  }

  make(c) {
    const r = cells(["mono", "", "", "clip", "", "n", "n", "n", "n", "n", "n"], { class: "row", "data-id": c.id });
    r.twist = h("button", { type: "button", class: "twist", "aria-expanded": "false", "aria-label": "Subflows" }, "›");
    r.client = h("span");
    r.td[0].append(r.twist, r.client);
    r.badge = h("span", { class: "pill" });
    r.protocol = h("span", { class: "quiet" });
    r.td[2].append(r.badge, " ", r.protocol);
    r.meter = h("div", { class: "meter" });
    r.td[4].append(r.meter);
    r.tr.addEventListener("click", () => {
      if (!getSelection().toString()) this.toggle(r);
    });
    return r;
  }

  toggle(r) {
    if (r.detail) {
      r.detail.tr.remove();
      r.detail = null;
    } else {
      r.detail = this.makeDetail();
      this.fillDetail(r.detail, r.connection);
      r.tr.after(r.detail.tr);
    }
    r.tr.classList.toggle("open", !!r.detail);
    attr(r.twist, "aria-expanded", String(!!r.detail));
  }

  fill(r, c, now) {
    r.connection = c;
    text(r.client, c.client);
    text(r.td[1], c.listener);
    text(r.badge, c.multipath ? "MPTCP" : "TCP");
    attr(r.badge, "class", c.multipath ? "pill mptcp" : "pill");
    attr(r.badge, "title", c.fallback ? "plain TCP: " + words(c.fallback) : null);
    text(r.protocol, [c.protocol === "tcp" ? "" : c.protocol, c.tls].filter(Boolean).join(" · "));
    const host = c.host || c.server_name || c.backend || "";
    text(r.td[3], host);
    attr(r.td[3], "title", host || null);
    const up = c.subflows.filter((p) => p.status !== "closed");
    const all = c.subflows.reduce((n, p) => n + p.bytes_in + p.bytes_out, 0);
    meter(r.meter, c.subflows.filter((p) => all && p.bytes_in + p.bytes_out).map((p) => {
      const share = (p.bytes_in + p.bytes_out) / all;
      return { share, color: pathColor(nameOf(p)), title: `${nameOf(p)}: ${percent(share)}` };
    }));
    attr(r.td[4], "title", `${up.length} up of ${c.subflows.length}`);
    const rtts = up.map((p) => p.rtt_seconds).filter(Boolean);
    text(r.td[5], rtts.length ? short(Math.min(...rtts)) : "–");
    text(r.td[6], rate(c.out_bytes_per_second));
    text(r.td[7], rate(c.in_bytes_per_second));
    text(r.td[8], bytes(Math.max(all, c.bytes_in + c.bytes_out)));
    text(r.td[9], count(c.requests));
    text(r.td[10], span((now - Date.parse(c.opened)) / 1000));
    if (r.detail) this.fillDetail(r.detail, c);
  }

  makeDetail() {
    const facts = h("dl");
    const body = h("tbody");
    const tr = h("tr", { class: "detail" }, h("td", { colspan: String(columns.length) }, h("div", { class: "inner" }, facts,
      h("div", { class: "scroll" }, h("table", { class: "subflows" },
        h("thead", null, h("tr", null, subflowColumns.map(([t, cl]) => h("th", cl ? { class: cl } : null, t)))), body)))));
    return { tr, facts, body, rows: new Map() };
  }

  fillDetail(d, c) {
    const facts = [["Connection", `#${c.id}`], ["Local", c.local], ["Fallback", words(c.fallback || "")], ["Server name", c.server_name],
      ["Host", c.host], ["User agent", c.user_agent], ["Pool", c.pool], ["Backend", c.backend],
      ["Token", c.token ? c.token.toString(16).padStart(8, "0") : ""], ["Subflows added", c.joins ? count(c.joins) : ""]]
      .filter(([, v]) => v);
    const mark = facts.flat().join("\n");
    if (mark !== d.mark) {
      d.mark = mark;
      d.facts.replaceChildren(...facts.map(([k, v]) => h("div", null, h("dt", null, k), h("dd", null, v))));
    }
    const all = c.subflows.reduce((n, p) => n + p.bytes_in + p.bytes_out, 0);
    const seen = new Map();
    for (const p of c.subflows) {
      const key = `${p.id} ${p.local} ${p.remote}`;
      const r = d.rows.get(key) || this.makeSubflow(p);
      this.fillSubflow(r, p, all);
      seen.set(key, r);
    }
    d.rows = seen;
    order(d.body, [...seen.values()].map((r) => r.tr));
  }

  makeSubflow(p) {
    const r = cells(subflowColumns.map(([, c], i) => (i === 1 || i === 2 ? "mono" : c || "")), { class: "subflow" });
    r.td[0].append(swatch(pathColor(nameOf(p))), nameOf(p));
    text(r.td[1], p.local);
    text(r.td[2], p.remote);
    r.state = h("span", { class: "pill" });
    r.td[3].append(r.state);
    r.meter = h("div", { class: "meter" });
    r.td[9].append(r.meter);
    return r;
  }

  fillSubflow(r, p, all) {
    const closed = p.status === "closed";
    r.tr.classList.toggle("gone", closed);
    text(r.state, p.reset ? "reset" : p.status);
    attr(r.state, "class", "pill " + tone[p.status]);
    attr(r.state, "title", p.reset || p.tcp_state);
    text(r.td[4], short(p.rtt_seconds));
    attr(r.td[4], "title", p.min_rtt_seconds ? "lowest " + short(p.min_rtt_seconds) : null);
    text(r.td[5], closed ? "–" : rate(p.out_bytes_per_second));
    text(r.td[6], closed ? "–" : rate(p.in_bytes_per_second));
    text(r.td[7], bytes(p.bytes_out));
    text(r.td[8], bytes(p.bytes_in));
    const share = all ? (p.bytes_in + p.bytes_out) / all : 0;
    meter(r.meter, [{ share, color: pathColor(nameOf(p)), title: percent(share) }]);
    text(r.td[10], bytes(p.retransmitted_bytes));
    attr(r.td[10], "title", `${count(p.retransmitted_segments)} segments; ${bytes(p.reinjected_bytes)} had been sent on another path`);
    text(r.td[11], closed || !p.congestion_window_bytes ? "–" : bytes(p.congestion_window_bytes));
    text(r.td[12], p.congestion_control || "–");
  }
}
