// spike: 100 batches a second, then ten times as many within a second, for half a minute:
// does sluice answer 503 (send again later) instead of getting slow, and is it as quick as
// before when the spike is over?
import { long, many, send, thresholds } from "./common.js";

/** @type {import("k6/options").Options} */
export const options = {
  scenarios: {
    spike: {
      executor: "ramping-arrival-rate",
      startRate: many(100),
      timeUnit: "1s",
      preAllocatedVUs: many(100),
      maxVUs: many(1000),
      stages: [
        { target: many(100), duration: long(60) },
        { target: many(1000), duration: long(1) },
        { target: many(1000), duration: long(30) },
        { target: many(100), duration: long(1) },
        { target: many(100), duration: long(60) },
      ],
    },
  },
  thresholds: { ...thresholds, answers_full: ["rate<0.01"] },
};

export default function () {
  send(20);
}
