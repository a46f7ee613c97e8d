/*
 * The result of a batch: a part that is delivered or dead is noted in the journal, then
 * the spool may forget it; a part that failed waits, and the whole sink with it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "delivery/internal.h"

enum {
    RETRY_FIRST_MS = 100,
    /* At least 3 tries in a breaker's default interval: else it never opens. */
    RETRY_MAX_MS = 2000,
    JOURNAL_COMPACT_BYTES = 1 << 20
};

/* ---- holding ---- */

/* From half to the whole of ms, so that many servers don't come back at once. */
static double jittered_s(struct delivery *d, int64_t ms)
{
    return (double)ms / 1000. * (0.5 + 0.5 * erand48(d->random));
}

/* Batches that fail together are one failure. */
void result_back_off(struct delivery *d, const char *why, int64_t after_ms)
{
    char quoted[300];
    int64_t wait;
    double wait_s = 0;

    if (!ev_is_active(&d->retry)) {
        d->backoff_ms = d->backoff_ms == 0 ? RETRY_FIRST_MS : 2 * d->backoff_ms;
        d->backoff_ms = d->backoff_ms < RETRY_MAX_MS ? d->backoff_ms : RETRY_MAX_MS;
        wait = after_ms > d->backoff_ms ? after_ms : d->backoff_ms;
        wait_s = after_ms > 0 ? (double)wait / 1000. : jittered_s(d, wait);
        ev_timer_set(&d->retry, wait_s, 0.);
        ev_timer_start(d->loop, &d->retry);
    }
    if (d->handing_over) {
        return; /* another sink goes on with it */
    }
    (void)pthread_mutex_lock(&d->lock);
    if (!d->status.holding) {
        log_write(LOG_ERROR, "sink", "sink=%s status=holding why=%s", d->name,
                  log_quote(quoted, sizeof quoted, why));
    }
    pump_show_error(d, why);
    if (wait_s > 0) {
        d->status.retry_ms = d->status.error_ms + (int64_t)(wait_s * 1e3);
    }
    (void)pthread_mutex_unlock(&d->lock);
    stats_set(d->holding, 1);
    stats_add(d->retries, 1);
    pump_block(d);
}

void result_go_on(struct delivery *d)
{
    if (d->backoff_ms == 0 || d->owed.plan != NULL) {
        return;
    }
    d->backoff_ms = 0;
    d->stuck = false;
    (void)pthread_mutex_lock(&d->lock);
    d->status.holding = false;
    d->status.retry_ms = 0;
    (void)pthread_mutex_unlock(&d->lock);
    stats_set(d->failing, 0);
    stats_set(d->holding, 0);
    pump_block(d);
    log_write(LOG_INFO, "sink", "sink=%s status=delivering", d->name);
}

void result_fail(struct delivery *d, struct batch *b, const char *why, int64_t after_ms)
{
    result_back_off(d, why, after_ms);
    b->next = d->failed;
    d->failed = b;
}

/* ---- verdicts ---- */

static void forget_plan(struct delivery *d, const struct batch *b)
{
    for (uint32_t i = 0; i < d->n_intents; i++) {
        if (d->intents[i] == b) {
            d->intents[i] = d->intents[--d->n_intents];
            return;
        }
    }
}

bool result_owes(void *arg, const struct position *at)
{
    struct delivery *d = arg;
    const struct subscription *o =
        at->stream.p == NULL ? NULL : subscription_of(d, at->stream);

    return o != NULL && str_eq(at->uuid, str_of(spool_uuid_of(d->spool, at->epoch))) &&
           subscription_owes(o, at->epoch, at->worker, at->seq);
}

/* Where the letters begin that come: more of this sink after that is cut by the next
 * process, unless the journal knows more by then. */
static bool begin_letters(struct delivery *d, struct err *e)
{
    struct record r = {.type = RECORD_DEAD};
    bool tell;

    if (!dead_begin(&d->dead, &tell, e)) {
        return false;
    }
    r.value = d->dead.length;
    r.name = str_of(d->dead.mark);
    return !tell || journal_append(d->journal, &r, e);
}

/* Events first .. first + n - 1 of b, as dead letters. */
static bool bury(struct delivery *d, const struct batch *b,
                 const struct sink_verdict *v, struct err *e)
{
    struct batch_range r[BATCH_RANGES_MAX];

    /* People take the file away, and then there is room again. */
    if (dead_bytes(&d->dead) > d->conf->dead_max_bytes) {
        return err_set(e, "the dead letters have reached max_bytes: %s", d->dead.path);
    }
    if (!begin_letters(d, e)) {
        return false;
    }
    for (uint32_t i = v->first, but = 0; i < v->first + v->n; i++) {
        if (but < v->n_but && v->but[but] == i) {
            but++;
            continue;
        }
        struct dead_letter l = {
            .event = {b->bytes + b->entries[i].off, b->entries[i].len},
            .sink = str_of(d->name),
            .why = str_of(v->why),
            .code = v->code,
            .time_ms = clock_wall_ms(),
            .generation = d->plan->generation};

        (void)batch_part(b, i, 1, r);
        l.at = (struct position){.uuid = str_of(spool_uuid_of(d->spool, r[0].epoch)),
                                 .stream = str_of(d->subscriptions[b->stream].name),
                                 .epoch = r[0].epoch,
                                 .worker = r[0].worker,
                                 .seq = r[0].first};
        if (!dead_put(&d->dead, &l, e)) {
            return false;
        }
    }
    if (!dead_sync(&d->dead, e)) {
        return false;
    }
    dead_tell(&d->dead, v->code, v->why, v->n - v->n_but);
    return true;
}

bool result_bury(struct delivery *d, const struct batch *b,
                 const struct sink_verdict *v, struct err *e)
{
    struct record r = {.type = RECORD_DEAD};
    bool ok = bury(d, b, v, e);

    r.value = d->dead.length;
    r.name = str_of(d->dead.mark);
    /* Synced, because the next record is: a process that has forgotten these letters
     * cuts them off. */
    if (!ok || !journal_append(d->journal, &r, e)) {
        dead_rewind(&d->dead);
        return false;
    }
    dead_keep(&d->dead);
    stats_add(d->dead_events, v->n - v->n_but);
    stats_set(d->dead_bytes, d->dead.length);
    return journal_sync(d->journal, e);
}

static uint32_t spoken_of(const struct sink_verdict *v)
{
    return v->n - v->n_but;
}

/* Notes the events from *at on, as many as one record holds, but for v->but[*but]
 * and so on. */
static bool note(struct delivery *d, struct subscription *o, const struct batch *b,
                 const struct sink_verdict *v, uint32_t *at, uint32_t *but,
                 struct err *e)
{
    struct batch_range ranges[RECORD_RANGES_MAX];
    struct record r = {.type = v->kind == SINK_DATA ? RECORD_DEAD : RECORD_DONE,
                       .value = v->kind == SINK_DATA ? d->dead.length : 0,
                       .stream = str_of(o->name),
                       .name = str_of(v->kind == SINK_DATA ? d->dead.mark : ""),
                       .ranges = ranges};
    uint32_t end = v->first + v->n;

    while (*at < end &&
           (r.n_ranges == 0 || r.n_ranges + b->n_ranges <= RECORD_RANGES_MAX)) {
        uint32_t to = *but < v->n_but ? v->but[*but] : end;

        if (to > *at) {
            r.n_ranges += batch_part(b, *at, to - *at, ranges + r.n_ranges);
        }
        *at = to + (*but < v->n_but);
        ++*but;
    }
    if (r.n_ranges > 0 && !d->ops->journals && !journal_append(d->journal, &r, e)) {
        return false;
    }
    if (o->conf.indexed || v->kind == SINK_DATA) {
        const char *place = v->kind == SINK_DATA ? v->why : v->place;

        places_note(&d->places, r.type, r.stream, str_of(place == NULL ? "" : place),
                    clock_wall_ms(), b->id, ranges, r.n_ranges);
    }
    for (uint32_t i = 0; i < r.n_ranges && v->kind == SINK_DATA; i++) {
        spool_consumer_note(
            o->consumer,
            (struct spool_pos){ranges[i].epoch, ranges[i].worker, ranges[i].first},
            ranges[i].n, SPOOL_DEAD);
    }
    subscription_ack(o, ranges, r.n_ranges);
    return true;
}

/* A part of b is the sink's, or among the dead: the journal says so, then the
 * spool may forget it. */
static bool ack(struct delivery *d, struct subscription *o, const struct batch *b,
                const struct sink_verdict *v, struct err *e)
{
    uint32_t at = v->first, but = 0;
    bool any = false;

    if (v->kind == SINK_DATA && !bury(d, b, v, e)) {
        dead_rewind(&d->dead);
        return false;
    }
    while (at < v->first + v->n) {
        if (!note(d, o, b, v, &at, &but, e)) {
            /* The journal counts on them when it has a part. */
            if (any) {
                dead_keep(&d->dead);
            } else {
                dead_rewind(&d->dead);
            }
            return false;
        }
        any = true;
    }
    if (v->kind == SINK_DATA) {
        dead_keep(&d->dead);
        stats_add(d->dead_events, spoken_of(v));
        stats_set(d->dead_bytes, d->dead.length);
    }
    return true;
}

static void count_done(struct delivery *d, const struct batch *b,
                       const struct sink_verdict *v)
{
    int64_t age = clock_wall_ms() - b->oldest_wall_ms;

    if (v->kind == SINK_OK) {
        stats_add(d->delivered, spoken_of(v));
    }
    (void)pthread_mutex_lock(&d->lock);
    d->status.delivered += v->kind == SINK_OK ? spoken_of(v) : 0;
    d->status.dead += v->kind == SINK_DATA ? spoken_of(v) : 0;
    d->status.batches += b->n_acked == b->n;
    (void)pthread_mutex_unlock(&d->lock);
    if (b->n_acked == b->n) {
        stats_record(d->age, (uint64_t)(age > 0 ? age : 0) * 1000000u);
        d->load.batches++;
        d->load.events += b->n;
        d->load.bytes += (double)b->n_bytes;
        d->load.age_ms += (double)(age > 0 ? age : 0);
        d->load.latency_ms += (double)(clock_mono_ns() - b->submitted_ns) / 1e6;
    }
}

/* Once all of b is noted or kept, the sink has let go of it: a kept verdict has it. */
static void look_whole(struct delivery *d, const struct batch *b)
{
    struct kept_verdict *of = NULL;
    uint32_t n = b->n_acked;

    for (struct kept_verdict *k = d->kept; k != NULL; k = k->next) {
        if (k->batch == b) {
            n += spoken_of(&k->verdict);
            of = k;
        }
    }
    if (of != NULL && n == b->n) {
        of->whole = true;
    }
}

/* A verdict that could not be noted is kept until it can. */
static void keep_verdict(struct delivery *d, struct batch *b,
                         const struct sink_verdict *v, const char *why)
{
    size_t n_but = v->n_but * sizeof *v->but;
    struct kept_verdict *k = mem_alloc(sizeof *k + n_but);

    k->batch = b;
    k->whole = false;
    k->verdict = *v;
    if (n_but > 0) {
        memcpy(k->but, v->but, n_but);
    }
    k->verdict.but = k->but;
    k->verdict.place = NULL; /* its words are gone by then */
    (void)snprintf(k->why, sizeof k->why, "%s", v->why == NULL ? "" : v->why);
    k->next = d->kept;
    d->kept = k;
    look_whole(d, b);
    result_back_off(d, why, 0);
}

/* The other parts of a batch that an earlier process split are batches of their own
 * here: a verdict on one tells of all, also after a restart that has forgotten the one
 * with the verdict. */
static void prove(struct delivery *d, struct subscription *o, const struct batch *b)
{
    for (uint32_t i = 0; i < d->n_intents; i++) {
        d->intents[i]->proven |= d->intents[i]->id == b->id;
    }
    subscription_prove(o, b->id);
}

bool result_is_free(const struct delivery *d)
{
    return d->failed == NULL && d->kept == NULL && !journal_in_trouble(d->journal);
}

void pump_done(void *arg, struct batch *b, const struct sink_verdict *v)
{
    struct delivery *d = arg;
    struct subscription *o = &d->subscriptions[b->stream];
    struct err e;

    if (b->replay != 0) {
        replay_verdict(d, b, v);
        return;
    }
    if (v->kind != SINK_OK && v->kind != SINK_DATA) {
        if (v->enlarge) {
            adapt_enlarge(d);
        } else {
            d->load.failed++;
        }
        /* Of one that was asked for in vain its next answer tells whether it goes on. */
        d->stuck &= v->unsent;
        result_fail(d, b, v->why, v->after_ms);
        return;
    }
    if (!ack(d, o, b, v, &e)) {
        keep_verdict(d, b, v, e.text);
        return;
    }
    b->n_acked += spoken_of(v);
    if (b->again && b->id != 0 && !b->proven) {
        prove(d, o, b);
    }
    if (spoken_of(v) > 0 || result_is_free(d)) {
        result_go_on(d);
    }
    count_done(d, b, v);
    if (b->n_acked < b->n) {
        look_whole(d, b);
        return;
    }
    forget_plan(d, b);
    o->in_flight--;
    pump_put(d, b);
    pump_later(d);
    if (journal_bytes(d->journal) > d->compacted_bytes + JOURNAL_COMPACT_BYTES &&
        !pump_try_compact(d, &e)) {
        result_back_off(d, e.text, 0);
    }
}

void result_retry(struct delivery *d)
{
    struct kept_verdict *k = d->kept;

    d->kept = NULL;
    while (k != NULL) {
        struct kept_verdict *next = k->next;

        k->verdict.why = k->why;
        pump_done(d, k->batch, &k->verdict);
        free(k);
        k = next;
    }
}
