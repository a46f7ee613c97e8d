# python-logging-loki: a handler of logging, a request a line.
import logging

import logging_loki
import turns

failed = []
handler = logging_loki.LokiHandler(
    turns.url + "/loki/api/v1/push", tags={"app": "shop"}, auth=("demo", "demo"), version="1")
handler.handleError = failed.append
log = logging.getLogger("shop")
log.setLevel(logging.INFO)
log.addHandler(handler)


def send(events):
    told = {"stored": [], "refused": [], "failed": []}
    for n, bad in events:
        failed.clear()
        log.info(turns.text(n, bad))
        told["failed" if failed else "stored"].append(n)
    return told


turns.run(send)
