# What the clients of tests/e2e/senders_refused_spec.lua share: turns that the spec gives.
#
#   turns.run(send)         PROGRAM URL DIR [ARGS]
#
# A turn is the file DIR/turn: its number, and events, each with its number n and whether
# the policy refuses it. Of each turn send(events) returns what the client says of them, in
# lists of their numbers: stored, refused for good, failed. The spec finds it in
# DIR/told-NUMBER. A turn without events is the last one.
import json
import os
import sys
import time

url, folder, args = sys.argv[1], sys.argv[2], sys.argv[3:]


def next_turn(after):
    while True:
        try:
            with open(os.path.join(folder, "turn")) as f:
                turn = json.load(f)
            if turn["number"] > after:
                return turn
        except OSError:
            pass
        time.sleep(0.01)


def run(send):
    turn = next_turn(0)
    while "events" in turn:
        told = send([(e["n"], e["bad"]) for e in turn["events"]])
        path = os.path.join(folder, "told-%d" % turn["number"])
        with open(path + ".new", "w") as f:
            json.dump(told, f)
        os.rename(path + ".new", path)
        turn = next_turn(turn["number"])


def text(n, bad):
    return "line %d%s" % (n, " bad" if bad else "")
