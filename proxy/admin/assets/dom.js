// Building the page. Text comes in as text nodes and attributes only, so that
// nothing a client says can become HTML.

// h makes an element: h("td", {class: "n"}, "7"). Properties that begin with
// "on" are listeners; null and false are left out.
export function h(tag, props, ...children) {
  const e = document.createElement(tag);
  for (const [name, value] of Object.entries(props || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) e.addEventListener(name.slice(2), value);
    else e.setAttribute(name, value === true ? "" : value);
  }
  e.append(...children.flat().filter((c) => c !== null && c !== undefined && c !== false));
  return e;
}

// text sets an element's text if it has changed, so that a selection stays.
export function text(e, s) {
  s = String(s);
  if (e.textContent !== s) e.textContent = s;
}

// attr sets an attribute if it has changed; null removes it.
export function attr(e, name, value) {
  if (value === null) e.removeAttribute(name);
  else if (e.getAttribute(name) !== value) e.setAttribute(name, value);
}

// order makes the children of parent those of list, moving as few as it can.
export function order(parent, list) {
  const wanted = new Set(list);
  for (const child of [...parent.children]) if (!wanted.has(child)) child.remove();
  list.forEach((child, i) => {
    if (parent.children[i] !== child) parent.insertBefore(child, parent.children[i] || null);
  });
}

// segments makes a row of buttons of which one is pressed.
export function segments(parent, choices, chosen, choose) {
  const buttons = choices.map(([value, label]) =>
    h("button", { type: "button", "data-value": value, "aria-pressed": String(value === chosen), onclick: () => {
      for (const b of buttons) attr(b, "aria-pressed", String(b.dataset.value === String(value)));
      choose(value);
    } }, label));
  parent.replaceChildren(...buttons);
}

export function swatch(color) {
  const e = h("span", { class: "swatch" });
  e.style.background = color;
  return e;
}

// meter is a bar of parts: [{share: 0..1, color, title}].
export function meter(e, parts) {
  while (e.children.length > parts.length) e.lastChild.remove();
  while (e.children.length < parts.length) e.append(h("span"));
  parts.forEach((p, i) => {
    const s = e.children[i];
    s.style.width = (100 * p.share).toFixed(2) + "%";
    s.style.background = p.color;
    attr(s, "title", p.title || null);
  });
  return e;
}
