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
const times = (n) => `${number(n)} ${n === 1 ? "time" : "times"}`;

const sum = (list, f) => list.reduce((n, x) => n + f(x), 0);
const named = (list) => list.slice(0, TOLD).map((x) => x.name).join(", ")
  + (list.length > TOLD ? ` and ${number(list.length - TOLD)} more` : "");

// What a sink gave up for good.
const given_up = (sink) => sink.lost + sink.skipped;

// What is wrong, with the bounds of "sluice status" (cli/watch/facts.c, cli/watch/condition.c), which are
// those of the alerts.
// before: { faults } of up to a minute ago, so that counts that grow are told apart from old
// ones; null: none.
const LATE_MS = 60000, FULL = 80, DISK_FULL = 0.9, CERTIFICATE_S = 14 * 86400;
const MUCH = 0.04, MANY = 20, TOLD = 5;
const percent_of = (share) => `${Math.round(share * 100)} %`;

function server_news(status) {
  const list = [], tell = (state, of, text) => list.push({ state, of, text });
  const last = (status.generations || [])[0] || {}, trial = status.trial;
  if (status.stopping) {
    tell("warn", "policy", "The server stops: it finishes requests and sinks, then it ends");
  } else if (status.draining) {
    tell("warn", "policy", "The server drains: its health is 503 (sluice drain --undo lets "
      + "clients come back)");
  }
  if (status.silent) {
    tell("bad", "stages", `The thread ${status.silent.thread} has not come back for ${
      span(status.silent.ms)}: what it serves waits`);
  }
  if (last.status === "refused") {
    tell("bad", "policy", `The last load of the policy was refused: ${shown(last.why || "", 240)}; `
      + `generation ${status.generation} stays live, but a restart would ${
        last.restart ? "take the policy of the file" : "fail"}`);
  }
  if (trial && trial.kind === "canary" && trial.result === "rolled_back"
    && trial.why !== "by hand" && trial.generation === last.generation) {
    tell("bad", "policy", `The canary of generation ${trial.generation} was rolled back: ${shown(trial.why || "", 240)}; `
      + "a restart would take the policy of the file");
  } else if (trial && (trial.result === "running" || !trial.result)) {
    tell("", "policy", `A ${trial.kind} runs: generation ${trial.generation}`);
  }
  for (const c of status.certificates || []) {
    if (c.renewal_failing) {
      tell("bad", "policy", `A changed certificate of ${c.listener} can't be used, and the one before stays: mend `
        + "the files; the log has the reason (event=certificate status=failed)");
    }
    // A certificate that lives for a few days is renewed in time with fewer left.
    if (c.expires_seconds < Math.min(CERTIFICATE_S, c.lifetime_seconds / 4 || CERTIFICATE_S)) {
      tell("bad", "policy", c.expires_seconds > 0 ? `The certificate of ${c.listener} expires in ${
        span(1000 * c.expires_seconds)}` : `The certificate of ${c.listener} has expired, or is not valid yet: clients refuse it`);
    }
  }
  if (status.upgrade && status.upgrade.under_way) {
    tell("", "policy", "An upgrade is under way: another process takes this one's place");
  } else if (status.upgrade && status.upgrade.failed > 0) {
    tell("warn", "policy", `An upgrade failed, the old process serves: ${shown(status.upgrade.why, 240)}`);
  }
  return list;
}

// Clients see that the room in a stream's segments ends, an alert what they take on the disk:
// whichever is more, as cli/watch/condition.c has it.
export const full_percent = (s) => Math.max(s.used_percent || 0,
  s.max_bytes > 0 ? 100 * s.bytes / s.max_bytes : 0);

function spool_news(status) {
  const list = [], tell = (state, of, text) => list.push({ state, of, text });
  const spool = status.spool || {};
  const fullest = [...(status.streams || [])].sort((a, b) => full_percent(b) - full_percent(a))[0];
  if (spool.writable === false) {
    tell("bad", "spool", `The spool cannot be written: clients get 503 and must send again${
      spool.why ? ` (${shown(spool.why, 240)})` : ""}`);
  } else if (fullest && full_percent(fullest) >= FULL) {
    tell("bad", "spool", `The stream ${fullest.name} is ${Math.round(full_percent(fullest))} % full`);
  } else if (spool.used_percent >= FULL) {
    tell("bad", "spool", `The spool is ${spool.used_percent} % full`);
  }
  if (spool.disk_bytes > 0 && 1 - spool.disk_free_bytes / spool.disk_bytes >= DISK_FULL) {
    tell("bad", "spool", `The disk is ${percent_of(1 - spool.disk_free_bytes / spool.disk_bytes)
      } full: it has only ${bytes(spool.disk_free_bytes)} left`);
  }
  return list;
}

function event_news(status, before) {
  const list = [], tell = (state, of, text) => list.push({ state, of, text });
  const faults = status.faults || {}, old = before ? before.faults || {} : faults;
  const grown = (name) => (faults[name] || 0) - (old[name] || 0);
  if (grown("store_failures") > 0) {
    tell("bad", "spool", `${events(grown("store_failures"))} could not be written to the disk in the `
      + `last minute: ${grown("store_failures") === 1 ? "its client" : "their clients"} got 503 and must send again`);
  }
  if (faults.damaged_blocks > 0) {
    tell("bad", "spool", `${number(faults.damaged_blocks)} damaged ${
      faults.damaged_blocks === 1 ? "block was" : "blocks were"} found, with ${
      events(faults.damaged_events)}: the bytes are in spool/damaged`);
  }
  const raised = status.hook_errors || [];
  if (grown("hook_errors") > 0 || raised.length > 0) {
    tell(grown("hook_errors") > 0 ? "bad" : "", "refusals", "Hooks raised an error "
      + (grown("hook_errors") > 0 ? `${times(grown("hook_errors"))} in the last minute, ` : "")
      + `${times(faults.hook_errors || 0)} since the start`
      + (raised.length > 0 ? `, most by ${raised[0].hook} of ${shown(raised[0].route, 160)}` : ""));
  }
  const refusing = status.refusing || {}, much = (n, of) => n >= MANY && n >= MUCH * of;
  const told = (refusing.codes || []).filter((x) =>
    x.route !== "none" && much(x.recent, x.recent_received));
  const tell_refused = (x, by) => tell("warn", "refusals", `${shown(x.route, 160)} refused ${
    percent_of(Math.min(1, x.recent / (x.recent_received || 1)))} of its events in the last ${
    span(1000 * refusing.recent_seconds)} ${by}`);
  for (const c of told.slice(0, TOLD)) tell_refused(c, `with ${c.code}`);
  // What the codes leave that have lines of their own: many may refuse little each.
  const routes = (refusing.routes || []).filter((x) => much(x.recent - sum(told.filter((c) =>
    c.route === x.route), (c) => c.recent), x.recent_received));
  for (const x of routes.slice(0, TOLD)) {
    tell_refused(x, `by all codes together${x.most ? `, most with ${x.most}` : ""}`);
  }
  const others = Math.max(0, told.length - TOLD) + Math.max(0, routes.length - TOLD);
  if (others > 0) {
    const unlisted = (refusing.more || 0) + (refusing.routes_more || 0);
    tell("warn", "refusals", `${unlisted > 0 ? "At least " : ""}${others} more ${
      others === 1 ? "code or route" : "codes or routes"} refused much of a route's events in the last ${
      span(1000 * refusing.recent_seconds)}: the table of refusals has them`);
  }
  return list;
}

// What counters tell, in the server's words, which are those of "sluice status".
const PARTS = { sync_fails: "spool", policy_dead: "refusals", records_lost: "refusals",
  hook_stopped: "refusals", dedup_forgets: "refusals", limit_forgets: "refusals",
  limit_refuses: "refusals", function_fails: "sinks", kafka_resends: "sinks",
  index_drops: "spool", places_lost: "sinks" };
const COUNTED = 10;
const capital = (text) => text.slice(0, 1).toUpperCase() + text.slice(1);

function counted_news(status) {
  return (status.counted || []).slice(0, COUNTED).map((c) => ({ of: PARTS[c.what] || "traffic",
    state: c.recent > 0 && !c.mild ? "warn" : "",
    text: c.recent > 0 ? `${capital(shown(c.text, 400))}. To do: ${c.next}` : capital(shown(c.text, 400)) }));
}

// The first few of them; the table has all, so that the list is no longer than a screen.
function few(list, text_of, rest) {
  const told = list.slice(0, TOLD).map((s) => text_of(s)), n = list.length - told.length;
  return n > 0 ? [...told, `${number(n)} more ${n === 1 ? "sink" : "sinks"} ${rest(n)}: the table of sinks has ${
    n === 1 ? "it" : "them"}`] : told;
}

function sink_news(sinks, lost) {
  const late = sinks.filter((s) => s.holding || s.oldest_ms > LATE_MS + (s.linger_ms || 0));
  return [...few(late, (s) => (s.holding ? `The sink ${s.name} takes nothing now: ${shown(s.why, 240)}`
    : `The sink ${s.name} is ${span(s.oldest_ms)} behind`),
  (n) => (n === 1 ? "takes nothing or is behind" : "take nothing or are behind"))
    .map((text) => ({ state: "warn", text })),
  ...few(lost, (s) => `${s.name}: ${events(s.lost)} lost by the spool, ${
    events(s.skipped)} skipped because the sink was too far behind, or the spool lost them`, () => "lost events")
    .map((text) => ({ state: "", text }))];
}

// { state, first, more }: the answer to "is anything lost?", in words, and what else an
// operator should know. more: { text, of } (of: the part of the page).
export function verdict(status, before = null) {
  const sinks = status.sinks || [];
  const lost = sinks.filter((s) => given_up(s) > 0);
  const dead = sum(sinks, (s) => s.dead);
  const left = sum(sinks, (s) => s.left_events);
  const more = [];
  let state = "good";
  const worse = (to) => { state = state === "bad" || to === "bad" ? "bad" : to; };
  const oldest = Math.max(0, ...sinks.map((s) => s.oldest_ms || 0));
  const first = lost.length === 0 ? "Nothing is lost."
    : `${events(sum(lost, given_up))} will never reach ${named(lost)}.`;
  if (lost.length > 0) worse("bad");
  // Those whose hook raised are no sink's.
  const letters = dead > 0 || ((status.events || {}).dead || 0) > 0;
  const waits = left === 0 ? ` Every ${lost.length > 0 ? "other " : ""}accepted event is delivered${
    letters ? ", or is a dead letter" : ""}.`
    : ` ${events(left)} ${left === 1 ? "waits" : "wait"} for ${
      sinks.filter((s) => s.left_events > 0).length === 1
        ? `the sink ${named(sinks.filter((s) => s.left_events > 0))}` : "sinks"}${
      oldest >= 1000 ? `, the oldest for ${span(oldest)}` : ""}.`;
  for (const t of sink_news(sinks, lost)) {
    if (t.state) worse(t.state);
    more.push({ of: "sinks", text: t.text });
  }
  if (dead > 0) {
    worse("warn");
    more.push({ of: "sinks", text: `${events(dead)} became ${dead === 1 ? "a dead letter: it is" : "dead letters: they are"} kept, and `
      + "can be sent again (sluice dead list)" });
  }
  for (const x of [...spool_news(status), ...event_news(status, before), ...counted_news(status),
    ...server_news(status)]) {
    if (x.state) worse(x.state);
    more.push({ of: x.of, text: x.text });
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
const HIDES = new RegExp("[\\0-\\x08\\x0b-\\x1f\\x7f-\\x9f\\xad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180e\\u200b\\u200e\\u200f\\u2028-\\u202e"
  + "\\u2060-\\u206f\\u3164\\ufeff\\uffa0\\ufff9-\\ufffb\\u{e0000}-\\u{e007f}\\p{Cs}]", "gu");
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
