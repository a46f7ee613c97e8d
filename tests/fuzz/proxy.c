/* Any bytes as a PROXY header, whole and cut anywhere: no crash; each cut gives the same
 * result and takes the same bytes; never more than the longest header; a client's address is
 * one that a second, slow reader finds. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "net/proxy_header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check(bool good)
{
    if (!good) {
        abort();
    }
}

/* In parts of that many bytes, each in memory of its own. */
static enum proxy_result feed(const uint8_t *data, size_t n, size_t part,
                              struct proxy_header *h, size_t *taken)
{
    enum proxy_result r = PROXY_MORE;

    proxy_header_init(h);
    *taken = 0;
    while (r == PROXY_MORE && *taken < n) {
        size_t k = n - *taken < part ? n - *taken : part, used;
        uint8_t *own = malloc(k);

        memcpy(own, data + *taken, k);
        r = proxy_header_feed(h, own, k, &used);
        free(own);
        check(used <= k && (r != PROXY_MORE || used == k));
        *taken += used;
    }
    check((r == PROXY_BAD) == (h->why != NULL));
    return r;
}

static bool same(const struct address *a, const struct address *b)
{
    return a->four == b->four && a->hi == b->hi && a->lo == b->lo;
}

/* The address of a header that was taken; false: it has none. */
static bool read_slowly(const uint8_t *data, size_t n, struct address *out)
{
    char line[128], family[8], source[64], rest[64];

    if (data[0] == '\r') {
        bool six = data[13] >> 4 == 2;
        char text[64];

        if ((data[12] & 15) == 0 || (data[13] >> 4 != 1 && !six)) {
            return false;
        }
        if (six) {
            size_t at = 0;

            for (size_t i = 0; i < 16; i += 2) {
                at += (size_t)snprintf(text + at, sizeof text - at, "%s%x",
                                       i == 0 ? "" : ":",
                                       (unsigned)(data[16 + i] << 8 | data[17 + i]));
            }
        } else {
            (void)snprintf(text, sizeof text, "%u.%u.%u.%u", data[16], data[17],
                           data[18], data[19]);
        }
        return address_read(str_of(text), out);
    }
    memcpy(line, data, n);
    line[n] = '\0';
    return sscanf(line, "PROXY %7s %63s %63s", family, source, rest) == 3 &&
           strncmp(family, "TCP", 3) == 0 && address_read(str_of(source), out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct proxy_header whole, cut;
    struct address slow;
    size_t taken, again;
    enum proxy_result r;

    if (n < 2) {
        return 0;
    }
    r = feed(data + 1, n - 1, n, &whole, &taken);
    check(taken <= PROXY_V2_MAX);
    for (size_t part = 1; part <= 3; part++) {
        check(feed(data + 1, n - 1, part == 3 ? data[0] + 1u : part, &cut, &again) ==
              r);
        /* What is wrong is seen at the latest in the same part. */
        check(r == PROXY_BAD || again == taken);
        check(cut.has_address == whole.has_address);
        check(!whole.has_address || r == PROXY_BAD ||
              same(&whole.address, &cut.address));
    }
    if (r == PROXY_DONE) {
        check(read_slowly(data + 1, taken, &slow) == whole.has_address);
        check(!whole.has_address || same(&slow, &whole.address));
    }
    return 0;
}
