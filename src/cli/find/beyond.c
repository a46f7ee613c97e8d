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

bool beyond_read(const char *spool, const char *stream, struct beyond *out,
                 struct err *e)
{
    struct sink_names sinks;

    *out = (struct beyond){.n = 0};
    if (!sink_names_read(&sinks, spool, e)) {
        return false;
    }
    out->list = mem_alloc(((size_t)sinks.n + 1) * sizeof *out->list);
    for (int i = 0; i < sinks.n; i++) {
        struct settled *s = &out->list[out->n];
        struct err ignored;

        if (settled_read(spool, sinks.list[i]->d_name, stream, s, &ignored) &&
            s->known) {
            out->n++;
        } else {
            settled_free(s);
        }
    }
    sink_names_free(&sinks);
    return true;
}

void beyond_free(struct beyond *b)
{
    for (uint32_t i = 0; i < b->n; i++) {
        settled_free(&b->list[i]);
    }
    free(b->list);
    *b = (struct beyond){.n = 0};
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

uint64_t beyond_count(const struct settled *sinks, uint32_t n, beyond_end_fn *end,
                      void *arg)
{
    struct counting g = {.end = end, .arg = arg};
    uint64_t sum = 0;

    for (uint32_t i = 0; i < n; i++) {
        count_sink(&g, &sinks[i]);
    }
    for (uint32_t i = 0; i < g.n; i++) {
        sum += g.list[i].n;
    }
    free(g.list);
    return sum;
}
