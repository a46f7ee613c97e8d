// mixed: clients as they are: apps that send single events, backends that send batches two
// at a time and then think, and a client whose events are refused.
import http from "k6/http";
import { group, sleep } from "k6";
import { Trend } from "k6/metrics";
import { long, look, many, request, send, sendBad, thresholds } from "./common.js";

const pairs = new Trend("pair_duration", true);

/** @type {import("k6/options").Options} */
export const options = {
  scenarios: {
    apps: {
      executor: "constant-arrival-rate",
      exec: "apps",
      rate: many(500),
      timeUnit: "1s",
      duration: long(300),
      preAllocatedVUs: many(50),
      maxVUs: many(200),
    },
    backends: {
      executor: "ramping-vus",
      exec: "backends",
      startVUs: 1,
      stages: [
        { target: many(20), duration: long(60) },
        { target: many(20), duration: long(180) },
        { target: 0, duration: long(60) },
      ],
      gracefulRampDown: "5s",
    },
    mistaken: {
      executor: "constant-vus",
      exec: "mistaken",
      vus: 1,
      duration: long(300),
    },
  },
  thresholds: {
    ...thresholds,
    "http_req_duration{kind:single}": ["p(95)<60", "p(99)<80"],
    "http_req_duration{kind:batch}": ["p(95)<60", "p(99)<80"],
    "http_req_duration{kind:bad}": ["p(95)<60"],
  },
};

export function apps() {
  send(1);
}

export function backends() {
  group("a pair of batches", () => {
    const began = Date.now();
    const answers = http.batch([request(100), request(50)]);
    pairs.add(Date.now() - began);
    look(answers[0], 100);
    look(answers[1], 50);
  });
  sleep(0.1);
}

export function mistaken() {
  sendBad();
  sleep(0.2);
}
