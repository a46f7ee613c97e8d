// OpenTelemetry's SDK for logs with its exporter of OTLP/HTTP as JSON.
const { url, args, load, numbers, run } = require("./turns.cjs");
const { OTLPLogExporter } = load("@opentelemetry/exporter-logs-otlp-http");
const { LoggerProvider, BatchLogRecordProcessor } = load("@opentelemetry/sdk-logs");
const { diag, DiagLogLevel } = load("@opentelemetry/api");

let rejected = 0;
const warn = (...words) => {
  const partial = words.join(" ").match(/Partial Success response: (.*)/);
  if (partial) rejected += Number(JSON.parse(partial[1]).rejectedLogRecords);
};
const quiet = () => {};
diag.setLogger({ error: quiet, warn, info: quiet, debug: quiet, verbose: quiet },
  DiagLogLevel.WARN);
const results = [];
const exporter = new OTLPLogExporter({
  url: `${url}/v1/logs`, headers: { "api-key": args[0] }, compression: "gzip",
});
const send = exporter.export.bind(exporter);
exporter.export = (records, done) => send(records, (r) => {
  results.push(r.code);
  done(r);
});
const provider = new LoggerProvider({
  processors: [new BatchLogRecordProcessor({ exporter, scheduledDelayMillis: 600000 })],
});
const logger = provider.getLogger("turns");
run(async (events) => {
  results.length = rejected = 0;
  for (const { n, bad } of events) {
    logger.emit({ severityNumber: 9, severityText: bad ? "BAD" : "INFO", body: { n },
      attributes: { "log.record.uid": `p-${n}` } });
  }
  await provider.forceFlush().catch(quiet);
  const good = results.length === 1 && results[0] === 0;
  return { stored: good ? numbers(events) : [], failed: good ? [] : numbers(events),
    refused: [], rejected };
});
