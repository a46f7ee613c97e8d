#include "delivery/doubt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "journal/journal.h"

static bool is_of(const struct doubt_shard *s, struct str stream)
{
    return str_eq(str_of(s->stream), stream);
}

/* False: a later epoch of the stream is known. */
static bool drop_earlier(struct doubt *d, struct str stream, uint32_t epoch)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < d->n; i++) {
        if (!is_of(&d->list[i], stream) || d->list[i].epoch == epoch) {
            d->list[n++] = d->list[i];
        } else if (d->list[i].epoch > epoch) {
            return false; /* as all of the stream are */
        }
    }
    d->n = n;
    return true;
}

void doubt_add(struct doubt *d, struct str stream, uint32_t epoch, uint32_t worker,
               uint64_t end)
{
    struct doubt_shard *s = NULL;

    if (!drop_earlier(d, stream, epoch)) {
        return;
    }
    for (uint32_t i = 0; i < d->n && s == NULL; i++) {
        s = is_of(&d->list[i], stream) && d->list[i].worker == worker ? &d->list[i]
                                                                      : NULL;
    }
    if (s == NULL) {
        if (d->n == d->room) {
            d->room = d->room == 0 ? 8 : 2 * d->room;
            d->list = mem_realloc(d->list, d->room * sizeof *d->list);
        }
        s = &d->list[d->n++];
        *s = (struct doubt_shard){.epoch = epoch, .worker = worker};
        (void)snprintf(s->stream, sizeof s->stream, "%.*s", (int)stream.n, stream.p);
    }
    s->end = end > s->end ? end : s->end;
}

/* ---- in a file: until_ms, then one record of each shard, its events from 0 on ---- */

static void on_record(void *arg, const struct record *r)
{
    struct doubt *d = arg;

    if (r->type == RECORD_START && r->time_ms > d->until_ms) {
        d->until_ms = r->time_ms;
    }
    for (uint32_t i = 0; r->type == RECORD_SKIP && i < r->n_ranges; i++) {
        doubt_add(d, r->stream, r->ranges[i].epoch, r->ranges[i].worker,
                  r->ranges[i].n);
    }
}

bool doubt_read(struct doubt *d, int fd)
{
    struct journal_scan scan;
    struct err e;

    return journal_scan_file(fd, on_record, d, &scan, &e) && scan.records > 0 &&
           scan.damaged_bytes == 0;
}

bool doubt_write(const struct doubt *d, int fd)
{
    const struct record until = {.type = RECORD_START, .time_ms = d->until_ms};
    unsigned char *bytes = mem_alloc(RECORD_BYTES_MAX);
    size_t n = record_encode(&until, bytes);
    bool ok = write(fd, bytes, n) == (ssize_t)n;

    for (uint32_t i = 0; ok && i < d->n; i++) {
        const struct doubt_shard *s = &d->list[i];
        const struct batch_range range = {
            .epoch = s->epoch, .worker = s->worker, .n = s->end};
        const struct record r = {.type = RECORD_SKIP,
                                 .stream = str_of(s->stream),
                                 .ranges = &range,
                                 .n_ranges = 1};

        n = record_encode(&r, bytes);
        ok = write(fd, bytes, n) == (ssize_t)n;
    }
    free(bytes);
    return ok;
}

uint64_t doubt_end(const struct doubt *d, const char *stream, uint32_t epoch,
                   uint32_t worker, int64_t wall_ms)
{
    uint64_t end = d->until_ms != 0 && wall_ms <= d->until_ms ? UINT64_MAX : 0;

    for (uint32_t i = 0; i < d->n; i++) {
        const struct doubt_shard *s = &d->list[i];

        if (strcmp(s->stream, stream) == 0 && epoch < s->epoch) {
            end = UINT64_MAX;
        } else if (strcmp(s->stream, stream) == 0 && epoch == s->epoch &&
                   worker == s->worker && s->end > end) {
            end = s->end;
        }
    }
    return end;
}

void doubt_copy(struct doubt *to, const struct doubt *d)
{
    *to = (struct doubt){.n = d->n, .room = d->n, .until_ms = d->until_ms};
    if (d->n > 0) {
        to->list = mem_alloc(d->n * sizeof *d->list);
        memcpy(to->list, d->list, d->n * sizeof *d->list);
    }
}

void doubt_free(struct doubt *d)
{
    free(d->list);
    *d = (struct doubt){.list = NULL};
}
