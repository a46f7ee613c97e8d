/* Events out of a stream's shards into the batch that grows: each shard's next ones,
 * without those that an earlier process has delivered or journaled, and without lost
 * ones. */
#include <string.h>

#include "base/err.h"
#include "base/log.h"
#include "delivery/subscription.h"

const struct subscription_span *subscription_span_from(const struct subscription *o,
                                                       uint32_t epoch, uint32_t worker,
                                                       uint64_t seq)
{
    const struct subscription_span *first = NULL;

    for (uint32_t i = 0; i < o->n_spans; i++) {
        const struct subscription_span *s = &o->spans[i];

        if (s->epoch == epoch && s->worker == worker && s->end > seq &&
            (first == NULL || s->first < first->first)) {
            first = s;
        }
    }
    return first;
}

enum {
    GONE_SKIPPED = 0,
    GONE_LOST = 1,
    GONE_VOID = RECORD_SKIP_VOID
}; /* of RECORD_SKIP */

void subscription_tell_gap(const struct subscription *o, const struct batch_range *gone,
                           const char *status)
{
    log_write(strcmp(status, "void") == 0 ? LOG_INFO : LOG_WARN, "gap",
              "stream=%s sink=%s shard=%u.%u first=%lu events=%lu status=%s", o->name,
              o->sink, gone->epoch, gone->worker, (unsigned long)gone->first,
              (unsigned long)gone->n, status);
}

/* n events at the reader that are in no batch. */
static bool note_piece(struct subscription *o, struct subscription_reader *r,
                       uint64_t n, unsigned how, struct journal *j, struct err *e)
{
    static const char *const words[] = {
        [GONE_SKIPPED] = "skipped", [GONE_LOST] = "lost", [GONE_VOID] = "void"};
    struct batch_range gone = {r->epoch, r->worker, r->next, n};
    struct record rec = {.type = RECORD_SKIP,
                         .value = how,
                         .stream = str_of(o->name),
                         .ranges = &gone,
                         .n_ranges = 1};

    if (!journal_append(j, &rec, e)) {
        return false;
    }
    subscription_note(o, RECORD_SKIP, how, &gone);
    r->next += n;
    o->skipped += how == GONE_SKIPPED ? n : 0;
    o->lost += how == GONE_LOST ? n : 0;
    subscription_tell_gap(o, &gone, words[how]);
    if (how != GONE_VOID) {
        spool_consumer_note(o->consumer,
                            (struct spool_pos){gone.epoch, gone.worker, gone.first}, n,
                            SPOOL_SKIPPED);
    }
    subscription_ack(o, &gone, 1);
    return true;
}

/* Events that the spool no longer has, or sequences that never were one: settled,
 * so that the shard's cursor, and with it the spool, can go on. Not those that an
 * earlier process delivered or planned, in however many batches: once they are
 * settled, the spool may forget them. */
static bool note_gone(struct subscription *o, struct subscription_reader *r, uint64_t n,
                      unsigned how, struct journal *j, struct err *e)
{
    uint64_t to = r->next + n;

    while (r->next < to && r->next < r->end) {
        const struct subscription_span *s =
            subscription_span_from(o, r->epoch, r->worker, r->next);
        uint64_t end = r->end < to ? r->end : to;

        if (s != NULL && s->first <= r->next) {
            r->next = s->end < end ? s->end : end;
            continue;
        }
        end = s != NULL && s->first < end ? s->first : end;
        if (!note_piece(o, r, end - r->next, how, j, e)) {
            subscription_reread(o, r);
            return false;
        }
    }
    r->next = to;
    return true;
}

/* Has events in hand afterwards, or is at its end for now. */
static bool load(struct subscription *o, struct subscription_reader *r,
                 struct journal *j, bool *more, struct err *e)
{
    *more = true;
    while (r->at >= r->block.n) {
        enum spool_read got;
        uint64_t lost;

        if (r->next >= r->end) {
            *more = false;
            return true;
        }
        got = spool_cursor_next(r->cursor, &r->block, &lost);
        switch (got) {
        case SPOOL_READ_OK:
            r->at = r->block.first < r->next ? (uint32_t)(r->next - r->block.first) : 0;
            break;
        case SPOOL_READ_GAP:
        case SPOOL_READ_VOID:
            r->block.n = 0;
            r->at = 0;
            if (!note_gone(o, r, lost,
                           got == SPOOL_READ_VOID ? GONE_VOID
                           : o->conf.skip         ? GONE_SKIPPED
                                                  : GONE_LOST,
                           j, e)) {
                return false;
            }
            break;
        case SPOOL_READ_END:
            r->ended = true;
            /* fall through */
        case SPOOL_READ_AGAIN:
            r->block.n = 0;
            r->at = 0;
            *more = false;
            return true;
        }
    }
    return true;
}

/* Passes over events that the readers may not take; returns the number of events before
 * the next such one. 0: the block is used up. */
static uint32_t takable(const struct subscription *o, struct subscription_reader *r)
{
    uint32_t remaining = r->block.n - r->at;

    while (o->n_spans > 0 && remaining > 0) {
        uint64_t seq = r->block.first + r->at;
        const struct subscription_span *s =
            subscription_span_from(o, r->epoch, r->worker, seq);

        if (s == NULL || s->first > seq) {
            return s != NULL && s->first - seq < remaining ? (uint32_t)(s->first - seq)
                                                           : remaining;
        }
        r->at = s->end - r->block.first < r->block.n
                    ? (uint32_t)(s->end - r->block.first)
                    : r->block.n;
        r->next = r->block.first + r->at;
        remaining = r->block.n - r->at;
    }
    return remaining;
}

/* Of the n events in hand those that lie before the reader's end; the others are
 * let go. */
static uint32_t within(struct subscription_reader *r, uint32_t n)
{
    uint64_t seq = r->block.first + r->at;

    if (seq < r->end) {
        return r->end - seq < n ? (uint32_t)(r->end - seq) : n;
    }
    r->next = seq > r->next ? seq : r->next;
    r->at = r->block.n;
    return 0;
}

/* False: the batch is full. */
static bool fill(struct subscription *o, struct subscription_reader *r,
                 const struct batch_limits *l, int64_t now_ms)
{
    uint32_t remaining = within(r, takable(o, r));
    const struct batch_entry *entries =
        (const struct batch_entry *)(const void *)(r->block.entries + r->at);
    struct batch_range range = {r->epoch, r->worker, r->block.first + r->at, remaining};

    if (remaining == 0) {
        return true;
    }
    range.n = batch_fit(o->batch, l, &range, entries, remaining);
    if (range.n > 0) {
        const struct batch_source source = {r->block.payload, r->block.wall_ms,
                                            r->block.key_hash};

        batch_append(o->batch, &range, &source, entries, now_ms);
        r->at += (uint32_t)range.n;
        r->next = range.first + range.n;
    }
    return range.n == remaining;
}

enum subscription_result subscription_take(struct subscription *o,
                                           const struct batch_limits *l, int64_t now_ms,
                                           struct journal *j, struct err *e)
{
    bool any = true;

    while (any) {
        any = false;
        for (uint32_t i = 0; i < o->n_readers; i++) {
            struct subscription_reader *r = &o->readers[(o->turn + i) % o->n_readers];
            bool more;

            if (r->ended) {
                continue;
            }
            if (!load(o, r, j, &more, e)) {
                return SUBSCRIPTION_FAILED;
            }
            if (!more) {
                continue;
            }
            any = true;
            if (!fill(o, r, l, now_ms) || o->batch->n >= l->target ||
                o->batch->n_bytes >= l->max_bytes) {
                /* The next shard's turn, once this one's block is used up. */
                o->turn = (o->turn + i + (r->at >= r->block.n)) % o->n_readers;
                return SUBSCRIPTION_FULL;
            }
        }
        o->turn++;
    }
    return SUBSCRIPTION_EMPTY;
}
