/*
 * holes - events of a stream that neither its index nor a segment has, and why
 * (index/account.h). Reads nothing itself; one thread.
 *
 *   holes_close -> holes_of -> holes_print | holes_json -> holes_free
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "index/account.h"

struct cJSON;
struct index_list;

struct holes {
    struct index_account_hole
        *list; /* by what is noted, or inferred; until 0: unknown */
    uint32_t n, room;
    uint64_t n_events; /* in them */
    struct index_account_gap gaps[ACCOUNT_GAPS_MAX];
    uint32_t n_gaps;
};

/* Before it: the segments that the spool has of the stream; sorts them. */
void holes_close(struct index_list *l, struct index_run *segments, uint32_t n);

/* What neither the stream's index files nor the n further runs have. Holes whose events
 * all came before since_ms, or at or after until_ms, are left out. */
void holes_of(const struct index_list *l, const struct index_run *runs, uint32_t n,
              int64_t since_ms, int64_t until_ms, struct holes *out);
void holes_free(struct holes *h);

/* Whether events may be in them. */
bool holes_any(const struct holes *h);

/* A line each, the first ones of many. */
void holes_print(const struct holes *h, const char *stream);
struct cJSON *holes_json(const struct holes *h);
