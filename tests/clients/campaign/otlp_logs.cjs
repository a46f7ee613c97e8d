// OpenTelemetry's SDK for logs with its exporter of OTLP/HTTP as JSON.
const { url, long, load, run, args } = require("./paced.cjs");
const { OTLPLogExporter } = load("@opentelemetry/exporter-logs-otlp-http");
const { LoggerProvider, BatchLogRecordProcessor } = load("@opentelemetry/sdk-logs");
const { resourceFromAttributes } = load("@opentelemetry/resources");

const exporter = new OTLPLogExporter({
  url: `${url}/v1/logs`, headers: { "api-key": args[0] }, compression: "gzip",
});
const provider = new LoggerProvider({
  resource: resourceFromAttributes({ "service.name": "shop" }),
  processors: [new BatchLogRecordProcessor({ exporter,
    ...(long ? {} : { scheduledDelayMillis: 50, maxExportBatchSize: 10 }) })],
});
const logger = provider.getLogger("campaign", "1.0");
run((n) => logger.emit({
  severityNumber: 9, severityText: "INFO", body: { n, text: `line ${n}` },
  attributes: { "log.record.uid": `r-${n}`, "order.paid": n % 2 === 0 },
}), () => provider.shutdown());
