// What the scripts share: events, requests, thresholds. README.md explains how to run them.
import http from "k6/http";
import { check } from "k6";
import exec from "k6/execution";
import { Counter, Rate } from "k6/metrics";

const base = __ENV.BASE_URL || "http://127.0.0.1:8080";
// SCALE=0.1 makes every stage a tenth as long, RATE=0.1 every rate a tenth as high.
const scale = Number(__ENV.SCALE || 1);
const rates = Number(__ENV.RATE || 1);
// Other runs of the same script have other ids.
const run = __ENV.RUN || String(Date.now());

export const accepted = new Counter("events_accepted");
export const full = new Rate("answers_full"); // 503: no room, send again later

/** A stage's length, in seconds of a whole run. */
export function long(seconds) {
  return `${Math.max(1, Math.round(seconds * scale * 1000))}ms`;
}

/** A rate a second, or a number of virtual users. */
export function many(n) {
  return Math.max(1, Math.round(n * rates));
}

// For every script. What is refused on purpose (mixed.js) does not count as failed.
export const thresholds = {
  http_req_duration: ["p(95)<60", "p(99)<80"],
  http_req_failed: ["rate<0.001"],
  checks: ["rate>0.999"],
  events_accepted: ["count>0"],
};

const types = ["click", "impression", "install", "purchase"];

/** An event of the quickstart's schema; each has an id of its own. */
export function event(n) {
  const id = `k6-${run}-${exec.scenario.name}-${exec.scenario.iterationInTest}-${n}`;
  const type = types[(exec.scenario.iterationInTest + n) % types.length];
  const e = {
    event_id: id,
    event_type: type,
    user_id: `user-${(exec.scenario.iterationInTest * 7919 + n) % 100000}`,
    timestamp: new Date().toISOString(),
    properties: { page: "/checkout/payment", source: "k6" },
  };
  return type === "purchase" ? { ...e, value: 9.9 } : e;
}

/**
 * A request for http.batch or send(): n events, or a single one.
 * @returns {["POST", string, string, object]}
 */
export function request(n) {
  const params = { headers: { "Content-Type": "application/json" },
    tags: { kind: n === 1 ? "single" : "batch" } };
  if (n === 1) {
    return ["POST", `${base}/v1/events`, JSON.stringify(event(0)), params];
  }
  const events = [];
  for (let i = 0; i < n; i++) {
    events.push(event(i));
  }
  return ["POST", `${base}/v1/events/batch`, JSON.stringify(events), params];
}

/** Checks an answer of n events that all had to be accepted. */
export function look(answer, n) {
  full.add(answer.status === 503);
  const good = check(answer, {
    "answer is 202": (r) => r.status === 202,
    "every event is accepted": (r) => r.status === 202 && r.json("accepted") === n,
  });
  if (good) {
    accepted.add(n);
  }
}

/** Sends n events in one request. */
export function send(n) {
  const [, url, body, params] = request(n);
  look(http.post(url, body, params), n);
}

/** Sends an event that the schema refuses, and checks that the answer says so. */
export function sendBad() {
  const bad = { ...event(0), user_id: undefined };
  const answer = http.post(`${base}/v1/events`, JSON.stringify(bad), {
    headers: { "Content-Type": "application/json" },
    tags: { kind: "bad" },
    responseCallback: http.expectedStatuses(422),
  });
  check(answer, {
    "refused with 422": (r) => r.status === 422,
    "the answer names the field": (r) => String(r.body).includes("user_id"),
  });
}
