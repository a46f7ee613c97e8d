/* The plan of the things that outlive a generation, counters and gauges, and of the
 * log. */
#include <stdio.h>

#include "base/log.h"
#include "policy/build/internal.h"

static const char *const *texts(struct build *b, const char *key, uint32_t *n)
{
    const char **list;

    *n = field_open(b, key);
    list = build_room(b, *n * sizeof *list);
    for (uint32_t i = 0; i < *n; i++) {
        struct str s;

        lua_rawgeti(b->L, -1, (int)i + 1);
        s.p = lua_tolstring(b->L, -1, &s.n);
        list[i] = build_copy(b, s).p;
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
    return list;
}

static void build_metrics(struct build *b)
{
    uint32_t n = field_open(b, "metrics");

    b->plan->n_metrics = n;
    b->plan->metrics = build_room(b, n * sizeof *b->plan->metrics);
    for (uint32_t i = 0; i < n; i++) {
        struct metric_plan *m = &b->plan->metrics[i];

        lua_rawgeti(b->L, -1, (int)i + 1);
        m->name = field_text(b, "name").p;
        m->help = field_text(b, "help").p;
        m->gauge = field_is(b, "word", "gauge");
        m->labels = texts(b, "labels", &m->n_labels);
        m->max_series = (uint32_t)field_whole(b, "max_series");
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
}

static void build_log(struct build *b)
{
    (void)field_open(b, "log");
    b->plan->log_level = field_is(b, "level", "debug")   ? LOG_DEBUG
                         : field_is(b, "level", "warn")  ? LOG_WARN
                         : field_is(b, "level", "error") ? LOG_ERROR
                                                         : LOG_INFO;
    b->plan->log_json = field_is(b, "format", "json");
    lua_pop(b->L, 1);
}

/* The paths that identify an event, and their names in one text. */
static void build_dedup_key(struct build *b, struct stream_plan *st)
{
    char name[DEDUP_PARTS_MAX * 1026];
    size_t n = 0;

    st->n_dedup_parts = field_open(b, "key");
    for (uint32_t i = 0; i < st->n_dedup_parts; i++) {
        struct str part;

        lua_rawgeti(b->L, -1, (int)i + 1);
        part.p = lua_tolstring(b->L, -1, &part.n);
        st->dedup_parts[i] = build_copy(b, part);
        n += (size_t)snprintf(name + n, sizeof name - n, "%s%s", i > 0 ? "," : "",
                              part.p);
        lua_pop(b->L, 1);
    }
    lua_pop(b->L, 1);
    st->dedup_key = build_copy(b, (struct str){name, n});
}

/* After the streams, whose list it completes. */
static void build_dedups(struct build *b)
{
    uint32_t n = field_open(b, "streams");

    for (uint32_t i = 0; i < n; i++) {
        struct stream_plan *st = &b->plan->streams[i];

        lua_rawgeti(b->L, -1, (int)i + 1);
        lua_getfield(b->L, -1, "dedup");
        if (lua_istable(b->L, -1)) {
            build_dedup_key(b, st);
            st->dedup_persist = field_flag(b, "persist");
            st->dedup_window_ms = (int64_t)field_whole(b, "window");
            st->dedup_max_keys = (uint32_t)field_whole(b, "max_keys");
            b->plan->n_dedups++;
        }
        lua_pop(b->L, 2);
    }
    lua_pop(b->L, 1);
}

void build_counters(struct build *b)
{
    build_dedups(b);
    build_log(b);
    build_metrics(b);
    build_limits(b);
}
