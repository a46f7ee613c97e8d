// Elasticsearch's client and its bulk helper, which sends documents again that the server
// could not take, and its transport, which sends requests again.
const { url, long, load, run, args, sleep } = require("./paced.cjs");
const { Client } = load("@elastic/elasticsearch");
const { PassThrough } = require("stream");

const client = new Client({
  node: url, auth: { apiKey: args[0] }, maxRetries: 20,
  ...(long ? {} : { retryBackoff: () => 0.05 }),
});
const documents = new PassThrough({ objectMode: true });
const dropped = [];
const done = client.helpers.bulk({
  datasource: documents, flushBytes: 600, flushInterval: 50, concurrency: 2, retries: 20,
  wait: 100, onDocument: (d) => [{ create: { _index: "logs", _id: `d-${d.n}` } }, d],
  onDrop: (d) => dropped.push(d),
});
run(async (n) => {
  while (!documents.write({ n, text: `line ${n} é` })) await sleep(5);
}, async () => {
  documents.end();
  const stats = await done;
  console.log(JSON.stringify({ ...stats, dropped }));
  if (stats.failed > 0 || stats.successful !== stats.total) process.exit(1);
});
