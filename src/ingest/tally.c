#include "ingest/tally.h"

void tally_init(struct tally *t)
{
    *t = (struct tally){.spent = stats_histogram_new()};
}

void tally_fini(struct tally *t)
{
    stats_histogram_free(t->spent);
}

void tally_clear(struct tally *t)
{
    stats_set(&t->requests, 0);
    stats_set(&t->events, 0);
    stats_set(&t->refused, 0);
    stats_set(&t->failed, 0);
    stats_histogram_clear(t->spent);
}
