// Colours of the paths, which stay the same as long as the page is open.

const known = new Map();
const colors = 7;

export function css(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

// pathColor gives the colour of a path, as a CSS value.
export function pathColor(name) {
  if (!known.has(name)) known.set(name, name === "other" ? colors : known.size % colors);
  return `var(--path-${known.get(name)})`;
}

// resolve turns a var(...) into a colour that a canvas understands.
export function resolve(color) {
  const m = /^var\((--[a-z0-9-]+)\)$/.exec(color);
  return m ? css(m[1]) : color;
}
