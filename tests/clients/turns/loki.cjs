// winston-loki, which pushes lines again that got no 204, with those that came since.
const { url, args, load, numbers, run, sleep, text } = require("./turns.cjs");
const LokiTransport = load("winston-loki");

const transport = new LokiTransport({
  host: url, basicAuth: args[0], json: true, batching: true, interval: 0.05,
  labels: { app: "shop" }, clearOnError: false, gracefulShutdown: false,
});
// After an error it waits for a minute, which no option changes.
transport.batcher.circuitBreakerInterval = 100;
// A batch on its way is not in the list: it comes back when it is refused.
const waits = () => transport.batcher.batch.streams.length > 0
  || transport.batcher.batchesSending > 0;
let time = Date.now();
run(async (events) => {
  for (const e of events) {
    await new Promise((go) => transport.log(
      { level: "info", timestamp: time++, message: text(e) }, go));
  }
  // A line that is refused alone waits for the next good one.
  const patience = events.every((e) => e.bad) ? 20 : 500;
  for (let i = 0; i < patience && waits(); i++) await sleep(20);
  return { stored: waits() ? [] : numbers(events), refused: [],
    failed: waits() ? numbers(events) : [] };
});
