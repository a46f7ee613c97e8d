/* The sightings as a list: each event once. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/find/sightings.h"
#include "spool/inspect.h"
#include "spool/spool.h"

void sightings_begin(struct sightings *s)
{
    s->list = mem_alloc(SIGHTINGS_MAX * sizeof *s->list);
}

static struct sighting *find(struct sightings *s, const char *stream, uint32_t epoch,
                             uint32_t worker, uint64_t seq)
{
    for (uint32_t i = 0; i < s->n; i++) {
        struct sighting *g = &s->list[i];

        if (g->seq == seq && g->epoch == epoch && g->worker == worker &&
            strcmp(g->stream, stream) == 0) {
            return g;
        }
    }
    return NULL;
}

struct sighting *sightings_add(struct sightings *s, const char *stream, uint32_t epoch,
                               uint32_t worker, uint64_t seq, bool counted)
{
    struct sighting *g = find(s, stream, epoch, worker, seq);

    if (g != NULL) {
        return g;
    }
    if (s->n == SIGHTINGS_MAX) {
        s->more += !counted;
        return NULL;
    }
    g = &s->list[s->n++];
    *g = (struct sighting){.epoch = epoch, .worker = worker, .seq = seq};
    (void)snprintf(g->stream, sizeof g->stream, "%s", stream);
    return g;
}

void sightings_see(struct sighting *g, const struct spool_segment_info *i,
                   const struct spool_block *b, uint32_t k)
{
    g->seen = true;
    g->wall_ms = b->wall_ms;
    g->step_ms = 1;
    g->policy8 = b->policy8;
    g->segment = i->number;
    g->block = b->first;
    g->n_block = b->n;
    g->edited = (b->entries[k].flags & ENTRY_EDITED) != 0;
    g->unsure = b->first >= i->unsure;
    g->replayed = (b->entries[k].flags & ENTRY_REPLAYED) != 0;
}

void sightings_forget(struct sightings *s, const char *stream, uint64_t more)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < s->n; i++) {
        if (strcmp(s->list[i].stream, stream) != 0) {
            s->list[n++] = s->list[i];
        }
    }
    s->n = n;
    s->more = more;
}

uint32_t sightings_stream_at(const struct sightings *s, const char *name)
{
    uint32_t i = 0;

    while (i < s->n_looked && strcmp(s->looked[i].stream, name) != 0) {
        i++;
    }
    return i;
}

uint32_t sightings_stream(struct sightings *s, const char *name)
{
    const uint32_t at = sightings_stream_at(s, name);

    if (at < s->n_looked) {
        return at;
    }
    s->looked = mem_realloc(s->looked, (s->n_looked + 1) * sizeof *s->looked);
    s->looked[s->n_looked] = (struct looked){.n_files = 0};
    (void)snprintf(s->looked[s->n_looked].stream, sizeof s->looked->stream, "%s", name);
    return s->n_looked++;
}

static int by_position(const void *a, const void *b)
{
    const struct sighting *x = a, *y = b;
    const int c = strcmp(x->stream, y->stream);

    return c != 0                   ? c
           : x->epoch != y->epoch   ? (x->epoch < y->epoch ? -1 : 1)
           : x->worker != y->worker ? (x->worker < y->worker ? -1 : 1)
                                    : (x->seq > y->seq) - (x->seq < y->seq);
}

void sightings_sort(struct sightings *s)
{
    if (s->n > 1) {
        qsort(s->list, s->n, sizeof *s->list, by_position);
    }
}

void sightings_free(struct sightings *s)
{
    for (uint32_t i = 0; i < s->n_looked; i++) {
        holes_free(&s->looked[i].holes);
    }
    free(s->list);
    free(s->looked);
    *s = (struct sightings){.list = NULL};
}

uint64_t sightings_next(const struct sightings *s, const struct sighting_run *r)
{
    uint64_t next = r->end;

    for (uint32_t i = 0; i < s->n; i++) {
        const struct sighting *g = &s->list[i];

        if (g->seq >= r->first && g->seq < next && g->epoch == r->epoch &&
            g->worker == r->worker && strcmp(g->stream, r->stream) == 0) {
            next = g->seq;
        }
    }
    return next;
}

static bool is_of(const struct sighting *g, const struct sighting_run *r)
{
    return !g->seen && g->seq >= r->first && g->seq < r->end && g->epoch == r->epoch &&
           g->worker == r->worker && strcmp(g->stream, r->stream) == 0;
}

void sightings_drop_unseen(struct sightings *s, const struct sighting_run *r)
{
    for (uint32_t k = 0; k < s->n;) {
        if (is_of(&s->list[k], r)) {
            s->list[k] = s->list[--s->n];
        } else {
            k++;
        }
    }
}

void sightings_cut(struct sightings *s, const char *stream, uint32_t epoch,
                   uint32_t worker, uint64_t seq)
{
    const struct sighting_run r = {stream, epoch, worker, seq, UINT64_MAX};

    for (uint32_t k = 0; k < s->n; k++) {
        s->list[k].cut |= is_of(&s->list[k], &r);
    }
}
