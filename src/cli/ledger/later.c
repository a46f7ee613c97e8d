#include "cli/ledger/later.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/find/index_list.h"
#include "cli/find/settled.h"
#include "cli/ledger/entries.h"
#include "cli/ledger/tallies.h"

struct looking {
    const char *spool;
    const struct ledger_stream *l;
    uint32_t sink;
    int64_t from_ms, to_ms;
    struct suspects *s;
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

/* Whether the destination may have events of that stream, too. */
static bool shares(const struct looking *g, const char *stream)
{
    bool any = false;

    for (uint32_t i = 0; !any && i < g->l->n_sinks; i++) {
        struct settled s;
        struct err e;

        if (g->sink == i || g->sink == g->l->n_sinks) {
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
    const struct looking g = {spool, l, sink, from_ms, to_ms, s};
    const bool topic = sink < l->n_sinks;
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
    count_others(&g);
    for (uint32_t i = 0; i < s->n; i++) {
        struct suspect *x = &s->list[i];
        const int64_t n = x->later < x->there ? x->later : x->there;

        x->here = is_too_often(x, topic) && n > x->here ? n : x->here;
    }
    return true;
}
