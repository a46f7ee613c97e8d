// words: figures as people read them, and the first line's answer. Nothing here touches
// the document, so that Node can test it.

export const number = (n) => {
  if (n === null || n === undefined || !Number.isFinite(n)) return "–";
  if (n < 10 && n !== Math.round(n)) return n.toFixed(1);
  return Math.round(n).toLocaleString("en-US");
};

export const short = (n) => {
  if (n === null || n === undefined || !Number.isFinite(n)) return "–";
  for (const [size, letter] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (n >= size) {
      const v = n / (letter === "k" ? 1e3 : size);
      return `${v >= 100 ? Math.round(v) : v.toFixed(1)} ${letter}`;
    }
  }
  return number(n);
};

export const bytes = (n) => {
  if (!Number.isFinite(n)) return "–";
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let k = 0;
  while (n >= 1024 && k < units.length - 1) { n /= 1024; k++; }
  return `${k === 0 || n >= 100 ? Math.round(n) : n.toFixed(1)} ${units[k]}`;
};

export const millis = (ms) => {
  if (!Number.isFinite(ms)) return "–";
  if (ms === 0) return "0";
  if (ms < 1) return `${Math.max(1, Math.round(ms * 1000))} µs`;
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  return span(ms);
};

export const span = (ms) => {
  if (!Number.isFinite(ms)) return "–";
  const s = Math.max(0, ms) / 1000;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  if (s < 172800) return `${Math.round(s / 3600)} h`;
  return `${Math.round(s / 86400)} days`;
};

export const events = (n) => `${number(n)} ${n === 1 ? "event" : "events"}`;

const sum = (list, f) => list.reduce((n, x) => n + f(x), 0);
const named = (list) => list.map((x) => x.name).join(", ");

// What a sink gave up for good.
const given_up = (sink) => sink.lost + sink.skipped;

// Each: [state or "", part of the page, text], as `sluice status` tells it.
function spool_facts(status) {
  const spool = status.spool || {}, list = [];
  if (spool.writable === false) {
    list.push(["bad", "spool", "The spool cannot be written: clients get 503 and must send again"]);
  }
  if (spool.used_percent >= 80) {
    list.push([spool.used_percent >= 95 ? "bad" : "warn", "spool", `The spool is ${spool.used_percent} % full`]);
  }
  if (spool.disk_bytes > 0 && spool.disk_free_bytes / spool.disk_bytes < 0.1) {
    list.push(["warn", "spool", `The disk has only ${bytes(spool.disk_free_bytes)} left`]);
  }
  return list;
}

function policy_facts(status) {
  const last = (status.generations || [])[0], t = status.trial, list = [];
  if (last && last.status === "refused") {
    list.push(["warn", "policy", `The last load of the policy was refused: ${shown(last.why || "", 240)}. Generation ${
      status.generation} stays live, but a restart would fail`]);
  }
  if (t && t.kind === "canary" && t.result === "rolled_back" && t.why !== "by hand"
    && last && last.generation === t.generation) {
    list.push(["warn", "policy", `The canary of generation ${t.generation} was rolled back: ${shown(t.why, 240)}. `
      + `Generation ${status.generation} stays live, but a restart would take the policy of the file`]);
  } else if (t && (t.result === "running" || !t.result)) {
    list.push(["", "policy", `A ${t.kind} runs: generation ${t.generation}`]);
  }
  const raised = status.hook_errors || [];
  if (raised.length > 0) {
    list.push([status.raises ? "warn" : "", "refusals", `Hooks raised an error ${number(sum(raised, (x) => x.errors))} times `
      + `since the start, most by ${raised[0].hook} of ${shown(raised[0].route, 160)}`]);
  }
  return list;
}

function process_facts(status) {
  const upgrade = status.upgrade || {}, list = [];
  if (status.stopping) {
    list.push(["warn", "policy", "The server stops: it finishes requests and sinks first"]);
  } else if (status.draining) {
    list.push(["warn", "policy", "The server drains: its health is 503"]);
  }
  if (status.silent) {
    list.push(["bad", "traffic", `The thread ${status.silent.thread} has not come back for ${
      span(status.silent.ms)}: what it serves waits`]);
  }
  if (upgrade.under_way) {
    list.push(["", "policy", "An upgrade is under way: another process takes this one's place"]);
  } else if (upgrade.failed > 0) {
    list.push(["warn", "policy", `An upgrade failed, the old process serves: ${shown(upgrade.why, 240)}`]);
  }
  return list;
}

// { state, first, more }: the answer to "is anything lost?", in words, and what else an
// operator should know. more: { text, of } (of: the part of the page).
export function verdict(status) {
  const sinks = status.sinks || [];
  const lost = sinks.filter((s) => given_up(s) > 0);
  const dead = sum(sinks, (s) => s.dead);
  const left = sum(sinks, (s) => s.left_events);
  const held = sinks.filter((s) => s.holding);
  const more = [];
  let state = "good";
  const worse = (to) => { state = state === "bad" || to === "bad" ? "bad" : to; };
  const oldest = Math.max(0, ...sinks.map((s) => s.oldest_ms || 0));
  const first = lost.length === 0 ? "Nothing is lost."
    : `${events(sum(lost, given_up))} will never reach ${named(lost)}.`;
  if (lost.length > 0) worse("bad");
  const waits = left === 0 ? " Every accepted event is delivered."
    : ` ${events(left)} ${left === 1 ? "waits" : "wait"} for ${
      sinks.filter((s) => s.left_events > 0).length === 1
        ? `the sink ${named(sinks.filter((s) => s.left_events > 0))}` : "sinks"}${
      oldest >= 1000 ? `, the oldest for ${span(oldest)}` : ""}.`;
  for (const s of held) {
    worse("warn");
    more.push({ of: "sinks", text: `The sink ${s.name} takes nothing now: ${shown(s.why, 240)}` });
  }
  for (const s of lost) {
    more.push({ of: "sinks", text: `${s.name}: ${events(s.lost)} lost by the spool, ${
      events(s.skipped)} skipped because the sink was too far behind` });
  }
  if (dead > 0) {
    worse("warn");
    more.push({ of: "sinks", text: `${events(dead)} became dead letters: they are kept, and `
      + "can be sent again (sluice dead list)" });
  }
  if (oldest > 300000 && held.length === 0) {
    worse("warn");
    more.push({ of: "sinks", text: `A sink is ${span(oldest)} behind` });
  }
  for (const [to, of, text] of [...spool_facts(status), ...policy_facts(status), ...process_facts(status)]) {
    if (to) worse(to);
    more.push({ of, text });
  }
  return { state, first: first + waits, more };
}

// What is worth telling of a verdict, without the figures that change each second. A digit
// of a name is no figure.
export const gist = (v) => [v.first.split(". ")[0], ...v.more.map((m) => m.text)].join(". ")
  .replace(/(?<![\w.:-])\d[\d.,]*( (ms|s|min|h|days))?(?![\w-])/g, "some");

// "Canary of generation 2: rolled back".
export const trial_words = (t) => `${t.kind === "canary" ? "Canary" : "Shadow"} of generation ${
  t.generation}: ${(t.result || "running").replace("_", " ")}`;

// A text as it is shown: a character that hides, or turns the text after it around, by its
// number; cut, since a client or a peer may send any length.
const MOST = 600;
const HIDES = new RegExp("[\\0-\\x08\\x0b-\\x1f\\x7f-\\x9f\\xad\\u061c\\u200b\\u200e\\u200f\\u2028-\\u202e"
  + "\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb\\u{e0000}-\\u{e007f}\\p{Cs}]", "gu");
export const shown = (text, most = MOST) => {
  const t = text.length > most ? `${text.slice(0, most)} … (${number(text.length)} characters)` : text;
  return t.replace(HIDES, (c) => `\\u${c.codePointAt(0).toString(16).padStart(4, "0")}`);
};

// As Lua counts them.
export const lines_of = (text) => text.split(/\r\n|\n\r|\n|\r/);

// The line that a hook's error names: "policy:conf/checks.lua:7: ...", of a long path its end.
function raised_at(files, message) {
  const found = /(?:^|[\s:(])(\.\.\.)?([^\s"'(]*?\.lua):(\d+):/.exec(message || "");
  if (!found) return null;
  const path = found[2].replace(/^policy:/, "");
  const file = files.find((f) => f.file === path) || files.find((f) => f.file.endsWith(path));
  return file ? { file: file.file, line: Number(found[3]) } : null;
}

// Where in the policy a refusal comes from: [{ file, line }], the likeliest first. files:
// of /policy.json; route: too, with its place, and those of its hooks and fields; message: of
// the sample.
export function places_of(files, route, code, field, message = "") {
  const list = [];
  const add = (file, line) => {
    if (line > 0 && !list.some((p) => p.file === file && p.line === line)) list.push({ file, line });
  };
  const hooks = route ? route.hooks : [];
  if (code === "policy_error") {
    const at = raised_at(files, message);
    if (at) add(at.file, at.line);
    for (const k of at ? [] : hooks) add(k.file, k.line);
    if (list.length > 0) return list;
  }
  if (route && field) {
    const f = (route.fields || []).find((x) => x.field === field);
    const schema = /^schema at (.*):(\d+)$/.exec(route.schema || "");
    if (f) add(f.file, f.line);
    else if (schema) add(schema[1], Number(schema[2]));
    if (list.length > 0) return list;
  }
  const word = new RegExp(`(["'])${code.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}\\1`);
  const found = files.flatMap((f) => lines_of(f.text).map((text, i) => ({ file: f.file, line: i + 1,
    is: word.test(text.replace(/^\s*--.*$/, "")) })).filter((p) => p.is));
  const rank = (p) => (hooks.some((k) => k.file === p.file && k.line <= p.line && p.line <= k.end) ? 0
    : hooks.some((k) => k.file === p.file) ? 1 : route && route.file === p.file ? 2 : 3);
  found.sort((a, b) => rank(a) - rank(b));
  // A hook's own line leaves no doubt.
  for (const p of found.filter((x) => rank(found[0]) > 0 || rank(x) === 0)) add(p.file, p.line);
  if (list.length === 0 && route) add(route.file, route.line);
  return list.slice(0, 8);
}
