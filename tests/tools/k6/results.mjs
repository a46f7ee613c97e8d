// The samples of a run, by metric; thresholds; the summary.
const builtin = { checks: "rate", http_reqs: "counter", http_req_failed: "rate",
  http_req_duration: "trend", iterations: "counter", iteration_duration: "trend",
  dropped_iterations: "counter" };

/** "http_req_duration{kind:single}" as a name and the tags that count. */
function selector(text) {
  const [, name, inner] = /^([^{]+)(?:\{(.*)\})?$/.exec(text);
  const tags = {};
  for (const pair of inner ? inner.split(",") : []) {
    const at = pair.indexOf(":");
    tags[pair.slice(0, at).trim()] = pair.slice(at + 1).trim();
  }
  return { text, name, tags };
}

function percentile(sorted, p) {
  if (sorted.length === 0) {
    return 0;
  }
  const at = (p / 100) * (sorted.length - 1);
  const low = Math.floor(at);
  return sorted[low] + (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]) * (at - low);
}

/** What a threshold can ask of a metric. */
function aggregate(type, values, seconds) {
  const sum = values.reduce((a, b) => a + b, 0);
  switch (type) {
    case "counter":
      return { count: sum, rate: sum / seconds };
    case "gauge":
      return { value: values.at(-1) ?? 0 };
    case "rate":
      return { rate: values.length ? sum / values.length : 0, count: values.length };
    default: {
      const sorted = [...values].sort((a, b) => a - b);
      return { count: sorted.length, avg: sorted.length ? sum / sorted.length : 0,
        min: sorted[0] ?? 0, med: percentile(sorted, 50), max: sorted.at(-1) ?? 0,
        p: (n) => percentile(sorted, n) };
    }
  }
}

function compare(a, operator, b) {
  switch (operator) {
    case "<": return a < b;
    case "<=": return a <= b;
    case ">": return a > b;
    case ">=": return a >= b;
    case "!=": return a !== b;
    default: return a === b;
  }
}

function holds(expression, values) {
  const m = /^\s*(?:p\(([\d.]+)\)|(\w+))\s*(<=|>=|===?|!=|<|>)\s*([\d.]+)\s*$/.exec(expression);
  const is = m && (m[1] ? values.p?.(Number(m[1])) : values[m[2]]);
  if (is === undefined || typeof is === "function") {
    throw new Error(`threshold "${expression}" does not fit its metric`);
  }
  return compare(is, m[3], Number(m[4]));
}

export class Results {
  constructor(thresholds = {}) {
    this.thresholds = Object.entries(thresholds).map(([text, list]) => ({
      ...selector(text),
      list: list.map((t) => (typeof t === "string" ? t : t.threshold)),
    }));
    this.metrics = new Map(); // selector's text: { type, values }
    for (const [name, type] of Object.entries(builtin)) {
      this.metrics.set(name, { type, values: [] });
    }
  }

  into(text, type, value) {
    if (!this.metrics.has(text)) {
      this.metrics.set(text, { type, values: [] });
    }
    this.metrics.get(text).values.push(value);
  }

  add([name, type, value, tags]) {
    this.into(name, type, value);
    for (const t of this.thresholds) {
      if (t.name === name && t.text !== name &&
        Object.entries(t.tags).every(([k, v]) => tags[k] === v)) {
        this.into(t.text, type, value);
      }
    }
  }

  /** { metrics, thresholds: { text: { expression: holds } }, good } */
  summary(types, seconds) {
    const metrics = {};
    for (const t of this.thresholds) {
      const type = types.get(t.name) ?? builtin[t.name] ?? this.metrics.get(t.name)?.type;
      if (!type) {
        throw new Error(`threshold of "${t.text}", which is no metric`);
      }
      if (!this.metrics.has(t.text)) {
        this.metrics.set(t.text, { type, values: [] });
      }
    }
    for (const [text, m] of this.metrics) {
      const { p, ...values } = aggregate(m.type, m.values, seconds);
      metrics[text] = p ? { ...values, "p(95)": p(95), "p(99)": p(99) } : values;
      Object.defineProperty(metrics[text], "p", { value: p });
    }
    const thresholds = {};
    let good = true;
    for (const t of this.thresholds) {
      thresholds[t.text] = {};
      for (const expression of t.list) {
        const is = holds(expression, metrics[t.text]);
        thresholds[t.text][expression] = is;
        good = good && is;
      }
    }
    return { metrics, thresholds, good };
  }
}

export function print(summary) {
  const number = (n) => String(Math.round(n * 1000) / 1000);
  for (const [name, values] of Object.entries(summary.metrics)) {
    const parts = Object.entries(values).map(([k, v]) => `${k}=${number(v)}`);
    console.log(`${name}: ${parts.join(" ")}`);
  }
  for (const [name, list] of Object.entries(summary.thresholds)) {
    for (const [expression, is] of Object.entries(list)) {
      console.log(`${is ? "✓" : "✗"} ${name} ${expression}`);
    }
  }
}
