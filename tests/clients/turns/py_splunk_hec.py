# splunk-handler: a handler of logging, which sends what waits.
import logging
from urllib.parse import urlsplit

import turns
from splunk_handler import SplunkHandler

where = urlsplit(turns.url)
said = []


class Watched(SplunkHandler):
    """The handler, whose complaints are kept."""

    def write_log(self, log_message):
        said.append(log_message)


handler = Watched(host=where.hostname, port=where.port, protocol="http", verify=False,
                  token=turns.args[0], index="main", flush_interval=3600, retry_backoff=0.2)
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.addHandler(handler)


def send(events):
    said.clear()
    for n, bad in events:
        log.info(turns.text(n, bad))
    handler.force_flush()
    numbers = [n for n, _ in events]
    return {"stored": [] if said else numbers, "failed": numbers if said else [],
            "refused": []}


turns.run(send)
