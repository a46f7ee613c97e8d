// k6/metrics: the script's own.
import { sample, state } from "../state.mjs";

function metric(type) {
  return class {
    constructor(name, isTime = false) {
      const known = state.metrics.get(name);
      if (known && known !== type) {
        throw new Error(`metric "${name}" already exists but with type ${known}`);
      }
      state.metrics.set(name, type);
      this.name = name;
      this.isTime = isTime;
    }

    add(value, tags) {
      sample(this.name, type, Number(value), tags);
    }
  };
}

export const Counter = metric("counter");
export const Gauge = metric("gauge");
export const Rate = metric("rate");
export const Trend = metric("trend");
