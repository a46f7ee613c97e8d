#include "cli/find/segments_seen.h"

#include <stdlib.h>

#include "base/mem.h"
#include "spool/inspect.h"

static bool is_of_shard(const struct segment_seen *g, const struct segment_seen *of)
{
    return g->stream == of->stream && g->epoch == of->epoch && g->worker == of->worker;
}

void segments_seen_add(struct segments_seen *s, uint32_t stream,
                       const struct spool_segment_info *i)
{
    const struct segment_seen new = {.stream = stream,
                                     .epoch = i->epoch,
                                     .worker = i->worker,
                                     .number = i->number,
                                     .first = i->first,
                                     .end = UINT64_MAX};
    struct segment_seen *last = s->n == 0 ? NULL : &s->list[s->n - 1];

    if (last != NULL && is_of_shard(last, &new)) {
        last->end = i->first;
        last->apart = i->number != last->number + 1;
    }
    if (s->n == s->room) {
        s->room = s->room == 0 ? 64 : 2 * s->room;
        s->list = mem_realloc(s->list, s->room * sizeof *s->list);
    }
    s->list[s->n++] = new;
}

struct segment_seen *segments_seen_find(struct segments_seen *s, uint32_t stream,
                                        const struct spool_segment_info *i)
{
    for (uint32_t k = 0; k < s->n; k++) {
        const uint32_t at = (s->found + k) % s->n;
        struct segment_seen *g = &s->list[at];

        if (g->epoch == i->epoch && g->worker == i->worker && g->number == i->number &&
            g->first == i->first && g->stream == stream) {
            s->found = at;
            return g;
        }
    }
    return NULL;
}

bool segments_seen_left(const struct segments_seen *s, uint32_t stream,
                        int64_t since_ms)
{
    bool left = false;

    for (uint32_t i = 0; i < s->n && !left; i++) {
        const struct segment_seen *g = &s->list[i], *before = i == 0 ? NULL : g - 1;
        const bool lacks =
            before == NULL || !is_of_shard(before, g) ? g->first > 1 : before->apart;

        left =
            g->stream == stream && lacks && (g->from_ms == 0 || g->from_ms > since_ms);
    }
    return left;
}

uint64_t segments_seen_first(const struct segments_seen *s, uint32_t stream,
                             uint32_t epoch, uint32_t worker)
{
    const struct segment_seen of = {.stream = stream, .epoch = epoch, .worker = worker};

    for (uint32_t i = 0; i < s->n; i++) {
        if (is_of_shard(&s->list[i], &of)) {
            return s->list[i].first;
        }
    }
    return 0;
}

uint64_t segments_seen_end(const struct segments_seen *s, uint32_t stream,
                           uint32_t epoch, uint32_t worker)
{
    const struct segment_seen of = {.stream = stream, .epoch = epoch, .worker = worker};
    uint64_t end = 0;

    for (uint32_t i = 0; i < s->n; i++) {
        if (is_of_shard(&s->list[i], &of)) {
            end = s->list[i].next > 0 ? s->list[i].next : UINT64_MAX;
        }
    }
    return end;
}

void segments_seen_free(struct segments_seen *s)
{
    free(s->list);
    *s = (struct segments_seen){.list = NULL};
}
