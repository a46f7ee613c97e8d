#include "batch/batch.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { BYTES_CAP_MIN = 64 << 10, ENTRIES_CAP_MIN = 256, AGES_CAP_MIN = 16 };

struct batch *batch_new(enum batch_keep keep)
{
    struct batch *b = mem_zalloc(sizeof *b);

    b->keep = keep;
    return b;
}

void batch_free(struct batch *b)
{
    if (b == NULL) {
        return;
    }
    free(b->bytes);
    free(b->entries);
    free(b->ages);
    free(b->destination);
    free(b);
}

void batch_destination(struct batch *b, const char *text)
{
    free(b->destination);
    b->destination = text == NULL ? NULL : mem_strdup(text);
}

void batch_reset(struct batch *b)
{
    b->n = 0;
    b->n_acked = 0;
    b->n_ranges = 0;
    b->n_ages = 0;
    b->n_bytes = 0;
    b->next = NULL;
    b->id = 0;
    b->again = false;
    b->replay = 0;
    b->proven = false;
    batch_destination(b, NULL);
}

char *batch_take_bytes(struct batch *b)
{
    char *bytes = b->bytes;

    b->bytes = NULL;
    b->bytes_cap = 0;
    return bytes;
}

void batch_compact(struct batch *b, const unsigned char *marks, unsigned char mask)
{
    size_t n_bytes = 0;
    char *bytes;

    for (uint32_t i = 0; i < b->n; i++) {
        n_bytes += (marks[i] & mask) != 0 ? b->entries[i].len + 1u : 0;
    }
    if (2 * n_bytes > b->bytes_cap) {
        return; /* not worth it */
    }
    bytes = mem_zalloc(n_bytes + BATCH_PAD);
    n_bytes = 0;
    for (uint32_t i = 0; i < b->n; i++) {
        if ((marks[i] & mask) != 0) {
            memcpy(bytes + n_bytes, b->bytes + b->entries[i].off,
                   b->entries[i].len + 1u);
            b->entries[i].off = (uint32_t)n_bytes;
            n_bytes += b->entries[i].len + 1u;
        }
    }
    free(b->bytes);
    b->bytes = bytes;
    b->n_bytes = b->bytes_cap = n_bytes;
}

static bool continues(const struct batch *b, const struct batch_range *from)
{
    const struct batch_range *last;

    if (b->n_ranges == 0) {
        return false;
    }
    last = &b->ranges[b->n_ranges - 1];
    return last->epoch == from->epoch && last->worker == from->worker &&
           last->first + last->n == from->first;
}

/* Bytes of the first n events, their newlines included. */
static uint64_t span(const struct batch_entry *entries, uint32_t n)
{
    const struct batch_entry *last = &entries[n - 1];

    return (uint64_t)last->off + last->len + 1 - entries[0].off;
}

/* Whole blocks are kept together up to max; one that would pass it is cut at target, so
 * that the rest begins a batch of the wanted size. */
static uint32_t fit_events(const struct batch *b, const struct batch_limits *l,
                           uint32_t n)
{
    if ((uint64_t)b->n + n <= l->max) {
        return n;
    }
    return b->n < l->target ? l->target - b->n : 0;
}

uint32_t batch_fit(const struct batch *b, const struct batch_limits *l,
                   const struct batch_range *from, const struct batch_entry *entries,
                   uint32_t n)
{
    uint32_t low, high;

    if (n == 0 || (b->n_ranges == BATCH_RANGES_MAX && !continues(b, from))) {
        return 0;
    }
    n = n < fit_events(b, l, n) ? n : fit_events(b, l, n);
    if (n == 0 || b->n_bytes + span(entries, n) <= l->max_bytes) {
        return n;
    }
    /* The most events whose bytes still fit: low do, high do not. */
    low = 0;
    high = n;
    while (high - low > 1) {
        uint32_t mid = low + (high - low) / 2;

        if (b->n_bytes + span(entries, mid) <= l->max_bytes) {
            low = mid;
        } else {
            high = mid;
        }
    }
    return low == 0 && b->n == 0 ? 1 : low;
}

static void keep_bytes(struct batch *b, const char *from, size_t n)
{
    if (b->n_bytes + n > b->bytes_cap) {
        size_t cap = b->bytes_cap < BYTES_CAP_MIN ? BYTES_CAP_MIN : b->bytes_cap * 2;

        b->bytes_cap = cap < b->n_bytes + n ? b->n_bytes + n : cap;
        b->bytes = mem_realloc(b->bytes, b->bytes_cap + BATCH_PAD);
        memset(b->bytes + b->bytes_cap, 0, BATCH_PAD);
    }
    memcpy(b->bytes + b->n_bytes, from, n);
}

static void keep_entries(struct batch *b, const struct batch_entry *entries, uint32_t n)
{
    if (b->n + n > b->entries_cap) {
        uint32_t cap =
            b->entries_cap < ENTRIES_CAP_MIN ? ENTRIES_CAP_MIN : b->entries_cap * 2;

        b->entries_cap = cap < b->n + n ? b->n + n : cap;
        b->entries = mem_realloc(b->entries, b->entries_cap * sizeof *b->entries);
    }
    for (uint32_t i = 0; i < n; i++) {
        struct batch_entry *e = &b->entries[b->n + i];

        *e = entries[i];
        e->off = (uint32_t)(b->n_bytes + entries[i].off - entries[0].off);
    }
}

static void keep_age(struct batch *b, uint32_t n, int64_t wall_ms)
{
    if (b->n_ages > 0 && b->ages[b->n_ages - 1].wall_ms == wall_ms) {
        b->ages[b->n_ages - 1].end = b->n + n;
        return;
    }
    if (b->n_ages == b->ages_cap) {
        b->ages_cap = b->ages_cap == 0 ? AGES_CAP_MIN : 2 * b->ages_cap;
        b->ages = mem_realloc(b->ages, b->ages_cap * sizeof *b->ages);
    }
    b->ages[b->n_ages++] = (struct batch_age){b->n + n, wall_ms};
}

int64_t batch_wall_ms(const struct batch *b, uint32_t i)
{
    uint32_t low = 0, high = b->n_ages - 1;

    while (low < high) {
        uint32_t mid = low + (high - low) / 2;

        if (i < b->ages[mid].end) {
            high = mid;
        } else {
            low = mid + 1;
        }
    }
    return b->ages[low].wall_ms;
}

void batch_append(struct batch *b, const struct batch_range *from,
                  const struct batch_source *source, const struct batch_entry *entries,
                  int64_t now_ms)
{
    uint32_t n = (uint32_t)from->n;
    size_t n_bytes;

    assert(n > 0);
    n_bytes = (size_t)span(entries, n);
    if (b->keep == BATCH_KEEP_ENTRIES) {
        keep_entries(b, entries, n);
        keep_age(b, n, source->wall_ms);
    }
    if (b->keep != BATCH_KEEP_RANGES) {
        keep_bytes(b, source->payload + entries[0].off, n_bytes);
    }
    if (b->n == 0) {
        b->first_ms = now_ms;
        b->oldest_wall_ms = source->wall_ms;
        b->key_hash = source->key_hash;
    } else {
        b->oldest_wall_ms =
            source->wall_ms < b->oldest_wall_ms ? source->wall_ms : b->oldest_wall_ms;
        b->key_hash = source->key_hash == b->key_hash ? b->key_hash : 0;
    }
    if (continues(b, from)) {
        b->ranges[b->n_ranges - 1].n += n;
    } else {
        assert(b->n_ranges < BATCH_RANGES_MAX);
        b->ranges[b->n_ranges++] = *from;
    }
    b->n += n;
    b->n_bytes += n_bytes;
}

int64_t batch_deadline(const struct batch *b, const struct batch_limits *l)
{
    return b->first_ms + l->linger_ms;
}

enum batch_reason batch_due(const struct batch *b, const struct batch_limits *l,
                            int64_t now_ms, unsigned state)
{
    if (b->n == 0) {
        return BATCH_WAIT;
    }
    if (b->n >= l->target) {
        return BATCH_SIZE;
    }
    if (b->n_bytes >= l->max_bytes || (state & BATCH_IS_FULL) != 0) {
        return BATCH_BYTES;
    }
    if (now_ms >= batch_deadline(b, l)) {
        return BATCH_TIMEOUT;
    }
    if ((state & BATCH_IS_DRAINING) != 0) {
        return BATCH_DRAIN;
    }
    if ((state & BATCH_IS_IDLE) != 0 && b->n >= l->min) {
        return BATCH_IDLE;
    }
    return BATCH_WAIT;
}

uint32_t batch_part(const struct batch *b, uint32_t first, uint32_t n,
                    struct batch_range *out)
{
    uint64_t from = first, to = (uint64_t)first + n, at = 0;
    uint32_t found = 0;

    for (uint32_t i = 0; i < b->n_ranges && at < to; i++) {
        const struct batch_range *r = &b->ranges[i];
        uint64_t low = from > at ? from - at : 0;
        uint64_t high = to - at < r->n ? to - at : r->n;

        if (low < high) {
            out[found] = *r;
            out[found].first += low;
            out[found++].n = high - low;
        }
        at += r->n;
    }
    return found;
}

const char *batch_reason_name(enum batch_reason r)
{
    static const char *const names[BATCH_N_REASONS] = {
        "wait", "size", "bytes", "timeout", "idle", "adapt", "drain"};

    return (unsigned)r < BATCH_N_REASONS ? names[r] : "unknown";
}
