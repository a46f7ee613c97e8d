#include "tables/sort.h"

enum { FEW = 32, BYTES = 256 };

static void insert(struct row_hash *list, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct row_hash x = list[i];
        size_t k = i;

        for (; k > 0 && list[k - 1].hash > x.hash; k--) {
            list[k] = list[k - 1];
        }
        list[k] = x;
    }
}

/* By the byte of the hash above shift, then the parts by the bytes below it (American
 * flag sort: McIlroy, Bostic, McIlroy, "Engineering radix sort", 1993). */
static void sort_by(struct row_hash *list, size_t n, unsigned shift)
{
    size_t ends[BYTES] = {0}, at[BYTES], sum = 0;

    for (size_t i = 0; i < n; i++) {
        ends[list[i].hash >> shift & 0xFF]++;
    }
    for (unsigned b = 0; b < BYTES; b++) {
        at[b] = sum;
        sum += ends[b];
        ends[b] = sum;
    }
    for (unsigned b = 0; b < BYTES; b++) {
        while (at[b] < ends[b]) {
            struct row_hash x = list[at[b]];
            unsigned to = (unsigned)(x.hash >> shift & 0xFF);

            if (to == b) {
                at[b]++;
            } else {
                list[at[b]] = list[at[to]];
                list[at[to]++] = x;
            }
        }
    }
    for (unsigned b = 0; b < BYTES; b++) {
        size_t from = b == 0 ? 0 : ends[b - 1], many = ends[b] - from;

        if (many <= FEW) {
            insert(list + from, many);
        } else if (shift > 0) {
            sort_by(list + from, many, shift - 8);
        }
    }
}

void row_hashes_sort(struct row_hash *list, size_t n)
{
    if (n <= FEW) {
        insert(list, n);
    } else {
        sort_by(list, n, 56);
    }
}
