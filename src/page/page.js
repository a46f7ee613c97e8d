// page: asks /page.json each second and shows it. Every text of the server goes in as
// text, never as markup: it may hold what clients sent.
import { bytes, events, gist, millis, number, places_of, short, shown, span, verdict } from "./words.js";
import { make, meter, set_text, table_in } from "./parts.js";
import { plot_in } from "./plot.js";

const EVERY_MS = 1000, ROWS = 1800;
// After that an answer is given up. A clock that moved so far was set.
const LATE_MS = 20000, JUMP_MS = 5000;
const by_id = (id) => document.getElementById(id);

// ---- the server ----

// Behind a proxy one origin may have several servers, each under a path of its own: a
// token is of one of them. A browser may forbid a page to keep anything: the token then
// lasts until a reload.
const KEY = `sluice-token ${location.pathname}`;

function kept(text) {
  try {
    if (text === undefined) return sessionStorage.getItem(KEY) || "";
    sessionStorage.setItem(KEY, text);
  } catch { /* forbidden */ }
  return text || "";
}

let token = kept();
let latest = null, rows = [], columns = [], seq = 0, began = "", policy = null;
let latest_at = 0, clock_offset = 0, took_ms = 0, started = "", version = "", restarts = 0;

// Paths are relative: a proxy may add one in front.
async function ask(path) {
  const asked_at = performance.now();
  const answer = await fetch(path, { cache: "no-store", credentials: "same-origin",
    signal: AbortSignal.timeout(LATE_MS),
    headers: token ? { Authorization: `Bearer ${token}` } : {} }).catch((e) => {
    throw e.name === "TimeoutError" ? e : new Error("the server can't be reached");
  });
  if (!answer.ok) {
    const why = await answer.json().catch(() => null);
    throw new Error((why && why.detail) || `the server answered ${answer.status}`);
  }
  const data = await answer.json().catch((e) => {
    throw e.name === "TimeoutError" ? e : new Error("the answer is cut, or no JSON: a proxy "
      + "in front may have made it");
  });
  if (data === null || typeof data !== "object") throw new Error("the answer has no figures");
  took_ms = performance.now() - asked_at;
  return data;
}

// Rows of the process before stay, with a gap: what an upgrade did is seen.
const joined = (old, fresh) => (old.length === 0 ? fresh
  : [...(fresh.length ? old.filter((r) => r[0] < fresh[0][0]) : old),
    [old[old.length - 1][0] + 1, ...columns.slice(1).map(() => null)], ...fresh]);

// False: the rows before are of another process, or of a clock that was set since. All are
// asked for again then.
function take(data) {
  if (!data.status || !Array.isArray(data.rows)) throw new Error("the answer has no figures");
  const who = `${data.status.pid} ${data.status.spool.epoch}`;
  const offset = data.now_ms - performance.now() + took_ms / 2;
  const next = data.first === seq, fresh = data.rows, end = rows[rows.length - 1];
  const other = who !== began, set = Math.abs(offset - clock_offset) > JUMP_MS + took_ms
    || (!other && next && end && fresh.length > 0 && fresh[0][0] <= end[0]);
  if ((other || set) && seq > 0 && data.first > 0) {
    seq = 0;
    return false;
  }
  columns = data.columns;
  if (set || !(other || next)) rows = [];
  if (other) {
    started = new Date(data.now_ms - data.status.uptime_ms).toLocaleTimeString();
    restarts += began !== "" ? 1 : 0;
    version = version || data.status.version;
  }
  clock_offset = offset;
  began = who;
  if (latest && (other || latest.status.generation !== data.status.generation)) policy = null;
  rows = (other ? joined(rows, fresh) : rows.concat(fresh)).slice(-ROWS);
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
  v.more.push(...news(status));
  by_id("verdict").dataset.state = v.state;
  set_text(by_id("lost"), v.first);
  const text = JSON.stringify(v.more);
  const list = by_id("more");
  if (list.dataset.text !== text) {
    list.dataset.text = text;
    list.replaceChildren(...v.more.map((m) => make("li", {}, make("a", { href: `#${m.of}` }, m.text))));
  }
  announce("verdict", gist(v));
  set_text(by_id("versions"), `${status.version} · policy ${status.generation} (${
    hash_of(status).slice(0, 12)}) · up ${span(status.uptime_ms)} · times in ${
    Intl.DateTimeFormat().resolvedOptions().timeZone}`);
}

// What the operator should know about the figures themselves.
function news(status) {
  const list = [], ahead = Date.now() - latest.now_ms;
  if (restarts > 0 || status.uptime_ms < 600000) {
    list.push({ of: "policy", text: `The server's process started at ${started}: all counts begin there` });
  }
  if (status.version !== version) {
    list.push({ of: "policy", text: `The server is of version ${status.version} now: load this page again` });
  }
  if (Math.abs(ahead) > 60000) {
    list.push({ of: "traffic", text: `This machine's clock is ${span(Math.abs(ahead))} ${
      ahead > 0 ? "ahead of" : "behind"} the server's: the page shows the server's time` });
  }
  return list;
}

// For a screen reader: changes alone, and never the figures of each second.
const said = {};
function announce(part, text) {
  if (said[part] === text) return;
  said[part] = text;
  set_text(by_id("said"), text);
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
], "No such refusal since the start.", 3, 20);

const show_sinks = table_in(by_id("sinks-body"), (s) => s.name, [
  { title: "Sink", value: (s) => s.name, cell: (s) => s.name },
  { title: "State", value: (s) => `${"bwg".indexOf(state_of(s)[0][0])} ${s.name}`, cell: (s) => make("span",
    { class: `tag ${state_of(s)[0]}` }, state_of(s)[1]) },
  { title: "Backlog", n: true, value: (s) => s.left_events, cell: (s) => number(s.left_events) },
  { title: "Bytes", n: true, value: (s) => s.lag_bytes, cell: (s) => bytes(s.lag_bytes) },
  { title: "Oldest", n: true, value: (s) => s.oldest_ms, cell: (s) => (s.left_events > 0
    ? span(s.oldest_ms) : "–") },
  { title: "Delivered", n: true, value: (s) => s.delivered, cell: (s) => number(s.delivered) },
  { title: "Dead", n: true, value: (s) => s.dead, cell: (s) => number(s.dead) },
  { title: "Why", value: (s) => s.why || "", wrap: true, cell: (s) => why_of(s) },
], "The policy has no sinks.", 1);

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
  const full = (s) => Number(s.bytes / s.max_bytes >= 0.8);
  const streams = [...status.streams].sort((a, b) => full(b) - full(a));
  by_id("spool-body").replaceChildren(...streams.map((s) => make("div", { class: "gauge" },
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

const FILTER_FROM = 10;

function show() {
  const status = latest.status;
  const all = status.refusals.reduce((n, r) => n + r.events, status.refusals_more_events || 0);
  show_verdict(status);
  show_plots();
  const find = by_id("filter").value.trim().toLowerCase();
  by_id("filter-label").hidden = status.refusals.length < FILTER_FROM && find === "";
  show_refusals(status.refusals.map((r) => ({ ...r, share: Math.round(1000 * r.events / all) / 1000 }))
    .filter((r) => `${r.code} ${r.route} ${r.status}`.toLowerCase().includes(find)));
  set_text(by_id("refusals-since"), `By route and code, since ${started}. Open one for a sample.`);
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

const sample_of = (r, list) => list.find((x) => x.route === r.route
  && x.code === r.code && x.status === r.status);

function need_token(r) {
  return make("p", { class: "empty" }, "Samples and the policy's text are shown on the server's own "
    + "machine, or with the token. ", make("button", { type: "button",
      on: () => { wanted = r; say_token(""); } }, "Enter the token"));
}

async function show_detail(r) {
  const mine = ++details;
  let all = [], why = "";
  try {
    if (latest.trusted) all = (await ask(`page.json?since=${seq}&samples=1`)).samples || [];
  } catch (e) {
    why = e.message;
  }
  if (mine === details) show_sample(r, sample_of(r, all), why);
}

function show_sample(r, sample, why) {
  const box = by_id("detail");
  opened = r;
  const facts = sample ? [["Message", sample.message], ["Field", sample.field], ["Path", sample.path],
    ["Event", sample.index >= 0 ? `number ${sample.index + 1} of its request` : ""],
    ["Seen", `${span(Math.max(0, latest.now_ms - sample.at_ms))} ago`]] : [];
  const lines = make("div", { id: "lines" });
  box.replaceChildren(make("h2", { id: "detail-title" }, r.code),
    make("p", { class: "quiet" }, `${r.route === "none" ? "no route" : r.route} · status ${
      r.status} · ${events(r.events)}`),
    ...(latest.trusted ? [] : [need_token(r)]),
    ...(why ? [make("p", { class: "empty" }, `No sample: ${why}`)] : []),
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
  if (!box.open) box.showModal();
}

by_id("detail").addEventListener("close", () => { if (!by_id("detail").open) opened = null; });

async function show_lines(r, sample, lines) {
  try {
    policy = policy || await ask("policy.json");
  } catch (e) {
    lines.replaceChildren(make("p", { class: "empty" }, e.message));
    return;
  }
  const route = policy.routes.find((x) => x.route === r.route);
  const list = places_of(policy.files, route, r.code, sample ? sample.field : "");
  if (list.length === 0) {
    lines.replaceChildren(make("p", { class: "empty" },
      "No line of the policy decides this: the server itself refuses such requests."));
    return;
  }
  show_place(lines, list, 0);
}

// One of the places, and buttons for the others.
function show_place(lines, list, k) {
  const at = list[k], file = policy.files.find((f) => f.file === at.file) || { text: "" };
  const pre = make("pre", { tabindex: "0", "aria-label": `${at.file}, line ${at.line}` },
    ...file.text.split(/\r?\n/).map((text, i) =>
      make("span", { class: i + 1 === at.line ? "row here" : "row" },
        make("span", { class: "no" }, String(i + 1)), document.createTextNode(shown(text, 4000)))));
  const others = list.map((p, i) => (i === k ? null : make("button", { type: "button", class: "link",
    on: () => show_place(lines, list, i) }, `${p.file}:${p.line}`)));
  lines.replaceChildren(make("h3", {}, `${at.file}:${at.line}`),
    ...(list.length > 1 ? [make("p", { class: "quiet also" }, "The code also stands at ", ...others)] : []), pre);
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

let wanted = null, opened = null; // the refusal that the token is for; that is shown
let details = 0; // asked for

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
const SLOW_MS = 1500;
let timer = 0, asking = false, again = false, asked_at = 0;

function say_live(why) {
  const age = latest ? ` The figures are ${span(performance.now() - latest_at)} old.` : "";
  const e = by_id("live");
  e.dataset.on = why ? "0" : "1";
  set_text(e, why ? `stale: ${why}.${age}` : took_ms > SLOW_MS ? `live, an answer takes ${
    span(took_ms)}` : "live");
  announce("live", why ? `The figures are stale: ${why}` : "The figures are live");
  document.body.classList.toggle("stale", why !== "");
}

// A token that the server does not know is told, and not sent again.
function check_token() {
  if (token === "" || latest.trusted) return;
  token = kept("");
  wanted = wanted || opened;
  say_token("The server does not know this token.");
}

async function look() {
  if (asking) { again = true; return; }
  clearTimeout(timer);
  asking = true;
  asked_at = performance.now();
  try {
    if (!document.hidden) {
      if (!take(await ask(`page.json?since=${seq}`))) take(await ask("page.json?since=0"));
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

// While an answer is awaited, too; over a slow network for as long as twice the last one.
setInterval(() => {
  if (!document.hidden && asking && latest
    && performance.now() - asked_at > Math.max(2 * EVERY_MS, 2 * took_ms)) {
    say_live("the server does not answer");
  }
}, EVERY_MS);

by_id("filter").addEventListener("input", () => { if (latest) show(); });

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
