/*
 * away - events that a Kafka sink has sent to another topic than the one that is compared,
 * such as those before a reload that names another: by the sink's record of places. Reads
 * only; one thread.
 *
 *   away_read -> ... -> away_free
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "cli/find/settled.h"

struct err;
struct ledger_stream;

struct away {
    struct settled_set events; /* sorted */
    char topics[200];          /* their names, with commas between; "": not known */
};

/* False and *e: what the sink notes can't be read. */
bool away_read(const char *spool, const char *sink, const char *stream,
               const char *topic, struct away *out, struct err *e) MUST_USE;
void away_free(struct away *a);

/* Of the ledger's period. */
uint64_t away_count(const struct away *a, const struct ledger_stream *l);
