# Elasticsearch's client for Python with its helper for bulks.
import turns
from elasticsearch import ApiError, Elasticsearch, TransportError
from elasticsearch.helpers import streaming_bulk

client = Elasticsearch(turns.url, api_key=turns.args[0], http_compress=True)


def send(events):
    told = {"stored": [], "refused": [], "failed": []}
    actions = [{"_op_type": "create", "_index": "logs", "_id": "p-%d" % n, "n": n, "bad": bad}
               for n, bad in events]
    try:
        for ok, item in streaming_bulk(client, actions, max_retries=8, initial_backoff=0.2,
                                       max_backoff=2, raise_on_error=False):
            told["stored" if ok else "refused"].append(int(item["create"]["_id"][2:]))
    except (ApiError, TransportError) as e:
        told["why"] = repr(e)
    known = told["stored"] + told["refused"]
    told["failed"] = [n for n, _ in events if n not in known]
    return told


turns.run(send)
