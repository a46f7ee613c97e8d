/* MaxMind databases: what whole ones give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/clock.h"
#include "tools/mmdb_asked.h"

static void has_text(const struct mmdb *m, const char *ip, const char *path,
                     enum slot_kind kind, const char *want)
{
    struct mmdb_value v;

    assert_true(find(m, ip, path, &v));
    assert_int_equal(v.kind, kind);
    assert_int_equal(v.text.n, strlen(want));
    assert_memory_equal(v.text.p, want, v.text.n);
}

static void has_number(const struct mmdb *m, const char *path, double want)
{
    struct mmdb_value v;

    assert_true(find(m, "192.0.2.1", path, &v));
    assert_int_equal(v.kind, SLOT_NUMBER);
    assert_true(v.num == want);
}

static void finds_the_smallest_network(void **state)
{
    static const unsigned bits[] = {24, 28, 32};

    (void)state;
    for (size_t i = 0; i < 2 * N_ELEMS(bits); i++) {
        bool six = i % 2 == 0;
        struct maker m;
        struct mmdb *db;
        struct err e = {""};

        maker_init(&m, six, bits[i / 2]);
        maker_network(&m, "192.0.2.0/24", record(&m, "net"));
        maker_network(&m, "192.0.2.128/25", record(&m, "half"));
        maker_network(&m, "192.0.2.7/32", record(&m, "one"));
        maker_network(&m, "255.255.255.255/32", record(&m, "last"));
        if (six) {
            maker_network(&m, "2001:db8::/32", record(&m, "six"));
            maker_network(&m, "2001:db8::1/128", record(&m, "six one"));
        }
        db = opened(&m, &e);
        assert_string_equal(e.text, "");
        assert_non_null(db);
        has_text(db, "192.0.2.1", "a.b", SLOT_STRING, "net");
        has_text(db, "192.0.2.129", "a.b", SLOT_STRING, "half");
        has_text(db, "192.0.2.7", "a.b", SLOT_STRING, "one");
        has_text(db, "::ffff:192.0.2.7", "a.b", SLOT_STRING, "one");
        has_text(db, "::ffff:c000:207", "a.b", SLOT_STRING, "one");
        has_text(db, "255.255.255.255", "a.b", SLOT_STRING, "last");
        assert_false(has(db, "192.0.3.0", "a.b"));
        assert_false(has(db, "0.0.0.0", "a.b"));
        assert_false(has(db, "2001:db9::", "a.b"));
        assert_int_equal(has(db, "2001:db8::2", "a.b"), six);
        if (six) {
            has_text(db, "2001:db8::2", "a.b", SLOT_STRING, "six");
            has_text(db, "2001:DB8:0::1", "a.b", SLOT_STRING, "six one");
        }
        mmdb_free(db);
        maker_fini(&m);
    }
}

static void gives_each_type_its_value(void **state)
{
    struct maker m;
    struct mmdb *db;
    struct err e;
    uint32_t shared, at;

    (void)state;
    maker_init(&m, true, 24);
    shared = maker_text(&m, "shared");
    at = maker_head(&m, 7, 15);
    (void)maker_text(&m, "text");
    (void)maker_pointer(&m, shared);
    (void)maker_pointer(&m, shared);
    (void)maker_whole(&m, 5, 65535, 2);
    (void)maker_text(&m, "u32");
    (void)maker_whole(&m, 6, 0, 0);
    (void)maker_text(&m, "i32");
    (void)maker_whole(&m, 8, 0xfffffffe, 4);
    (void)maker_text(&m, "u64");
    (void)maker_whole(&m, 9, 9007199254740991, 8);
    (void)maker_text(&m, "u64 long");
    (void)maker_whole(&m, 9, UINT64_MAX, 8);
    (void)maker_text(&m, "u128");
    (void)maker_head(&m, 10, 16);
    maker_big(&m, UINT64_MAX, 8);
    maker_big(&m, UINT64_MAX, 8);
    (void)maker_text(&m, "double");
    (void)maker_double(&m, -0.25);
    (void)maker_text(&m, "nan");
    (void)maker_double(&m, 0.0 / 0.0);
    (void)maker_text(&m, "float");
    (void)maker_head(&m, 15, 4);
    maker_big(&m, 0x3fc00000, 4);
    (void)maker_text(&m, "yes");
    (void)maker_head(&m, 14, 1);
    (void)maker_text(&m, "no");
    (void)maker_head(&m, 14, 0);
    (void)maker_text(&m, "bytes");
    (void)maker_head(&m, 4, 3);
    maker_bytes(&m, "\xff\x00\x01", 3);
    (void)maker_text(&m, "list");
    (void)maker_head(&m, 11, 2);
    (void)maker_text(&m, "x\"y");
    (void)maker_head(&m, 7, 1);
    (void)maker_text(&m, "k");
    (void)maker_pointer(&m, shared);
    (void)maker_text(&m, "");
    (void)maker_text(&m, "nameless");
    maker_network(&m, "192.0.2.0/24", at);
    maker_network(&m, "198.51.100.0/24", maker_pointer(&m, at));
    maker_network(&m, "203.0.113.0/24", shared);
    db = opened(&m, &e);
    assert_non_null(db);
    has_text(db, "192.0.2.1", "text", SLOT_STRING, "shared");
    has_number(db, "shared", 65535);
    has_number(db, "u32", 0);
    has_number(db, "i32", -2);
    has_number(db, "u64", 9007199254740991);
    has_text(db, "192.0.2.1", "u64 long", SLOT_STRING, "18446744073709551615");
    has_text(db, "192.0.2.1", "u128", SLOT_STRING,
             "340282366920938463463374607431768211455");
    has_number(db, "double", -0.25);
    has_number(db, "float", 1.5);
    assert_false(has(db, "192.0.2.1", "nan"));
    has_text(db, "192.0.2.1", "yes", SLOT_TRUE, "");
    has_text(db, "192.0.2.1", "no", SLOT_FALSE, "");
    has_text(db, "192.0.2.1", "bytes", SLOT_STRING, "/wAB");
    has_text(db, "192.0.2.1", "list[1]", SLOT_STRING, "x\"y");
    has_text(db, "192.0.2.1", "list[2].k", SLOT_STRING, "shared");
    has_text(db, "192.0.2.1", "list", SLOT_ARRAY, "[\"x\\\"y\",{\"k\":\"shared\"}]");
    has_text(db, "198.51.100.1", "list[2]", SLOT_OBJECT, "{\"k\":\"shared\"}");
    has_text(db, "198.51.100.1", "text", SLOT_STRING, "shared");
    has_text(db, "203.0.113.1", "", SLOT_STRING, "shared");
    has_text(db, "192.0.2.1", "", SLOT_OBJECT,
             "{\"text\":\"shared\",\"shared\":65535,\"u32\":0,\"i32\":-2,"
             "\"u64\":9007199254740991,\"u64 long\":18446744073709551615,"
             "\"u128\":340282366920938463463374607431768211455,\"double\":-0.25,"
             "\"nan\":null,\"float\":1.5,\"yes\":true,\"no\":false,\"bytes\":\"/wAB\","
             "\"list\":[\"x\\\"y\",{\"k\":\"shared\"}],\"\":\"nameless\"}");
    mmdb_free(db);
    maker_fini(&m);
}

static void gives_nothing_for_what_is_not_there(void **state)
{
    static const char *paths[] = {"b",
                                  "a.b.c",
                                  "a[1]",
                                  "a.c",
                                  "[1]",
                                  "a.b[1]",
                                  "a\\.b",
                                  "list[3]",
                                  "list[18446744073709551615]",
                                  "list.x",
                                  "list[4294967297]",
                                  "list[1].b"};
    static const char *addresses[] = {"",
                                      "x",
                                      "192.0.2",
                                      "192.0.2.1 ",
                                      " 192.0.2.1",
                                      "192.0.2.1:80",
                                      "[::1]",
                                      "fe80::1%eth0",
                                      "192.0.2.01",
                                      "0xC0000201",
                                      "3221225985",
                                      "::ffff:192.0.2.256",
                                      "1:2:3:4:5:6:7:8:9",
                                      ":::",
                                      "192.0.2.1/24"};
    struct maker m;
    struct mmdb *db;
    struct err e;
    uint32_t at;

    (void)state;
    maker_init(&m, true, 24);
    at = maker_head(&m, 7, 2);
    (void)maker_text(&m, "a");
    (void)record(&m, "x");
    (void)maker_text(&m, "list");
    (void)maker_head(&m, 11, 2);
    (void)maker_text(&m, "1");
    (void)maker_text(&m, "2");
    maker_network(&m, "192.0.2.0/24", at);
    db = opened(&m, &e);
    assert_non_null(db);
    for (size_t i = 0; i < N_ELEMS(paths); i++) {
        assert_false(has(db, "192.0.2.1", paths[i]));
    }
    for (size_t i = 0; i < N_ELEMS(addresses); i++) {
        assert_false(has(db, addresses[i], "list[1]"));
    }
    has_text(db, "192.0.2.1", "list[2]", SLOT_STRING, "2");
    mmdb_free(db);
    maker_fini(&m);
}

/* A text of 2 MB is given as it lies there; a map with it has no room as JSON. */
static void gives_huge_texts(void **state)
{
    enum { HUGE_BYTES = 2000000, FITS = MMDB_JSON_MAX - 14 };
    char *text = malloc(HUGE_BYTES + 1);
    struct mmdb_value v;
    struct maker m;
    struct mmdb *db;
    struct err e;

    (void)state;
    memset(text, 'x', HUGE_BYTES);
    text[HUGE_BYTES] = '\0';
    maker_init(&m, true, 24);
    maker_network(&m, "192.0.2.0/24", record(&m, text));
    text[FITS] = '\0';
    maker_network(&m, "198.51.100.0/24", record(&m, text));
    text[FITS] = 'x';
    text[FITS + 1] = '\0';
    maker_network(&m, "203.0.113.0/24", record(&m, text));
    db = opened(&m, &e);
    assert_non_null(db);
    assert_true(find(db, "192.0.2.1", "a.b", &v));
    assert_int_equal(v.text.n, HUGE_BYTES);
    assert_false(find(db, "192.0.2.1", "a", &v));
    assert_true(find(db, "198.51.100.1", "", &v));
    assert_int_equal(v.text.n, FITS + strlen("{'a':{'b':''}}"));
    assert_false(find(db, "203.0.113.1", "", &v));
    assert_true(find(db, "203.0.113.1", "a", &v));
    mmdb_free(db);
    maker_fini(&m);
    free(text);
}

/* Each level points twice to the next: 2^60 values to a reader that follows all. */
static void bounds_what_one_value_unfolds_to(void **state)
{
    uint64_t from = clock_mono_ns();
    struct maker m;
    struct mmdb *db;
    struct err e;
    uint32_t at;

    (void)state;
    maker_init(&m, false, 32);
    at = maker_text(&m, "x");
    for (int i = 0; i < 60; i++) {
        uint32_t next = maker_head(&m, 11, 2);

        (void)maker_pointer(&m, at);
        (void)maker_pointer(&m, at);
        at = next;
    }
    maker_network(&m, "192.0.2.0/24", at);
    db = opened(&m, &e);
    assert_non_null(db);
    assert_false(has(db, "192.0.2.1", ""));
    assert_true(has(db, "192.0.2.1",
                    "[1][2][1][2][1][2][1][2][1][2][1][2][1][2][1][2][1][2]"
                    "[1][2][1][2][1][2][1][2][1][2][1][2][1][2][1][2][1][2]"
                    "[1][2][1][2][1][2][1][2][1][2][1][2][1][2]"));
    assert_true(clock_mono_ns() - from < 10000000000);
    mmdb_free(db);
    maker_fini(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_the_smallest_network),
        cmocka_unit_test(gives_each_type_its_value),
        cmocka_unit_test(gives_nothing_for_what_is_not_there),
        cmocka_unit_test(gives_huge_texts),
        cmocka_unit_test(bounds_what_one_value_unfolds_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
