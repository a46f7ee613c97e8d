#include "cli/find/beyond.h"

#include <dirent.h>
#include <stdlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/find/settled.h"
#include "cli/find/sink_names.h"

struct shard_count {
    uint32_t epoch, worker;
    uint64_t n; /* by the sink that has most */
};

struct counting {
    beyond_end_fn *end;
    void *arg;
    struct shard_count *list;
    uint32_t n, room;
};

static void free_all(struct settled *list, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        settled_free(&list[i]);
    }
}

static struct settled *of_sink(const struct beyond *b, uint32_t sink)
{
    return b->list + (size_t)sink * b->n_streams;
}

bool beyond_read(const char *spool, const char *const *streams, uint32_t n,
                 struct beyond *out, struct err *e)
{
    struct sink_names sinks;

    *out = (struct beyond){.n_streams = n};
    if (!sink_names_read(&sinks, spool, e)) {
        return false;
    }
    out->list = mem_alloc(((size_t)sinks.n * n + 1) * sizeof *out->list);
    for (int i = 0; i < sinks.n; i++) {
        struct settled *s = of_sink(out, out->n_sinks++);
        struct err ignored;

        if (!settled_read_streams(spool, sinks.list[i]->d_name, streams, n, s,
                                  &ignored)) {
            out->n_sinks--;
            free_all(s, n);
        }
    }
    sink_names_free(&sinks);
    return true;
}

void beyond_free(struct beyond *b)
{
    free_all(b->list, b->n_sinks * b->n_streams);
    free(b->list);
    *b = (struct beyond){.n_sinks = 0};
}

/* Those that were accepted: no sink gets the others. */
static uint64_t count_from(const struct settled *s, const struct cursor *at,
                           uint64_t first)
{
    const uint64_t end = at->n_ahead > 0 ? at->ahead[at->n_ahead - 1].end : at->next;
    struct settled_counts c = {.confirmed = 0};

    /* A sink that passes a shard of which the disk does not tell the end stands there. */
    if (end <= first || end >= UINT64_MAX - 1) {
        return 0;
    }
    settled_count(s, at->epoch, at->worker, first, (uint32_t)(end - first), 0, false,
                  &c);
    return c.confirmed + c.settled + c.apart[SETTLED_DEAD] + c.apart[SETTLED_SKIPPED] +
           c.apart[SETTLED_LOST];
}

static void add(struct counting *g, uint32_t epoch, uint32_t worker, uint64_t n)
{
    for (uint32_t i = 0; i < g->n; i++) {
        if (g->list[i].epoch == epoch && g->list[i].worker == worker) {
            g->list[i].n = n > g->list[i].n ? n : g->list[i].n;
            return;
        }
    }
    if (g->n == g->room) {
        g->room = g->room == 0 ? 16 : 2 * g->room;
        g->list = mem_realloc(g->list, g->room * sizeof *g->list);
    }
    g->list[g->n++] = (struct shard_count){epoch, worker, n};
}

/* The journal forgets a shard that is gone; the record of places still has it. */
static void count_sink(struct counting *g, const struct settled *s)
{
    for (uint32_t i = 0; i < s->acks.n; i++) {
        const struct cursor *at = &s->acks.shards[i];
        const uint64_t end = g->end(g->arg, at->epoch, at->worker);
        const uint64_t n = end == 0 ? 0 : count_from(s, at, end);

        if (n > 0) {
            add(g, at->epoch, at->worker, n);
        }
    }
    for (uint32_t i = 0; i < s->taken.n; i++) {
        const struct settled_run *r = &s->taken.runs[i];
        const bool last =
            i + 1 == s->taken.n || r[1].epoch != r->epoch || r[1].worker != r->worker;
        const uint64_t end = last ? g->end(g->arg, r->epoch, r->worker) : 0;

        if (end != 0 && end < r->end) {
            add(g, r->epoch, r->worker,
                settled_in(&s->taken, r->epoch, r->worker, end, r->end));
        }
    }
}

static uint64_t sum_up(struct counting *g)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < g->n; i++) {
        sum += g->list[i].n;
    }
    free(g->list);
    return sum;
}

uint64_t beyond_count(const struct settled *sinks, uint32_t n, beyond_end_fn *end,
                      void *arg)
{
    struct counting g = {.end = end, .arg = arg};

    for (uint32_t i = 0; i < n; i++) {
        count_sink(&g, &sinks[i]);
    }
    return sum_up(&g);
}

uint64_t beyond_count_of(const struct beyond *b, uint32_t stream, beyond_end_fn *end,
                         void *arg)
{
    struct counting g = {.end = end, .arg = arg};

    for (uint32_t i = 0; i < b->n_sinks; i++) {
        const struct settled *s = &of_sink(b, i)[stream];

        if (s->known) {
            count_sink(&g, s);
        }
    }
    return sum_up(&g);
}
