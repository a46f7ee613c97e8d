// ramp: from 50 to 2,000 batches of 20 events a second in five minutes, and down again: at
// which rate do the answers get slow?
import { long, many, send, thresholds } from "./common.js";

/** @type {import("k6/options").Options} */
export const options = {
  scenarios: {
    ramp: {
      executor: "ramping-arrival-rate",
      startRate: many(50),
      timeUnit: "1s",
      preAllocatedVUs: many(50),
      maxVUs: many(500),
      stages: [
        { target: many(500), duration: long(60) },
        { target: many(2000), duration: long(180) },
        { target: many(50), duration: long(60) },
      ],
    },
  },
  thresholds: { ...thresholds, dropped_iterations: ["count<10"] },
};

export default function () {
  send(20);
}
