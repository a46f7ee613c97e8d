/* The vectors of the reference implementation: key 00..0f, data 00..n-1. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/siphash.h"

static const struct siphash_key key = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};

static void fill(unsigned char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        p[i] = (unsigned char)i;
    }
}

static void gives_the_reference_vectors(void **state)
{
    /* vectors_sip128 of the reference, rows 0, 1, 8 and 15. */
    static const struct {
        size_t n;
        unsigned char out[16];
    } rows[] = {
        {0,
         {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7,
          0x55, 0x02, 0x93}},
        {1,
         {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b,
          0x22, 0xfc, 0x45}},
        {8,
         {0x3b, 0x62, 0xa9, 0xba, 0x62, 0x58, 0xf5, 0x61, 0x0f, 0x83, 0xe2, 0x64, 0xf3,
          0x14, 0x97, 0xb4}},
        {15,
         {0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0, 0xa8, 0x11, 0x7e, 0x08, 0xec, 0x0f, 0x97,
          0xcf, 0xc3, 0xd9}},
    };
    unsigned char data[64];
    uint64_t out[2];

    (void)state;
    fill(data, sizeof data);
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        siphash24_128(&key, data, rows[i].n, out);
        assert_memory_equal(out, rows[i].out, 16);
    }
}

static void differs_with_text_length_and_key(void **state)
{
    const struct siphash_key other = {1, 2};
    uint64_t seen[64];
    unsigned char data[64] = {0};

    (void)state;
    for (size_t n = 0; n < 64; n++) {
        seen[n] = siphash13(&key, data, n);
        for (size_t k = 0; k < n; k++) {
            assert_true(seen[n] != seen[k]);
        }
        assert_true(seen[n] != siphash13(&other, data, n));
    }
}

static void spreads_evenly(void **state)
{
    unsigned counts[16] = {0};

    (void)state;
    for (uint32_t i = 0; i < 16000; i++) {
        counts[siphash13(&key, &i, sizeof i) >> 60]++;
    }
    for (size_t i = 0; i < 16; i++) {
        assert_in_range(counts[i], 850, 1150);
    }
}

/* Four at a time, of lengths that are alike, and that are not. */
static void many_are_hashed_as_one_is(void **state)
{
    enum { MANY = 300 };
    char bytes[MANY + 80];
    struct str texts[MANY];
    uint64_t out[MANY];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (char)(i * 7 + i / 9);
    }
    for (size_t most = 1; most <= 80; most++) {
        for (size_t i = 0; i < MANY; i++) {
            texts[i] = (struct str){bytes + i, i % 16 < 8 ? most : i % most};
        }
        siphash24_each(&key, texts, MANY, out);
        for (size_t i = 0; i < MANY; i++) {
            assert_true(out[i] == siphash24(&key, texts[i].p, texts[i].n));
        }
    }
    siphash24_each(&key, texts, 0, out);
}

static void gives_the_reference_vectors_of_64_bits(void **state)
{
    /* vectors_sip64 of the reference, rows 0, 8 and 15. */
    static const struct {
        size_t n;
        uint64_t out;
    } rows[] = {
        {0, 0x726fdb47dd0e0e31u}, {8, 0x93f5f5799a932462u}, {15, 0xa129ca6149be45e5u}};
    unsigned char data[64];
    uint64_t out[4];

    (void)state;
    fill(data, sizeof data);
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        const struct str t = {(const char *)data, rows[i].n};
        const struct str four[] = {t, t, t, t};

        assert_true(siphash24(&key, data, rows[i].n) == rows[i].out);
        siphash24_each(&key, four, 4, out);
        for (size_t k = 0; k < 4; k++) {
            assert_true(out[k] == rows[i].out);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_reference_vectors),
        cmocka_unit_test(differs_with_text_length_and_key),
        cmocka_unit_test(spreads_evenly),
        cmocka_unit_test(many_are_hashed_as_one_is),
        cmocka_unit_test(gives_the_reference_vectors_of_64_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
