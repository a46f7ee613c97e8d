/* MaxMind databases that are damaged are refused, each with its reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "tools/mmdb_asked.h"

static uint32_t cycle(struct maker *m)
{
    uint32_t at = maker_head(m, 7, 1);

    (void)maker_text(m, "a");
    (void)maker_pointer(m, at);
    return at;
}

static uint32_t inner_cycle(struct maker *m)
{
    uint32_t at = maker_head(m, 11, 1), inside = maker_head(m, 11, 1);

    (void)maker_pointer(m, inside);
    return at;
}

static uint32_t to_pointer(struct maker *m)
{
    uint32_t first = maker_pointer(m, m->n + 5);

    (void)maker_text(m, "x");
    (void)maker_head(m, 11, 1);
    return maker_pointer(m, first);
}

static uint32_t far_away(struct maker *m)
{
    return maker_pointer(m, 0xffffffff);
}

static uint32_t at_the_end(struct maker *m)
{
    return maker_pointer(m, m->n + 5);
}

static uint32_t deep(struct maker *m)
{
    uint32_t at = m->n;

    for (int i = 0; i < 100000; i++) {
        (void)maker_head(m, 11, 1);
    }
    (void)maker_text(m, "x");
    return at;
}

static uint32_t deep_by_pointers(struct maker *m)
{
    uint32_t at = maker_text(m, "x");

    for (int i = 0; i < 1000; i++) {
        uint32_t next = maker_head(m, 11, 1);

        (void)maker_pointer(m, at);
        at = next;
    }
    return at;
}

static uint32_t wide(struct maker *m)
{
    uint32_t at = maker_head(m, 11, 70000);

    for (int i = 0; i < 70000; i++) {
        (void)maker_head(m, 14, 1);
    }
    return at;
}

static uint32_t cut_text(struct maker *m)
{
    return maker_head(m, 2, 16000000);
}

static uint32_t cut_map(struct maker *m)
{
    uint32_t at = maker_head(m, 7, 2);

    (void)maker_text(m, "a");
    return at;
}

static uint32_t number_as_key(struct maker *m)
{
    uint32_t at = maker_head(m, 7, 1);

    (void)maker_whole(m, 5, 1, 2);
    (void)maker_text(m, "a");
    return at;
}

static uint32_t map_as_key(struct maker *m)
{
    uint32_t map = record(m, "x"), at = maker_head(m, 7, 1);

    (void)maker_pointer(m, map);
    (void)maker_text(m, "a");
    return at;
}

static uint32_t not_utf8(struct maker *m)
{
    return maker_text(m, "a\xff");
}

static uint32_t odd_double(struct maker *m)
{
    return maker_whole(m, 3, 0, 7);
}

static uint32_t odd_number(struct maker *m)
{
    return maker_whole(m, 6, 0, 8);
}

static uint32_t no_type(struct maker *m)
{
    uint32_t at = m->n;

    maker_big(m, 0x00ff, 2);
    return at;
}

static uint32_t container_type(struct maker *m)
{
    return maker_head(m, 12, 1);
}

static void refuses_values_that_can_not_be(void **state)
{
    static const struct {
        uint32_t (*make)(struct maker *);
        const char *why;
    } rows[] = {{cycle, "leads to itself"},
                {inner_cycle, "leads to itself"},
                {to_pointer, "points to no value"},
                {far_away, "points to no value"},
                {at_the_end, "points to no value"},
                {deep, "more than 128 deep"},
                {deep_by_pointers, "more than 128 deep"},
                {wide, "more than 16384 values"},
                {cut_text, "is cut"},
                {cut_map, "is cut"},
                {number_as_key, "is a map's key, but no text"},
                {map_as_key, "is a map's key, but no text"},
                {not_utf8, "not UTF-8"},
                {odd_double, "has not its type's size"},
                {odd_number, "has not its type's size"},
                {no_type, "has no known type"},
                {container_type, "has no known type"}};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        struct maker m;
        struct err e = {""};

        maker_init(&m, false, 32);
        maker_network(&m, "192.0.2.0/24", rows[i].make(&m));
        assert_null(opened(&m, &e));
        if (strstr(e.text, rows[i].why) == NULL) {
            fail_msg("row %zu: %s", i, e.text);
        }
        maker_fini(&m);
    }
}

/* 128 places that each begin a value which goes on to the end of the same long one. */
static void refuses_values_that_overlap_too_often(void **state)
{
    uint32_t starts[128];
    struct maker m;
    struct err e = {""};
    char network[40];

    (void)state;
    maker_init(&m, false, 32);
    for (uint32_t i = 0; i < N_ELEMS(starts); i++) {
        starts[i] = maker_head(&m, 11, i + 1 < N_ELEMS(starts) ? 1 : 16000);
    }
    for (uint32_t i = 0; i < 16000; i++) {
        (void)maker_head(&m, 14, 1);
    }
    for (uint32_t i = 0; i < N_ELEMS(starts); i++) {
        (void)snprintf(network, sizeof network, "10.0.%u.0/24", i);
        maker_network(&m, network, starts[i]);
    }
    assert_null(opened(&m, &e));
    assert_string_equal(e.text,
                        "its values overlap, or lead to the same ones too often");
    maker_fini(&m);
}

/* 1000 texts that each go on to the end of the same 8 MB. */
static void refuses_texts_that_overlap_too_often(void **state)
{
    enum { TEXT_BYTES = 8000000, TEXTS = 1000 };
    char *text = malloc(TEXT_BYTES), network[40];
    struct maker m;
    struct err e = {""};

    (void)state;
    maker_init(&m, false, 32);
    for (uint32_t i = 0; i < TEXTS; i++) {
        (void)snprintf(network, sizeof network, "10.%u.%u.0/24", i / 256, i % 256);
        maker_network(&m, network, maker_head(&m, 2, TEXT_BYTES));
    }
    /* The heads' size bytes are no UTF-8; a text begins behind them all. */
    memset(m.data, 'x', m.n);
    for (uint32_t i = 0; i < TEXTS; i++) {
        memcpy(m.data + 4 * i, "\x5f\x79\x11\x63", 4);
    }
    memset(text, 'x', TEXT_BYTES);
    maker_bytes(&m, text, TEXT_BYTES);
    assert_null(opened(&m, &e));
    assert_string_equal(e.text,
                        "its values overlap, or lead to the same ones too often");
    maker_fini(&m);
    free(text);
}

static struct str example(void)
{
    struct maker m;
    struct str file;
    uint32_t text, list;

    maker_init(&m, true, 24);
    text = maker_text(&m, "shared");
    maker_network(&m, "192.0.2.0/24", record(&m, "first"));
    list = maker_head(&m, 11, 3);
    (void)maker_pointer(&m, text);
    (void)maker_double(&m, 1.5);
    (void)record(&m, "in a list");
    maker_network(&m, "2001:db8::/32", list);
    file = maker_file(&m);
    maker_fini(&m);
    return file;
}

static void look_everywhere(const struct mmdb *db)
{
    static const char *addresses[] = {"192.0.2.1", "2001:db8::1",     "0.0.0.0",
                                      "::",        "255.255.255.255", "ffff::"};
    static const char *paths[] = {"", "a.b", "[1]", "[3].a.b", "a[2]"};

    for (size_t i = 0; i < N_ELEMS(addresses); i++) {
        for (size_t k = 0; k < N_ELEMS(paths); k++) {
            (void)has(db, addresses[i], paths[k]);
        }
    }
}

static void refuses_each_part_of_a_file(void **state)
{
    struct str file = example();

    (void)state;
    for (size_t n = 0; n < file.n; n++) {
        char *part = malloc(n > 0 ? n : 1);
        struct err e = {""};

        memcpy(part, file.p, n);
        assert_null(mmdb_new((struct str){part, n}, &e));
        assert_string_not_equal(e.text, "");
        free(part);
    }
    free((char *)file.p);
}

/* Each byte changed in several ways: refused, or looked up in without harm. */
static void survives_each_changed_byte(void **state)
{
    static const unsigned char with[] = {0x01, 0x20, 0x80, 0xff, 0x40};
    struct str file = example();
    unsigned n_good = 0, n_bad = 0;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(with) * file.n; i++) {
        char *other = malloc(file.n);
        struct mmdb *db;
        struct err e;

        memcpy(other, file.p, file.n);
        other[i / N_ELEMS(with)] ^= (char)with[i % N_ELEMS(with)];
        db = mmdb_new((struct str){other, file.n}, &e);
        free(other);
        if (db == NULL) {
            n_bad++;
            continue;
        }
        n_good++;
        look_everywhere(db);
        mmdb_free(db);
    }
    assert_true(n_good > 100 && n_bad > 100);
    free((char *)file.p);
}

static void says_what_a_file_is_instead(void **state)
{
    static const struct {
        const char *text, *why;
    } rows[] = {{"", "no MaxMind database"},
                {"network,name\n", "no MaxMind database"},
                {"\x1f\x8b\x08", "packed with gzip"},
                {"\xAB\xCD\xEFMaxMind.com", "its metadata is no map"},
                {"\xAB\xCD\xEFMaxMind.com\xE0", "has no number node_count"}};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        struct err e;

        assert_null(mmdb_new(str_of(rows[i].text), &e));
        if (strstr(e.text, rows[i].why) == NULL) {
            fail_msg("row %zu: %s", i, e.text);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_values_that_can_not_be),
        cmocka_unit_test(refuses_values_that_overlap_too_often),
        cmocka_unit_test(refuses_texts_that_overlap_too_often),
        cmocka_unit_test(refuses_each_part_of_a_file),
        cmocka_unit_test(survives_each_changed_byte),
        cmocka_unit_test(says_what_a_file_is_instead),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
