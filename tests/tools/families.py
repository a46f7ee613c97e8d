"""Reads io.prometheus.client.MetricFamily messages, each after its length, from standard input,
and prints them as JSON. A reader of the wire format that shares no code with sluice:

    families.py < scrape

[{"name", "help", "type", "metrics": [{"labels": {}, "value" or
  "histogram": {"count", "sum", "buckets": [[le, count]], "exemplars": [trace],
    "native": [[index, count]], "schema", "zero": [threshold, count]}}]}]
"""

import json
import struct
import sys

TYPES = {0: "counter", 1: "gauge", 4: "histogram"}


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    """The number and value of each field, in order."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = varint(data, at)
        elif kind == 1:
            value, at = struct.unpack_from("<d", data, at)[0], at + 8
        elif kind == 2:
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
            assert len(value) == size, "cut"
        else:
            raise ValueError(f"wire type {kind}")
        yield key >> 3, value


def signed(value):
    return (value >> 1) ^ -(value & 1)


def label(data):
    pair = dict(fields(data))
    return pair[1].decode(), pair.get(2, b"").decode()


def bucket(data, exemplars):
    part = dict(fields(data))
    if 3 in part:
        exemplar = dict(fields(part[3]))
        time = dict(fields(exemplar[3]))
        exemplars.append([*label(exemplar[1]), exemplar[2], part[2],
                          "%.3f" % (time[1] + time.get(2, 0) / 1e9)])
    return [part[2] if part[2] != float("inf") else "+Inf", part.get(1, 0)]


def histogram(data):
    out = {"buckets": [], "exemplars": [], "native": []}
    spans, deltas = [], []
    for number, value in fields(data):
        if number == 1:
            out["count"] = value
        elif number == 2:
            out["sum"] = value
        elif number == 3:
            out["buckets"].append(bucket(value, out["exemplars"]))
        elif number == 5:
            out["schema"] = signed(value)
        elif number in (6, 7):
            out.setdefault("zero", []).append(value)
        elif number == 12:
            span = dict(fields(value))
            spans.append((signed(span.get(1, 0)), span[2]))
        elif number == 13:
            deltas.append(signed(value))
        else:
            raise ValueError(f"field {number} of a histogram")
    at, count = 0, 0
    deltas.reverse()
    for offset, length in spans:
        at += offset
        for _ in range(length):
            count += deltas.pop()
            out["native"].append([at, count])
            at += 1
    assert not deltas, "counts without a span"
    return out


def metric(data):
    out = {"labels": {}}
    for number, value in fields(data):
        if number == 1:
            name, text = label(value)
            assert name not in out["labels"], name
            out["labels"][name] = text
        elif number in (2, 3):
            out["value"] = dict(fields(value))[1]
        elif number == 7:
            out["histogram"] = histogram(value)
        else:
            raise ValueError(f"field {number} of a metric")
    return out


def family(data):
    out = {"metrics": []}
    for number, value in fields(data):
        if number in (1, 2):
            out["name" if number == 1 else "help"] = value.decode()
        elif number == 3:
            out["type"] = TYPES[value]
        elif number == 4:
            out["metrics"].append(metric(value))
        else:
            raise ValueError(f"field {number} of a family")
    return out


def main():
    data, at, families = sys.stdin.buffer.read(), 0, []
    while at < len(data):
        size, at = varint(data, at)
        assert at + size <= len(data), "cut"
        families.append(family(data[at:at + size]))
        at += size
    json.dump(families, sys.stdout)


main()
