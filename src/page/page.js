// page: asks /page.json each second and shows it. Every text of the server goes in as
// text, never as markup: it may hold what clients sent.
import { bytes, events, full_percent, gist, millis, number, short, span, trial_words, verdict } from "./words.js";
import { keyed_in, make, meter, set_text, table_in } from "./parts.js";
import { plot_in } from "./plot.js";
import { LATE_MS, known, look } from "./server.js";
import { check_token, forget_policies, key_of, show_detail, token_used } from "./detail.js";

const EVERY_MS = 1000;
const by_id = (id) => document.getElementById(id);

// ---- the parts ----

let seconds = 600;
const MARKS = 8; // shown
const time = (ms) => new Date(ms).toLocaleTimeString();
const column = (list, name) => {
  const i = known.columns.indexOf(name);
  return list.map((r) => r[i] ?? null);
};
const last = (name) => (known.rows.length
  ? known.rows[known.rows.length - 1][known.columns.indexOf(name)] ?? null : null);

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

// What happened in the time that the plots show, the newest first.
const show_marks = keyed_in(by_id("marks"), (m) => m.key, (m) => make("li", {},
  make("time", { datetime: new Date(m.at_ms).toISOString() }, time(m.at_ms)), ` ${m.text}`));

function show_plots() {
  const now_ms = known.latest.now_ms, from = now_ms - seconds * 1000;
  const marks = [...known.marks].map(([key, m]) => ({ ...m, key }))
    .filter((m) => m.at_ms >= from && m.at_ms <= now_ms).sort((a, b) => b.at_ms - a.at_ms);
  show_marks(marks.slice(0, MARKS));
  const list = known.rows.filter((r) => r[0] >= from);
  if (list.length === 0) return;
  const times = list.map((r) => r[0] / 1000), at = marks.map((m) => m.at_ms / 1000);
  for (const p of plots) {
    p.draw(times, p.figures.map((f) => column(list, f)), at);
    const parts = captions[p.name];
    by_id(`now-${p.name}`).replaceChildren(...(parts ? parts() : [p.now()]));
  }
}

function show_verdict(status) {
  const v = verdict(status, known.minute_ago);
  v.more.push(...news(status));
  by_id("verdict").dataset.state = v.state;
  first = v.first;
  set_text(by_id("lost"), first);
  show_more(v.more.map((m, i) => ({ ...m, i })));
  announce("verdict", gist(v));
  set_text(by_id("versions"), `${status.version} · policy ${status.generation} (${
    hash_of(status).slice(0, 12)}) · up ${span(status.uptime_ms)} · times in ${
    Intl.DateTimeFormat().resolvedOptions().timeZone}`);
}

let first = ""; // what the first line said last
const show_more = keyed_in(by_id("more"), (m) => m.i,
  (m) => make("li", {}, make("a", { href: `#${m.of}` }, m.text)));

// What the operator should know about the figures themselves.
function news(status) {
  const list = [], ahead = Date.now() - known.latest.now_ms;
  if (known.restarts > 0 || status.uptime_ms < 600000) {
    list.push({ of: "traffic", text: `The server's process started at ${known.started}: all counts begin there` });
  }
  if (status.version !== known.version) {
    list.push({ of: "policy", text: `The server is of version ${status.version} now: load this page again` });
  }
  if (Math.abs(ahead) > 60000) {
    list.push({ of: "traffic", text: `This machine's clock is ${span(Math.abs(ahead))} ${
      ahead > 0 ? "ahead of" : "behind"} the server's: the page shows the server's time` });
  }
  return list;
}

// For a screen reader: changes alone, never the figures of each second, and all that changed
// in one text, because a second one would take the place of the first.
const said = {};
let words = [];
function announce(part, text) {
  if (said[part] === text) return;
  said[part] = text;
  words.push(text);
}
function tell() {
  if (words.length > 0) set_text(by_id("said"), words.join(". "));
  words = [];
}

const hash_of = (status) => {
  const g = (status.generations || []).find((x) => x.generation === status.generation);
  return g ? g.hash : "";
};

const show_refusals = table_in(by_id("refusals-body"), key_of, [
  { title: "Code", value: (r) => r.code, cell: (r, now) => make("button",
    { type: "button", class: "link", on: () => show_detail(now()) }, r.code) },
  { title: "Route", value: (r) => r.route, wrap: true, cell: (r) => make("code", {},
    r.route === "none" ? "no route" : r.route) },
  { title: "Status", n: true, value: (r) => r.status, cell: (r) => (r.status ? String(r.status)
    : "hook raised") },
  { title: "Events", n: true, value: (r) => r.events, cell: (r) => number(r.events) },
  { title: "Share", n: true, value: (r) => r.share, cell: (r) => (r.status === 0 ? "" : make("span", {},
    percent(r.share), meter(r.share, `${percent(r.share)} of all refusals`))) },
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
  const since = s.failing_since_ms ? ` Since ${time(s.failing_since_ms)}.` : "";
  return `${s.why.replace(/[. ]*$/, ".")}${since}${s.next_try_ms
    ? ` Next try at ${time(s.next_try_ms)}.` : ""}`;
}

function state_of(s) {
  // One whose last try has passed waits for more events only.
  const open = (s.endpoints || []).filter((e) => e.breaker === "open"
    || (e.breaker === "half_open" && e.successes === 0));
  if (s.holding) return ["bad", "takes nothing"];
  if (open.length > 0) return ["warn", `breaker ${open[0].breaker.replace("_", "-")}`];
  if (s.retiring) return ["warn", "retiring"];
  if (s.lost + s.skipped > 0) return ["bad", "lost events"];
  return s.left_events > 0 && s.oldest_ms > 60000 + (s.linger_ms || 0) ? ["warn", "behind"] : ["good", "delivers"];
}

const STAGES = { decode: "find the events", check: "compare with the schema",
  policy: "run the hooks", store: "copy into a block", commit: "write to the spool" };

const stage_list = keyed_in(by_id("stages"), (s) => s[0], ([title, big, quiet]) => make("li", {},
  make("b", {}, title), make("span", { class: "big" }, big), make("span", { class: "quiet" }, quiet)));

function show_stages(data) {
  const list = data.stages.filter((s) => STAGES[s.stage])
    .sort((a, b) => Object.keys(STAGES).indexOf(a.stage) - Object.keys(STAGES).indexOf(b.stage));
  stage_list([["accept", `${short(last("requests"))}/s`, `${events(last("waiting") || 0)} in hand`],
    ...list.map((s) => [s.stage, s.n ? millis(s.p50_ms) : "–", s.n
      ? `p99 ${millis(s.p99_ms)} · ${STAGES[s.stage]}` : STAGES[s.stage]]),
    ["sinks", `${short(last("delivered"))}/s`, `${short(last("left"))} to go`]]);
}

const gauges = keyed_in(by_id("spool-body"), (s) => s.name, (s) => make("div", { class: "gauge" },
  make("b", {}, s.name), meter(s.share, `${percent(s.share)} used`),
  make("span", { class: "quiet" }, `${bytes(s.bytes)} of ${bytes(s.max_bytes)}`)));

function show_spool(status) {
  const free = status.spool.disk_free_bytes;
  set_text(by_id("spool-disk"), free === undefined ? "" : `${bytes(free)} free of ${
    bytes(status.spool.disk_bytes)} on the disk`);
  const full = (s) => Number(s.share >= 0.8);
  gauges(status.streams.map((s) => ({ name: s.name, bytes: s.bytes, max_bytes: s.max_bytes,
    share: full_percent(s) / 100 })).sort((a, b) => full(b) - full(a)));
}

const TRIAL = [["Requests", "requests", number], ["Events", "events", number],
  ["Refused", "refusal_rate", percent], ["Hooks that raised", "error_rate", percent],
  ["p50", "p50_ms", millis], ["p99", "p99_ms", millis]];
let trial_key = "", trial_cells = [];

// What it began with, and how it ended. The figures go into the cells that are there, so that
// a narrow screen stays where it was scrolled to.
function show_trial(t, status) {
  const key = t ? JSON.stringify([t.kind, t.generation, t.began_ms, t.result, t.why]) : "";
  if (key !== trial_key) {
    trial_key = key;
    trial_cells = t ? TRIAL.map(() => [make("td", { class: "n" }), make("td", { class: "n" })]) : [];
    by_id("trial").replaceChildren(...(t ? trial_parts(t, status) : []));
  }
  trial_cells.forEach(([old, fresh], i) => {
    const [, name, show_it] = TRIAL[i];
    set_text(old, show_it(t.old[name]));
    set_text(fresh, show_it(t.new[name]));
  });
}

function trial_parts(t, status) {
  const running = t.result === "running" || t.result === "";
  const g = status.generations.find((x) => x.generation === t.generation);
  const head = (text) => make("th", { scope: "col", class: "n" }, text);
  return [make("h3", {}, `${trial_words(t)}${t.why ? ` – ${t.why}` : ""}`),
    make("p", { class: "quiet" }, `${percent(t.share)} of the requests for ${span(t.during_ms)}, since ${time(t.began_ms)}${
      running || !g ? "" : `; it ended at ${time(g.at_ms)}`}`),
    make("div", { class: "wide", tabindex: "0", role: "region", "aria-label": "Evidence" },
      make("table", { "aria-label": "Live and new policy compared" },
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Figure"),
        head(`live (${t.old.generation})`), head(`new (${t.new.generation})`))),
      make("tbody", {}, ...TRIAL.map(([title], i) => make("tr", {},
        make("th", { scope: "row" }, title), ...trial_cells[i]))))),
    ...(running ? [make("p", { class: "quiet" }, "To decide by hand on the server: ",
      make("code", {}, "sluice promote"), " or ", make("code", {}, "sluice rollback"))] : [])];
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

// Events whose hook raised, and that are no refusals: dead letters, or stored as they were.
const raised = (status) => (status.hook_errors || []).filter((x) => x.hook === "on_event"
  && !status.refusals.some((r) => r.route === x.route && r.code === "policy_error"))
  .map((x) => ({ route: x.route, code: "policy_error", status: 0, events: x.errors, share: 0 }));

function show() {
  const status = known.latest.status;
  const all = status.refusals.reduce((n, r) => n + r.events, status.refusals_more_events || 0);
  show_verdict(status);
  show_plots();
  const find = by_id("filter").value.trim().toLowerCase();
  by_id("filter-label").hidden = status.refusals.length < FILTER_FROM && find === "";
  show_refusals([...status.refusals.map((r) => ({ ...r, share: Math.round(1000 * r.events / all) / 1000 })),
    ...raised(status)].filter((r) => `${r.code} ${r.route} ${r.status}`.toLowerCase().includes(find)));
  set_text(by_id("refusals-since"), `By route and code, since ${known.started}. Open one for a sample.`);
  const more = status.refusals_more || 0;
  set_text(by_id("refusals-more"), more === 0 ? "" : `${number(more)} more pairs of route and code have `
    + "fewer events; /metrics has them all.");
  show_stages(known.latest);
  show_sinks(status.sinks);
  show_spool(status);
  show_trial(status.trial, status);
  show_versions(status.generations);
}

// ---- each second ----

// One question at a time: two would each get the rows since the same one.
const SLOW_MS = 1500;
// Told as live again after that: a server that comes and goes is not told each second.
const CALM_MS = 5000;
// A server that is gone for longer may have another address.
const GONE_MS = 15000;
let answered_at = performance.now();

// The page can't follow: its address is the old one.
function moved() {
  const last_load = known.latest && (known.latest.status.generations || [])[0];
  if (last_load && last_load.restart && /\badmin\.listen\b/.test(last_load.why || "")) {
    return "The policy's file has another admin.listen: open this page at that address";
  }
  return performance.now() - answered_at > GONE_MS
    ? "If the server runs, it may have another address now: its log has it (event=ready admin=)" : "";
}

let timer = 0, asking = false, again = false, asked_at = 0, bad_at = -Infinity, generation = "";

function say_live(why) {
  const e = by_id("live");
  // A proxy, or an error, is an answer.
  const since = known.latest ? `No ${/can't be reached|no answer for|does not answer/.test(why) ? "answer" : "figures"} since ${
    time(known.latest.now_ms)}` : "";
  const where = why.includes("can't be reached") ? moved() : "";
  if (!why) answered_at = performance.now();
  e.dataset.on = why ? "0" : "1";
  set_text(e, why ? `stale: ${[why, since, where].filter((x) => x).join(". ")}.` : known.took_ms > SLOW_MS
    ? `live, an answer takes ${span(known.took_ms)}` : "live");
  if (why) {
    bad_at = performance.now();
    if (!(said.live || "").includes("stale")) announce("live", `The figures are stale: ${why}${where ? `. ${where}` : ""}`);
    if (since) {
      by_id("verdict").dataset.state = "unknown";
      set_text(by_id("lost"), `${since}. Until then: ${first}`);
    }
  } else if (said.live && performance.now() - bad_at > CALM_MS) {
    announce("live", "The figures are live again");
  }
  document.body.classList.toggle("stale", why !== "");
  tell();
}

async function tick() {
  if (asking) { again = true; return; }
  clearTimeout(timer);
  asking = true;
  asked_at = performance.now();
  try {
    if (!document.hidden) {
      await look();
      const status = known.latest.status;
      const live = `${status.pid} ${status.spool.epoch} ${status.generation}`;
      if (live !== generation) forget_policies();
      generation = live;
      show();
      say_live("");
      check_token();
    }
  } catch (e) {
    say_live(e.name === "TimeoutError" ? `no answer for ${LATE_MS / 1000} s` : e.message);
  }
  asking = false;
  document.documentElement.dataset.looks = String(Number(document.documentElement.dataset.looks || 0) + 1);
  timer = setTimeout(tick, again ? 0 : EVERY_MS);
  again = false;
}

// While an answer is awaited, too; over a slow network for as long as twice the last one.
setInterval(() => {
  if (!document.hidden && asking && known.latest
    && performance.now() - asked_at > Math.max(2 * EVERY_MS, 2 * known.took_ms)) {
    say_live("the server does not answer");
  }
}, EVERY_MS);

by_id("filter").addEventListener("input", () => { if (known.latest) show(); });

for (const button of document.querySelectorAll("[data-span]")) {
  button.addEventListener("click", () => {
    seconds = Number(button.dataset.span);
    for (const b of document.querySelectorAll("[data-span]")) {
      b.setAttribute("aria-pressed", String(b === button));
    }
    if (known.latest) show_plots();
  });
}
token_used(async () => {
  while (asking) await new Promise((go) => setTimeout(go, 20));
  await tick();
});
document.addEventListener("visibilitychange", () => { if (!document.hidden) tick(); });
window.addEventListener("resize", () => { if (known.latest) show_plots(); });
tick();
