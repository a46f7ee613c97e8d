"""mmdb_pairs - a database of random networks by a writer of others, and what their reader
finds in it.

    python mmdb_pairs.py FILE SEED IP_VERSION > one JSON object {ip, found} a line
"""
import ipaddress
import json
import random
import sys

import maxminddb
from mmdb_writer import MMDBWriter
from netaddr import IPSet

path, seed, version = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
rand = random.Random(seed)


def network():
    if version == 6 and rand.random() < 0.5:
        prefix = rand.choice([20, 32, 48, 56, 64, 96, 127, 128])
        bits = (0x2001 << 112) | rand.getrandbits(112)
        return ipaddress.ip_network((bits >> (128 - prefix) << (128 - prefix), prefix))
    prefix = rand.choice([8, 12, 16, 20, 24, 25, 31, 32])
    bits = rand.getrandbits(32) | 1 << 24
    return ipaddress.ip_network((bits >> (32 - prefix) << (32 - prefix), prefix))


def value(depth=0):
    kind = rand.randrange(8 if depth < 3 else 6)
    if kind == 0:
        return "".join(rand.choice("aé€😀\"\\/\n") for _ in range(rand.choice([0, 3, 30, 300])))
    if kind == 1:
        return rand.choice([0, 1, 65535, 65536, 2**32 - 1, 2**40])
    if kind == 2:
        return rand.choice([0.5, -1.25, 1e300, 52.52])
    if kind == 3:
        return rand.random() < 0.5
    if kind in (4, 5):
        return "same text"
    if kind == 6:
        return [value(depth + 1) for _ in range(rand.randrange(1, 5))]
    return {"key%d" % i: value(depth + 1) for i in range(rand.randrange(1, 40))}


writer = MMDBWriter(ip_version=version, ipv4_compatible=version == 6,
                    database_type="Test", float_type="f64")
networks = []
for _ in range(300):
    net = network()
    networks.append(net)
    writer.insert_network(IPSet([str(net)]), {"net": str(net), "v": value()})
writer.to_db_file(path)

with maxminddb.open_database(path, maxminddb.MODE_FILE) as reader:
    for net in networks:
        first, last = int(net[0]), int(net[-1])
        kind = type(net[0])
        most = 2**128 - 1 if net.version == 6 else 2**32 - 1
        for at in {first, last, max(first - 1, 0), min(last + 1, most),
                   rand.randrange(first, last + 1)}:
            ip = str(kind(at))
            print(json.dumps({"ip": ip, "found": reader.get(ip)}))
