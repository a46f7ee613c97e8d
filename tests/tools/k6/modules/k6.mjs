// k6: check, group, sleep, fail.
import { sample, state } from "../state.mjs";

export function check(value, sets, tags) {
  let all = true;
  for (const [name, test] of Object.entries(sets)) {
    let good = false;
    try {
      good = Boolean(typeof test === "function" ? test(value) : test);
    } finally {
      sample("checks", "rate", good ? 1 : 0, { check: name, ...tags });
    }
    all = all && good;
  }
  return all;
}

export function group(name, f) {
  state.groups.push(name);
  const began = performance.now();
  try {
    return f();
  } finally {
    sample("group_duration", "trend", performance.now() - began);
    state.groups.pop();
  }
}

export function sleep(seconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, seconds * 1000);
}

export function fail(why) {
  throw new Error(why);
}
