// Runs a script of k6 on Node: the part of its API that bench/k6 uses. Each virtual user is a
// thread, for k6's calls return when they are done; this thread sends all requests.
//
//   node run.mjs [-e NAME=VALUE]... [--summary FILE] SCRIPT.js
//
// Exits as k6 does: 0, 99 when a threshold is crossed, 107 when the script is wrong. It is
// for tests of the scripts: what it measures is Node as much as the server.
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import { Worker } from "node:worker_threads";
import { copyScript } from "./load.mjs";
import { print, Results } from "./results.mjs";
import { follow, plans } from "./scenarios.mjs";
import { state } from "./state.mjs";

const env = {};
let file, summaryFile;
for (let i = 2; i < process.argv.length; i++) {
  if (process.argv[i] === "-e") {
    const [, name, value] = /^([^=]+)=(.*)$/s.exec(process.argv[++i]);
    env[name] = value;
  } else if (process.argv[i] === "--summary") {
    summaryFile = process.argv[++i];
  } else {
    file = process.argv[i];
  }
}

/** Sends one request; its answer never fails, but may have an error and status 0. */
function send(agent, r) {
  return new Promise((resolve) => {
    const t = { asked: performance.now() };
    const end = (status, headers, body, error) => {
      const now = performance.now();
      const sent = t.sent ?? t.ready ?? now, first = t.first ?? now, ready = t.ready ?? now;
      resolve({ status, headers, body, error,
        timings: { duration: now - ready, blocked: ready - t.asked, connecting: 0,
          sending: sent - ready, waiting: first - sent, receiving: now - first } });
    };
    const q = http.request(r.url, { method: r.method, agent, timeout: r.timeout,
      headers: { ...r.headers, ...(r.body === null ? {}
        : { "Content-Length": Buffer.byteLength(r.body) }) } });
    q.on("socket", (s) => {
      const ready = () => { t.ready = performance.now(); };
      if (s.connecting) {
        s.once("connect", ready);
      } else {
        ready();
      }
    });
    q.on("finish", () => { t.sent = performance.now(); });
    q.on("response", (a) => {
      t.first = performance.now();
      const parts = [];
      a.on("data", (d) => parts.push(d));
      a.on("end", () => end(a.statusCode, a.headers, Buffer.concat(parts).toString("utf8"), ""));
      a.on("error", (e) => end(0, {}, "", String(e.message)));
    });
    q.on("timeout", () => q.destroy(new Error("request timeout")));
    q.on("error", (e) => end(0, {}, "", String(e.message)));
    q.end(r.body ?? undefined);
  });
}

async function answer(agent, { http: requests, shared }) {
  const all = await Promise.all(requests.map((r) => send(agent, r)));
  const bytes = Buffer.from(JSON.stringify(all));
  const flag = new Int32Array(shared, 0, 2);
  new Uint8Array(shared, 8).set(bytes);
  flag[1] = bytes.length;
  Atomics.store(flag, 0, 1);
  Atomics.notify(flag, 0);
}

class User {
  static last = 0;

  constructor(script, scenario, results, data) {
    this.busy = true;
    this.running = false; // until its thread has read the script
    this.scenario = scenario;
    this.data = data;
    this.agent = new http.Agent({ keepAlive: true });
    this.worker = new Worker(new URL("vu.mjs", import.meta.url),
      { workerData: { script, env, vu: ++User.last } });
    this.ready = new Promise((resolve, reject) => {
      this.worker.on("error", reject);
      this.worker.on("message", (m) => {
        if (m.ready) {
          this.busy = false;
          this.running = true;
          resolve();
        } else if (m.http) {
          answer(this.agent, m);
        } else {
          m.samples.forEach((s) => results.add(s));
          if (m.error) {
            console.error(`error: ${m.error}`);
          }
          this.busy = false;
          this.ended();
        }
      });
    });
  }

  iterate() {
    this.busy = true;
    const { name, executor, exec } = this.scenario;
    this.worker.postMessage({ scenario: { name, executor }, exec, data: this.data,
      test: this.scenario.iterations++ });
    return new Promise((resolve) => { this.ended = resolve; });
  }

  async end() {
    this.agent.destroy();
    await this.worker.terminate();
  }
}

async function run(folder) {
  globalThis.__ENV = env;
  globalThis.__VU = 0;
  const url = copyScript(file, folder);
  const script = await import(url);
  const options = script.options ?? {};
  const results = new Results(options.thresholds);
  const data = script.setup ? await script.setup() : undefined;
  const list = plans(options).map((p) => ({ ...p, iterations: 0 }));
  for (const p of list) {
    if (typeof script[p.exec] !== "function") {
      throw new Error(`scenario "${p.name}": the script has no function "${p.exec}"`);
    }
    p.more = () => new User(url, p, results, data);
    p.pool = Array.from({ length: p.first }, p.more);
  }
  await Promise.all(list.flatMap((p) => p.pool.map((u) => u.ready)));
  const began = performance.now();
  await Promise.all(list.map((p) => follow(p, p.pool, p.more, () => results.add(
    ["dropped_iterations", "counter", 1, { scenario: p.name }]))));
  const seconds = (performance.now() - began) / 1000;
  await Promise.all(list.flatMap((p) => p.pool.map((u) => u.end())));
  if (script.teardown) {
    await script.teardown(data);
  }
  const summary = results.summary(state.metrics, seconds);
  print(summary);
  if (summaryFile) {
    fs.writeFileSync(summaryFile, JSON.stringify(summary));
  }
  return summary.good ? 0 : 99;
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "k6-"));
try {
  process.exitCode = await run(folder);
} catch (e) {
  console.error(`error: ${e.stack ?? e}`);
  process.exitCode = 107;
} finally {
  fs.rmSync(folder, { recursive: true });
}
