// parts: the elements that the page is made of. Every text goes in as text, with hidden
// characters shown.
import { shown } from "./words.js";

export function make(name, attributes, ...children) {
  const e = document.createElement(name);
  for (const [key, v] of Object.entries(attributes || {})) {
    if (key === "on") e.addEventListener("click", v);
    else if (v !== null && v !== undefined && v !== false) e.setAttribute(key, v === true ? "" : v);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined)
    .map((c) => (typeof c === "string" ? shown(c) : c)));
  return e;
}

export function set_text(e, text) {
  const t = shown(text);
  if (e.textContent !== t) e.textContent = t;
}

export function meter(share, label) {
  const bar = make("span", { class: "meter", role: "img", "aria-label": label });
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  rect.setAttribute("height", "100%");
  rect.setAttribute("width", `${Math.min(100, Math.max(0, share * 100))}%`);
  rect.setAttribute("class", share >= 0.95 ? "bad" : share >= 0.8 ? "warn" : "");
  svg.append(rect);
  bar.append(svg);
  return bar;
}

// A table that is sorted by its heads, with the keyboard as with the mouse. columns:
// { title, n (a number), value (what sorts), cell (what shows) }. Rows are kept by key, so
// that the focus, a selection and the place on the screen stay; a row is made again when
// its values change. most: more rows than that stay away until a button is pressed.
export function table_in(el, key, columns, empty, first, most = 1000) {
  const state = { by: first, down: columns[first].n === true, all: false };
  let rows = [], shown_rows = "", made = new Map();
  const head = make("tr"), body = make("tbody");
  const table = make("table", {}, make("thead", {}, head), body);
  const note = make("p", { class: "empty" }, empty);
  const more = make("button", { type: "button", class: "more", on: () => {
    state.all = !state.all;
    again();
  } });
  const wide = make("div", {}, make("div", { class: "wide" }, table), more);
  const again = () => { shown_rows = ""; show(rows); };
  columns.forEach((c, i) => {
    head.append(make("th", { scope: "col", class: c.n ? "n" : null },
      make("button", { type: "button", on: () => {
        state.down = state.by === i ? !state.down : c.n === true;
        state.by = i;
        again();
      } }, c.title)));
  });
  function row_of(row) {
    const name = key(row), text = JSON.stringify(row), old = made.get(name);
    if (old && old.text === text) return [name, old];
    const tr = make("tr", {}, ...columns.map((c, i) => {
      const cell = make(i === 0 ? "th" : "td", { class: c.n ? "n" : c.wrap ? "wrap" : null,
        scope: i === 0 ? "row" : null }, c.cell(row));
      const button = cell.querySelector("button");
      if (button) button.dataset.key = `${name} ${i}`;
      return cell;
    }));
    return [name, { text, tr }];
  }
  function show(list) {
    rows = list;
    const text = JSON.stringify(list) + state.by + state.down;
    if (text === shown_rows) return;
    shown_rows = text;
    const value = columns[state.by].value;
    const sorted = [...list].sort((a, b) => {
      const x = value(a), y = value(b);
      return (x < y ? -1 : x > y ? 1 : 0) * (state.down ? -1 : 1);
    }).slice(0, state.all ? list.length : most);
    [...head.children].forEach((th, i) => th.setAttribute("aria-sort",
      i !== state.by ? "none" : state.down ? "descending" : "ascending"));
    const at = document.activeElement && document.activeElement.dataset.key;
    made = new Map(sorted.map(row_of));
    const now = [...made.values()].map((x) => x.tr);
    if (now.length !== body.children.length || now.some((tr, i) => tr !== body.children[i])) {
      body.replaceChildren(...now);
    }
    if (at && document.activeElement.dataset.key !== at) {
      const same = [...body.querySelectorAll("[data-key]")].find((e) => e.dataset.key === at);
      if (same) same.focus({ preventScroll: true });
    }
    more.hidden = list.length <= most;
    set_text(more, state.all ? `Show ${most} rows` : `Show all ${list.length} rows`);
    const whole = list.length === 0 ? note : wide;
    if (el.firstChild !== whole) el.replaceChildren(whole);
  }
  return show;
}
