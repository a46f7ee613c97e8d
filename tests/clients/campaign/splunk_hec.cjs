// Splunk's library for JavaScript, which sends again what had no answer.
const { url, load, run, args } = require("./paced.cjs");
const { Logger } = load("splunk-logging");

const logger = new Logger({
  url, token: args[0], maxBatchCount: 0, batchInterval: 0, maxRetries: 20,
});
logger.error = (e) => console.log(`error: ${e}`);
logger.eventFormatter = (message) => message;

let waiting = 0;
const flush = () => new Promise((go, fail) => {
  logger.flush((error, response, body) => {
    if (!error && body && body.code === 0) return go();
    fail(new Error(`${error} ${JSON.stringify(body)}`));
  });
});
run(async (n) => {
  logger.send({ message: { event_id: `e-${n}`, n, text: `line ${n} é` },
    metadata: { sourcetype: "_json" } });
  if (++waiting % 10 === 0) await flush();
}, () => waiting % 10 !== 0 && flush());
