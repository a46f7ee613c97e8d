// A virtual user: a thread that runs iterations of the script one after the other.
import { parentPort, workerData } from "node:worker_threads";
import { state } from "./state.mjs";

globalThis.__ENV = workerData.env;
globalThis.__VU = workerData.vu;
globalThis.__ITER = 0;
state.port = parentPort;
state.vu = workerData.vu;

const script = await import(workerData.script);

parentPort.on("message", async ({ scenario, exec, test, data }) => {
  state.scenario = scenario;
  state.test = test;
  globalThis.__ITER = state.iteration;
  const began = performance.now();
  let error = "";
  try {
    await script[exec](data);
  } catch (e) {
    error = String(e.stack ?? e);
  }
  const tags = { scenario: scenario.name };
  state.samples.push(["iterations", "counter", 1, tags],
    ["iteration_duration", "trend", performance.now() - began, tags]);
  const samples = state.samples;
  state.samples = [];
  state.groups = [];
  state.iteration++;
  parentPort.postMessage({ done: true, samples, error });
});
parentPort.postMessage({ ready: true });
