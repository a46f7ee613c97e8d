/*
 * versions - the life of each policy that was ever loaded.
 *
 *   generation_new ─► loading ─┬─► refused
 *                              ├─► canary ─┬─► live ─► retiring ─► retired
 *                              ├─► shadow ─┤            ▲
 *                              │           └────────────┤ rolled back, or done
 *                              └─► live ─► retiring ────┘
 *
 * Retiring lasts as long as something still holds it: a worker's binding, a
 * request that began under it, a sink. The supervisor's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "stats/stats.h"

struct binding;
struct policy;

enum {
    GENERATIONS_KEPT = 64, /* for /status; the oldest ended one goes first */
    GENERATIONS_HELD = 32  /* not ended: each has a Lua state a worker */
};

enum generation_status {
    GEN_LOADING,
    GEN_CANARY,
    GEN_SHADOW,
    GEN_LIVE,
    GEN_RETIRING,
    GEN_RETIRED,
    GEN_REFUSED,
    GEN_STATUSES
};

struct generation {
    uint64_t number;
    char hash[65]; /* "": its files could not be read */
    enum generation_status status;
    int64_t at_ms;             /* wall clock of the status */
    int64_t began_ms;          /* and of its load */
    const char *cause;         /* "start", "POST", "SIGHUP"; static */
    bool restart;              /* refused, but a new process takes it */
    char why[256];             /* of its end, or of a refusal its first line */
    struct policy *policy;     /* a reference until it has ended; NULL before */
    struct binding **bindings; /* one a worker; NULL: let go */
};

struct generation_holders {
    uint32_t workers, requests, sinks;
};

struct generations {
    struct generation *list[GENERATIONS_KEPT]; /* oldest first */
    uint32_t n;
    uint32_t n_workers;
    uint64_t last; /* number */
    bool full;     /* the last load had no place, for too many are held */
    stats_cell *gauges[GEN_STATUSES], *live, *refused;
};

void generations_init(struct generations *all, uint32_t n_workers);
void generations_fini(struct generations *all);

/* Whether requests of a generation that is not live any more are under way. */
bool generations_under_way(const struct generations *all);

/* The next number, loading. NULL: GENERATIONS_HELD are still held. cause is
 * static. Lives until GENERATIONS_KEPT others have come after its end. */
struct generation *generation_new(struct generations *all, const char *cause);

/* Its policy was loaded: takes a reference, and gives it the number. */
void generation_policy(struct generation *g, struct policy *p);

/* Changes the status and logs it; why may be NULL, only its first line is kept.
 * GEN_RETIRING becomes GEN_RETIRED by generations_look. */
void generation_set(struct generations *all, struct generation *g,
                    enum generation_status status, const char *why);

/* A binding that was freed: whatever generation has it lets it go. */
void generations_freed(struct generations *all, const struct binding *b);

void generation_holders(const struct generations *all, const struct generation *g,
                        struct generation_holders *out);

/* Marks every retiring version without holders as retired. True: some still retire. */
bool generations_look(struct generations *all);

const char *generation_word(enum generation_status status);
