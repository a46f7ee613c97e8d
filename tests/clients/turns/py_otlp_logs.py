# OpenTelemetry's SDK for Python with its exporter of OTLP/HTTP as JSON.
import turns
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.common.http import Compression
from opentelemetry.exporter.otlp.json.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

results = []


class Watched(OTLPLogExporter):
    """The exporter, whose results are kept."""

    def export(self, batch):
        result = super().export(batch)
        results.append(result.name)
        return result


provider = LoggerProvider()
provider.add_log_record_processor(BatchLogRecordProcessor(
    Watched(turns.url + "/v1/logs", headers={"api-key": turns.args[0]},
            compression=Compression.GZIP), schedule_delay_millis=600000))
logger = provider.get_logger("turns")


def send(events):
    results.clear()
    for n, bad in events:
        logger.emit(LogRecord(
            severity_number=SeverityNumber.INFO, severity_text="BAD" if bad else "INFO",
            body={"n": n}, attributes={"log.record.uid": "p-%d" % n}))
    provider.force_flush()
    numbers = [n for n, _ in events]
    # One export, which the exporter sends again by itself.
    good = results == ["SUCCESS"]
    return {"stored": numbers if good else [], "failed": [] if good else numbers,
            "refused": []}


turns.run(send)
