#include "index/format.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/siphash.h"

static_assert(sizeof(struct index_head) == 720, "a head's layout is on disk");
static_assert(sizeof(struct index_row) == 40, "so is a row's");

static const char MAGIC[8] = {'S', 'L', 'I', 'N', 'D', 'E', 'X', '\n'};

enum {
    DIGIT_BITS = 8,
    DIGITS = 1 << DIGIT_BITS,
    FIRST_BITS = 8,
    FIRST = 1 << FIRST_BITS,
    NEXT_BITS = 10,
    NEXT = 1 << NEXT_BITS,
    NEXT_SHIFT = 64 - FIRST_BITS - NEXT_BITS,
    NEIGHBOURS_MAX = 64
};

static const struct siphash_key ZEROS;

uint64_t index_print(const void *id, size_t n)
{
    return siphash24(&ZEROS, id, n);
}

void index_prints(const struct str *ids, size_t n, uint64_t *out)
{
    siphash24_each(&ZEROS, ids, n, out);
}

static uint32_t head_crc(const unsigned char *bytes)
{
    const size_t from = offsetof(struct index_head, format);

    return crc32c(0, bytes + from, INDEX_HEAD_BYTES - from);
}

void index_head_encode(const struct index_head *h, unsigned char *out)
{
    struct index_head q = *h;

    memset(out, 0, INDEX_HEAD_BYTES);
    memcpy(q.magic, MAGIC, sizeof q.magic);
    q.format = INDEX_FORMAT;
    memcpy(out, &q, sizeof q);
    q.crc = head_crc(out);
    memcpy(out, &q, sizeof q);
}

static bool ends(const char *text, size_t n)
{
    return memchr(text, '\0', n) != NULL;
}

bool index_head_decode(const unsigned char *in, struct index_head *h)
{
    memcpy(h, in, sizeof *h);
    return memcmp(h->magic, MAGIC, sizeof MAGIC) == 0 && h->crc == head_crc(in) &&
           h->format == INDEX_FORMAT && ends(h->uuid, sizeof h->uuid) &&
           ends(h->stream, sizeof h->stream) && ends(h->field, sizeof h->field) &&
           h->n_ids <= INDEX_IDS_MAX && h->n_rows <= INDEX_EVENTS_MAX && h->first > 0 &&
           h->end > h->first && h->end - h->first <= UINT32_MAX &&
           h->n_ids <= h->n_events && h->n_rows <= h->n_events &&
           h->n_events <= h->end - h->first && h->step_ms > 0;
}

uint32_t index_group_crc(const unsigned char *in, uint32_t n, uint32_t group)
{
    return crc32c(group + 1, in, (size_t)n * INDEX_ENTRY_BYTES);
}

uint32_t index_group_encode(const struct index_id *ids, uint32_t n, uint32_t group,
                            unsigned char *out)
{
    unsigned char *upper = out + (size_t)n * 4, *lower = upper + (size_t)n * 4;

    for (uint32_t i = 0; i < n; i++) {
        const uint64_t print = index_stored_print(ids[i].print);
        const uint32_t high = (uint32_t)(print >> 24), low = (uint32_t)print;

        memcpy(out + (size_t)i * 4, &ids[i].ordinal, 4);
        memcpy(upper + (size_t)i * 4, &high, 4);
        memcpy(lower + (size_t)i * 3, &low, 3);
    }
    return index_group_crc(out, n, group);
}

struct index_id index_group_id(const unsigned char *in, uint32_t n, uint32_t i)
{
    const unsigned char *upper = in + (size_t)n * 4, *lower = upper + (size_t)n * 4;
    struct index_id id = {0, 0};
    uint32_t high, low = 0;

    memcpy(&id.ordinal, in + (size_t)i * 4, 4);
    memcpy(&high, upper + (size_t)i * 4, 4);
    memcpy(&low, lower + (size_t)i * 3, 3);
    id.print = (uint64_t)high << 24 | low;
    return id;
}

/* By all digits that are stored, the lowest first. */
static void sort_by_digits(struct index_id *ids, struct index_id *spare, uint32_t n)
{
    struct index_id *from = ids, *to = spare;

    /* The lowest digit is not stored; seven are: an odd number. */
    for (unsigned shift = 64 - 7 * DIGIT_BITS; shift < 64; shift += DIGIT_BITS) {
        uint32_t at[DIGITS] = {0}, sum = 0;
        struct index_id *was = from;

        for (uint32_t i = 0; i < n; i++) {
            at[from[i].print >> shift & (DIGITS - 1)]++;
        }
        for (uint32_t d = 0; d < DIGITS; d++) {
            const uint32_t k = at[d];

            at[d] = sum;
            sum += k;
        }
        for (uint32_t i = 0; i < n; i++) {
            to[at[from[i].print >> shift & (DIGITS - 1)]++] = from[i];
        }
        from = to;
        to = was;
    }
    if (n > 0) {
        memcpy(ids, from, n * sizeof *ids);
    }
}

/* Counts to the places of the first ones. */
static void add_up(uint32_t *at, uint32_t n)
{
    uint32_t sum = 0;

    for (uint32_t d = 0; d < n; d++) {
        const uint32_t k = at[d];

        at[d] = sum;
        sum += k;
    }
}

/* ids to other, by NEXT_BITS. */
static void sort_by_next(const struct index_id *ids, struct index_id *other, uint32_t n)
{
    uint32_t at[NEXT] = {0};

    for (uint32_t i = 0; i < n; i++) {
        at[ids[i].print >> NEXT_SHIFT & (NEXT - 1)]++;
    }
    add_up(at, NEXT);
    for (uint32_t i = 0; i < n; i++) {
        other[at[ids[i].print >> NEXT_SHIFT & (NEXT - 1)]++] = ids[i];
    }
}

/* Of ids that are sorted by their upper bits. False: too many have the same ones. */
static bool sort_neighbours(struct index_id *ids, uint32_t n)
{
    for (uint32_t i = 1; i < n; i++) {
        const struct index_id id = ids[i];
        uint32_t k = i;

        while (k > 0 &&
               index_stored_print(ids[k - 1].print) > index_stored_print(id.print)) {
            if (i - k == NEIGHBOURS_MAX) {
                ids[k] = id;
                return false;
            }
            ids[k] = ids[k - 1];
            k--;
        }
        ids[k] = id;
    }
    return true;
}

static int by_ordinal(const void *a, const void *b)
{
    const struct index_id *x = a, *y = b;

    return (x->ordinal > y->ordinal) - (x->ordinal < y->ordinal);
}

/* One pass makes runs that the first cache holds, another one in each run leaves about one
 * id for each value of the upper bits, and few neighbours to put right. Whoever makes many
 * ids with the same upper bits gets the slow way. */
void index_sort(struct index_id *ids, struct index_id *spare, uint32_t n)
{
    uint32_t at[FIRST] = {0}, from = 0;
    bool sorted = true;

    for (uint32_t i = 0; i < n; i++) {
        at[ids[i].print >> (64 - FIRST_BITS)]++;
    }
    add_up(at, FIRST);
    for (uint32_t i = 0; i < n; i++) {
        spare[at[ids[i].print >> (64 - FIRST_BITS)]++] = ids[i];
    }
    for (uint32_t d = 0; d < FIRST; from = at[d++]) {
        const uint32_t k = at[d] - from; /* at has the ends now */

        if (k <= NEIGHBOURS_MAX) {
            memcpy(ids + from, spare + from, k * sizeof *ids);
        } else {
            sort_by_next(spare + from, ids + from, k);
        }
        sorted = sort_neighbours(ids + from, k) && sorted;
    }
    if (!sorted) {
        qsort(ids, n, sizeof *ids, by_ordinal); /* as they came */
        sort_by_digits(ids, spare, n);
    }
}
