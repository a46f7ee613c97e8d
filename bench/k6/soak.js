// soak: 200 batches of 20 events a second for an hour: does anything grow that should not?
// Watch sluice_spool_bytes, sluice_sink_left_events and process memory meanwhile.
import { long, many, send, thresholds } from "./common.js";

/** @type {import("k6/options").Options} */
export const options = {
  scenarios: {
    soak: {
      executor: "constant-arrival-rate",
      rate: many(200),
      timeUnit: "1s",
      duration: long(3600),
      preAllocatedVUs: many(50),
      maxVUs: many(200),
    },
  },
  thresholds: { ...thresholds, dropped_iterations: ["count<10"] },
};

export default function () {
  send(20);
}
