// winston-elasticsearch, which begins when it knows that the cluster is well.
const { url, args, load, numbers, run, sleep } = require("./turns.cjs");
const { ElasticsearchTransport } = load("winston-elasticsearch");

const transport = new ElasticsearchTransport({
  clientOpts: { node: url, auth: { apiKey: args[0] } }, flushInterval: 50, indexPrefix: "logs",
  retryLimit: 20,
});
let failed = false;
transport.on("error", () => { failed = true; });
transport.on("warning", () => { failed = true; });
run(async (events) => {
  failed = false;
  for (const { n, bad } of events) {
    await new Promise((go) => transport.log({ level: "info", message: `line ${n}`, n, bad }, go));
  }
  for (let i = 0; i < 500 && transport.bulkWriter.bulk.length > 0 && !failed; i++) {
    await sleep(20);
  }
  await transport.flush();
  return { stored: failed ? [] : numbers(events), refused: [],
    failed: failed ? numbers(events) : [] };
});
