/* Pages and blocks as bytes: sealed ones open, changed ones do not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "spool/format.h"

enum { SALT = 0x5a17 };

static size_t make(char *out, uint32_t n, uint32_t payload_bytes)
{
    struct spool_entry entries[8] = {{0}};
    struct block_head h = {.first = 7, .n = n, .payload_bytes = payload_bytes};
    char *payload = out + BLOCK_HEAD_BYTES;

    memset(out, 0, 4096);
    memset(payload, 'x', payload_bytes);
    for (uint32_t i = 0; i < n; i++) {
        entries[i] = (struct spool_entry){.off = i * 10, .len = 9};
    }
    block_seal(&h, SALT, payload, entries, NULL);
    memcpy(out, &h, sizeof h);
    memcpy(payload + align8(payload_bytes), entries, n * sizeof *entries);
    return h.block_bytes;
}

static void a_sealed_block_opens(void **state)
{
    char bytes[4096];
    struct spool_block b;
    size_t need, size = make(bytes, 3, 31);

    (void)state;
    assert_int_equal(BLOCK_OK, block_open(bytes, sizeof bytes, SALT, &b, &need));
    assert_int_equal(size, need);
    assert_int_equal(7, b.first);
    assert_int_equal(3, b.n);
    assert_int_equal(31, b.payload_bytes);
    assert_int_equal(20, b.entries[2].off);
}

static void each_changed_bit_is_seen(void **state)
{
    char bytes[4096];
    struct spool_block b;
    size_t need, size = make(bytes, 3, 31);

    (void)state;
    for (size_t i = 0; i < size * 8; i++) {
        bytes[i / 8] = (char)(bytes[i / 8] ^ (1 << (i % 8)));
        assert_int_not_equal(BLOCK_OK,
                             block_open(bytes, sizeof bytes, SALT, &b, &need));
        bytes[i / 8] = (char)(bytes[i / 8] ^ (1 << (i % 8)));
    }
    assert_int_equal(BLOCK_BAD, block_open(bytes, sizeof bytes, SALT + 1, &b, &need));
}

static void a_cut_block_says_how_much_it_needs(void **state)
{
    char bytes[4096];
    struct spool_block b;
    size_t need, size = make(bytes, 3, 31);

    (void)state;
    assert_int_equal(BLOCK_SHORT, block_open(bytes, 10, SALT, &b, &need));
    assert_int_equal(BLOCK_HEAD_BYTES, need);
    assert_int_equal(BLOCK_SHORT, block_open(bytes, size - 1, SALT, &b, &need));
    assert_int_equal(size, need);
}

/* Found by the fuzzer: a size that wraps to 0 was taken for a block. */
static void a_block_smaller_than_its_head_is_refused(void **state)
{
    char bytes[4096];
    struct block_head h;
    struct spool_block b;
    size_t need;

    (void)state;
    (void)make(bytes, 3, 31);
    memcpy(&h, bytes, sizeof h);
    h.n = UINT32_MAX;
    h.block_bytes = 0;
    memcpy(bytes, &h, sizeof h);
    assert_int_equal(BLOCK_BAD, block_open(bytes, sizeof bytes, SALT, &b, &need));
}

static void an_entry_beyond_its_payload_is_refused(void **state)
{
    char bytes[4096];
    struct spool_block b;
    size_t need;

    (void)state;
    (void)make(bytes, 4, 31); /* the fourth would be 30..39 */
    assert_int_equal(BLOCK_BAD, block_open(bytes, sizeof bytes, SALT, &b, &need));
}

static void a_key_beyond_its_event_is_refused(void **state)
{
    struct spool_entry e = {.len = 9, .key_off = 4, .key_len = 5};
    struct block_head h = {.first = 7, .n = 1, .payload_bytes = 10};
    char bytes[4096] = {0};
    struct spool_block b;
    size_t need;

    (void)state;
    for (int i = 0; i < 2; i++) {
        block_seal(&h, SALT, bytes + BLOCK_HEAD_BYTES, &e, NULL);
        memcpy(bytes, &h, sizeof h);
        memcpy(bytes + BLOCK_HEAD_BYTES + 16, &e, sizeof e);
        assert_int_equal(i == 0 ? BLOCK_OK : BLOCK_BAD,
                         block_open(bytes, sizeof bytes, SALT, &b, &need));
        e.key_len++;
    }
}

static void a_page_survives_and_a_damaged_one_is_refused(void **state)
{
    unsigned char bytes[PAGE_BYTES];
    struct page p = {.stream = "events", .epoch = 3, .number = 9, .first = 77}, q;

    (void)state;
    page_encode(&p, bytes);
    assert_true(page_decode(bytes, &q));
    assert_string_equal("events", q.stream);
    assert_int_equal(77, q.first);
    for (size_t i = 0; i < PAGE_BYTES; i += 37) {
        bytes[i] ^= 4;
        assert_false(page_decode(bytes, &q));
        bytes[i] ^= 4;
    }
}

/* Entries of 32 bytes: each event's identity behind all entries. */
static void a_block_with_identities_opens_with_them(void **state)
{
    static const char payload[16] = "{\"a\":1}\n{}\n";
    const struct spool_entry entries[] = {{.off = 0, .len = 7}, {.off = 8, .len = 2}};
    const struct spool_identity ids[] = {{{1, 2}}, {{0, 0}}};
    struct block_head h = {.first = 5, .n = 2, .payload_bytes = 11};
    _Alignas(8) char bytes[64 + 16 + 2 * 32];
    struct spool_block b;
    size_t need;

    (void)state;
    block_seal(&h, SALT, payload, entries, ids);
    assert_int_equal(32, h.entry_bytes);
    assert_int_equal(sizeof bytes, h.block_bytes);
    memcpy(bytes, &h, 64);
    memcpy(bytes + 64, payload, 16);
    memcpy(bytes + 80, entries, sizeof entries);
    memcpy(bytes + 112, ids, sizeof ids);
    assert_int_equal(BLOCK_OK, block_open(bytes, sizeof bytes, SALT, &b, &need));
    assert_memory_equal(ids, b.identities, sizeof ids);
    assert_int_equal(8, b.entries[1].off);
    bytes[120] ^= 1;
    assert_int_equal(BLOCK_BAD, block_open(bytes, sizeof bytes, SALT, &b, &need));
    bytes[120] ^= 1;
    bytes[10] = 24; /* entry_bytes that no format has */
    assert_int_equal(BLOCK_BAD, block_open(bytes, sizeof bytes, SALT, &b, &need));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sealed_block_opens),
        cmocka_unit_test(a_block_with_identities_opens_with_them),
        cmocka_unit_test(each_changed_bit_is_seen),
        cmocka_unit_test(a_cut_block_says_how_much_it_needs),
        cmocka_unit_test(a_block_smaller_than_its_head_is_refused),
        cmocka_unit_test(an_entry_beyond_its_payload_is_refused),
        cmocka_unit_test(a_key_beyond_its_event_is_refused),
        cmocka_unit_test(a_page_survives_and_a_damaged_one_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
