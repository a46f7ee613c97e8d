// The executors: when which virtual user starts an iteration.
import { milliseconds } from "./load.mjs";

/** A value that goes from one stage's target to the next, at a time; null after the end. */
function staged(start, stages) {
  const list = stages.map((s) => ({ target: s.target, ms: milliseconds(s.duration) }));
  return (t) => {
    let from = start, at = 0;
    for (const s of list) {
      if (t < at + s.ms) {
        return from + (s.target - from) * ((t - at) / s.ms);
      }
      at += s.ms;
      from = s.target;
    }
    return null;
  };
}

/** What a configuration asks for: users(t) or rate(t) a millisecond, users to begin with. */
export function plan(name, c) {
  const unit = milliseconds(c.timeUnit ?? "1s");
  const until = (ms, value) => (t) => (t < ms ? value : null);
  const common = { name, executor: c.executor, exec: c.exec ?? "default",
    start: milliseconds(c.startTime ?? "0s") };
  switch (c.executor) {
    case "constant-vus":
      return { ...common, users: until(milliseconds(c.duration), c.vus ?? 1),
        first: c.vus ?? 1, most: c.vus ?? 1 };
    case "ramping-vus": {
      const most = Math.max(c.startVUs ?? 1, ...c.stages.map((s) => s.target));
      return { ...common, users: staged(c.startVUs ?? 1, c.stages), first: most, most };
    }
    case "constant-arrival-rate":
      return { ...common, rate: until(milliseconds(c.duration), c.rate / unit),
        first: c.preAllocatedVUs, most: c.maxVUs ?? c.preAllocatedVUs };
    case "ramping-arrival-rate":
      return { ...common, first: c.preAllocatedVUs, most: c.maxVUs ?? c.preAllocatedVUs,
        rate: staged((c.startRate ?? 0) / unit,
          c.stages.map((s) => ({ ...s, target: s.target / unit }))) };
    case "per-vu-iterations":
      return { ...common, each: c.iterations ?? 1, first: c.vus ?? 1, most: c.vus ?? 1 };
    case "shared-iterations":
      return { ...common, total: c.iterations ?? 1, first: c.vus ?? 1, most: c.vus ?? 1 };
    default:
      throw new Error(`scenario "${name}": the runner has no executor "${c.executor}"`);
  }
}

/** Options without scenarios are one of them. */
export function plans(options) {
  if (options.scenarios) {
    return Object.entries(options.scenarios).map(([name, c]) => plan(name, c));
  }
  const c = options.stages ? { executor: "ramping-vus", stages: options.stages,
    startVUs: options.vus } : options.duration ? { executor: "constant-vus", ...options }
    : { executor: "shared-iterations", ...options };
  return [plan("default", c)];
}

/**
 * Runs a plan. users: its virtual users, to which more() adds one; drop() counts an
 * iteration that found none. Ends when every iteration has.
 */
export async function follow(p, users, more, drop) {
  const running = new Set();
  const begin = (u) => {
    const it = u.iterate().finally(() => running.delete(it));
    running.add(it);
  };
  const tick = () => new Promise((resolve) => { setTimeout(resolve, 2); });
  if (p.start > 0) {
    await new Promise((resolve) => { setTimeout(resolve, p.start); });
  }
  if (p.each !== undefined || p.total !== undefined) {
    let left = p.total ?? Infinity;
    await Promise.all(users.map(async (u) => {
      for (let i = 0; i < (p.each ?? Infinity) && left-- > 0; i++) {
        await u.iterate();
      }
    }));
    return;
  }
  const began = performance.now();
  let due = 0, last = 0;
  for (;;) {
    const t = performance.now() - began;
    const value = (p.users ?? p.rate)(t);
    if (value === null) {
      break;
    }
    if (p.users) {
      users.slice(0, Math.round(value)).filter((u) => !u.busy).forEach(begin);
    } else {
      due += value * (t - last);
      for (; due >= 1; due--) {
        const free = users.find((u) => !u.busy);
        if (free) {
          begin(free);
        } else {
          drop();
          // One thread after the other: a hundred at the same time would take all cores.
          if (users.length < p.most && users.every((u) => u.running)) {
            users.push(more());
          }
        }
      }
    }
    last = t;
    await tick();
  }
  await Promise.all(running);
}
