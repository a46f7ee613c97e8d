// winston-loki, which pushes lines again that got no 204.
const { url, load, run, args, long, sleep } = require("./paced.cjs");
const LokiTransport = load("winston-loki");

const transport = new LokiTransport({
  host: url, basicAuth: args[0], json: true, batching: true, interval: long ? 5 : 0.05,
  labels: { app: "shop" }, clearOnError: false, gracefulShutdown: false,
  onConnectionError: (e) => console.log(`error: ${e}`),
});
// After an error it waits for a minute, which no option changes.
if (!long) transport.batcher.circuitBreakerInterval = 100;
run((n) => new Promise((go) => {
  transport.log({ level: "info", message: `line ${n}`, labels: { n: String(n % 3) },
    timestamp: Date.now() }, go);
}), async () => {
  do {
    await sleep(20);
    await transport.flush();
  } while (transport.batcher.batch.streams.length > 0);
  await transport.close();
});
