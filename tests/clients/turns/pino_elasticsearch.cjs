// pino-elasticsearch, with a client of its own.
const { url, args, load, numbers, run } = require("./turns.cjs");
const pinoElastic = load("pino-elasticsearch");

// A stream for each turn: it tells what became of its documents when it has ended.
run((events) => new Promise((go) => {
  const refused = [];
  const stream = pinoElastic({ node: url, auth: { apiKey: args[0] }, index: "logs",
    flushBytes: 200, opType: "create" });
  stream.on("insertError", (e) => refused.push(e.document.document.n));
  stream.on("error", (e) => go({ stored: [], refused, why: String(e),
    failed: numbers(events).filter((n) => !refused.includes(n)) }));
  stream.on("insert", () => go({ refused, failed: [],
    stored: numbers(events).filter((n) => !refused.includes(n)) }));
  for (const { n, bad } of events) {
    stream.write(`${JSON.stringify({ n, bad, time: Date.now() })}\n`);
  }
  stream.end();
}));
