/* sluice ledger [--since AGE] [--until AGE] [--stream NAME] [--all] [--json] [DIR] */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cjson/cJSON.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/ledger_read.h"
#include "cli/ledger_topic.h"
#include "cli/question.h"
#include "cli/spool_folder.h"
#include "cli/table_check.h"
#include "server/supervisor.h"

enum { LEDGER_AGREES = 0, LEDGER_DIFFERS = 1, TIMEOUT_MS = 30000 };

static const char *const APART[SETTLED_HOWS] = {[SETTLED_DEAD] = "dead",
                                                [SETTLED_SKIPPED] = "skipped",
                                                [SETTLED_LOST] = "lost",
                                                [SETTLED_BEFORE] = "never_seen"};

struct ledger {
    const char *path, *stream; /* stream NULL: all */
    char dir[PATH_MAX];
    int64_t since_ms, until_ms;
    bool all, json;
    const char *url, *user, *table, *id, *time; /* of a table to be compared */
    struct ledger_topic topic;                  /* the same; sink NULL: none */
    bool differs;
    cJSON *streams;
};

static void show_minute(char out[24], int64_t ms)
{
    const time_t s = (time_t)(ms / 1000);
    struct tm t;

    (void)gmtime_r(&s, &t);
    (void)strftime(out, 24, "%Y-%m-%dT%H:%MZ", &t);
}

static bool agrees(const struct ledger_stream *l, const struct ledger_minute *m)
{
    bool all = true;

    for (uint32_t k = 0; k < l->n_sinks; k++) {
        all &= ledger_agrees(m, k);
    }
    return all;
}

/* ---- text ---- */

static void print_counts(const char *sink, const struct settled_counts *c)
{
    (void)printf("  sink=%s confirmed=%" PRIu64, sink, c->confirmed);
    if (c->pending > 0) {
        (void)printf(" pending=%" PRIu64, c->pending);
    }
    for (int how = 0; how < SETTLED_HOWS; how++) {
        if (c->apart[how] > 0) {
            (void)printf(" %s=%" PRIu64, APART[how], c->apart[how]);
        }
    }
    (void)putchar('\n');
}

static void print_minute(const struct ledger_stream *l, const struct ledger_minute *m,
                         bool all)
{
    char when[24];

    show_minute(when, m->ms);
    (void)printf("minute=%s stream=%s accepted=%" PRIu64 " checksum=%016" PRIx64, when,
                 l->tallies.stream, m->accepted, m->sum);
    if (m->anonymous > 0) {
        (void)printf(" without_id=%" PRIu64, m->anonymous);
    }
    (void)putchar('\n');
    for (uint32_t k = 0; k < l->n_sinks; k++) {
        if (all || !ledger_agrees(m, k)) {
            print_counts(l->sinks[k].sink, &m->by[k]);
        }
    }
}

static void add_counts(struct settled_counts *to, const struct settled_counts *c)
{
    to->confirmed += c->confirmed;
    to->pending += c->pending;
    for (int how = 0; how < SETTLED_HOWS; how++) {
        to->apart[how] += c->apart[how];
    }
}

static struct ledger_minute *total(const struct ledger_stream *l)
{
    struct ledger_minute *t = mem_zalloc(sizeof *t + l->n_sinks * sizeof t->by[0]);

    for (uint32_t i = 0; i < l->n_minutes; i++) {
        t->accepted += l->minutes[i]->accepted;
        t->anonymous += l->minutes[i]->anonymous;
        t->sum += l->minutes[i]->sum;
        for (uint32_t k = 0; k < l->n_sinks; k++) {
            add_counts(&t->by[k], &l->minutes[i]->by[k]);
        }
    }
    return t;
}

/* Events may have been stored of which it can't tell. */
static bool unsure(const struct ledger_stream *l)
{
    return l->tallies.n_unknown + l->tallies.index.n_damaged + l->tallies.n_unread >
               0 ||
           l->unread[0] != '\0';
}

/* No journal tells what became of the events. */
static bool unfed(const struct ledger_stream *l)
{
    return l->n_sinks == 0 && l->n_minutes > 0;
}

/* Before the result of a comparison: it is of the other events only. */
static void print_unsure(const struct ledger_stream *l)
{
    if (unsure(l)) {
        (void)printf("not compared: stream=%s unknown=%" PRIu64
                     " damaged_files=%" PRIu64 " unread_segments=%" PRIu64 "%s%s\n",
                     l->tallies.stream, l->tallies.n_unknown,
                     l->tallies.index.n_damaged, l->tallies.n_unread,
                     l->unread[0] == '\0' ? "" : " unread: ", l->unread);
    }
}

static void print_total(const struct ledger_stream *l)
{
    struct ledger_minute *t = total(l);
    uint32_t n = 0;

    for (uint32_t i = 0; i < l->n_minutes; i++) {
        n += !agrees(l, l->minutes[i]);
    }
    (void)printf("stream=%s minutes=%u differ=%u accepted=%" PRIu64
                 " checksum=%016" PRIx64,
                 l->tallies.stream, l->n_minutes, n, t->accepted, t->sum);
    if (l->tallies.n_unknown > 0) {
        (void)printf(" unknown=%" PRIu64 " (neither the index nor a segment has them)",
                     l->tallies.n_unknown);
    }
    if (l->tallies.index.n_damaged > 0) {
        (void)printf(" damaged_files=%" PRIu64, l->tallies.index.n_damaged);
    }
    if (l->tallies.n_unread > 0) {
        (void)printf(" unread_segments=%" PRIu64, l->tallies.n_unread);
    }
    (void)putchar('\n');
    for (uint32_t k = 0; k < l->n_sinks; k++) {
        print_counts(l->sinks[k].sink, &t->by[k]);
    }
    if (unfed(l)) {
        (void)puts(
            "unread: no sink's journal knows the stream: none has confirmed any");
    }
    if (l->unread[0] != '\0') {
        (void)printf("unread: %s\n", l->unread);
    }
    free(t);
}

static void print_text(const struct ledger *g, const struct ledger_stream *l)
{
    for (uint32_t i = 0; i < l->n_minutes; i++) {
        if (g->all || !agrees(l, l->minutes[i])) {
            print_minute(l, l->minutes[i], g->all);
        }
    }
    print_total(l);
}

/* ---- JSON ---- */

static void put(cJSON *o, const char *key, uint64_t v)
{
    (void)cJSON_AddNumberToObject(o, key, (double)v);
}

static void put_minute(cJSON *o, const struct ledger_stream *l,
                       const struct ledger_minute *m)
{
    cJSON *sinks;
    char hex[20];

    (void)snprintf(hex, sizeof hex, "%016" PRIx64, m->sum);
    put(o, "accepted", m->accepted);
    put(o, "without_id", m->anonymous);
    (void)cJSON_AddStringToObject(o, "checksum", hex);
    sinks = cJSON_AddObjectToObject(o, "sinks");
    for (uint32_t k = 0; k < l->n_sinks; k++) {
        cJSON *s = cJSON_AddObjectToObject(sinks, l->sinks[k].sink);

        put(s, "confirmed", m->by[k].confirmed);
        put(s, "pending", m->by[k].pending);
        for (int how = 0; how < SETTLED_HOWS; how++) {
            put(s, APART[how], m->by[k].apart[how]);
        }
    }
}

static void add_json(struct ledger *g, const struct ledger_stream *l)
{
    cJSON *o = cJSON_CreateObject(), *list;
    struct ledger_minute *t = total(l);

    (void)cJSON_AddStringToObject(o, "stream", l->tallies.stream);
    put_minute(o, l, t);
    put(o, "unknown", l->tallies.n_unknown);
    put(o, "damaged_files", l->tallies.index.n_damaged);
    put(o, "unread_segments", l->tallies.n_unread);
    if (l->unread[0] != '\0') {
        (void)cJSON_AddStringToObject(o, "unread", l->unread);
    }
    list = cJSON_AddArrayToObject(o, "minutes");
    for (uint32_t i = 0; i < l->n_minutes; i++) {
        const struct ledger_minute *m = l->minutes[i];

        if (g->all || !agrees(l, m)) {
            cJSON *one = cJSON_CreateObject();
            char when[24];

            show_minute(when, m->ms);
            (void)cJSON_AddStringToObject(one, "minute", when);
            put_minute(one, l, m);
            (void)cJSON_AddItemToArray(list, one);
        }
    }
    (void)cJSON_AddItemToArray(g->streams, o);
    free(t);
}

/* ---- the command ---- */

/* The stream's events against the rows of the table. */
static bool check_table(struct ledger *g, const struct ledger_stream *l, struct err *e)
{
    const char *password = getenv("CLICKHOUSE_PASSWORD");
    char id[600];
    struct table_check c = {
        .spool = g->dir, .table = g->table, .id = g->id, .time = g->time};
    struct check_result r;
    bool ok;

    (void)snprintf(id, sizeof id, "toString(%s)", l->tallies.index.fields[0]);
    c.id = g->id != NULL ? g->id : id;
    c.q = question_new(g->url, g->user, password == NULL ? "" : password, e);
    ok = c.q != NULL && table_check(&c, l, &r, e);
    question_free(c.q);
    if (!ok) {
        return false;
    }
    (void)printf("table=%s stream=%s minutes=%" PRIu64 " accepted=%" PRIu64
                 " rows=%" PRIu64 " missing=%" PRIu64 " doubled=%" PRIu64
                 " extra=%" PRIu64 "%s\n",
                 g->table, l->tallies.stream, r.minutes, r.expected, r.found, r.missing,
                 r.doubled, r.extra,
                 r.cut ? " and more: there are too many differences to name" : "");
    g->differs |= r.missing + r.doubled + r.extra > 0 || r.cut;
    return true;
}

static bool one_stream(struct ledger *g, const char *name, struct err *e)
{
    struct ledger_stream l;
    bool ok = ledger_read(g->dir, name, g->since_ms, g->until_ms, &l, e);

    g->differs |= ok && (unsure(&l) || unfed(&l));
    if (ok && (g->url != NULL || g->topic.sink != NULL)) {
        print_unsure(&l);
        ok = g->url != NULL ? check_table(g, &l, e)
                            : ledger_topic_check(&g->topic, g->dir, &l, &g->differs, e);
        ledger_free(&l);
        return ok;
    }
    for (uint32_t i = 0; ok && i < l.n_minutes; i++) {
        g->differs |= !agrees(&l, l.minutes[i]);
    }
    if (ok && g->json) {
        add_json(g, &l);
    } else if (ok) {
        print_text(g, &l);
    }
    ledger_free(&l);
    return ok;
}

static int is_name(const struct dirent *d)
{
    return d->d_name[0] != '.';
}

static bool all_streams(struct ledger *g, struct err *e)
{
    struct dirent **list = NULL;
    int n = scandir(g->dir, &list, is_name, alphasort), n_read = 0;
    bool ok = n >= 0 || err_errno(e, errno, "%s", g->dir);

    for (int i = 0; i < n; i++) {
        if (ok && index_lists_has(g->dir, list[i]->d_name)) {
            ok = one_stream(g, list[i]->d_name, e);
            n_read++;
        }
        free(list[i]);
    }
    free(list);
    return ok && (n_read > 0 ||
                  err_set(e,
                          "%s: no stream has an index: put index = \"event_id\" into "
                          "one",
                          g->dir));
}

static int usage(void)
{
    return usage_wrong("ledger");
}

static bool take_age(const char *text, int64_t *out)
{
    int64_t ms;

    if (!units_ms(str_of(text), &ms) || ms <= 0) {
        return false;
    }
    *out = clock_wall_ms() - ms;
    return true;
}

static bool take_timeout(struct ledger *g, const char *text)
{
    return units_ms(str_of(text), &g->topic.timeout_ms) &&
           g->topic.timeout_ms >= 1000 && g->topic.timeout_ms <= 3600000;
}

/* A destination is compared whole, in words. */
static bool asks_well(const struct ledger *g)
{
    const bool table = g->url != NULL, topic = g->topic.sink != NULL;

    return table == (g->table != NULL) && table == (g->time != NULL) &&
           topic == (g->topic.file != NULL) && (topic || g->topic.topics == NULL) &&
           !(table && topic) && !((table || topic) && g->json) &&
           g->until_ms > g->since_ms;
}

static bool take_options(struct ledger *g, int argc, char **argv)
{
    static const struct option options[] = {
        {"since", required_argument, NULL, 's'},
        {"until", required_argument, NULL, 'U'},
        {"stream", required_argument, NULL, 't'},
        {"kafka", required_argument, NULL, 'k'},
        {"policy", required_argument, NULL, 'p'},
        {"topic", required_argument, NULL, 'o'},
        {"timeout", required_argument, NULL, 'O'},
        {"clickhouse", required_argument, NULL, 'c'},
        {"table", required_argument, NULL, 'T'},
        {"time", required_argument, NULL, 'm'},
        {"id", required_argument, NULL, 'i'},
        {"user", required_argument, NULL, 'u'},
        {"all", no_argument, NULL, 'a'},
        {"json", no_argument, NULL, 'j'},
        {NULL, 0, NULL, 0}};
    bool ok = true;

    g->path = "data";
    g->until_ms = INT64_MAX;
    g->topic.timeout_ms = TIMEOUT_MS;
    for (int c; ok && (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 's':
            ok = take_age(optarg, &g->since_ms);
            break;
        case 'U':
            ok = take_age(optarg, &g->until_ms);
            break;
        case 'k':
            g->topic.sink = optarg;
            break;
        case 'p':
            g->topic.file = optarg;
            break;
        case 'o':
            g->topic.topics = optarg;
            break;
        case 'O':
            ok = take_timeout(g, optarg);
            break;
        case 't':
            g->stream = optarg;
            break;
        case 'c':
            g->url = optarg;
            break;
        case 'T':
            g->table = optarg;
            break;
        case 'm':
            g->time = optarg;
            break;
        case 'i':
            g->id = optarg;
            break;
        case 'u':
            g->user = optarg;
            break;
        case 'a':
            g->all = true;
            break;
        case 'j':
            g->json = true;
            break;
        default:
            ok = false;
        }
    }
    if (optind < argc) {
        g->path = argv[optind++];
    }
    return ok && optind == argc && asks_well(g);
}

static void print_json(const struct ledger *g)
{
    cJSON *o = cJSON_CreateObject();
    char *text;

    (void)cJSON_AddItemToObject(o, "streams", g->streams);
    text = cJSON_PrintUnformatted(o);
    (void)puts(text);
    cJSON_free(text);
    cJSON_Delete(o);
}

static bool compare(struct ledger *g, struct err *e)
{
    g->topic.since_ms = g->since_ms;
    g->topic.until_ms = g->until_ms;
    return spool_folder(g->path, g->dir, e) &&
           (g->topic.sink == NULL || ledger_topic_open(&g->topic, e)) &&
           (g->stream != NULL ? one_stream(g, g->stream, e) : all_streams(g, e)) &&
           (g->topic.sink == NULL || g->topic.n_checked > 0 ||
            err_set(e, "sink \"%s\" reads no stream with an index%s%s", g->topic.sink,
                    g->stream == NULL ? "" : " of that name: ",
                    g->stream == NULL ? "" : g->stream));
}

int cli_ledger(int argc, char **argv)
{
    struct ledger g = {.path = NULL};
    struct err e;
    bool ok;

    if (!take_options(&g, argc, argv)) {
        return usage();
    }
    g.streams = cJSON_CreateArray();
    ok = compare(&g, &e);
    ledger_topic_close(&g.topic);
    if (!ok) {
        (void)fprintf(stderr, "sluice: %s\n", e.text);
        cJSON_Delete(g.streams);
        return EXIT_SETUP;
    }
    if (g.json) {
        print_json(&g);
    } else {
        cJSON_Delete(g.streams);
    }
    return g.differs ? LEDGER_DIFFERS : LEDGER_AGREES;
}
