/*
 * indexes - the indexers of the streams with `index`: at most one a stream, from the
 * first policy that asks for it to the end of the process.
 *
 *   indexes_open at the start, and by the changer for each policy -> indexes_close
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"

struct err;
struct plan;
struct server;

/* The plan's streams, whose ids in the spool are given, are indexed from now on as it
 * says; where one is not any more, its index says so. tried: plan is a canary's, or may
 * still be refused, and the files are kept for as long as the live policy says. False and
 * *e: one can't be. */
bool indexes_open(struct server *s, const struct plan *plan, const int *ids, bool tried,
                  struct err *e) MUST_USE;

/* The streams of the live policy, and which sinks may skip, are noted in the spool. Of the
 * streams that it has an index for the files are kept for as long as it says, and scrapes
 * show the series. */
void indexes_follow(struct server *s);

/* Notes that where the disk did not take it. True: it still does not. The changer. */
bool indexes_again(struct server *s);

/* After the workers, before the spool is closed. False: a thread hangs. */
bool indexes_close(struct server *s, uint64_t until_ns) MUST_USE;
