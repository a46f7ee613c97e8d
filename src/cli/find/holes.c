#include "cli/find/holes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cjson/cJSON.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/find/index_list.h"
#include "cli/moment.h"
#include "cli/show.h"

enum { PRINTED_MAX = 20 };

static const struct {
    const char *word, *text;
} WHYS[ACCOUNT_WHYS] = {
    [ACCOUNT_OFF] = {"off", "the stream had no index"},
    [ACCOUNT_UNREAD] = {"unread", "the index was switched off before it had read them"},
    [ACCOUNT_DISK] = {"disk", "the disk took no index file"},
    [ACCOUNT_GONE] = {"gone", "their index file was not written, or is gone"},
};

static const char UNRECORDED[] =
    "no record says what these processes stored: they had no index of the stream, the "
    "disk did not take index/ACCOUNT, or it was damaged, or their events left while no "
    "policy had the stream";

struct collecting {
    const struct index_account *account; /* NULL: there is none */
    struct holes *out;
    int64_t since_ms, until_ms;
};

static bool in_period(const struct collecting *c, int64_t since_ms, int64_t until_ms)
{
    return (until_ms == 0 || until_ms >= c->since_ms) && since_ms < c->until_ms;
}

static void on_part(void *arg, const struct index_run *part,
                    const struct index_account_hole *h)
{
    const struct collecting *c = arg;
    struct holes *o = c->out;
    struct index_account_hole new = {.at = *part, .why = ACCOUNT_GONE};

    if (h != NULL) {
        new = *h;
        new.at = *part;
    } else if (c->account != NULL) {
        new.since_ms = index_account_since(c->account, part->epoch);
        new.until_ms = index_account_end(c->account, part->epoch);
        new.why = index_account_why(c->account, part);
        if (new.until_ms < new.since_ms) { /* the clock was set back */
            new.since_ms = new.until_ms = 0;
        }
    }
    if (!in_period(c, new.since_ms, new.until_ms)) {
        return;
    }
    if (o->n == o->room) {
        o->room = o->room == 0 ? 16 : 2 * o->room;
        o->list = mem_realloc(o->list, o->room * sizeof *o->list);
    }
    o->list[o->n++] = new;
    o->n_events += part->end - part->first;
}

void holes_close(struct index_list *l, struct index_run *segments, uint32_t n)
{
    index_runs_sort(segments, n);
    if (l->has_account) {
        index_account_close(&l->account, l->epoch, segments, n, clock_wall_ms());
    }
}

void holes_of(const struct index_list *l, const struct index_run *runs, uint32_t n,
              int64_t since_ms, int64_t until_ms, struct holes *out)
{
    struct collecting c = {l->has_account ? &l->account : NULL, out, since_ms,
                           until_ms};
    struct index_run *all = mem_alloc((l->n + n + 1) * sizeof *all);

    if (l->n > 0) {
        memcpy(all, l->runs, l->n * sizeof *all);
    }
    if (n > 0) {
        memcpy(all + l->n, runs, n * sizeof *all);
    }
    index_runs_sort(all, l->n + n);
    index_account_missing(c.account, all, l->n + n, on_part, &c);
    free(all);
    for (uint32_t i = 0; c.account != NULL && i < c.account->n_gaps; i++) {
        const struct index_account_gap *g = &c.account->gaps[i];

        if (in_period(&c, g->since_ms, g->until_ms)) {
            out->gaps[out->n_gaps++] = *g;
        }
    }
}

void holes_free(struct holes *h)
{
    free(h->list);
    *h = (struct holes){.list = NULL};
}

bool holes_any(const struct holes *h)
{
    return h->n + h->n_gaps > 0;
}

/* ---- text ---- */

static void print_times(int64_t since_ms, int64_t until_ms, const char *why)
{
    char when[MOMENT_TEXT];

    if (since_ms != 0) {
        (void)printf(" since=%s", moment_text(when, since_ms, 1));
    }
    if (until_ms != 0) {
        (void)printf(" until=%s", moment_text(when, until_ms, 1));
    }
    (void)printf(" why=\"%s\"\n", why);
}

void holes_print(const struct holes *h, const char *stream)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < h->n_gaps; i++) {
        show_part(stdout,
                  "hole: stream=%s epochs=%" PRIu32 "..%" PRIu32 " events=unknown",
                  stream, h->gaps[i].first, h->gaps[i].last);
        print_times(h->gaps[i].since_ms, h->gaps[i].until_ms, UNRECORDED);
    }
    for (; n < h->n && n < PRINTED_MAX; n++) {
        const struct index_account_hole *o = &h->list[n];

        show_part(stdout,
                  "hole: stream=%s position=%" PRIu32 ".%" PRIu32 "/%" PRIu64
                  "..%" PRIu64 " events=%" PRIu64,
                  stream, o->at.epoch, o->at.worker, o->at.first, o->at.end - 1,
                  o->at.end - o->at.first);
        print_times(o->since_ms, o->until_ms, WHYS[o->why].text);
    }
    if (n < h->n) {
        show_line(stdout, "hole: stream=%s and %" PRIu32 " more, which are not shown",
                  stream, h->n - n);
    }
}

/* ---- JSON ---- */

static void put(cJSON *o, const char *key, double v)
{
    (void)cJSON_AddNumberToObject(o, key, v);
}

static void put_times(cJSON *o, int64_t since_ms, int64_t until_ms, const char *why)
{
    if (since_ms != 0) {
        put(o, "since_ms", (double)since_ms);
    }
    if (until_ms != 0) {
        put(o, "until_ms", (double)until_ms);
    }
    (void)cJSON_AddStringToObject(o, "why", why);
}

cJSON *holes_json(const struct holes *h)
{
    cJSON *list = cJSON_CreateArray();

    for (uint32_t i = 0; i < h->n_gaps; i++) {
        cJSON *o = cJSON_CreateObject();

        put(o, "first_epoch", h->gaps[i].first);
        put(o, "last_epoch", h->gaps[i].last);
        put_times(o, h->gaps[i].since_ms, h->gaps[i].until_ms, "unrecorded");
        (void)cJSON_AddItemToArray(list, o);
    }
    for (uint32_t i = 0; i < h->n; i++) {
        const struct index_account_hole *k = &h->list[i];
        cJSON *o = cJSON_CreateObject();

        put(o, "epoch", k->at.epoch);
        put(o, "worker", k->at.worker);
        put(o, "first", (double)k->at.first);
        put(o, "last", (double)(k->at.end - 1));
        put(o, "events", (double)(k->at.end - k->at.first));
        put_times(o, k->since_ms, k->until_ms, WHYS[k->why].word);
        (void)cJSON_AddItemToArray(list, o);
    }
    return list;
}
