// detail: one refusal, its sample, and the line of the policy that decided it; and the token
// that both need from another machine.
import { bytes, events, lines_of, places_of, shown, span } from "./words.js";
import { make, set_text } from "./parts.js";
import { ask, has_token, known, set_token } from "./server.js";

const by_id = (id) => document.getElementById(id);
const ROUND = 400; // lines before and after the one that is meant
const LINE = 4000, BEFORE = 24; // characters of a line; of a longer one before the code

let wanted = null, opened = null; // the refusal that the token is for; that is shown
let details = 0; // asked for
let policies = new Map(); // by generation

// The live policy may be another one by now.
export function forget_policies() { policies = new Map(); }

export const key_of = (r) => `${r.route} ${r.code} ${r.status}`;

// The row that it was opened from, which may be another element by now.
function return_focus(r) {
  const name = `${key_of(r)} 0`;
  const e = [...document.querySelectorAll("#refusals [data-key]")].find((x) => x.dataset.key === name)
    || by_id("main");
  e.focus({ preventScroll: true });
}

// The server keeps the beginning of a route in a sample: it is of this one if no other of the
// refusals begins so.
const ROUTE = 150;
const is_of = (x, route) => x.route === route || (x.route.length >= ROUTE && route.startsWith(x.route));
const sample_of = (r, list) => list.find((x) => is_of(x, r.route)
  && x.code === r.code && x.status === r.status && known.latest.status.refusals.every((o) =>
    o.route === r.route || o.code !== r.code || x.route === r.route || !is_of(x, o.route)));

function need_token(r) {
  if (known.latest.token === false) {
    return make("p", { class: "empty" }, "Samples and the policy's text are shown on the server's own "
      + "machine alone: the policy sets no admin.token.");
  }
  return make("p", { class: "empty" }, "Samples and the policy's text are shown on the server's own "
    + "machine, or with the token. ", make("button", { type: "button",
      on: () => { wanted = r; say_token(""); } }, "Enter the token"));
}

export async function show_detail(r) {
  const mine = ++details;
  let all = [], why = "";
  try {
    if (known.latest.trusted) all = (await ask(`page.json?since=${known.seq}&samples=1`)).samples || [];
  } catch (e) {
    why = e.message;
  }
  if (mine === details) show_sample(r, sample_of(r, all), why);
}

function show_sample(r, sample, why) {
  const box = by_id("detail"), trusted = known.latest.trusted;
  opened = r;
  const facts = sample ? [["Message", sample.message], ["Field", sample.field], ["Path", sample.path],
    ["Event", sample.index >= 0 ? `number ${sample.index + 1} of its request` : ""],
    ["Seen", `${span(Math.max(0, known.latest.now_ms - sample.at_ms))} ago`],
    ["Decided by", sample.generation ? `policy ${sample.generation}` : ""]] : [];
  const lines = make("div", { id: "lines" });
  box.replaceChildren(make("h2", { id: "detail-title" }, r.code),
    make("p", { class: "quiet" }, `${r.route === "none" ? "no route" : r.route} · ${
      r.status ? `status ${r.status}` : "its hook raised an error"} · ${events(r.events)}`),
    ...(trusted ? [] : [need_token(r)]),
    ...(why ? [make("p", { class: "empty" }, `No sample: ${why}`)] : []),
    ...(trusted && !why && !sample ? [make("p", { class: "empty" },
      "The server has no sample of it: it keeps 256 in memory, the last of each route and code.")] : []),
    ...(facts.length ? [make("h3", {}, "Last one"), make("dl", {}, ...facts.filter((f) => f[1])
      .flatMap(([k, v]) => [make("dt", {}, k), make("dd", {}, v)]))] : []),
    ...(sample && sample.raw ? [make("h3", {}, sample.bytes > sample.raw.length
      ? `The first part of ${bytes(sample.bytes)}` : "As sent"),
    make("pre", { class: "raw", tabindex: "0", "aria-label": "The event as sent" }, sample.raw)] : []),
    lines,
    make("div", { class: "buttons" },
      trusted ? make("button", { type: "button", class: "main", id: "to-line",
        on: () => show_lines(r, sample, lines) }, "Show the line of the policy") : null,
      make("button", { type: "button", on: () => box.close() }, "Close")));
  if (!box.open) box.showModal();
}

by_id("detail").addEventListener("close", () => {
  if (by_id("detail").open) return;
  const r = opened;
  opened = null;
  if (r && !by_id("token").open) return_focus(r);
});

// ---- the line ----

// The policy that decided, while the server has it; otherwise the live one.
async function policy_of(generation) {
  const name = generation || known.latest.status.generation;
  if (!policies.has(name)) {
    policies.set(name, await ask(`policy.json${generation ? `?generation=${generation}` : ""}`));
  }
  return policies.get(name);
}

const hash_of = (generation) => (known.latest.status.generations.find((g) => g.generation === generation) || {}).hash;

// What the reader must know before believing the line.
function changed(sample, policy) {
  const live = known.latest.status.generation, by = sample && sample.generation;
  if (!by) return "";
  if (policy.generation !== by) {
    return hash_of(by) && hash_of(by) === hash_of(policy.generation) ? "" : `Policy ${by} refused the event, and the server `
      + `does not have it any more. This is policy ${policy.generation}: its lines may be others.`;
  }
  return by === live ? "" : `This is policy ${by}, which refused the event. Policy ${live} is live now.`;
}

async function show_lines(r, sample, lines) {
  const say = (text) => {
    lines.replaceChildren(make("p", { class: "empty", role: "alert" }, text));
  };
  let policy;
  try {
    policy = await policy_of(sample ? sample.generation : 0);
  } catch (e) {
    say(e.message);
    if (e.status === 401) lines.append(need_token(r));
    return;
  }
  const route = policy.routes.find((x) => x.route === r.route), note = changed(sample, policy);
  if (!route && r.route !== "none" && r.route !== "other") {
    say(`Policy ${policy.generation} has no route ${r.route}: it was taken out since.`);
    return;
  }
  const list = places_of(policy.files, route, r.code, sample ? sample.field : "",
    sample ? sample.message : "");
  if (list.length === 0) {
    say("No line of the policy decides this: the server itself refuses such requests.");
    return;
  }
  show_place(lines, policy, list, 0, r.code, note);
}

// A long line as it is around the code.
function part_of(text, code) {
  const at = text.indexOf(code);
  return text.length > LINE && at > BEFORE ? `… ${text.slice(at - BEFORE)}` : text;
}

// One of the places, and buttons for the others.
function show_place(lines, policy, list, k, code, note) {
  const at = list[k], file = policy.files.find((f) => f.file === at.file) || { text: "" };
  const all = lines_of(file.text), from = Math.max(0, at.line - 1 - ROUND);
  const some = all.slice(from, at.line + ROUND);
  const rest = (n, where) => (n > 0 ? [make("span", { class: "row quiet" }, `${n} ${n === 1 ? "line" : "lines"} ${where}`)] : []);
  const pre = make("pre", { tabindex: "0", "aria-label": `${at.file}, line ${at.line}` },
    ...rest(from, "before"), ...some.map((text, i) => {
      const here = from + i + 1 === at.line;
      return make("span", { class: here ? "row here" : "row", "aria-current": here ? "true" : null },
        make("span", { class: "no" }, String(from + i + 1)),
        document.createTextNode(shown(here ? part_of(text, code) : text, LINE)));
    }), ...rest(all.length - from - some.length, "after"));
  const others = list.map((p, i) => (i === k ? null : make("button", { type: "button", class: "link",
    on: () => show_place(lines, policy, list, i, code, note) }, `${p.file}:${p.line}`)));
  lines.replaceChildren(make("h3", {}, `${at.file}:${at.line}`),
    ...(note ? [make("p", { class: "note" }, note)] : []),
    ...(at.line > all.length ? [make("p", { class: "note" }, `The file has only ${all.length} ${all.length === 1 ? "line" : "lines"}.`)] : []),
    ...(list.length > 1 ? [make("p", { class: "quiet also" }, "The code also stands at ", ...others)] : []), pre);
  const here = pre.querySelector(".here");
  if (here) pre.scrollTop = here.offsetTop - pre.offsetTop - pre.clientHeight / 2;
  // The button that was used may be gone: a keyboard goes on in the lines.
  pre.focus({ preventScroll: true });
  pre.scrollIntoView({ block: "nearest" });
}

// ---- the token ----

function say_token(text) {
  set_text(by_id("token-why"), text);
  by_id("detail").close(); // its event comes when the other is open
  by_id("token").returnValue = "";
  by_id("token-text").value = "";
  if (!by_id("token").open) by_id("token").showModal();
}

// A token that the server does not know is told, and not sent again.
export function check_token() {
  if (!has_token() || known.latest.trusted) return;
  set_token("");
  wanted = wanted || opened;
  say_token("The server does not know this token.");
}

// again: asks the server with the new token.
export function token_used(again) {
  by_id("token").addEventListener("close", async () => {
    const text = by_id("token-text").value.trim(), r = wanted;
    by_id("token-text").value = "";
    if (by_id("token").returnValue !== "ok" || text === "") {
      wanted = null;
      if (r) return_focus(r);
      return;
    }
    if (!/^[!-~]+$/.test(text)) {
      say_token("A token has letters, digits and signs of ASCII, without spaces.");
      return;
    }
    set_token(text);
    forget_policies();
    await again();
    if (r && known.latest.trusted) { wanted = null; show_detail(r); }
  });
}
