/*
 * event - attribution events of about 250 bytes, each a function of its number, so that
 * whoever finds one can tell whether it is whole. For tests and benches. Every
 * so-manieth can be poison: its value is no number but text, of as many bytes as are
 * wanted, and its device an unknown one.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { EVENT_BYTES_MAX = 512 }; /* and event_poison_bytes */

static uint64_t event_poison_every; /* 0: none is */
static size_t event_poison_bytes = 6;

static inline uint64_t event_mix(uint64_t x)
{
    /* splitmix64 (Steele, Lea, Flood, 2014) */
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

static inline int event_is_poison(uint64_t n)
{
    return event_poison_every != 0 && n % event_poison_every == 0;
}

/* Writes event number n; returns its length. Some fields are optional. */
static inline size_t event_write(char *out, uint64_t n)
{
    static const char *const types[] = {"click", "impression", "install", "purchase"};
    static const char *const pages[] = {"/home", "/product/blue-shoes", "/cart",
                                        "/checkout/payment", "/search?q=caf\xC3\xA9"};
    uint64_t r = event_mix(n);
    unsigned type = (unsigned)(r & 3);
    int k = sprintf(out,
                    "{\"event_id\":\"e-%012lu\",\"event_type\":\"%s\","
                    "\"user_id\":\"user-%06lu\",\"timestamp\":%lu",
                    (unsigned long)n, types[type], (unsigned long)((r >> 8) % 1000000),
                    1763900000000ul + (unsigned long)(r % 10000000));

    if (event_is_poison(n)) {
        k += sprintf(out + k, ",\"value\":\"");
        memset(out + k, 'x', event_poison_bytes);
        k += (int)event_poison_bytes;
        out[k++] = '"';
    } else if (type == 3 || (r & 16) != 0) {
        k += sprintf(out + k, ",\"value\":%lu.%02lu", (unsigned long)((r >> 20) % 500),
                     (unsigned long)((r >> 30) % 100));
    }
    k += sprintf(out + k,
                 ",\"campaign\":\"cmp-%04lu\",\"properties\":{\"page\":\"%s\","
                 "\"ref\":\"https://example.com/a/%08lx\"",
                 (unsigned long)((r >> 40) % 2000), pages[(r >> 50) % 5],
                 (unsigned long)(r & 0xFFFFFFFF));
    if ((r & 32) != 0) {
        k += sprintf(out + k, ",\"ab\":[%lu,%lu]", (unsigned long)(r % 7),
                     (unsigned long)(r % 11));
    }
    k += sprintf(out + k, "},\"device\":\"%s\",\"ok\":true}",
                 event_is_poison(n) ? "odd" : "ios");
    return (size_t)k;
}

/* One of about 100 bytes, for benches of many. */
static inline size_t event_write_small(char *out, uint64_t n)
{
    const uint64_t r = event_mix(n);

    return (size_t)sprintf(out,
                           "{\"event_id\":\"e-%012lu\",\"event_type\":\"click\","
                           "\"user_id\":\"user-%06lu\",\"value\":%lu.%02lu}",
                           (unsigned long)n, (unsigned long)((r >> 8) % 1000000),
                           (unsigned long)((r >> 20) % 500),
                           (unsigned long)((r >> 30) % 100));
}
