#include "ingest/tally.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"

/* A side with fewer could not be told from chance, however small its share. */
enum { SIDE_MIN = 16 };

void tally_init(struct tally *t)
{
    *t = (struct tally){.spent = stats_histogram_new()};
}

void tally_fini(struct tally *t)
{
    stats_histogram_free(t->spent);
    free(t->units);
}

static void clear(struct tally_unit *u)
{
    stats_set(&u->requests, 0);
    stats_set(&u->events, 0);
    stats_set(&u->refused, 0);
    stats_set(&u->failed, 0);
    stats_set(&u->timed, 0);
    stats_set(&u->slow, 0);
    stats_set(&u->very_slow, 0);
}

void tally_clear(struct tally *t, uint32_t n_units)
{
    assert(n_units <= TALLY_UNITS);
    clear(&t->all);
    stats_histogram_clear(t->spent);
    stats_set(&t->slow_ns, 0);
    stats_set(&t->very_slow_ns, 0);
    if (n_units > 0 && t->units == NULL) {
        /* Whole, since the supervisor may be reading it in a later rollout. */
        t->units = mem_zalloc(TALLY_UNITS * sizeof *t->units);
    }
    for (uint32_t i = 0; i < TALLY_UNITS && t->units != NULL; i++) {
        clear(&t->units[i]);
    }
    t->n_units = n_units;
}

void tally_split(double share, uint32_t *old, uint32_t *new_)
{
    double n = round(share * TALLY_UNITS);

    n = fmin(fmax(n, SIDE_MIN), TALLY_UNITS - SIDE_MIN);
    *new_ = (uint32_t)n;
    *old = TALLY_UNITS - *new_;
}

static void count(struct tally_unit *u, uint64_t events, uint64_t refused,
                  uint64_t failed)
{
    stats_add(&u->requests, 1);
    stats_add(&u->events, events);
    stats_add(&u->refused, refused);
    stats_add(&u->failed, failed);
}

void tally_request(struct tally *t, uint32_t unit, uint64_t events, uint64_t refused,
                   uint64_t failed, uint64_t spent_ns)
{
    uint64_t slow = atomic_load_explicit(&t->slow_ns, memory_order_relaxed);
    struct tally_unit *u;

    count(&t->all, events, refused, failed);
    stats_record(t->spent, spent_ns);
    if (t->n_units == 0) {
        return;
    }
    u = &t->units[unit % t->n_units];
    count(u, events, refused, failed);
    if (slow != 0) {
        stats_add(&u->timed, 1);
        stats_add(&u->slow, spent_ns > slow);
        stats_add(&u->very_slow, spent_ns > atomic_load_explicit(&t->very_slow_ns,
                                                                 memory_order_relaxed));
    }
}
