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
  svg.setAttribute("aria-hidden", "true"); // the bar has the name
  const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  rect.setAttribute("height", "100%");
  rect.setAttribute("width", `${Math.min(100, Math.max(0, share * 100))}%`);
  rect.setAttribute("class", share >= 0.95 ? "bad" : share >= 0.8 ? "warn" : "");
  svg.append(rect);
  bar.append(svg);
  return bar;
}

// A list whose entries are kept by key, and made again when their values change. The focus
// stays at the entry with its key. Returns the function that shows one.
export function keyed_in(el, key, entry) {
  let made = new Map();
  return (list) => {
    const [held] = [...made].find(([, x]) => x.e.contains(document.activeElement)) || [];
    made = new Map(list.map((x) => {
      const text = JSON.stringify(x), old = made.get(key(x));
      return [key(x), old && old.text === text ? old : { text, e: entry(x) }];
    }));
    const now = [...made.values()].map((x) => x.e);
    if (now.length !== el.children.length || now.some((e, i) => e !== el.children[i])) {
      el.replaceChildren(...now);
      const same = made.get(held);
      if (same && !same.e.contains(document.activeElement)) {
        same.e.querySelector("a, button").focus({ preventScroll: true });
      }
    }
  };
}

// A table that is sorted by its heads, with the keyboard as with the mouse. columns:
// { title, n (a number), value (what sorts), cell (what shows the row; its second argument
// gives the row as it is later) }. Rows are kept by key, and of a row the cells whose text
// stays, so that the focus, a selection and the place on the screen stay. most: more rows than that stay away until a button is pressed.
export function table_in(el, key, columns, empty, first, most = 1000) {
  const state = { by: first, down: columns[first].n === true, all: false };
  let rows = [], shown_rows = "", made = new Map();
  const head = make("tr"), body = make("tbody");
  const table = make("table", { "aria-labelledby": el.closest("section").getAttribute("aria-labelledby") }, make("thead", {}, head), body);
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
  const fill = (cell, what, name) => {
    const text = typeof what === "string" ? shown(what) : what.textContent;
    if (cell.textContent === text && cell.firstChild) return;
    cell.replaceChildren(typeof what === "string" ? text : what);
    const button = cell.querySelector("button");
    if (button) button.dataset.key = name;
  };
  function row_of(row) {
    const name = key(row), text = JSON.stringify(row), old = made.get(name);
    if (old && old.text === text) return [name, old];
    const kept = old || { tr: make("tr", {}, ...columns.map((c, i) => make(i === 0 ? "th" : "td",
      { class: c.n ? "n" : c.wrap ? "wrap" : null, scope: i === 0 ? "row" : null }))) };
    kept.text = text;
    kept.row = row;
    columns.forEach((c, i) => fill(kept.tr.children[i], c.cell(row, () => kept.row), `${name} ${i}`));
    return [name, kept];
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
