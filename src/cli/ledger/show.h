/*
 * show - the ledger of a stream in words and as JSON. For the files of the command
 * sluice ledger. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct cJSON;
struct ledger_minute;
struct ledger_stream;

/* The minute of a time, as text. */
void show_minute(char out[24], int64_t ms);

/* Whether all sinks have confirmed every event of the minute. */
bool ledger_all_agree(const struct ledger_stream *l, const struct ledger_minute *m);
/* Events may have been stored of which the ledger can't tell. */
bool ledger_unsure(const struct ledger_stream *l);
/* No journal tells what became of the events. */
bool ledger_unfed(const struct ledger_stream *l);

/* To stdout; every: also the minutes that agree. */
void ledger_show(const struct ledger_stream *l, bool every);
/* From when on the index has all events, if it has removed older ones. */
void ledger_show_removed(const struct ledger_stream *l);
/* Before the result of a comparison: it is of the other events only. */
void ledger_show_unsure(const struct ledger_stream *l);
/* The caller owns it. */
struct cJSON *ledger_json(const struct ledger_stream *l, bool every);
