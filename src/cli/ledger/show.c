#include "cli/ledger/show.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cjson/cJSON.h>

#include "base/mem.h"
#include "cli/ledger/read.h"
#include "cli/show.h"

static const char *const APART[SETTLED_HOWS] = {[SETTLED_DEAD] = "dead",
                                                [SETTLED_SKIPPED] = "skipped",
                                                [SETTLED_LOST] = "lost",
                                                [SETTLED_REFUSED] = "refused",
                                                [SETTLED_BEFORE] = "never_seen"};

void show_minute(char out[24], int64_t ms)
{
    const time_t s = (time_t)(ms / 1000);
    struct tm t;

    (void)gmtime_r(&s, &t);
    (void)strftime(out, 24, "%Y-%m-%dT%H:%MZ", &t);
}

bool ledger_all_agree(const struct ledger_stream *l, const struct ledger_minute *m)
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
    show_part(stdout, "  sink=%s confirmed=%" PRIu64, sink, c->confirmed);
    if (c->pending > 0) {
        (void)printf(" pending=%" PRIu64, c->pending);
    }
    if (c->settled > 0) {
        (void)printf(" settled=%" PRIu64, c->settled);
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
    show_part(stdout, "minute=%s stream=%s accepted=%" PRIu64 " checksum=%016" PRIx64,
              when, l->tallies.stream, m->accepted, m->sum);
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
    to->settled += c->settled;
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
bool ledger_unsure(const struct ledger_stream *l)
{
    return l->tallies.n_unknown + l->tallies.index.n_damaged + l->tallies.n_unread >
               0 ||
           holes_any(&l->tallies.holes) || l->unread[0] != '\0';
}

/* No journal tells what became of the events. */
bool ledger_unfed(const struct ledger_stream *l)
{
    return l->n_sinks == 0 && l->n_minutes > 0 && l->unread[0] == '\0';
}

void ledger_show_removed(const struct ledger_stream *l)
{
    char when[24];

    if (ledger_whole_from(l) > 0) {
        show_minute(when, ledger_whole_from(l));
        show_line(stdout,
                  "removed: stream=%s has events from before %s that its index no "
                  "longer has, by its keep or max_bytes",
                  l->tallies.stream, when);
    }
}

/* Before the result of a comparison: it is of the other events only. */
void ledger_show_unsure(const struct ledger_stream *l)
{
    if (ledger_unsure(l)) {
        show_line(stdout,
                  "not compared: stream=%s unknown=%" PRIu64 " damaged_files=%" PRIu64
                  " unread_segments=%" PRIu64 "%s%s",
                  l->tallies.stream, l->tallies.n_unknown, l->tallies.index.n_damaged,
                  l->tallies.n_unread,
                  l->unread[0] == '\0' ? "" : " unread: ", l->unread);
        holes_print(&l->tallies.holes, l->tallies.stream);
    }
}

static void print_total(const struct ledger_stream *l)
{
    struct ledger_minute *t = total(l);
    uint32_t n = 0;

    for (uint32_t i = 0; i < l->n_minutes; i++) {
        n += !ledger_all_agree(l, l->minutes[i]);
    }
    show_part(stdout,
              "stream=%s minutes=%u differ=%u accepted=%" PRIu64
              " checksum=%016" PRIx64,
              l->tallies.stream, l->n_minutes, n, t->accepted, t->sum);
    if (l->tallies.n_unsure > 0) {
        (void)printf(" unsure=%" PRIu64 " (a sync failed, and their clients may have "
                     "been told that they are not stored)",
                     l->tallies.n_unsure);
    }
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
    holes_print(&l->tallies.holes, l->tallies.stream);
    ledger_show_removed(l);
    for (uint32_t k = 0; k < l->n_sinks; k++) {
        print_counts(l->sinks[k].sink, &t->by[k]);
    }
    if (ledger_unfed(l)) {
        (void)puts(
            "unread: no sink has a record of the stream: what became of its events is "
            "not known");
    }
    if (l->unread[0] != '\0') {
        show_line(stdout, "unread: %s", l->unread);
    }
    free(t);
}

void ledger_show(const struct ledger_stream *l, bool every)
{
    for (uint32_t i = 0; i < l->n_minutes; i++) {
        if (every || !ledger_all_agree(l, l->minutes[i])) {
            print_minute(l, l->minutes[i], every);
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
        put(s, "settled", m->by[k].settled);
        for (int how = 0; how < SETTLED_HOWS; how++) {
            put(s, APART[how], m->by[k].apart[how]);
        }
    }
}

cJSON *ledger_json(const struct ledger_stream *l, bool every)
{
    cJSON *o = cJSON_CreateObject(), *list;
    struct ledger_minute *t = total(l);

    (void)cJSON_AddStringToObject(o, "stream", l->tallies.stream);
    put_minute(o, l, t);
    put(o, "unsure", l->tallies.n_unsure);
    put(o, "unknown", l->tallies.n_unknown);
    put(o, "damaged_files", l->tallies.index.n_damaged);
    put(o, "unread_segments", l->tallies.n_unread);
    (void)cJSON_AddItemToObject(o, "holes", holes_json(&l->tallies.holes));
    if (l->unread[0] != '\0') {
        (void)cJSON_AddStringToObject(o, "unread", l->unread);
    }
    if (ledger_whole_from(l) > 0) {
        put(o, "whole_from_ms", (uint64_t)ledger_whole_from(l));
    }
    list = cJSON_AddArrayToObject(o, "minutes");
    for (uint32_t i = 0; i < l->n_minutes; i++) {
        const struct ledger_minute *m = l->minutes[i];

        if (every || !ledger_all_agree(l, m)) {
            cJSON *one = cJSON_CreateObject();
            char when[24];

            show_minute(when, m->ms);
            (void)cJSON_AddStringToObject(one, "minute", when);
            put_minute(one, l, m);
            (void)cJSON_AddItemToArray(list, one);
        }
    }
    free(t);
    return o;
}
