// page: asks /page.json each second and shows it. Every text of the server goes in as
// text, never as markup: it may hold what clients sent.
import { bytes, events, millis, number, place_of, short, span, verdict } from "./words.js";
import { plot_in } from "./plot.js";

const EVERY_MS = 1000, ROWS = 1800;
// After that the server counts as silent; the clock of a machine may be set meanwhile.
const LATE_MS = 5000, JUMP_MS = 5000;
const by_id = (id) => document.getElementById(id);

// ---- elements ----

function make(name, attributes, ...children) {
  const e = document.createElement(name);
  for (const [key, v] of Object.entries(attributes || {})) {
    if (key === "on") e.addEventListener("click", v);
    else if (v !== null && v !== undefined && v !== false) e.setAttribute(key, v === true ? "" : v);
  }
  e.append(...children.filter((c) => c !== null && c !== undefined));
  return e;
}

const set_text = (e, text) => { if (e.textContent !== text) e.textContent = text; };

function meter(share, label) {
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
// that the focus stays where it is.
function table_in(el, key, columns, empty, first) {
  const state = { by: first, down: columns[first].n === true };
  let rows = [], shown = "";
  const head = make("tr"), body = make("tbody");
  const table = make("table", {}, make("thead", {}, head), body);
  const note = make("p", { class: "empty" }, empty);
  const wide = make("div", { class: "wide" }, table);
  columns.forEach((c, i) => {
    head.append(make("th", { scope: "col", class: c.n ? "n" : null },
      make("button", { type: "button", on: () => {
        state.down = state.by === i ? !state.down : c.n === true;
        state.by = i;
        shown = "";
        show(rows);
      } }, c.title)));
  });
  function show(list) {
    rows = list;
    const text = JSON.stringify(list) + state.by + state.down;
    if (text === shown) return;
    shown = text;
    const value = columns[state.by].value;
    const sorted = [...list].sort((a, b) => {
      const x = value(a), y = value(b);
      return (x < y ? -1 : x > y ? 1 : 0) * (state.down ? -1 : 1);
    });
    [...head.children].forEach((th, i) => th.setAttribute("aria-sort",
      i !== state.by ? "none" : state.down ? "descending" : "ascending"));
    const at = document.activeElement && document.activeElement.dataset.key;
    body.replaceChildren(...sorted.map((row) => make("tr", {}, ...columns.map((c, i) => {
      const cell = make(i === 0 ? "th" : "td", { class: c.n ? "n" : c.wrap ? "wrap" : null,
        scope: i === 0 ? "row" : null });
      cell.append(c.cell(row));
      const button = cell.querySelector("button");
      if (button) button.dataset.key = `${key(row)} ${i}`;
      return cell;
    }))));
    if (at) {
      const again = [...body.querySelectorAll("[data-key]")].find((e) => e.dataset.key === at);
      if (again) again.focus({ preventScroll: true });
    }
    const whole = list.length === 0 ? note : wide;
    if (el.firstChild !== whole) el.replaceChildren(whole);
  }
  return show;
}

// ---- the server ----

// A browser may forbid a page to keep anything: the token then lasts until a reload.
function kept(text) {
  try {
    if (text === undefined) return sessionStorage.getItem("sluice-token") || "";
    sessionStorage.setItem("sluice-token", text);
  } catch { /* forbidden */ }
  return text || "";
}

let token = kept();
let latest = null, rows = [], columns = [], seq = 0, began = "", policy = null;
let latest_at = 0, clock_offset = 0;

async function ask(path) {
  const answer = await fetch(path, { cache: "no-store", credentials: "omit",
    signal: AbortSignal.timeout(LATE_MS),
    headers: token ? { Authorization: `Bearer ${token}` } : {} });
  if (!answer.ok) {
    const why = await answer.json().catch(() => ({}));
    throw new Error(why.detail || `the server answered ${answer.status}`);
  }
  return answer.json();
}

// False: the rows before are of another process, or of a clock that was set since. All are
// asked for again then.
function take(data) {
  const who = `${data.status.pid} ${data.status.spool.epoch}`;
  const offset = data.now_ms - performance.now();
  const other = who !== began || Math.abs(offset - clock_offset) > JUMP_MS;
  if (other && seq > 0 && data.first > 0) {
    began = "";
    seq = 0;
    return false;
  }
  if (other || data.first !== seq) rows = [];
  clock_offset = offset;
  began = who;
  if (latest && latest.status.generation !== data.status.generation) policy = null;
  columns = data.columns;
  rows = rows.concat(data.rows).slice(-ROWS);
  seq = data.seq;
  latest = data;
  latest_at = performance.now();
  return true;
}

// ---- the parts ----

let seconds = 600;
const column = (list, name) => {
  const i = columns.indexOf(name);
  return list.map((r) => r[i]);
};
const last = (name) => (rows.length ? rows[rows.length - 1][columns.indexOf(name)] : null);

const percent = (v) => `${v >= 0.1 ? Math.round(v * 100) : (v * 100).toFixed(1)} %`;
const plots = [
  ["rate", ["stored", "refused"], ["--good", "--bad"], short,
    () => `${short(last("requests"))} requests/s`],
  ["latency", ["p50_ms", "p99_ms", "p999_ms"], ["--good", "--blue", "--warn"], millis,
    () => ""],
  ["left", ["left"], ["--blue"], short, () => `${short(last("left"))} · oldest ${
    span(1000 * (last("oldest_s") || 0))}`],
  ["cpu", ["cpu"], ["--blue"], percent, () => `${percent(last("cpu") || 0)} of one core`],
].map(([name, figures, colors, show, now]) => ({ name, figures, now,
  draw: plot_in(by_id(`plot-${name}`), colors, show) }));

const keyed = (letter, text) => [make("span", { class: `key ${letter}` }), text];
const captions = {
  rate: () => [...keyed("a", `${short(last("stored"))} stored`),
    ...keyed("b", `${short(last("refused"))} refused`)],
  latency: () => [...keyed("a", `p50 ${millis(last("p50_ms"))}`),
    ...keyed("c", `p99 ${millis(last("p99_ms"))}`),
    ...keyed("d", `p99.9 ${millis(last("p999_ms"))}`)],
};

function show_plots() {
  if (rows.length === 0) return;
  const from = latest.now_ms - seconds * 1000;
  const list = rows.filter((r) => r[0] >= from);
  const times = list.map((r) => r[0] / 1000);
  for (const p of plots) {
    p.draw(times, p.figures.map((f) => column(list, f)));
    const parts = captions[p.name];
    by_id(`now-${p.name}`).replaceChildren(...(parts ? parts() : [p.now()]));
  }
}

function show_verdict(status) {
  const v = verdict(status);
  by_id("verdict").dataset.state = v.state;
  set_text(by_id("lost"), v.first);
  const text = JSON.stringify(v.more);
  const list = by_id("more");
  if (list.dataset.text !== text) {
    list.dataset.text = text;
    list.replaceChildren(...v.more.map((m) => make("li", {}, m.text)));
  }
  set_text(by_id("versions"), `${status.version} · policy ${status.generation} (${
    hash_of(status).slice(0, 12)}) · up ${span(status.uptime_ms)}`);
}

const hash_of = (status) => {
  const g = (status.generations || []).find((x) => x.generation === status.generation);
  return g ? g.hash : "";
};

const show_refusals = table_in(by_id("refusals-body"), (r) => `${r.route} ${r.code} ${r.status}`, [
  { title: "Code", value: (r) => r.code, cell: (r) => make("button",
    { type: "button", class: "link", on: () => show_detail(r) }, r.code) },
  { title: "Route", value: (r) => r.route, wrap: true, cell: (r) => make("code", {},
    r.route === "none" ? "no route" : r.route) },
  { title: "Status", n: true, value: (r) => r.status, cell: (r) => String(r.status) },
  { title: "Events", n: true, value: (r) => r.events, cell: (r) => number(r.events) },
  { title: "Share", n: true, value: (r) => r.share, cell: (r) => make("span", {},
    percent(r.share), meter(r.share, `${percent(r.share)} of all refusals`)) },
], "No event and no request was refused since the start.", 3);

const show_sinks = table_in(by_id("sinks-body"), (s) => s.name, [
  { title: "Sink", value: (s) => s.name, cell: (s) => s.name },
  { title: "State", value: (s) => state_of(s)[1], cell: (s) => make("span",
    { class: `tag ${state_of(s)[0]}` }, state_of(s)[1]) },
  { title: "Backlog", n: true, value: (s) => s.left_events, cell: (s) => number(s.left_events) },
  { title: "Bytes", n: true, value: (s) => s.lag_bytes, cell: (s) => bytes(s.lag_bytes) },
  { title: "Oldest", n: true, value: (s) => s.oldest_ms, cell: (s) => (s.left_events > 0
    ? span(s.oldest_ms) : "–") },
  { title: "Delivered", n: true, value: (s) => s.delivered, cell: (s) => number(s.delivered) },
  { title: "Dead", n: true, value: (s) => s.dead, cell: (s) => number(s.dead) },
  { title: "Why", value: (s) => s.why || "", wrap: true, cell: (s) => why_of(s) },
], "The policy has no sinks.", 0);

// In words that change with the sink alone, not each second.
function why_of(s) {
  if (!s.holding) return s.last_error ? `last error: ${s.last_error}` : "";
  const since = s.failing_since_ms ? ` Since ${new Date(s.failing_since_ms).toLocaleTimeString()}.` : "";
  return `${s.why.replace(/[. ]*$/, ".")}${since}${s.next_try_ms
    ? ` Next try at ${new Date(s.next_try_ms).toLocaleTimeString()}.` : ""}`;
}

function state_of(s) {
  const open = (s.endpoints || []).filter((e) => e.breaker !== "closed");
  if (s.holding) return ["bad", "takes nothing"];
  if (open.length > 0) return ["warn", `breaker ${open[0].breaker.replace("_", "-")}`];
  if (s.retiring) return ["warn", "retiring"];
  if (s.lost + s.skipped > 0) return ["bad", "lost events"];
  return s.left_events > 0 && s.oldest_ms > 60000 ? ["warn", "behind"] : ["good", "delivers"];
}

const STAGES = { decode: "find the events", check: "compare with the schema",
  policy: "run the hooks", store: "copy into a block", commit: "write to the spool" };

function show_stages(data) {
  const list = data.stages.filter((s) => STAGES[s.stage])
    .sort((a, b) => Object.keys(STAGES).indexOf(a.stage) - Object.keys(STAGES).indexOf(b.stage));
  const item = (title, big, quiet) => make("li", {}, make("b", {}, title),
    make("span", { class: "big" }, big), make("span", { class: "quiet" }, quiet));
  by_id("stages").replaceChildren(
    item("accept", `${short(last("requests"))}/s`, `${events(last("waiting") || 0)} in hand`),
    ...list.map((s) => item(s.stage, s.n ? millis(s.p50_ms) : "–", s.n
      ? `p99 ${millis(s.p99_ms)} · ${STAGES[s.stage]}` : STAGES[s.stage])),
    item("sinks", `${short(last("delivered"))}/s`, `${short(last("left"))} to go`));
}

function show_spool(status) {
  const free = status.spool.disk_free_bytes;
  set_text(by_id("spool-disk"), free === undefined ? "" : `${bytes(free)} free of ${
    bytes(status.spool.disk_bytes)} on the disk`);
  by_id("spool-body").replaceChildren(...status.streams.map((s) => make("div", { class: "gauge" },
    make("b", {}, s.name), meter(s.bytes / s.max_bytes, `${percent(s.bytes / s.max_bytes)} used`),
    make("span", { class: "quiet" }, `${bytes(s.bytes)} of ${bytes(s.max_bytes)}`))));
}

function show_trial(t) {
  if (!t) { by_id("trial").replaceChildren(); return; }
  const word = t.kind === "canary" ? "Canary" : "Shadow";
  const running = t.result === "running" || t.result === "";
  const line = (title, old, fresh) => make("tr", {}, make("th", { scope: "row" }, title),
    make("td", { class: "n" }, old), make("td", { class: "n" }, fresh));
  const rows_of = [["Requests", "requests", number], ["Events", "events", number],
    ["Refused", "refusal_rate", percent], ["Hooks that raised", "error_rate", percent],
    ["p50", "p50_ms", millis], ["p99", "p99_ms", millis]];
  by_id("trial").replaceChildren(make("h3", {}, `${word} of generation ${t.generation}: ${
    t.result || "running"}${t.why ? ` – ${t.why}` : ""}`),
  make("p", { class: "quiet" }, `${percent(t.share)} of the requests for ${span(t.during_ms)}, since ${
    new Date(t.began_ms).toLocaleTimeString()}`),
  make("div", { class: "wide" }, make("table", {}, make("thead", {}, make("tr", {},
    make("th", { scope: "col" }, ""), make("th", { scope: "col", class: "n" }, `live (${t.old.generation})`),
    make("th", { scope: "col", class: "n" }, `new (${t.new.generation})`))),
  make("tbody", {}, ...rows_of.map(([title, key, show]) => line(title, show(t.old[key]), show(t.new[key])))))),
  ...(running ? [make("p", { class: "quiet" }, "To decide by hand on the server: ",
    make("code", {}, "curl -X POST localhost:PORT/reload?promote"), " or ",
    make("code", {}, "…?rollback"))] : []));
}

const show_versions = table_in(by_id("versions-body"), (g) => g.generation, [
  { title: "Generation", n: false, value: (g) => g.generation, cell: (g) => String(g.generation) },
  { title: "State", value: (g) => g.status, cell: (g) => make("span",
    { class: g.status === "live" ? "tag good" : "tag" }, g.status) },
  { title: "Since", value: (g) => g.at_ms, cell: (g) => new Date(g.at_ms).toLocaleString() },
  { title: "Cause", value: (g) => g.cause, cell: (g) => g.cause },
  { title: "Hash", value: (g) => g.hash, cell: (g) => make("code", {}, g.hash.slice(0, 12)) },
  { title: "Why", value: (g) => g.why || "", wrap: true, cell: (g) => g.why || "" },
], "", 0);

function show() {
  const status = latest.status;
  const all = status.refusals.reduce((n, r) => n + r.events, status.refusals_more_events || 0);
  show_verdict(status);
  show_plots();
  show_refusals(status.refusals.map((r) => ({ ...r, share: r.events / all })));
  const more = status.refusals_more || 0;
  set_text(by_id("refusals-more"), more === 0 ? "" : `${number(more)} more pairs of route and code have `
    + "fewer events; /metrics has them all.");
  show_stages(latest);
  show_sinks(status.sinks);
  show_spool(status);
  show_trial(status.trial);
  show_versions(status.generations);
}

// ---- one refusal: its sample, and the line of the policy ----

const samples_of = (r) => (latest.samples || []).find((x) => x.route === r.route
  && x.code === r.code && x.status === r.status);

function need_token(r) {
  return make("p", { class: "empty" }, "Samples and the policy's text are shown on the server's own "
    + "machine, or with the token. ", make("button", { type: "button",
      on: () => { wanted = r; say_token(""); } }, "Enter the token"));
}

function show_detail(r) {
  const sample = samples_of(r), box = by_id("detail");
  const facts = sample ? [["Message", sample.message], ["Field", sample.field], ["Path", sample.path],
    ["Event", sample.index >= 0 ? `number ${sample.index + 1} of its request` : ""],
    ["Seen", `${span(Math.max(0, latest.now_ms - sample.at_ms))} ago`]] : [];
  const lines = make("div", { id: "lines" });
  box.replaceChildren(make("h2", { id: "detail-title" }, r.code),
    make("p", { class: "quiet" }, `${r.route === "none" ? "no route" : r.route} · status ${
      r.status} · ${events(r.events)}`),
    ...(latest.trusted ? [] : [need_token(r)]),
    ...(facts.length ? [make("h3", {}, "Last one"), make("dl", {}, ...facts.filter((f) => f[1])
      .flatMap(([k, v]) => [make("dt", {}, k), make("dd", {}, v)]))] : []),
    ...(sample && sample.raw ? [make("h3", {}, sample.bytes > sample.raw.length
      ? `The first part of ${bytes(sample.bytes)}` : "As sent"),
    make("pre", { class: "raw", tabindex: "0" }, sample.raw)] : []),
    lines,
    make("div", { class: "buttons" },
      latest.trusted ? make("button", { type: "button", class: "main", id: "to-line",
        on: () => show_lines(r, sample, lines) }, "Show the line of the policy") : null,
      make("button", { type: "button", on: () => box.close() }, "Close")));
  box.showModal();
}

async function show_lines(r, sample, lines) {
  try {
    policy = policy || await ask("/policy.json");
  } catch (e) {
    lines.replaceChildren(make("p", { class: "empty" }, e.message));
    return;
  }
  const route = policy.routes.find((x) => x.route === r.route);
  const at = place_of(policy.files, route, r.code, sample ? sample.field : "");
  if (!at) {
    lines.replaceChildren(make("p", { class: "empty" },
      "No line of the policy decides this: the server itself refuses such requests."));
    return;
  }
  const file = policy.files.find((f) => f.file === at.file) || { text: "" };
  const pre = make("pre", { tabindex: "0" }, ...file.text.split("\n").map((text, i) =>
    make("span", { class: i + 1 === at.line ? "row here" : "row" },
      make("span", { class: "no" }, String(i + 1)), text)));
  lines.replaceChildren(make("h3", {}, `${at.file}:${at.line}`), pre);
  const here = pre.querySelector(".here");
  if (here) pre.scrollTop = here.offsetTop - pre.offsetTop - pre.clientHeight / 2;
}

function say_token(text) {
  set_text(by_id("token-why"), text);
  by_id("detail").close();
  by_id("token").returnValue = "";
  by_id("token-text").value = "";
  if (!by_id("token").open) by_id("token").showModal();
}

let wanted = null; // the refusal that the token was asked for

by_id("token").addEventListener("close", async () => {
  const text = by_id("token-text").value.trim(), r = wanted;
  by_id("token-text").value = "";
  if (by_id("token").returnValue !== "ok" || text === "") { wanted = null; return; }
  if (!/^[!-~]+$/.test(text)) {
    say_token("A token has letters, digits and signs of ASCII, without spaces.");
    return;
  }
  token = kept(text);
  policy = null;
  while (asking) await new Promise((go) => setTimeout(go, 20));
  await look();
  if (r && latest.trusted) { wanted = null; show_detail(r); }
});

// ---- each second ----

// One question at a time: two would each get the rows since the same one.
let timer = 0, asking = false, again = false;

function say_live(why) {
  const age = latest ? ` The figures are ${span(performance.now() - latest_at)} old.` : "";
  const e = by_id("live");
  e.dataset.on = why ? "0" : "1";
  set_text(e, why ? `stale: ${why}.${age}` : "live");
  document.body.classList.toggle("stale", why !== "");
}

// A token that the server does not know is told, and not sent again.
function check_token() {
  if (token === "" || latest.trusted) return;
  token = kept("");
  say_token("The server does not know this token.");
}

async function look() {
  if (asking) { again = true; return; }
  clearTimeout(timer);
  asking = true;
  try {
    if (!document.hidden) {
      if (!take(await ask(`/page.json?since=${seq}`))) take(await ask("/page.json?since=0"));
      show();
      say_live("");
      check_token();
    }
  } catch (e) {
    say_live(e.name === "TimeoutError" ? `no answer for ${LATE_MS / 1000} s` : e.message);
  }
  asking = false;
  document.documentElement.dataset.looks = String(Number(document.documentElement.dataset.looks || 0) + 1);
  timer = setTimeout(look, again ? 0 : EVERY_MS);
  again = false;
}

// While an answer is awaited, too.
setInterval(() => {
  if (!document.hidden && asking && latest && performance.now() - latest_at > 3 * EVERY_MS) {
    say_live("the server does not answer");
  }
}, EVERY_MS);

for (const button of document.querySelectorAll("[data-span]")) {
  button.addEventListener("click", () => {
    seconds = Number(button.dataset.span);
    for (const b of document.querySelectorAll("[data-span]")) {
      b.setAttribute("aria-pressed", String(b === button));
    }
    show_plots();
  });
}
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
window.addEventListener("resize", () => { if (latest) show_plots(); });
look();
