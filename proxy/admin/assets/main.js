// Asks the proxy each second and shows what it says.

import { h, text, attr, segments } from "./dom.js";
import { count, span } from "./format.js";
import { Tiles, Paths, Listeners, makePlots, reasons } from "./overview.js";
import { Pools } from "./pools.js";
import { Connections } from "./connections.js";

const $ = (id) => document.getElementById(id);
const every = 1000, pageSize = 50, longest = 15 * 60 * 1000;

const tiles = new Tiles($("tiles"));
const plots = makePlots($("plots"), $("tip"));
const paths = new Paths($("path-table").tBodies[0]);
const listeners = new Listeners($("listener-table").tBodies[0]);
const pools = new Pools($("pool-list"));
const connections = new Connections($("connection-table"), () => {
  offset = 0;
  ask();
});

let points = [], range = 5 * 60 * 1000, protocol = "", offset = 0, paused = false, failures = 0, timer, asking = 0;

segments($("range"), [[60000, "1 min"], [300000, "5 min"], [900000, "15 min"]], range, (v) => {
  range = v;
  drawPlots(points.length ? points[points.length - 1].t : Date.now());
});
segments($("protocol"), [["", "All"], ["mptcp", "Multipath"], ["tcp", "Plain TCP"]], protocol, (v) => {
  protocol = v;
  offset = 0;
  ask();
});

async function get(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(10000) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${answer.statusText}`);
  return answer.json();
}

async function post(path, body) {
  const then = paused;
  try {
    const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
    if (!answer.ok) throw new Error((await answer.json()).error);
    trouble("");
  } catch (e) {
    trouble(e.message, 8000);
  }
  if (paused === then) ask(); // unless the page was paused meanwhile
}

// ask gets what is new and shows it. Only the answer to the last question counts.
async function ask() {
  clearTimeout(timer);
  const mine = ++asking;
  const since = points.length ? points[points.length - 1].t : 0;
  const query = new URLSearchParams({ limit: pageSize, offset, sort: connections.sort, filter: $("filter").value, protocol });
  try {
    const [status, history] = await Promise.all([get("api/status?" + query), get("api/history?since=" + since)]);
    if (mine !== asking) return;
    if (failures) trouble("");
    failures = 0;
    const first = Date.parse(status.started);
    if (points.length && points[0].t < first) points = []; // it was started again
    const known = points.length ? points[points.length - 1].t : 0;
    points = points.concat(history.points.filter((p) => p.t > known)).filter((p) => p.t >= history.now - longest);
    show(status, history.now);
  } catch (e) {
    if (mine !== asking) return;
    failures++;
    trouble(`The proxy does not answer (${e.message}). Trying again …`);
  }
  again();
}

function again() {
  clearTimeout(timer);
  if (!paused && !document.hidden) timer = setTimeout(ask, Math.min(every * 2 ** Math.min(failures, 3), 5000));
}

let troubleTimer;
function trouble(message, until) {
  clearTimeout(troubleTimer);
  text($("trouble"), message);
  $("trouble").hidden = !message;
  if (message && until) troubleTimer = setTimeout(() => trouble(""), until);
}

function show(s, now) {
  const [word, tone] = s.draining ? ["draining", "warn"] : s.ready ? ["serving", "good"] : ["starting", "warn"];
  text($("state"), word);
  attr($("state"), "class", "pill " + tone);
  text($("facts"), `${s.version} · ${s.stack} stack · up ${span(s.uptime_seconds)}`);
  document.title = s.draining ? "Braid (draining)" : "Braid";
  tiles.update(s, points);
  paths.update(s);
  listeners.update(s);
  pools.update(s);
  reasons($("fallbacks"), s.totals.fallbacks, "Every connection has been Multipath TCP.", "var(--line-4)");
  reasons($("joins"), s.totals.joins, "None so far.", "var(--accent)");
  reasons($("refused"), { ...s.totals.refused, "malformed request": s.totals.requests_malformed, "log line lost": s.totals.access_log.lost },
    "Nothing.", "var(--line-1)");
  showConnections(s);
  drawPlots(now);
}

function showConnections(s) {
  if (offset && offset >= s.connections_matching) {
    offset = Math.max(0, Math.floor((s.connections_matching - 1) / pageSize) * pageSize);
    return ask();
  }
  connections.update(s);
  const last = offset + s.connections.length;
  const listed = s.connections_matching === s.connections_open ? "" : ` (${count(s.connections_open)} open)`;
  text($("count"), s.connections.length ? `${count(offset + 1)} – ${count(last)} of ${count(s.connections_matching)}${listed}` : "");
  $("previous").disabled = offset === 0;
  $("next").disabled = last >= s.connections_matching;
  $("empty").hidden = s.connections.length > 0;
  text($("empty"), $("filter").value || protocol ? "No connection fits the filter." : "No clients are connected.");
}

function drawPlots(now) {
  for (const p of plots) p.update(points, now, range);
}

let typing;
$("filter").addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => {
    offset = 0;
    ask();
  }, 150);
});
$("previous").addEventListener("click", () => {
  offset = Math.max(0, offset - pageSize);
  ask();
});
$("next").addEventListener("click", () => {
  offset += pageSize;
  ask();
});
$("pause").addEventListener("click", () => {
  paused = !paused;
  attr($("pause"), "aria-pressed", String(paused));
  text($("pause"), paused ? "Paused" : "Pause");
  clearTimeout(timer);
  asking++; // what is under way comes too late
  if (!paused) ask();
});
$("reload").addEventListener("click", () => post("api/reload", {}));
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !paused) ask();
});

async function begin() {
  try {
    const f = await get("api/features");
    if (f.drain) pools.drain = (pool, backend, drain) => post("api/drain", { pool, backend, drain });
    $("reload").hidden = !f.reload;
    if (f.metrics) $("links").append(h("a", { href: f.metrics }, "Metrics"));
    if (f.pprof) $("links").append(h("a", { href: "/debug/pprof/" }, "Profiles"));
  } catch {
    // ask tells of the trouble.
  }
  ask();
}
begin();
