// Elasticsearch's client for Node with its helper for bulks.
const { url, args, load, numbers, run } = require("./turns.cjs");
const { Client } = load("@elastic/elasticsearch");

const client = new Client({ node: url, auth: { apiKey: args[0] }, compression: true });
run(async (events) => {
  const told = { stored: [], refused: [], failed: [] };
  try {
    await client.helpers.bulk({
      datasource: events, retries: 20, wait: 300, flushBytes: 400, concurrency: 2,
      onDocument: (e) => [{ create: { _index: "logs", _id: `p-${e.n}` } }, e],
      onSuccess: ({ document }) => told.stored.push(document.n),
      onDrop: ({ document }) => told.refused.push(document.n),
    });
  } catch (e) {
    told.why = String(e);
  }
  const known = [...told.stored, ...told.refused];
  told.failed = numbers(events).filter((n) => !known.includes(n));
  return told;
});
