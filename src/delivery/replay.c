/*
 * A sink's dead letters, sent to it once more, and to no other:
 *
 *   sink-X.ndjson ── renamed ──► sink-X.ndjson.replay ── a batch at a time ──► the sink
 *        ▲                        sink-X.ndjson.replay-mark: how far it is     │
 *        └── those that it refuses again ◄─────────────────────────────────────┘
 *
 * A batch is noted before it goes, and its result after: the next replay goes on there,
 * and sends the batch in hand again under the same name.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "delivery/replay.h"

enum { WAIT_MS = 250 };

/* ---- the view of other threads ---- */

static void show(struct delivery *d, enum delivery_replay_state state, const char *why)
{
    const struct replay *r = d->replay;
    uint64_t size = r->letters == NULL ? 0 : letters_bytes(r->letters);
    uint64_t done = r->dry ? size : r->at.done;

    (void)pthread_mutex_lock(&d->lock);
    d->status.replay =
        (struct delivery_replay){.state = state,
                                 .dry = r->dry,
                                 .resumed = r->resumed,
                                 .more = replay_more(d, r),
                                 .replayed = r->at.replayed,
                                 .again = r->at.again,
                                 .unreadable = r->at.unreadable,
                                 .remaining = r->remaining,
                                 .remaining_bytes = size > done ? size - done : 0};
    (void)snprintf(d->status.replay.why, sizeof d->status.replay.why, "%s", why);
    (void)pthread_mutex_unlock(&d->lock);
}

static void end(struct delivery *d)
{
    struct replay *r = d->replay;
    bool ok = !r->failed;
    enum delivery_replay_state state = !ok          ? DELIVERY_REPLAY_FAILED
                                       : r->stopped ? DELIVERY_REPLAY_STOPPED
                                                    : DELIVERY_REPLAY_DONE;
    char quoted[ERR_TEXT_MAX + 16];

    show(d, state, ok ? "" : r->why.text);
    if (!r->dry) {
        log_write(ok ? LOG_INFO : LOG_ERROR, "dead_replay",
                  "sink=%s status=%s replayed=%lu dead_again=%lu unreadable=%lu "
                  "why=%s",
                  d->name,
                  !ok          ? "failed"
                  : r->stopped ? "stopped"
                               : "done",
                  (unsigned long)r->at.replayed, (unsigned long)r->at.again,
                  (unsigned long)r->at.unreadable,
                  log_quote(quoted, sizeof quoted, ok ? "" : r->why.text));
    }
    letters_close(r->letters);
    free(r);
    d->replay = NULL;
}

static void fail(struct replay *r, const struct err *e)
{
    if (!r->failed) {
        r->failed = true;
        r->why = *e;
    }
}

/* ---- batches ---- */

/* Nothing is in hand any more. */
static bool note_done(struct replay *r, struct err *e)
{
    r->at.done = r->at.end;
    r->at.n = 0;
    r->at.settled[0] = r->at.settled[1] = 0;
    r->at.unreadable += r->bad;
    r->bad = 0;
    r->rebuild = false;
    return r->dry || progress_write(r->mark, &r->at, e);
}

static void count_dry(struct delivery *d, struct replay *r, uint32_t n, struct err *e)
{
    r->remaining += n;
    if (!note_done(r, e)) {
        fail(r, e);
    }
    pump_later(d);
}

/* A line without an end: nothing is written to the file any more. */
static void come_to_end(struct delivery *d, struct replay *r, struct err *e)
{
    r->at.unreadable += letters_cut(r->letters);
    if (r->dry && replay_more(d, r)) {
        uint64_t unreadable = r->at.unreadable;

        letters_close(r->letters);
        r->letters = NULL;
        r->at = (struct progress){.unreadable = unreadable};
        r->source++;
        if (!replay_open_file(d, r, e)) {
            fail(r, e);
        } else if (r->letters != NULL) {
            pump_later(d);
            return;
        }
    } else if (!r->dry && !replay_close_file(r, e)) {
        fail(r, e);
    }
    end(d);
}

static void take_batch(struct delivery *d, struct replay *r)
{
    struct batch *b = batch_new(d->ops->keep);
    bool resumed = r->rebuild;
    struct err e;

    if (!replay_fill(d, r, b, &e)) {
        batch_free(b);
        fail(r, &e);
        end(d);
        return;
    }
    if (r->dry || b->n == 0) {
        uint32_t n = b->n;
        bool more = r->at.end > r->at.done;

        batch_free(b);
        if (more) {
            count_dry(d, r, n, &e);
        } else {
            come_to_end(d, r, &e);
        }
        return;
    }
    if (!progress_write(r->mark, &r->at, &e)) {
        batch_free(b);
        fail(r, &e);
        end(d);
        return;
    }
    b->replay = r->at.id;
    b->again = resumed;
    b->submitted_ns = clock_mono_ns();
    r->batch = b;
    d->ops->submit(d->sink, b);
}

static bool sink_takes(const struct delivery *d)
{
    return d->failed == NULL && d->kept == NULL && !ev_is_active(&d->retry) &&
           (d->ops->window == NULL || d->ops->window(d->sink) > 0);
}

void replay_pump(struct delivery *d)
{
    struct replay *r = d->replay;

    if (d->draining || d->handing_over || d->sink == NULL) {
        return;
    }
    if (r->batch != NULL) {
        if (r->parked && clock_mono_ns() >= r->due_ns) {
            r->parked = false;
            d->ops->submit(d->sink, r->batch);
        }
        return;
    }
    if (r->failed) {
        end(d);
        return;
    }
    if (!r->dry && !sink_takes(d)) {
        show(d, DELIVERY_REPLAY_RUNS, "the sink can't take anything now");
        return; /* the tick comes back */
    }
    take_batch(d, r);
}

/* ---- verdicts ---- */

static bool is_but(const struct sink_verdict *v, uint32_t i)
{
    for (uint32_t k = 0; k < v->n_but; k++) {
        if (v->but[k] == i) {
            return true;
        }
    }
    return false;
}

/* False and *e: it is not noted, so that the next replay sends these again. */
static bool ack(struct delivery *d, const struct batch *b, const struct sink_verdict *v,
                struct err *e)
{
    struct replay *r = d->replay;
    uint32_t n = v->n - v->n_but;

    if (v->kind == SINK_DATA && !result_bury(d, b, v, e)) {
        return false;
    }
    for (uint32_t i = v->first; i < v->first + v->n; i++) {
        if (!is_but(v, i)) {
            progress_add(&r->at, r->place[i]);
        }
    }
    r->at.replayed += v->kind == SINK_OK ? n : 0;
    r->at.again += v->kind == SINK_DATA ? n : 0;
    stats_add(d->replayed, v->kind == SINK_OK ? n : 0);
    return b->n_acked < b->n ? progress_write(r->mark, &r->at, e) : note_done(r, e);
}

void replay_verdict(struct delivery *d, struct batch *b, const struct sink_verdict *v)
{
    struct replay *r = d->replay;
    struct err e;

    if (v->kind != SINK_OK && v->kind != SINK_DATA) {
        r->parked = true;
        r->due_ns =
            clock_mono_ns() +
            (uint64_t)(v->after_ms > WAIT_MS ? v->after_ms : WAIT_MS) * 1000000u;
        show(d, DELIVERY_REPLAY_RUNS, v->why == NULL ? "" : v->why);
        return;
    }
    b->n_acked += v->n - v->n_but;
    if (!r->failed && !ack(d, b, v, &e)) {
        fail(r, &e);
    }
    show(d, DELIVERY_REPLAY_RUNS, "");
    if (b->n_acked == b->n) {
        r->batch = NULL;
        batch_free(b);
        pump_later(d);
    }
}

bool replay_in_flight(const struct delivery *d)
{
    return d->replay != NULL && d->replay->batch != NULL && !d->replay->parked;
}

void replay_free(struct delivery *d)
{
    if (d->replay != NULL) {
        /* One in flight was the sink's, which freed it. */
        batch_free(d->replay->parked ? d->replay->batch : NULL);
        d->replay->batch = NULL;
        fail(d->replay, &(struct err){.text = "the sink's thread was ended: replay "
                                              "again, and it goes on"});
        end(d);
    }
}

/* ---- the supervisor's ---- */

struct asked {
    struct delivery *d;
    bool dry;
};

static void on_begin(void *arg)
{
    struct asked *a = arg;
    struct delivery *d = a->d;
    struct replay *r = mem_zalloc(sizeof *r);
    struct err e;

    r->dry = a->dry;
    free(a);
    d->replay = r;
    if (d->sink == NULL) {
        replay_free(d);
        return;
    }
    if (!replay_open_file(d, r, &e)) {
        fail(r, &e);
    }
    if (r->failed || r->letters == NULL) {
        end(d);
        return;
    }
    show(d, DELIVERY_REPLAY_RUNS, "");
    pump_later(d);
}

bool delivery_replay_begin(struct delivery *d, bool dry, struct err *e)
{
    const struct sink_ops *ops;
    struct asked *a;
    bool runs;

    (void)pthread_mutex_lock(&d->lock);
    ops = d->over ? &sink_absent : d->ops;
    (void)pthread_mutex_unlock(&d->lock);
    if (ops == &sink_absent) {
        return err_set(e, "this sink can't deliver now: see its words in /status");
    }
    if (ops->keep != BATCH_KEEP_ENTRIES) {
        return err_set(e, "a %s sink refuses no events, so it has no dead letters",
                       ops->kind);
    }
    (void)pthread_mutex_lock(&d->lock);
    runs = d->status.replay.state == DELIVERY_REPLAY_RUNS;
    if (!runs) {
        d->status.replay =
            (struct delivery_replay){.state = DELIVERY_REPLAY_RUNS, .dry = dry};
    }
    (void)pthread_mutex_unlock(&d->lock);
    if (runs) {
        return err_set(e, "a replay of this sink runs already");
    }
    a = mem_alloc(sizeof *a);
    *a = (struct asked){d, dry};
    mailbox_post(&d->mail, on_begin, a);
    return true;
}

static void on_stop(void *arg)
{
    struct delivery *d = arg;
    struct replay *r = d->replay;

    if (r == NULL) {
        return;
    }
    if (r->batch != NULL && d->sink != NULL) {
        d->ops->forget(d->sink, r->batch);
        batch_free(r->batch);
        r->batch = NULL;
    }
    r->stopped = true;
    end(d);
    pump_later(d);
}

bool delivery_replay_stop(struct delivery *d, struct err *e)
{
    struct delivery_replay now;

    delivery_replay_status(d, &now);
    if (now.state != DELIVERY_REPLAY_RUNS) {
        return err_set(e, "no replay of this sink runs");
    }
    mailbox_post(&d->mail, on_stop, d);
    return true;
}

void delivery_replay_status(struct delivery *d, struct delivery_replay *out)
{
    (void)pthread_mutex_lock(&d->lock);
    *out = d->status.replay;
    (void)pthread_mutex_unlock(&d->lock);
}
