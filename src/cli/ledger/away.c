#include "cli/ledger/away.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "cli/ledger/read.h"
#include "delivery/places.h"
#include "journal/journal.h"

static const char TOPIC[] = "topic=";
#define BY_EVENT STR("by_event") /* in place of a name: the sink chose one for each */

struct reading {
    struct away *out;
    struct str stream, topic;
    struct settled_set home; /* events that the compared topic has, too */
};

/* A place is the topic's name and a space before the partitions. */
static bool topic_of(struct str place, struct str *name)
{
    const size_t n = sizeof TOPIC - 1;
    const char *end;

    if (place.n <= n || memcmp(place.p, TOPIC, n) != 0) {
        return false;
    }
    *name = (struct str){place.p + n, place.n - n};
    end = memchr(name->p, ' ', name->n);
    name->n = end == NULL ? name->n : (size_t)(end - name->p);
    return true;
}

static void add_name(struct away *a, struct str name)
{
    char text[sizeof a->topics], all[sizeof a->topics + 2], with[sizeof text + 2];
    const size_t n = strlen(a->topics);

    (void)snprintf(text, sizeof text, "%.*s", (int)name.n, name.p);
    (void)snprintf(all, sizeof all, ",%s,", a->topics);
    (void)snprintf(with, sizeof with, ",%s,", text);
    if (strstr(all, with) == NULL && n + strlen(text) + 2 < sizeof a->topics) {
        (void)snprintf(a->topics + n, sizeof a->topics - n, "%s%s", n > 0 ? "," : "",
                       text);
    }
}

static void on_place(void *arg, const struct record *r)
{
    struct reading *g = arg;
    struct str name;
    bool home;

    if (r->type != RECORD_DONE || !str_eq(r->stream, g->stream) ||
        !topic_of(r->id, &name)) {
        return;
    }
    home = str_eq(name, g->topic);
    if (!home && !str_eq(name, BY_EVENT)) {
        add_name(g->out, name);
    }
    for (uint32_t i = 0; i < r->n_ranges; i++) {
        settled_add(home ? &g->home : &g->out->events, &r->ranges[i],
                    r->ranges[i].first, r->ranges[i].first + r->ranges[i].n, 0);
    }
}

bool away_read(const char *spool, const char *sink, const char *stream,
               const char *topic, struct away *out, struct err *e)
{
    struct reading g = {.out = out, .stream = str_of(stream), .topic = str_of(topic)};
    struct doubt doubt;
    char path[PATH_MAX];
    bool ok;

    *out = (struct away){.topics = ""};
    (void)snprintf(path, sizeof path, "%s/sinks/%s.journal", spool, sink);
    ok = places_read(path, on_place, &g, &doubt, e);
    doubt_free(&doubt);
    settled_sort(&out->events);
    settled_sort(&g.home);
    settled_subtract(&out->events, &g.home);
    free(g.home.runs);
    return ok;
}

void away_free(struct away *a)
{
    free(a->events.runs);
    *a = (struct away){.topics = ""};
}

uint64_t away_count(const struct away *a, const struct ledger_stream *l)
{
    uint64_t n = 0;

    for (uint32_t i = 0; i < l->tallies.n; i++) {
        const struct tally_row *r = &l->tallies.rows[i];

        n += settled_in(&a->events, r->epoch, r->worker, r->seq, r->seq + r->n);
    }
    return n;
}
