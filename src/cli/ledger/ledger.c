/* sluice ledger [--since AGE] [--until AGE] [--stream NAME] [--all] [--json] [DIR] */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/units.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "cli/find/streams.h"
#include "cli/ledger/question.h"
#include "cli/ledger/read.h"
#include "cli/ledger/show.h"
#include "cli/ledger/table_check.h"
#include "cli/ledger/topic.h"
#include "cli/moment.h"
#include "cli/show.h"
#include "cli/spool_folder.h"
#include "server/supervisor.h"
#include "spool/inspect.h"

enum {
    LEDGER_AGREES = 0,
    LEDGER_DIFFERS = 1,
    TIMEOUT_MS = 30000,
    MEMORY = 256 << 20,
    MEMORY_MIN = 1 << 20
};

struct ledger {
    const char *path, *stream; /* stream NULL: all */
    char dir[PATH_MAX];
    int64_t since_ms, until_ms;
    bool all, json;
    bool for_topic; /* an option was given that only a topic has */
    const char *url, *user, *table, *id, *time; /* of a table to be compared */
    struct ledger_topic topic;                  /* the same; sink NULL: none */
    const char *fault; /* what it is if the stream in hand fails */
    bool asked;        /* the destination for it: what fails then is the comparison */
    bool differs;
    cJSON *streams, *unindexed; /* names of streams that have no ledger */
    cJSON *old;                 /* that had none, and left the policy before since_ms */
    bool streams_lost;          /* of some that left the policy nothing is known */
    cJSON *failed;              /* streams that can't be compared, and why */
};

/* ---- the command ---- */

/* Whether the period that is asked for has events that the index has removed. */
static bool is_partial(const struct ledger *g, const struct ledger_stream *l)
{
    const int64_t from_ms = ledger_whole_from(l);

    return (g->since_ms > 0 &&
            g->since_ms / TALLY_MINUTE_MS * TALLY_MINUTE_MS < from_ms) ||
           g->until_ms <= from_ms;
}

/* Events that the index has removed would be extra rows. Neither is the minute compared that
 * follows theirs, since rows may have a time that is some seconds off. */
static int64_t first_compared(const struct ledger_stream *l)
{
    const int64_t from_ms = ledger_whole_from(l);

    return from_ms == 0 ? 0 : from_ms + TALLY_MINUTE_MS;
}

/* False and *e: nothing is left. */
static bool leave_out_removed(const struct ledger *g, struct ledger_stream *l,
                              struct err *e)
{
    const bool any = l->n_minutes > 0 || is_partial(g, l);

    if (g->url != NULL) {
        ledger_leave_out(l, first_compared(l));
    }
    return l->n_minutes > 0 || !any ||
           err_set(
               e,
               "stream \"%s\": its index has removed events of the whole period, by "
               "its keep or max_bytes: compare a later one",
               l->tallies.stream);
}

/* The stream's events against the rows of the table. */
static bool check_table(struct ledger *g, const struct ledger_stream *l,
                        const char *field, struct err *e)
{
    const char *password = getenv("CLICKHOUSE_PASSWORD");
    char id[600];
    struct table_check c = {
        .spool = g->dir, .table = g->table, .id = g->id, .time = g->time};
    uint64_t n_anonymous;
    struct check_result r;
    bool ok;

    (void)snprintf(id, sizeof id, "toString(%s)", field);
    c.id = g->id != NULL ? g->id : id;
    c.first_ms = first_compared(l);
    c.q = question_new(g->url, g->user, password == NULL ? "" : password, e);
    ok = c.q != NULL && table_check(&c, l, &r, e);
    question_free(c.q);
    if (!ok) {
        return false;
    }
    n_anonymous = ledger_without_id(l) + r.empty;
    show_part(stdout,
              "table=%s stream=%s minutes=%" PRIu64 " accepted=%" PRIu64
              " rows=%" PRIu64 " missing=%" PRIu64 " doubled=%" PRIu64
              " extra=%" PRIu64,
              g->table, l->tallies.stream, r.minutes, r.expected, r.found, r.missing,
              r.doubled, r.extra);
    if (r.unconfirmed > 0) {
        (void)printf(" unconfirmed=%" PRIu64, r.unconfirmed);
    }
    if (n_anonymous > 0 || r.anonymous > 0) {
        (void)printf(" events_without_id=%" PRIu64 " rows_without_id=%" PRIu64,
                     n_anonymous, r.anonymous);
    }
    (void)printf("%s\n",
                 r.cut ? " and more: there are too many differences to name"
                 : r.minutes == 0
                     ? " (no event of the period was accepted: the table was not asked)"
                     : "");
    g->differs |= r.missing + r.doubled + r.extra + r.unconfirmed > 0 || r.cut ||
                  r.anonymous < n_anonymous;
    return true;
}

static bool check_destination(struct ledger *g, struct ledger_stream *l, struct err *e)
{
    const bool topic = g->topic.sink != NULL;
    /* An expression of the operator's own may take ids out of several columns. */
    const char *field = g->id != NULL ? l->tallies.index.fields[0] : NULL;

    if (topic && !ledger_topic_reads(&g->topic, l)) {
        return true;
    }
    g->fault = "has no index of the period";
    if (!leave_out_removed(g, l, e)) {
        return false;
    }
    g->fault = "has ids in several fields";
    if (field == NULL) {
        field =
            tallies_field(&l->tallies, topic && ledger_topic_is_timeless(&g->topic), e);
    }
    if (field == NULL) {
        return false;
    }
    g->fault = "has no ids";
    g->asked = ledger_has_ids(l, field, e);
    return g->asked && (g->url != NULL ? check_table(g, l, field, e)
                                       : ledger_topic_check(&g->topic, g->dir, l, field,
                                                            &g->differs, e));
}

static bool one_stream(struct ledger *g, const char *name, struct err *e)
{
    struct ledger_stream l;
    bool ok;

    g->fault = "can't be read";
    ok = ledger_read(g->dir, name, g->since_ms, g->until_ms, &l, e);
    g->asked = false;
    g->differs |= ok && (ledger_unsure(&l) || ledger_unfed(&l) || is_partial(g, &l));
    if (ok && (g->url != NULL || g->topic.sink != NULL)) {
        ledger_show_unsure(&l);
        ledger_show_removed(&l);
        ok = check_destination(g, &l, e);
        ledger_free(&l);
        return ok;
    }
    for (uint32_t i = 0; ok && i < l.n_minutes; i++) {
        g->differs |= !ledger_all_agree(&l, l.minutes[i]);
    }
    if (ok && g->json) {
        (void)cJSON_AddItemToArray(g->streams, ledger_json(&l, g->all));
    } else if (ok) {
        ledger_show(&l, g->all);
    }
    ledger_free(&l);
    return ok;
}

static bool is_in(const cJSON *names, const char *stream)
{
    const cJSON *name;

    cJSON_ArrayForEach(name, names)
    {
        if (strcmp(name->valuestring, stream) == 0) {
            return true;
        }
    }
    return false;
}

static void on_stream(void *arg, const char *stream, int64_t left_ms)
{
    struct ledger *g = arg;
    const bool old = left_ms != 0 && left_ms <= g->since_ms;
    char when[MOMENT_TEXT];

    if (strcmp(stream, "dead") == 0 || index_lists_has(g->dir, stream) ||
        is_in(g->unindexed, stream) || is_in(g->old, stream)) {
        return;
    }
    (void)cJSON_AddItemToArray(old ? g->old : g->unindexed, cJSON_CreateString(stream));
    if (old || g->json) {
        return;
    }
    if (left_ms != 0) {
        show_line(stdout,
                  "not compared: stream=%s left the policy at %s, without an index",
                  stream, moment_text(when, left_ms, 1));
    } else {
        show_line(stdout,
                  "not compared: stream=%s has no index: put index = \"event_id\" into "
                  "it",
                  stream);
    }
}

static void on_segment(void *arg, const struct spool_segment_info *i)
{
    if (i->first != 0 || spool_segment_is_bad(i)) {
        on_stream(arg, i->stream, 0);
    }
}

/* Streams whose ledger nobody keeps. They change no exit code: it is a choice. Of one that
 * has left the policy there may be segments. */
static bool name_unindexed(struct ledger *g, struct err *e)
{
    const struct spool_visitor v = {.segment = on_segment, .arg = g, .quick = true};
    char words[STREAMS_LOST_WORDS];
    int64_t lost_ms;

    if (!streams_visit(g->dir, on_stream, g, &lost_ms, e) ||
        !spool_visit(g->dir, &v, e)) {
        return false;
    }
    g->streams_lost = lost_ms > g->since_ms;
    if (g->streams_lost && !g->json) {
        show_line(stdout, "not compared: %s",
                  streams_lost_words(words, sizeof words, lost_ms));
    }
    return true;
}

/* One stream that can't be read must not hide what becomes of the others. */
static void note_failed(struct ledger *g, const char *name, const char *why)
{
    cJSON *o = cJSON_CreateObject();

    (void)cJSON_AddStringToObject(o, "stream", name);
    (void)cJSON_AddStringToObject(o, "why", why);
    (void)cJSON_AddItemToArray(g->failed, o);
    if (!g->json) {
        show_line(stdout, "not compared: stream=%s %s: %s", name, g->fault, why);
    }
}

static bool all_streams(struct ledger *g, struct err *e)
{
    struct dirent **list = NULL;
    const int n = index_lists_names(g->dir, &list);
    bool ok = n >= 0 || err_errno(e, errno, "%s", g->dir);

    for (int i = 0; i < n; i++) {
        if (ok) {
            const bool compared = one_stream(g, list[i]->d_name, e);

            /* A destination that fails would fail, after its timeout, for each stream. */
            ok = compared || !g->asked;
            if (ok && !compared) {
                note_failed(g, list[i]->d_name, e->text);
            }
        }
        free(list[i]);
    }
    free(list);
    return ok && name_unindexed(g, e) &&
           (n > 0 ||
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
    *out = moment_ago(ms);
    return true;
}

static bool take_timeout(struct ledger *g, const char *text)
{
    return units_ms(str_of(text), &g->topic.timeout_ms) &&
           g->topic.timeout_ms >= 1000 && g->topic.timeout_ms <= 3600000;
}

static bool take_memory(struct ledger *g, const char *text)
{
    return units_bytes(str_of(text), &g->topic.memory_bytes) &&
           g->topic.memory_bytes >= MEMORY_MIN;
}

/* A destination is compared whole, in words. */
static bool asks_well(const struct ledger *g)
{
    const bool table = g->url != NULL, topic = g->topic.sink != NULL;

    return table == (g->table != NULL) && table == (g->time != NULL) &&
           (table || (g->id == NULL && g->user == NULL)) &&
           topic == (g->topic.file != NULL) &&
           (topic || (g->topic.topics == NULL && !g->for_topic)) && !(table && topic) &&
           !((table || topic) && g->json);
}

/* 0, or the exit code: what is wrong has been told. */
static int take_options(struct ledger *g, int argc, char **argv)
{
    static const struct option options[] = {
        {"since", required_argument, NULL, 's'},
        {"until", required_argument, NULL, 'U'},
        {"stream", required_argument, NULL, 't'},
        {"kafka", required_argument, NULL, 'k'},
        {"policy", required_argument, NULL, 'p'},
        {"topic", required_argument, NULL, 'o'},
        {"timeout", required_argument, NULL, 'O'},
        {"memory", required_argument, NULL, 'M'},
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
    g->topic.memory_bytes = MEMORY;
    for (int c; ok && (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (c) {
        case 's':
            if (!take_age(optarg, &g->since_ms)) {
                return usage_value("ledger", "since", optarg);
            }
            break;
        case 'U':
            if (!take_age(optarg, &g->until_ms)) {
                return usage_value("ledger", "until", optarg);
            }
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
            g->for_topic = true;
            if (!take_timeout(g, optarg)) {
                return usage_value("ledger", "timeout", optarg);
            }
            break;
        case 'M':
            g->for_topic = true;
            if (!take_memory(g, optarg)) {
                return usage_value("ledger", "memory", optarg);
            }
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
    if (!ok || optind != argc || !asks_well(g)) {
        return usage();
    }
    if (g->until_ms / TALLY_MINUTE_MS <= g->since_ms / TALLY_MINUTE_MS) {
        show_error(
            "no whole minute lies between --since and --until: expected --since to "
            "be the larger age");
        return usage();
    }
    return 0;
}

static void print_json(const struct ledger *g)
{
    cJSON *o = cJSON_CreateObject();
    char *text;

    (void)cJSON_AddItemToObject(o, "streams", cJSON_Duplicate(g->streams, true));
    (void)cJSON_AddItemToObject(o, "unindexed", cJSON_Duplicate(g->unindexed, true));
    (void)cJSON_AddBoolToObject(o, "streams_lost", g->streams_lost);
    (void)cJSON_AddItemToObject(o, "failed", cJSON_Duplicate(g->failed, true));
    text = cJSON_PrintUnformatted(o);
    show_json(stdout, str_of(text));
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
    int code = take_options(&g, argc, argv);
    struct err e;

    if (code != 0) {
        return code;
    }
    code = EXIT_SETUP;
    g.streams = cJSON_CreateArray();
    g.unindexed = cJSON_CreateArray();
    g.old = cJSON_CreateArray();
    g.failed = cJSON_CreateArray();
    if (compare(&g, &e)) {
        code = cJSON_GetArraySize(g.failed) > 0 ? EXIT_SETUP
               : g.differs                      ? LEDGER_DIFFERS
                                                : LEDGER_AGREES;
        if (g.json) {
            print_json(&g);
        }
    } else {
        show_error(e.text);
    }
    ledger_topic_close(&g.topic);
    cJSON_Delete(g.streams);
    cJSON_Delete(g.unindexed);
    cJSON_Delete(g.old);
    cJSON_Delete(g.failed);
    return code;
}
