// Splunk's library for JavaScript.
const { url, args, load, numbers, run } = require("./turns.cjs");
const { Logger } = load("splunk-logging");

const logger = new Logger({ url, token: args[0], maxBatchCount: 0, batchInterval: 0,
  maxRetries: 5 });
let failed;
logger.error = () => { failed = true; };
logger.eventFormatter = (message) => message;
run((events) => new Promise((go) => {
  failed = false;
  for (const { n, bad } of events) logger.send({ message: { event_id: `p-${n}`, n, bad } });
  logger.flush((error) => go({ refused: [], stored: error || failed ? [] : numbers(events),
    failed: error || failed ? numbers(events) : [] }));
}));
