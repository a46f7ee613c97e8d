#include "cli/watch/screen.h"

#include <cjson/cJSON.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/show.h"
#include "cli/watch/facts.h"

enum { LINE = 900, ROWS_MAX = 256, REFUSALS_SHOWN = 8, NAME_MIN = 8 };

PRINTF(3, 4)
static void add(struct screen *s, enum screen_tone tone, const char *fmt, ...)
{
    char line[LINE];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    if (s->n == s->room) {
        s->room = 2 * s->room + 32;
        s->list = mem_realloc(s->list, s->room * sizeof *s->list);
    }
    /* Codes, routes and reasons may be a client's or another server's words. */
    s->list[s->n].text = text_new(TEXT_LINE, str_of(line));
    s->list[s->n++].tone = tone;
}

void screen_free(struct screen *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->list[i].text);
    }
    free(s->list);
    *s = (struct screen){0};
}

const char *screen_begin(enum screen_tone tone, bool colours)
{
    static const char *const codes[] = {
        [TONE_PLAIN] = "",        [TONE_TITLE] = "\033[1m",  [TONE_GOOD] = "\033[32m",
        [TONE_WARN] = "\033[33m", [TONE_BAD] = "\033[1;31m", [TONE_FAINT] = "\033[2m"};

    return colours ? codes[tone] : "";
}

const char *screen_end(enum screen_tone tone, bool colours)
{
    return colours && tone != TONE_PLAIN ? "\033[0m" : "";
}

/* ---- the parts ---- */

/* What is wrong is read whole, also on a small terminal: broken between words, its further
 * lines below the first one's text. */
static void add_broken(struct screen *s, enum screen_tone tone, const char *head,
                       const char *text, size_t columns)
{
    const size_t indent = 7; /* of each head */
    char line[LINE];
    size_t fits, n;

    do {
        (void)snprintf(line, sizeof line, "%s", text);
        fits = columns > 2 * indent ? show_fit(line, columns - indent) : strlen(line);
        n = fits;
        while (text[fits] != '\0' && n > 0 && text[n] != ' ') {
            n--;
        }
        n = n == 0 ? fits : n;
        add(s, tone, "%s%.*s", head, (int)n, text);
        text += n + (text[n] == ' ');
        head = "       ";
    } while (*text != '\0' && n > 0);
}

static void show_next(struct screen *s, const cJSON *x, size_t columns)
{
    if (facts_text(x, "next")[0] != '\0') {
        char text[LINE];

        (void)snprintf(text, sizeof text, "do: %s", facts_text(x, "next"));
        add_broken(s, TONE_PLAIN, "       ", text, columns);
    }
}

static void show_verdict(struct screen *s, const cJSON *facts,
                         const struct screen_options *o)
{
    const cJSON *server = cJSON_GetObjectItem(facts, "server"), *x;
    char up[SHOW_BYTES];

    add(s, TONE_TITLE, "sluice %s at %s, up %s, generation %.0f of the policy",
        facts_text(server, "version"), o->where,
        show_seconds(up, facts_number(server, "uptime_ms") / 1000),
        facts_number(cJSON_GetObjectItem(facts, "policy"), "generation"));
    cJSON_ArrayForEach(x, cJSON_GetObjectItem(facts, "problems"))
    {
        add_broken(s, TONE_BAD, "WRONG  ", facts_text(x, "text"), o->columns);
        show_next(s, x, o->columns);
    }
    if (facts_true(facts, "ok")) {
        add(s, TONE_GOOD,
            "GOOD   nothing is lost, no sink is late, the spool has room");
    }
    cJSON_ArrayForEach(x, cJSON_GetObjectItem(facts, "notes"))
    {
        add_broken(s, TONE_WARN, "note   ", facts_text(x, "text"), o->columns);
        show_next(s, x, o->columns);
    }
}

static void show_clients(struct screen *s, const cJSON *facts)
{
    const cJSON *o = cJSON_GetObjectItem(facts, "clients"), *x;
    char events[SHOW_BYTES], requests[SHOW_BYTES], line[LINE] = "", a[SHOW_BYTES];
    size_t n = 0;

    add(s, TONE_PLAIN, "%s", "");
    add(s, TONE_TITLE, "CLIENTS       in the last %s",
        show_seconds(a, facts_number(facts, "measured_seconds")));
    add(s, TONE_PLAIN, "  %s events/s in %s requests/s over %.0f connection%s",
        show_rate(events, facts_number(o, "events_per_second")),
        show_rate(requests, facts_number(o, "requests_per_second")),
        facts_number(o, "connections"), show_s(facts_number(o, "connections")));
    if (cJSON_GetObjectItem(o, "p99_ms") != NULL) {
        add(s, TONE_PLAIN,
            "  answered within %.3g ms (p50), %.3g ms (p99), %.3g ms (p99.9)",
            facts_number(o, "p50_ms"), facts_number(o, "p99_ms"),
            facts_number(o, "p999_ms"));
    }
    cJSON_ArrayForEach(x, cJSON_GetObjectItem(o, "statuses_per_second"))
    {
        if (x->valuedouble > 0 && n < sizeof line - 64) {
            n += (size_t)snprintf(line + n, sizeof line - n, "  %s: %s/s", x->string,
                                  show_rate(a, x->valuedouble));
        }
    }
    if (n > 0) {
        add(s, TONE_PLAIN, "  answers%s", line);
    }
}

static void show_events(struct screen *s, const cJSON *facts)
{
    const cJSON *o = cJSON_GetObjectItem(facts, "events"), *x;
    const cJSON *since = cJSON_GetObjectItem(o, "since_start");

    add(s, TONE_PLAIN, "%s", "");
    add(s, TONE_TITLE, "EVENTS        per second   since start");
    cJSON_ArrayForEach(x, cJSON_GetObjectItem(o, "per_second"))
    {
        char now[SHOW_BYTES], all[SHOW_BYTES];
        double n = facts_number(since, x->string);

        if (n > 0 || strcmp(x->string, "stored") == 0) {
            add(s, TONE_PLAIN, "  %-10s  %10s  %12s", x->string,
                show_rate(now, x->valuedouble), show_count(all, n));
        }
    }
}

/* ---- refusals and sinks, in the order that was asked for ---- */

struct row {
    const cJSON *x;
    const char *name;
    double key;
};

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct row *)a)->name, ((const struct row *)b)->name);
}

static int by_key(const void *a, const void *b)
{
    const struct row *x = a, *y = b;

    return x->key > y->key ? -1 : x->key < y->key ? 1 : by_name(a, b);
}

/* Largest first; key NULL: by name. */
static size_t sorted(struct row *rows, const cJSON *list, const char *name,
                     const char *key, const char *second)
{
    const cJSON *x;
    size_t n = 0;

    cJSON_ArrayForEach(x, list)
    {
        if (n < ROWS_MAX) {
            double k = key == NULL ? 0 : facts_number(x, key);

            rows[n++] =
                (struct row){x, facts_text(x, name),
                             k + (second == NULL ? 0 : facts_number(x, second) / 1e15)};
        }
    }
    qsort(rows, n, sizeof *rows, key == NULL ? by_name : by_key);
    return n;
}

/* Names are cut only where a terminal would hide the figures beside them: the columns for
 * the names of a field, at least so many, with the others of a row of the terminal. */
static int width(const struct row *rows, size_t n, const char *field, size_t least,
                 size_t others, size_t columns)
{
    size_t most = columns == 0               ? LINE / 4
                  : columns > least + others ? columns - others
                                             : least;

    for (size_t i = 0; i < n && least < most; i++) {
        size_t k = strlen(facts_text(rows[i].x, field));

        least = k > most ? most : k > least ? k : least;
    }
    return (int)least;
}

/* So many columns for the names of a field; fewer where the figures of a row, with others in
 * all, would have no room in the terminal. */
static size_t least_name(size_t wanted, size_t others, size_t columns)
{
    if (columns == 0 || columns >= wanted + others) {
        return wanted;
    }
    return columns > others + NAME_MIN ? columns - others : NAME_MIN;
}

static void show_refusals(struct screen *s, const cJSON *facts,
                          const struct screen_options *o)
{
    struct row rows[ROWS_MAX];
    size_t n = sorted(rows, cJSON_GetObjectItem(facts, "refusals"), "code",
                      o->order == ORDER_NAME ? NULL : "per_second", "since_start");
    size_t shown = o->view == VIEW_REFUSALS || n <= REFUSALS_SHOWN ? n : REFUSALS_SHOWN;

    size_t least_code = least_name(24, 2 + 24 + 31, o->columns);
    size_t least_route = least_name(38, 2 + least_code + 31, o->columns);
    int code = width(rows, shown, "code", least_code, 2 + least_route + 31, o->columns);
    int route =
        width(rows, shown, "route", least_route, 2 + (size_t)code + 31, o->columns);

    if (n == 0) {
        return;
    }
    add(s, TONE_PLAIN, "%s", "");
    add(s, TONE_TITLE, "%-*s %-*s %6s %10s %11s", route + 2, "REFUSED BY", code, "code",
        "status", "per second", "since start");
    for (size_t i = 0; i < shown; i++) {
        char now[SHOW_BYTES], all[SHOW_BYTES];

        add(s, TONE_PLAIN, "  %-*.*s %-*.*s %6s %10s %11s", route, route,
            facts_text(rows[i].x, "route"), code, code, rows[i].name,
            facts_text(rows[i].x, "status"),
            show_rate(now, facts_number(rows[i].x, "per_second")),
            show_count(all, facts_number(rows[i].x, "since_start")));
    }
    if (shown < n || facts_number(facts, "refusals_more") > 0) {
        double more = (double)(n - shown) + facts_number(facts, "refusals_more");

        add(s, TONE_FAINT, "  and %.0f more code%s", more, show_s(more));
    }
}

static void show_endpoints(struct screen *s, const cJSON *sink)
{
    const cJSON *x;

    cJSON_ArrayForEach(x, cJSON_GetObjectItem(sink, "endpoints"))
    {
        add(s, TONE_PLAIN, "      %s: breaker %s, %.0f request%s, %.0f failed",
            facts_text(x, "url"), facts_text(x, "breaker"), facts_number(x, "requests"),
            show_s(facts_number(x, "requests")), facts_number(x, "failures"));
    }
}

/* In a terminal of 80 columns each figure has room. */
static const struct sink_columns {
    int behind, events, bytes, dead;
    const char *dead_word;
} WIDE = {12, 10, 10, 16, "dead since start"}, NARROW = {9, 8, 9, 7, "dead"};

static void show_sink(struct screen *s, const cJSON *x, int name,
                      const struct sink_columns *c, bool whole)
{
    char behind[SHOW_BYTES], left[SHOW_BYTES], bytes[SHOW_BYTES], now[SHOW_BYTES];
    bool holds = facts_true(x, "holding");
    double oldest = facts_number(x, "oldest_seconds");

    add(s,
        holds                                               ? TONE_BAD
        : oldest > 60 + facts_number(x, "linger_ms") / 1000 ? TONE_WARN
                                                            : TONE_PLAIN,
        "  %-*.*s %-9s %*s %*s %*s %10s %*.0f", name, name, facts_text(x, "name"),
        holds                       ? "holds"
        : facts_true(x, "retiring") ? "retires"
                                    : "delivers",
        c->behind, oldest > 0 ? show_seconds(behind, oldest) : "-", c->events,
        show_count(left, facts_number(x, "left_events")), c->bytes,
        show_bytes(bytes, facts_number(x, "lag_bytes")),
        show_rate(now, facts_number(x, "delivered_per_second")), c->dead,
        facts_number(x, "dead"));
    if (holds) {
        add(s, TONE_PLAIN, "      why: %s", facts_text(x, "why"));
    }
    if (whole) {
        show_endpoints(s, x);
    }
}

static void show_sinks(struct screen *s, const cJSON *facts,
                       const struct screen_options *o)
{
    struct row rows[ROWS_MAX];
    size_t n = sorted(rows, cJSON_GetObjectItem(facts, "sinks"), "name",
                      o->order == ORDER_NAME     ? NULL
                      : o->order == ORDER_BEHIND ? "oldest_seconds"
                                                 : "delivered_per_second",
                      "left_events");
    bool wide = o->columns == 0 || o->columns >= 2 + 20 + 73;
    const struct sink_columns *c = wide ? &WIDE : &NARROW;
    size_t others = wide ? 2 + 73 : 2 + 58;
    int name =
        width(rows, n, "name", least_name(20, others, o->columns), others, o->columns);

    add(s, TONE_PLAIN, "%s", "");
    add(s, TONE_TITLE, "%-*s %-9s %*s %*s %*s %10s %*s", name + 2, "SINKS", "state",
        c->behind, "behind", c->events, "events", c->bytes, "bytes", "delivers/s",
        c->dead, c->dead_word);
    for (size_t i = 0; i < n; i++) {
        show_sink(s, rows[i].x, name, c, o->view == VIEW_SINKS);
    }
}

/* What a stream takes on the disk, and how much of its room is used. */
static void show_stream(struct screen *s, const cJSON *x, int name, int stored)
{
    char bytes[SHOW_BYTES], of[SHOW_BYTES], all[SHOW_BYTES];
    double max = facts_number(x, "max_bytes"), n = facts_number(x, "bytes");
    double used = facts_number(x, "used_percent"); /* an older server does not say it */

    if (cJSON_GetObjectItem(x, "used_percent") == NULL && max > 0) {
        used = 100 * n / max;
    }
    add(s, TONE_PLAIN, "  %-*.*s %-9s %12s %10s %8.0f %% %*s", name, name,
        facts_text(x, "name"), facts_text(x, "ack"), show_bytes(bytes, n),
        show_bytes(of, max), used, stored, show_count(all, facts_number(x, "stored")));
}

static void show_spool(struct screen *s, const cJSON *facts,
                       const struct screen_options *o)
{
    struct row rows[ROWS_MAX];
    size_t n = sorted(rows, cJSON_GetObjectItem(facts, "streams"), "name", NULL, NULL);
    bool wide = o->columns == 0 || o->columns >= 2 + 20 + 68;
    size_t others = wide ? 2 + 68 : 2 + 56;
    int name =
        width(rows, n, "name", least_name(20, others, o->columns), others, o->columns);
    int stored = wide ? 22 : 10;
    const cJSON *spool = cJSON_GetObjectItem(facts, "spool"),
                *lost = cJSON_GetObjectItem(facts, "lost"), *x;
    double disk = facts_number(spool, "disk_bytes");
    char bytes[SHOW_BYTES], free_bytes[SHOW_BYTES];

    add(s, TONE_PLAIN, "%s", "");
    add(s, TONE_TITLE, "%-*s %-9s %12s %10s %10s %*s", name + 2, "SPOOL", "ack",
        "on the disk", "max_bytes", "used", stored,
        wide ? "stored since start" : "stored");
    cJSON_ArrayForEach(x, cJSON_GetObjectItem(facts, "streams"))
    {
        show_stream(s, x, name, stored);
    }
    if (disk > 0) {
        add(s, TONE_PLAIN, "  its disk has %s of %s free (%.0f %% used), %s",
            show_bytes(free_bytes, facts_number(spool, "disk_free_bytes")),
            show_bytes(bytes, disk),
            100 * (1 - facts_number(spool, "disk_free_bytes") / disk),
            cJSON_IsFalse(cJSON_GetObjectItem(spool, "writable"))
                ? "and can't be written"
                : "and takes events");
    }
    add(s, TONE_PLAIN,
        "  lost %.0f, skipped %.0f, in damaged blocks %.0f events since the start",
        facts_number(lost, "sinks"), facts_number(lost, "skipped"),
        facts_number(lost, "damaged_events"));
}

static void show_last_load(struct screen *s, const cJSON *facts, const cJSON *last)
{
    double now_ms = facts_number(cJSON_GetObjectItem(facts, "server"), "now_ms");
    double ago_s = (now_ms - facts_number(last, "at_ms")) / 1000;
    char text[SHOW_BYTES], when[SHOW_BYTES + 8] = "";

    if (now_ms > 0 && ago_s >= 0) { /* the server's clock may have been set back */
        (void)snprintf(when, sizeof when, ", %s ago", show_seconds(text, ago_s));
    }
    /* A text that can't be read has no hash. */
    add(s, TONE_PLAIN, "  last load: generation %.0f, %s, by %s%s%s%.12s%s%s",
        facts_number(last, "generation"), facts_text(last, "status"),
        facts_text(last, "cause"), when,
        facts_text(last, "hash")[0] == '\0' ? "" : ", hash ", facts_text(last, "hash"),
        facts_text(last, "why")[0] == '\0' ? "" : ": ", facts_text(last, "why"));
}

static void show_policy(struct screen *s, const cJSON *facts)
{
    const cJSON *o = cJSON_GetObjectItem(facts, "policy");
    const cJSON *last = cJSON_GetObjectItem(o, "last"),
                *trial = cJSON_GetObjectItem(o, "trial");

    add(s, TONE_PLAIN, "%s", "");
    add(s, TONE_TITLE, "POLICY");
    if (last != NULL) {
        show_last_load(s, facts, last);
    }
    if (trial != NULL) {
        const cJSON *old = cJSON_GetObjectItem(trial, "old"),
                    *fresh = cJSON_GetObjectItem(trial, "new");

        add(s, TONE_PLAIN,
            "  %s %.0f %s: refuses %.2f %% (before %.2f %%), p99 %.3g ms (%.3g ms)",
            facts_text(trial, "kind"), facts_number(trial, "generation"),
            facts_text(trial, "result"), 100 * facts_number(fresh, "refusal_rate"),
            100 * facts_number(old, "refusal_rate"), facts_number(fresh, "p99_ms"),
            facts_number(old, "p99_ms"));
    }
}

void screen_facts(struct screen *s, const cJSON *facts, const struct screen_options *o)
{
    bool all = o->view == VIEW_ALL;

    show_verdict(s, facts, o);
    s->part = s->n;
    if (all || o->view == VIEW_CLIENTS) {
        show_clients(s, facts);
        show_events(s, facts);
    }
    if (all || o->view == VIEW_REFUSALS) {
        show_refusals(s, facts, o);
    }
    if (all || o->view == VIEW_SINKS) {
        show_sinks(s, facts, o);
        show_spool(s, facts, o);
    }
    if (all || o->view == VIEW_POLICY) {
        show_policy(s, facts);
    }
}
