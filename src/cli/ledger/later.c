#include "cli/ledger/later.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"
#include "cli/find/index_list.h"
#include "cli/find/settled.h"
#include "cli/ledger/entries.h"
#include "cli/ledger/tallies.h"
#include "server/sinks/persisted.h"

struct looking {
    const char *spool;
    const struct ledger_stream *l;
    uint32_t sink;
    int64_t from_ms, to_ms;
    struct suspects *s;
    const struct persisted *kinds; /* of sinks, as far as they are noted */
};

static void on_entry(void *arg, const struct entry *t)
{
    struct suspect *s = suspects_find(arg, t->print);

    if (s != NULL) {
        s->later++;
    }
}

static bool count(const struct looking *g, const char *stream, struct err *e)
{
    struct tallies t;
    const bool ok = tallies_read(g->spool, stream, g->from_ms, g->to_ms, &t, e) &&
                    entries_each(g->spool, &t, g->from_ms, g->to_ms, on_entry, g->s, e);

    tallies_free(&t);
    return ok;
}

static bool is_clickhouse(const struct looking *g, uint32_t sink)
{
    const struct persisted_sink *k = persisted_find(g->kinds, g->l->sinks[sink].sink);

    return k != NULL && strcmp(k->kind, "clickhouse") == 0;
}

/* Whether the sink may be the one of the destination: of a table it is one of ClickHouse, if
 * the stream has such a sink. */
static bool may_fill(const struct looking *g, uint32_t sink)
{
    bool any = false;

    for (uint32_t i = 0; i < g->l->n_sinks; i++) {
        any |= is_clickhouse(g, i);
    }
    return g->sink == g->l->n_sinks ? !any || is_clickhouse(g, sink) : g->sink == sink;
}

/* Whether the destination may have events of that stream, too. */
static bool shares(const struct looking *g, const char *stream)
{
    bool any = false;

    for (uint32_t i = 0; !any && i < g->l->n_sinks; i++) {
        struct settled s;
        struct err e;

        if (may_fill(g, i)) {
            any =
                settled_read(g->spool, g->l->sinks[i].sink, stream, &s, &e) && s.known;
            settled_free(&s);
        }
    }
    return any;
}

/* Another stream that can't be read has no event that is known. */
static void count_others(const struct looking *g)
{
    struct dirent **list = NULL;
    const int n = index_lists_names(g->spool, &list);
    struct err e;

    for (int i = 0; i < n; i++) {
        const char *name = list[i]->d_name;

        if (strcmp(name, g->l->tallies.stream) != 0 && shares(g, name)) {
            (void)count(g, name, &e);
        }
        free(list[i]);
    }
    free(list);
}

/* In a topic an id that is none of the stream's is foreign, whose ever it is. */
static bool is_too_often(const struct suspect *s, bool topic)
{
    return s->there > s->here && !(topic && s->here == 0);
}

bool later_accept(const char *spool, const struct ledger_stream *l, uint32_t sink,
                  int64_t from_ms, int64_t to_ms, struct suspects *s, struct err *e)
{
    struct looking g = {spool, l, sink, from_ms, to_ms, s, NULL};
    const bool topic = sink < l->n_sinks;
    struct persisted *kinds;
    bool any = false;

    for (uint32_t i = 0; i < s->n; i++) {
        any |= is_too_often(&s->list[i], topic);
    }
    if (!any) {
        return true;
    }
    if (!count(&g, l->tallies.stream, e)) {
        return false;
    }
    kinds = mem_zalloc(sizeof *kinds);
    g.kinds = kinds;
    if (!persisted_read(kinds, spool, e)) {
        free(kinds);
        return false;
    }
    count_others(&g);
    free(kinds);
    for (uint32_t i = 0; i < s->n; i++) {
        struct suspect *x = &s->list[i];
        const int64_t n = x->later < x->there ? x->later : x->there;

        x->here = is_too_often(x, topic) && n > x->here ? n : x->here;
    }
    return true;
}
