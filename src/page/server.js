// server: asks for the figures, and keeps what the page knows: the last answer, the rows of
// the plots, and the marks of what happened meanwhile.
import { trial_words } from "./words.js";

export const LATE_MS = 20000;
const ROWS = 1800, MARKS = 200;
// A clock that moved so far was set.
const JUMP_MS = 5000;

// ---- the token ----

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
export const has_token = () => token !== "";
export function set_token(text) { token = kept(text); }

// ---- questions ----

// rows: of the plots; columns: their names; marks: what happened, by a key; version: of the
// server that gave this page; minute_ago: { faults } of up to a minute ago.
export const known = { latest: null, latest_at: 0, rows: [], columns: [], seq: 0, took_ms: 0,
  marks: new Map(), version: "", started: "", restarts: 0, minute_ago: null };
let began = "", clock_offset = 0;

// Paths are relative: a proxy may add one in front. The address of the page may hold a password
// for that proxy, which a browser sends by itself and refuses in the address of a question. It
// goes as Authorization: so the token has a header of its own.
export async function ask(path) {
  const asked_at = performance.now();
  const answer = await fetch(new URL(path, location.origin + location.pathname), {
    cache: "no-store", credentials: "same-origin", signal: AbortSignal.timeout(LATE_MS),
    headers: token ? { "Sluice-Token": token } : {} }).catch((e) => {
    throw e.name === "TimeoutError" ? e : new Error("the server can't be reached");
  });
  if (!answer.ok) {
    const why = await answer.json().catch(() => null);
    const told = (why && why.detail) || (answer.status === 401 || answer.status === 407
      ? `a proxy in front asks for a password (${answer.status}): load this page again`
      : `the server answered ${answer.status}`);
    throw Object.assign(new Error(told), { status: answer.status });
  }
  const data = await answer.json().catch((e) => {
    throw e.name === "TimeoutError" ? e : new Error("the answer is cut, or no JSON: a proxy "
      + "in front may have made it");
  });
  if (data === null || typeof data !== "object") throw new Error("the answer has no figures");
  known.took_ms = performance.now() - asked_at;
  return data;
}

// Rows of the process before stay, with a gap: what an upgrade did is seen. It may be of a
// version with other columns.
function joined(old, names, fresh, columns) {
  if (old.length === 0) return fresh;
  const places = columns.map((name) => names.indexOf(name));
  const before = (fresh.length ? old.filter((r) => r[0] < fresh[0][0]) : old)
    .map((r) => places.map((i) => (i < 0 ? null : r[i])));
  const end = before.length ? before[before.length - 1][0] : old[0][0] - 1;
  return [...before, [end + 1, ...columns.slice(1).map(() => null)], ...fresh];
}

// ---- what happened ----

function mark(key, at_ms, text) {
  const old = known.marks.get(key);
  if (old && old.text === text) return;
  known.marks.set(key, { at_ms: old ? old.at_ms : at_ms, text });
}

function mark_process(data, before) {
  const status = data.status, at_ms = data.now_ms - status.uptime_ms;
  // In a container another process may have the same number, but it begins at 0.
  if (before && before.pid === status.pid && status.uptime_ms >= before.uptime_ms) {
    mark(began, at_ms, `Process ${status.pid} serves again: the one that was to take its place failed`);
  } else if (before) {
    mark(began, at_ms, status.began === "upgrade"
      ? `Upgrade: process ${status.pid} took the place of process ${before.pid}`
      : `Process ${status.pid} started. Process ${before.pid} ${before.stopping ? "was stopped"
        : "ended without a drain"}`);
  } else if (status.uptime_ms < ROWS * 1000) {
    mark(began, at_ms, `Process ${status.pid} started${status.began === "upgrade" ? " by an upgrade" : ""}`);
  }
}

function mark_changes(data) {
  const status = data.status, upgrade = status.upgrade || {}, trial = status.trial;
  for (const g of status.generations || []) {
    // That of the start is told by the process.
    if (g.cause !== "start") {
      mark(`${began} ${g.generation}`, g.loaded_ms, g.status === "refused"
        ? `Policy ${g.generation} was refused: ${g.why || ""}`
        : `Policy ${g.generation} was loaded by ${g.cause}; its state now: ${g.status}`);
    }
  }
  if (trial && trial.result && trial.result !== "running") {
    const g = (status.generations || []).find((x) => x.generation === trial.generation);
    mark(`${began} ${trial.kind} ${trial.generation}`, g ? g.at_ms : data.now_ms, `${
      trial_words(trial)}${trial.why ? `: ${trial.why}` : ""}`);
  }
  if (upgrade.failed > 0) {
    mark(`${began} upgrade ${upgrade.failed}`, data.now_ms, `An upgrade failed: ${upgrade.why}`);
  }
  const list = [...known.marks].filter(([, m]) => data.now_ms - m.at_ms < ROWS * 1000);
  known.marks = new Map(list.slice(-MARKS));
}

// Faults of the last minute, the oldest first, by the server's own time: the browser's stands
// still while its machine sleeps. Another process counts from 0, also where it has the same
// number, as in a container.
let minute = [];
const MINUTE_MS = 60000;

function note_faults(status, other) {
  const at = status.uptime_ms;
  const anew = other || (minute.length > 0 && at < minute[minute.length - 1].at);
  minute = [...(anew ? [] : minute), { at, faults: status.faults }];
  while (minute.length > 1 && at - minute[0].at > MINUTE_MS) minute.shift();
  known.minute_ago = minute[0];
}

// ---- answers ----

// False: the rows before are of another process, or of a clock that was set since. All are
// asked for again then.
function take(data) {
  if (!data.status || !Array.isArray(data.rows)) throw new Error("the answer has no figures");
  const who = `${data.status.pid} ${data.status.spool.epoch}`;
  const offset = data.now_ms - performance.now() + known.took_ms / 2;
  const next = data.first === known.seq, fresh = data.rows, end = known.rows[known.rows.length - 1];
  const other = who !== began, set = Math.abs(offset - clock_offset) > JUMP_MS + known.took_ms
    || (!other && next && end && fresh.length > 0 && fresh[0][0] <= end[0]);
  if ((other || set) && known.seq > 0 && data.first > 0) {
    known.seq = 0;
    return false;
  }
  const names = known.columns, before = known.latest && known.latest.status;
  note_faults(data.status, other);
  known.columns = data.columns;
  if (set || !(other || next)) known.rows = [];
  if (set) known.marks = new Map();
  clock_offset = offset;
  began = who;
  if (other) {
    known.started = new Date(data.now_ms - data.status.uptime_ms).toLocaleTimeString();
    known.restarts += before ? 1 : 0;
    known.version = known.version || data.status.version;
  }
  if (other || set) mark_process(data, other ? before : null);
  mark_changes(data);
  known.rows = (other ? joined(known.rows, names, fresh, data.columns) : known.rows.concat(fresh))
    .slice(-ROWS);
  known.seq = data.seq;
  known.latest = data;
  known.latest_at = performance.now();
  return true;
}

export async function look() {
  if (!take(await ask(`page.json?since=${known.seq}`))) take(await ask("page.json?since=0"));
}
