/* What of an insert's batch is not in the table yet, and which rows of it the server
 * refuses. */
#include <stdio.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "sink/delivery/journal.h"
#include "sink/remote/insert.h"

static bool is_left(const struct insert *i, uint32_t row)
{
    for (uint32_t k = 0; k < i->n_parts; k++) {
        if (row >= i->parts[k].first && row - i->parts[k].first < i->parts[k].n) {
            return true;
        }
    }
    return false;
}

void parts_set_aside(struct insert *i)
{
    while (i->n_parts > 0) {
        struct insert_part p = i->parts[i->n_parts - 1];

        if (parts_refused(i, p.first, p.n) < p.n) {
            return;
        }
        i->aside[i->n_aside++] = p;
        i->n_parts--;
    }
}

void parts_forgive(struct insert *i)
{
    uint32_t n = 0;

    while (i->n_aside > 0) {
        i->parts[i->n_parts++] = i->aside[--i->n_aside];
    }
    for (uint32_t k = 0; k < i->n_refused; k++) {
        if (!is_left(i, i->refused[k])) {
            i->refused[n++] = i->refused[k];
        }
    }
    i->n_refused = n;
}

bool parts_too_many(const struct insert *i)
{
    uint32_t share = i->batch->n / 100;
    uint32_t most = share > INSERT_ROWS_MAX ? share : INSERT_ROWS_MAX;

    return i->n_refused > most || i->extra > INSERT_EXTRA_MAX ||
           i->n_parts + i->n_aside + 2 > INSERT_PARTS_MAX;
}

void parts_refuse(struct insert *i, uint32_t row)
{
    uint32_t at = i->n_refused;

    if (i->n_refused == i->refused_room) {
        i->refused_room = i->refused_room == 0 ? 16 : 2 * i->refused_room;
        i->refused = mem_realloc(i->refused,
                                 i->refused_room * sizeof *i->refused);
    }
    while (at > 0 && i->refused[at - 1] > row) {
        i->refused[at] = i->refused[at - 1];
        at--;
    }
    i->refused[at] = row;
    i->n_refused++;
}

uint32_t parts_row(const struct insert *i, uint32_t first, int64_t sent)
{
    uint32_t row = first + (uint32_t)sent;

    for (uint32_t k = 0; k < i->n_refused; k++) {
        if (i->refused[k] >= first && i->refused[k] <= row) {
            row++;
        }
    }
    return row;
}

uint32_t parts_refused(const struct insert *i, uint32_t first, uint32_t n)
{
    uint32_t count = 0;

    for (uint32_t k = 0; k < i->n_refused; k++) {
        count += i->refused[k] >= first && i->refused[k] < first + n;
    }
    return count;
}

static struct record split(const struct insert *i, const struct insert_part *p,
                           struct batch_range *ranges)
{
    const struct batch *b = i->batch;

    return (struct record){
        .type = RECORD_SPLIT,
        .value = b->id,
        .stream = str_of(i->sink->conf.streams[b->stream].name),
        .ranges = ranges,
        .n_ranges = batch_part(b, p->first, p->n, ranges)};
}

void parts_emit(struct sink *s, struct journal_draft *draft)
{
    struct batch_range ranges[BATCH_RANGES_MAX];

    for (const struct insert *i = s->inserts; i != NULL; i = i->next) {
        for (uint32_t k = 0; k < i->n_parts + i->n_aside; k++) {
            const struct insert_part *p = k < i->n_parts
                                              ? &i->parts[k]
                                              : &i->aside[k - i->n_parts];
            struct record r = split(i, p, ranges);

            if (p->n < i->batch->n) {
                journal_emit(draft, &r);
            }
        }
    }
}

void parts_halve(struct insert *i)
{
    struct batch_range ranges[BATCH_RANGES_MAX];
    char quoted[300];
    struct record r;
    struct err e;
    uint32_t first = i->parts[i->n_parts - 1].first;
    uint32_t n = i->parts[i->n_parts - 1].n;

    i->parts[i->n_parts - 1].first = first + n / 2;
    i->parts[i->n_parts - 1].n = n - n / 2;
    i->parts[i->n_parts].first = first;
    i->parts[i->n_parts].n = n / 2;
    r = split(i, &i->parts[i->n_parts++], ranges);
    /* Should it fail, the next process may send a part again within another. */
    if (!journal_append(*i->sink->conf.journal, &r, &e) ||
        !journal_sync(*i->sink->conf.journal, &e)) {
        log_write(LOG_WARN, "sink", "sink=%s why=%s", i->sink->conf.plan->name,
                  log_quote(quoted, sizeof quoted, e.text));
    }
}

/* ---- what rows are called ---- */

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

static void add_rows(struct rows *r, const struct batch *b, uint32_t first,
                     uint32_t n)
{
    struct batch_range ranges[BATCH_RANGES_MAX];
    uint32_t n_ranges = n == 0 ? 0 : batch_part(b, first, n, ranges);

    for (uint32_t i = 0; i < n_ranges; i++) {
        add_range(r, &ranges[i]);
    }
}

void parts_token(const struct insert *i, uint32_t first, uint32_t n, char *out,
                 size_t max)
{
    struct rows r = {.hash = STR_HASH};
    uint32_t from = first;

    for (uint32_t k = 0; k < i->n_refused; k++) {
        if (i->refused[k] >= from && i->refused[k] < first + n) {
            add_rows(&r, i->batch, from, i->refused[k] - from);
            from = i->refused[k] + 1;
        }
    }
    add_rows(&r, i->batch, from, first + n - from);
    end_run(&r);
    (void)snprintf(out, max, "%s:%s:%u.%u.%lu+%u-%016lx",
                   sink_uuid(&i->sink->conf, r.first.epoch), i->sink->conf.origin,
                   r.first.epoch, r.first.worker, (unsigned long)r.first.first, r.n,
                   (unsigned long)r.hash);
}
