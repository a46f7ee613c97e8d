/*
 * The end of a turn: the events that its requests have appended become one block a
 * stream, with one write; then their answers are due, or, with a `synced` stream, once
 * the housekeeper has synced that far. One that repeats events of other requests under
 * way is answered after those.
 */
#include <stdio.h>
#include <string.h>

#include "base/attr.h"
#include "base/clock.h"
#include "base/log.h"
#include "ingest/internal.h"
#include "ingest/refusals.h"

enum { COUNT_BYTES = 40 };

#define TELL_EVERY_NS 1000000000ull

static const char *kept(const struct waiter *w)
{
    return w->long_answer != NULL ? w->long_answer : w->small_answer;
}

/* With the lines that every answer of its route has. */
static void refuse_kept(struct ingest *in, struct waiter *w, uint32_t n_events,
                        int status, const char *headers, const struct answer_error *e)
{
    char lines[CORS_BYTES + TYPE_LINE_BYTES + 256];
    const char *common = w->headers_bytes > 0 ? kept(w) + w->own_bytes : "";

    (void)snprintf(lines, sizeof lines, "%s%s%s",
                   w->refused_body == NULL ? "" : w->refused_body->type_line, headers,
                   common);
    refuse_with(&(struct answering){.in = in,
                                    .r = w->req,
                                    .w = w,
                                    .account = w->account,
                                    .mark = &w->mark,
                                    .n_events = n_events,
                                    .own = w->refused_body},
                status, lines, e);
}

/* Before the last bracket. */
static void add_count(struct waiter *w, char *text, const char *name, uint64_t n)
{
    if (n > 0) {
        w->answer_bytes += (uint32_t)snprintf(text + w->answer_bytes - 1, COUNT_BYTES,
                                              ",\"%s\":%lu}", name, (unsigned long)n) -
                           1;
    }
}

/* Events that a sink refused for good, or skipped: the answer says how many. There
 * is room: see answer_bound. */
static void add_unconfirmed(struct ingest *in, struct waiter *w)
{
    char *text =
        (w->long_answer != NULL ? w->long_answer : w->small_answer) + w->headers_bytes;
    uint64_t dead = 0, skipped = 0;

    for (uint32_t i = 0; i < w->n_syncs; i++) {
        uint64_t d, s;

        if (w->syncs[i].delivered) {
            spool_writer_unconfirmed(in->writers[w->syncs[i].stream].writer,
                                     w->syncs[i].first, w->syncs[i].n, &d, &s);
            dead += d;
            skipped += s;
        }
    }
    add_count(w, text, "dead", dead);
    add_count(w, text, "skipped", skipped);
}

void commit_tell_dead(struct ingest *in)
{
    struct meters *m = &in->m;
    char quoted[300];

    if (m->dead_untold > 0) {
        log_write(LOG_WARN, "dead_letter", "worker=%u route=%s events=%lu",
                  in->conf.worker,
                  log_quote(quoted, sizeof quoted, account_name(m->dead_last)),
                  (unsigned long)m->dead_untold);
        m->dead_untold = 0;
    }
}

/* The log names the stream's dead letters, at most once a second. */
static void tell_dead(struct ingest *in, const struct waiter *w)
{
    struct meters *m = &in->m;
    uint64_t now = clock_mono_ns();

    m->dead_untold += w->ends.dead;
    m->dead_last = w->account;
    if (m->dead_told_ns == 0 || now - m->dead_told_ns >= TELL_EVERY_NS) {
        m->dead_told_ns = now;
        commit_tell_dead(in);
    }
}

/* They are stored; else the caller counts them as refused. */
static void settle_events(struct ingest *in, const struct waiter *w, bool stored)
{
    if (LIKELY(stored)) {
        account_ends(w->account, &w->ends);
    }
    account_done(&in->m.accounts, w->n_events);
    if (UNLIKELY(stored && w->ends.dead > 0)) {
        tell_dead(in, w);
    }
}

static void answer_kept(struct ingest *in, struct waiter *w)
{
    const char *text = kept(w);

    http_answer(w->req, w->status, w->headers_bytes > 0 ? text : "",
                (struct str){text + w->headers_bytes, w->answer_bytes});
    meters_answered(w->account, &w->mark, w->status);
    if (UNLIKELY(w->line != NULL)) {
        access_late(
            in, w->line, w->account, &w->mark,
            &(struct access_said){.status = w->status,
                                  .code = w->failed ? "storage_failed" : w->code,
                                  .accepted = w->failed ? 0 : w->n_accepted,
                                  .refused = w->failed ? w->n_accepted + w->n_refused
                                                       : w->n_refused,
                                  .bytes_out = w->answer_bytes});
        w->line = NULL;
    }
}

static void finish(struct ingest *in, struct waiter *w)
{
    settle_events(in, w, !w->failed);
    if (w->failed && !w->same_unstored) {
        refuse_kept(in, w, w->n_events, 503, "Retry-After: 1\r\n",
                    &(struct answer_error){.error = "Not stored",
                                           .code = "storage_failed",
                                           .detail =
                                               "the server could not write the "
                                               "events to its disk; send them again",
                                           .offset = -1,
                                           .limit = -1});
    } else {
        if (UNLIKELY(w->failed)) {
            account_refused(w->account, "storage_failed", w->status, w->n_events);
        } else if (w->delivering && !w->own_answer) {
            add_unconfirmed(in, w);
        }
        answer_kept(in, w);
    }
    waiter_put(in, w);
}

/* What it still waits for, and whether a stream has lost events of it. */
static void look(struct ingest *in, struct waiter *w, bool *syncs, bool *delivers)
{
    *syncs = *delivers = false;
    for (uint32_t i = 0; i < w->n_syncs; i++) {
        struct spool_writer *writer = in->writers[w->syncs[i].stream].writer;
        uint64_t bit = 1ull << w->syncs[i].stream;
        uint64_t last = w->syncs[i].first + w->syncs[i].n - 1;
        bool delivered = w->syncs[i].delivered;

        if ((w->lost & bit) != 0) {
            continue; /* it has no sequence: its block was not written */
        }
        if (delivered ? spool_writer_gone(writer, last)
                      : spool_writer_lost(writer, last)) {
            w->lost |= bit;
        } else if (delivered) {
            *delivers |= spool_writer_delivered(writer) < last;
        } else {
            *syncs |= spool_writer_synced(writer) < last;
        }
    }
    w->failed |= w->lost != 0;
}

/* Whether the fate of its events is known in each stream that it has to wait for: with the
 * first one that has lost them, unless it holds keys, which others may have stored. */
static bool settled(struct ingest *in, struct waiter *w)
{
    bool syncs, delivers;

    look(in, w, &syncs, &delivers);
    if (w->failed) {
        return !syncs || w->hold.n == 0; /* what is written will be delivered */
    }
    return !syncs && !delivers;
}

/* True when it can be answered: its own events are stored or lost, and so are those
 * of other requests that it repeats. Its own are settled first: others may wait. */
static bool due(struct ingest *in, struct waiter *w)
{
    if (!settled(in, w)) {
        return false;
    }
    if (LIKELY(w->hold.n + w->hold.n_ties == 0)) {
        return true;
    }
    dedup_own(&w->hold, w->lost);
    switch (dedup_ties(&w->hold)) {
    case DEDUP_WAIT:
        if (!w->failed && !ev_is_active(&in->tied)) {
            ev_timer_again(in->conf.loop, &in->tied);
        }
        return w->failed;
    case DEDUP_LOST:
        w->failed = true;
        return true;
    case DEDUP_DONE:
        break;
    }
    return true;
}

/* The longest time of the streams that it touches. */
static void wait_for_sinks(struct ingest *in, const struct stream_writer *o,
                           struct waiter *w)
{
    uint64_t until = w->mark.began_ns + (uint64_t)o->delivered_ms * 1000000u;

    w->until_ns = until > w->until_ns ? until : w->until_ns;
    if (!ev_is_active(&in->late)) {
        ev_timer_again(in->conf.loop, &in->late);
    }
}

/* The block that ends with last has n events: which of them are w's. */
static void number(struct ingest *in, int stream, uint64_t last, uint64_t n,
                   struct waiter *w)
{
    for (uint32_t i = 0; i < w->n_syncs; i++) {
        if (w->syncs[i].stream == stream) {
            w->syncs[i].first = last - n + 1 + w->syncs[i].offset;
            if (w->syncs[i].delivered) {
                wait_for_sinks(in, &in->writers[stream], w);
            } else {
                spool_writer_want(in->writers[stream].writer,
                                  w->syncs[i].first + w->syncs[i].n - 1);
            }
        }
    }
}

/* Writes the block of one stream; requests that failed are marked. */
static void commit_writer(struct ingest *in, int stream)
{
    struct stream_writer *o = &in->writers[stream];
    uint64_t bit = 1ull << stream;
    uint64_t last = 0, n = o->n_pending;
    size_t bytes = spool_writer_event_bytes(o->writer);
    struct print_block *ids = UNLIKELY(o->prints != NULL) ? event_ids_print(o) : NULL;
    enum spool_result r =
        spool_writer_commit(o->writer, (int64_t)in->wall_ms, o->policy8, &last);

    if (UNLIKELY(ids != NULL) && r == SPOOL_OK) {
        event_ids_hand(o, ids);
    }
    if (r == SPOOL_OK) {
        stats_add(o->stored, o->n_pending);
        stats_add(o->bytes, bytes);
        stats_add(in->m.blocks, 1);
    } else {
        stats_add(o->failed, o->n_pending);
    }
    o->n_pending = 0;
    if (UNLIKELY(o->n_records > 0)) {
        refusals_committed(o, r == SPOOL_OK);
    }
    for (struct waiter *w = in->pending; w != NULL; w = w->next) {
        if ((w->touched & bit) == 0) {
            continue;
        }
        if (r != SPOOL_OK) {
            w->failed = true;
            w->lost |= bit;
        } else {
            number(in, stream, last, n, w);
        }
    }
}

void commit_turn(struct ingest *in)
{
    uint64_t began;
    struct waiter *w = in->pending;
    uint64_t touched = in->records;

    if (w == NULL && touched == 0) {
        return;
    }
    began = clock_mono_ns();
    for (struct waiter *p = w; p != NULL; p = p->next) {
        touched |= p->touched;
    }
    for (; touched != 0; touched &= touched - 1) {
        commit_writer(in, __builtin_ctzll(touched));
    }
    in->pending = NULL;
    in->pending_tail = &in->pending;
    in->pending_since_ns = 0;
    in->pending_bytes = 0;
    in->records = 0;
    while (w != NULL) {
        struct waiter *next = w->next;

        waiter_release(in, w); /* the segments count its bytes now */
        w->next = NULL;
        if (due(in, w)) {
            finish(in, w);
        } else {
            *in->syncing_tail = w;
            in->syncing_tail = &w->next;
        }
        w = next;
    }
    stats_record(in->m.stages[STAGE_COMMIT], clock_mono_ns() - began);
    http_server_flush(in->http);
}

static void finish_late(struct ingest *in, struct waiter *w)
{
    dedup_own(&w->hold, DEDUP_NONE_LOST);
    settle_events(in, w, true);
    if (w->same_unstored) {
        account_refused(w->account, "delivery_timeout", w->status, 0);
        answer_kept(in, w);
        waiter_put(in, w);
        return;
    }
    refuse_kept(in, w, 0, 504, "",
                &(struct answer_error){.error = "Not delivered yet",
                                       .code = "delivery_timeout",
                                       .detail = "the events are kept and will be "
                                                 "delivered; don't send them again",
                                       .offset = -1,
                                       .limit = -1});
    waiter_put(in, w);
}

/* It has waited for its sinks long enough, and the rest of it is on disk or lost: only
 * then is it true that all of it is kept. */
static bool is_late(struct ingest *in, struct waiter *w, uint64_t now)
{
    bool syncs, delivers;

    if (w->until_ns == 0 || now < w->until_ns) {
        return false;
    }
    look(in, w, &syncs, &delivers);
    return !syncs;
}

void commit_late(struct ingest *in, bool all)
{
    struct waiter **at = &in->syncing;
    uint64_t now = clock_mono_ns();
    bool waiting = false, answered = false;

    while (*at != NULL) {
        struct waiter *w = *at;

        if (is_late(in, w, all ? UINT64_MAX : now)) {
            *at = w->next;
            if (!w->failed && dedup_ties(&w->hold) == DEDUP_DONE) {
                finish_late(in, w);
            } else {
                /* Events of it are lost, or those that it repeats may be. */
                dedup_own(&w->hold, w->lost);
                w->failed = true;
                finish(in, w);
            }
            answered = true;
        } else {
            waiting |= w->until_ns != 0;
            at = &w->next;
        }
    }
    in->syncing_tail = at;
    if (!waiting) {
        ev_timer_stop(in->conf.loop, &in->late);
    }
    if (answered) {
        http_server_flush(in->http);
    }
}

void commit_synced(struct ingest *in)
{
    struct waiter **at = &in->syncing;
    bool answered = false, tied = false;

    while (*at != NULL) {
        struct waiter *w = *at;

        if (due(in, w)) {
            *at = w->next;
            finish(in, w);
            answered = true;
        } else {
            tied |= w->hold.n_ties > 0;
            at = &w->next;
        }
    }
    in->syncing_tail = at;
    if (!tied) {
        ev_timer_stop(in->conf.loop, &in->tied);
    }
    if (answered) {
        http_server_flush(in->http);
    }
}
