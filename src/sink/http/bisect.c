/* The parts of an upload's batch without a verdict. */
#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "journal/journal.h"
#include "sink/http/upload.h"

void bisect_put(struct upload *u, uint32_t first, uint32_t n, uint32_t alone)
{
    if (u->n_parts == u->parts_room) {
        u->parts_room = u->parts_room == 0 ? 4 : 2 * u->parts_room;
        u->parts = mem_realloc(u->parts, u->parts_room * sizeof *u->parts);
    }
    u->parts[u->n_parts++] = (struct upload_part){first, n, alone, false};
}

/* ---- the journal ---- */

static struct record split(const struct upload *u, uint32_t first, uint32_t n,
                           struct batch_range *ranges)
{
    const struct batch *b = u->batch;

    return (struct record){.type = RECORD_SPLIT,
                           .value = b->id,
                           .stream = str_of(u->sink->conf.streams[b->stream].name),
                           .ranges = ranges,
                           .n_ranges = batch_part(b, first, n, ranges)};
}

static void emit_one(const struct upload *u, uint32_t first, uint32_t n,
                     struct journal_draft *draft)
{
    struct batch_range ranges[BATCH_RANGES_MAX];
    struct record r;

    if (n < u->batch->n && u->batch->replay == 0) {
        r = split(u, first, n, ranges);
        journal_emit(draft, &r);
    }
}

void bisect_emit(struct sink *s, struct journal_draft *draft)
{
    for (const struct upload *u = s->uploads; u != NULL; u = u->next) {
        for (uint32_t k = 0; k < u->n_parts; k++) {
            emit_one(u, u->parts[k].first, u->parts[k].n, draft);
        }
        for (uint32_t k = 0; k < u->n_suspects; k++) {
            emit_one(u, u->suspects[k], 1, draft);
        }
    }
}

static bool note_split(struct upload *u, uint32_t first, uint32_t n, struct err *e)
{
    struct batch_range ranges[BATCH_RANGES_MAX];
    struct record r = split(u, first, n, ranges);

    /* A replay's batches have no plan in the journal: replay.c sees to them. */
    return n == 0 || u->batch->replay != 0 ||
           journal_append(*u->sink->conf.journal, &r, e);
}

/* Rows first .. first + n - 1, of which the first n_left and the last n_right are parts
 * of their own, as are those between. */
static void cut(struct upload *u, uint32_t n_left, uint32_t n_right)
{
    struct upload_part p = u->parts[--u->n_parts];
    uint32_t middle = p.n - n_left - n_right;
    char quoted[300];
    struct err e;

    if (n_right > 0) {
        bisect_put(u, p.first + n_left + middle, n_right, 0);
    }
    if (middle > 0) {
        bisect_put(u, p.first + n_left, middle, 0);
    }
    if (n_left > 0) {
        bisect_put(u, p.first, n_left, 0);
    }
    /* Should it fail, the next process may send a part again within another. */
    if (!note_split(u, p.first, n_left, &e) ||
        !note_split(u, p.first + n_left, n_right > 0 ? middle : 0, &e) ||
        !journal_sync(*u->sink->conf.journal, &e)) {
        log_write(LOG_WARN, "sink", "sink=%s why=%s", u->sink->conf.plan->name,
                  log_quote(quoted, sizeof quoted, e.text));
    }
}

void bisect_halve(struct upload *u)
{
    uint32_t n = u->parts[u->n_parts - 1].n;

    cut(u, n / 2, n - n / 2);
}

void bisect_single_out(struct upload *u, uint32_t row)
{
    struct upload_part p = u->parts[u->n_parts - 1];

    cut(u, row - p.first, p.first + p.n - 1 - row);
}

/* ---- the names of rows ---- */

struct rows {
    struct batch_range first, run; /* the very first row; those in hand */
    uint64_t hash;
    uint32_t n;
};

static void end_run(struct rows *r)
{
    r->hash = str_hash(r->hash, (struct str){(const char *)&r->run, sizeof r->run});
    r->run.n = 0;
}

static void add_range(struct rows *r, const struct batch_range *range)
{
    if (r->n == 0) {
        r->first = *range;
    } else if (r->run.epoch == range->epoch && r->run.worker == range->worker &&
               r->run.first + r->run.n == range->first) {
        r->run.n += range->n;
        r->n += (uint32_t)range->n;
        return;
    } else {
        end_run(r);
    }
    r->run = *range;
    r->n += (uint32_t)range->n;
}

void bisect_token(const struct upload *u, uint32_t first, uint32_t n, char *out,
                  size_t max)
{
    struct batch_range ranges[BATCH_RANGES_MAX];
    uint32_t n_ranges = batch_part(u->batch, first, n, ranges);
    /* Each stream counts from 1: a sink of two has the same places twice. */
    const char *stream = u->sink->conf.streams[u->batch->stream].name;
    struct rows r = {.hash = str_hash(STR_HASH, str_of(stream))};
    char replay[24] = "";

    for (uint32_t k = 0; k < n_ranges; k++) {
        add_range(&r, &ranges[k]);
    }
    end_run(&r);
    /* A server may remember that it refused the rows. */
    if (u->batch->replay != 0) {
        (void)snprintf(replay, sizeof replay, "-%016lx",
                       (unsigned long)u->batch->replay);
    }
    (void)snprintf(out, max, "%s:%s:%u.%u.%lu+%u-%016lx%s",
                   sink_uuid(&u->sink->conf, r.first.epoch), u->sink->conf.origin,
                   r.first.epoch, r.first.worker, (unsigned long)r.first.first, r.n,
                   (unsigned long)r.hash, replay);
}
