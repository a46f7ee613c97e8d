/* Files of keys, good and bad: no message has a key, whatever stands in the file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "plan/key_table.h"

enum { NOW = 1000 * 1000 };

static void note(void *arg, uint32_t line, const char *text)
{
    char *out = arg;

    (void)snprintf(out + strlen(out), 3000 - strlen(out), "%u: %s\n", line, text);
}

static struct csv_table *read(struct str csv, struct str expires, struct str disabled,
                              char *told)
{
    struct key_rules keys = {
        .key = STR("sha256"), .expires = expires, .disabled = disabled};
    struct csv_rules rules = key_rules(&keys);

    told[0] = '\0';
    return csv_table_new_ruled(csv, STR("sha256"), ',', &rules, note, told);
}

static const char sha[] =
    "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"; /* "key" */

/* A line whose key is "key". */
static struct str line(char *out, size_t room, const char *head, const char *rest)
{
    return (struct str){out,
                        (size_t)snprintf(out, room, "%s\n%s%s\n", head, sha, rest)};
}

static void finds_a_key_by_its_text(void **state)
{
    char told[3000], csv[500];
    struct csv_table *t =
        read(line(csv, sizeof csv, "sha256,app,n", ",shop,7"), STR(""), STR(""), told);
    const struct key_plan k = {.expires = -1, .disabled = -1, .label = -1};
    int32_t row;
    struct str app;

    (void)state;
    assert_non_null(t);
    assert_int_equal(key_table_find(&k, t, STR("key"), NOW, &row), KEY_GOOD);
    app = csv_table_cell(t, row, 1);
    assert_true(str_eq(app, STR("shop")));
    assert_int_equal(key_table_find(&k, t, STR("Key"), NOW, &row), KEY_UNKNOWN);
    assert_int_equal(key_table_find(&k, t, STR("key\n"), NOW, &row), KEY_UNKNOWN);
    assert_int_equal(key_table_find(&k, t, STR("key\0"), NOW, &row), KEY_UNKNOWN);
    assert_int_equal(key_table_find(&k, t, STR(""), NOW, &row), KEY_UNKNOWN);
    assert_int_equal(key_table_find(&k, t, str_of(sha), NOW, &row), KEY_UNKNOWN);
    csv_table_unref(t);
}

/* By key_hex, which "sluice key" prints. */
static void takes_keys_of_1_to_2048_bytes(void **state)
{
    static const struct key_plan k = {.expires = -1, .disabled = -1, .label = -1};
    static const size_t sizes[] = {1, KEY_TEXT_MAX, KEY_TEXT_MAX + 1};
    char text[KEY_TEXT_MAX + 1], csv[200], hex[KEY_HEX_BYTES], told[3000];
    int32_t row;

    (void)state;
    memset(text, 'k', sizeof text);
    for (size_t i = 0; i < 3; i++) {
        struct str key = {text, sizes[i]};
        struct csv_table *t;

        key_hex(key, hex);
        t = read((struct str){csv, (size_t)snprintf(csv, sizeof csv,
                                                    "sha256,app\n%s,a\n", hex)},
                 STR(""), STR(""), told);
        assert_non_null(t);
        assert_int_equal(key_table_find(&k, t, key, NOW, &row),
                         i < 2 ? KEY_GOOD : KEY_UNKNOWN);
        csv_table_unref(t);
    }
}

/* As the fingerprints of certificates are. */
static void finds_a_key_by_all_its_digits(void **state)
{
    static const struct key_plan k = {.expires = -1, .disabled = -1, .label = -1};
    char told[3000], csv[500], more[sizeof sha + 1];
    struct csv_table *t =
        read(line(csv, sizeof csv, "sha256,app", ",shop"), STR(""), STR(""), told);
    int32_t row;

    (void)state;
    assert_non_null(t);
    assert_int_equal(key_table_find_hex(&k, t, str_of(sha), NOW, &row), KEY_GOOD);
    (void)snprintf(more, sizeof more, "%s0", sha);
    assert_int_equal(key_table_find_hex(&k, t, str_of(more), NOW, &row), KEY_UNKNOWN);
    more[63] = '\0';
    assert_int_equal(key_table_find_hex(&k, t, str_of(more), NOW, &row), KEY_UNKNOWN);
    assert_int_equal(key_table_find_hex(&k, t, STR(""), NOW, &row), KEY_UNKNOWN);
    csv_table_unref(t);
}

static void takes_digits_in_any_case_after_a_byte_order_mark(void **state)
{
    static const char csv[] =
        "\xEF\xBB\xBF"
        "app,sha256\r\n"
        "shop,2C70E12B7A0646F92279F427C7B38E7334D8E5389CFF167A1DC30E73F826B683\r\n";
    const struct key_plan k = {.expires = -1, .disabled = -1, .label = -1};
    char told[3000];
    struct csv_table *t = read(STR(csv), STR(""), STR(""), told);
    int32_t row;

    (void)state;
    assert_non_null(t);
    assert_int_equal(key_table_find(&k, t, STR("key"), NOW, &row), KEY_GOOD);
    csv_table_unref(t);
}

static void knows_when_a_key_is_over(void **state)
{
    static const struct {
        const char *rest;
        enum key_state want;
    } cases[] = {
        {",,", KEY_GOOD},
        {",,no", KEY_GOOD},
        {",,false", KEY_GOOD},
        {",,0", KEY_GOOD},
        {",,yes", KEY_DISABLED},
        {",,true", KEY_DISABLED},
        {",,1", KEY_DISABLED},
        {",1970-01-01T00:16:40Z,", KEY_EXPIRED}, /* NOW itself */
        {",1970-01-01T00:16:40.001Z,", KEY_GOOD},
        {",1970-01-01T01:16:40+01:00,", KEY_EXPIRED},
        {",1970-01-01,", KEY_EXPIRED},
        {",1970-01-02,", KEY_GOOD},
        {",1970-01-01,yes", KEY_DISABLED},
    };
    const struct key_plan k = {.expires = 1, .disabled = 2, .label = -1};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        char told[3000], csv[500];
        struct csv_table *t =
            read(line(csv, sizeof csv, "sha256,until,off", cases[i].rest), STR("until"),
                 STR("off"), told);
        int32_t row;

        assert_non_null(t);
        assert_int_equal(key_table_find(&k, t, STR("key"), NOW, &row), cases[i].want);
        csv_table_unref(t);
    }
}

#define DIGITS "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde"

static void refuses_what_is_no_file_of_hashes(void **state)
{
    static const struct {
        const char *csv, *told;
    } cases[] = {
        {"", "1: the file is empty"},
        {"sha256,until,off\n", "1: the file has a header, but no rows"},
        {"sha256,until,off\ns3cret,,\n", "2: the key's column has no SHA-256"},
        {"sha256,until,off\n" DIGITS ",,\n", "2: the key's column has no SHA-256"},
        {"sha256,until,off\n" DIGITS "g,,\n", "one of its 64 characters is no hex"},
        {"sha256,until,off\n" DIGITS "0" DIGITS "0,,\n", "no SHA-256"},
        {"sha256,until,off\n\"\",,\n", "2: the key is empty"},
        {"sha256,until,off\n"
         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855,,\n",
         "2: this is the SHA-256 of an empty text"},
        {"sha256,until,off\n" DIGITS "0,,\n" DIGITS "1,,\n" DIGITS "0,,\n",
         "4: the key is given twice, first in line 2"},
        /* One key in two cases. */
        {"sha256,until,off\n" DIGITS "a,,\n" DIGITS "A,,\n",
         "3: the key is given twice, first in line 2"},
        {"sha256,until,off\n" DIGITS "0,soon,\n", "2: the time at which the key"},
        {"sha256,until,off\n" DIGITS "0,2026-13-01,\n", "2: the time at which the key"},
        {"sha256,until,off\n" DIGITS "0,,maybe\n", "2: the column that disables a key"},
        {"sha256,until,of\n" DIGITS "0,,\n", "1: the file has no column of the name "
                                             "that disabled gives"},
        {"sha256,til,off\n" DIGITS "0,,\n", "1: the file has no column of the name "
                                            "that expires gives"},
        {"s3cret,x\n" DIGITS "0,,\n", "0: the file has no such column"},
        {"sha256,until,off\n" DIGITS "0,s3cret\n", "2: 2 fields, the first line has 3"},
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        char told[3000];
        struct csv_table *t =
            read(str_of(cases[i].csv), STR("until"), STR("off"), told);

        assert_null(t);
        if (strstr(told, cases[i].told) == NULL) {
            fail_msg("%s: %s", cases[i].told, told);
        }
        /* A key, or what is left of a hash, is not in a log. */
        assert_null(strstr(told, "s3cret"));
        assert_null(strstr(told, "0123456789abcdef"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_a_key_by_its_text),
        cmocka_unit_test(takes_keys_of_1_to_2048_bytes),
        cmocka_unit_test(finds_a_key_by_all_its_digits),
        cmocka_unit_test(takes_digits_in_any_case_after_a_byte_order_mark),
        cmocka_unit_test(knows_when_a_key_is_over),
        cmocka_unit_test(refuses_what_is_no_file_of_hashes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
