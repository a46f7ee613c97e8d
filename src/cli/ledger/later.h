/*
 * later - events that a destination may have beyond those of the ledger in hand: accepted
 * since it was read, or of other streams that share a sink with it. Reads only.
 */
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "cli/ledger/read.h"
#include "cli/ledger/suspects.h"

struct err;

/* Of suspects that the destination has too often: those that are such events, accepted from
 * from_ms up to before to_ms, are right. sink: the destination's among l->sinks; n_sinks: any
 * of them may be. False and *e: the stream can't be read. */
bool later_accept(const char *spool, const struct ledger_stream *l, uint32_t sink,
                  int64_t from_ms, int64_t to_ms, struct suspects *s,
                  struct err *e) MUST_USE;
