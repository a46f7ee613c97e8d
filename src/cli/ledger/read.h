/*
 * read - per minute and stream, what was accepted and what each sink is done with; and
 * the comparison with a destination. For the files of the command sluice ledger.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "cli/find/settled.h"
#include "cli/ledger/tallies.h"

struct err;

enum { LEDGER_SINKS_MAX = 80 };

/* A minute of a stream. */
struct ledger_minute {
    int64_t ms;                        /* when it began */
    uint64_t accepted, anonymous, sum; /* without an id; of their fingerprints */
    struct settled_counts by[]; /* of each sink; later: and others had some since */
};

struct ledger_stream {
    struct tallies tallies;
    struct settled sinks[LEDGER_SINKS_MAX]; /* those that know the stream */
    uint32_t n_sinks;
    char unread[800];               /* of journals that can't be read, why; "": none */
    struct ledger_minute **minutes; /* in order */
    uint32_t n_minutes, room;
};

/* False and *e: the spool can't be read, or the stream has no index. */
bool ledger_read(const char *spool, const char *stream, int64_t since_ms,
                 int64_t until_ms, struct ledger_stream *out, struct err *e) MUST_USE;
void ledger_free(struct ledger_stream *l);

/* Whether the sink has confirmed every event of the minute that came while the stream led to
 * it: of a stream that left the policy, others had the rest. */
bool ledger_agrees(const struct ledger_minute *m, uint32_t sink);

/* From this minute on the index has all events; 0: it has all, or names those that it has
 * not as holes. */
int64_t ledger_whole_from(const struct ledger_stream *l);
/* Minutes before that are left out. */
void ledger_leave_out(struct ledger_stream *l, int64_t before_ms);

uint64_t ledger_without_id(const struct ledger_stream *l); /* events */

/* False and *e: events have come, and none has an id in the field, so the index has a wrong
 * path. */
bool ledger_has_ids(const struct ledger_stream *l, const char *field,
                    struct err *e) MUST_USE;
