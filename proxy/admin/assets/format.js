// Numbers as people read them.

function scaled(n, base, units) {
  let i = 0;
  while (Math.abs(n) >= 999.5 && i < units.length - 1) {
    n /= base;
    i++;
  }
  const digits = n !== 0 && Math.abs(n) < 9.995 ? 2 : Math.abs(n) < 99.95 ? 1 : 0;
  return [i === 0 && Number.isInteger(n) ? String(n) : n.toFixed(digits), units[i]];
}

export const count = (n) => Math.round(n).toLocaleString("en");

// compact is a large count in a few characters.
export const compact = (n) => n < 10000 ? count(n) : scaled(n, 1000, ["", "k", "M", "G", "T"]).join(" ");

export const bytes = (n) => scaled(n, 1000, ["B", "kB", "MB", "GB", "TB", "PB"]).join(" ");

// bits takes bytes per second and gives [number, unit].
export const bits = (n) => scaled(n * 8 < 1 ? 0 : n * 8, 1000, ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"]);

export const rate = (n) => bits(n).join(" ");

// perSecond gives [number, unit].
export const perSecond = (n) => scaled(n < 0.005 ? 0 : n, 1000, ["/s", "k/s", "M/s"]);

// seconds gives [number, unit] of a short time.
export function seconds(s) {
  if (!s) return ["–", ""];
  const [n, unit] = s < 0.001 ? [s * 1e6, "µs"] : s < 1 ? [s * 1e3, "ms"] : [s, "s"];
  return [n.toFixed(n < 9.95 && unit !== "µs" ? 1 : 0), unit];
}

export const short = (s) => seconds(s).join(" ").trim();

// span is a longer time, in its two largest units.
export function span(s) {
  s = Math.max(0, Math.floor(s));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} m ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} m`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

export const percent = (share, digits = 1) =>
  share > 0 && share < 0.001 ? "< 0.1 %" : share < 1 && share > 0.999 ? "> 99.9 %" : (100 * share).toFixed(digits) + " %";

export const clock = (ms, withSeconds) =>
  new Date(ms).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: withSeconds ? "2-digit" : undefined, hour12: false });

export const words = (s) => s.replaceAll("_", " ");
