/* CSV as files have it, good and bad. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/attr.h"
#include "tables/csv_table.h"

static void note(void *arg, uint32_t line, const char *text)
{
    char *out = arg;

    (void)snprintf(out + strlen(out), 2000 - strlen(out), "%u: %s\n", line, text);
}

static void fails(void *arg, uint32_t line, const char *text)
{
    (void)arg;
    fail_msg("%u: %s", line, text);
}

static void expect(const struct csv_table *l, const char *key, int32_t column,
                   const char *want)
{
    struct str got = csv_table_cell(l, csv_table_row(l, str_of(key)), column);

    if (want == NULL) {
        assert_null(got.p);
    } else {
        assert_int_equal(got.n, strlen(want));
        assert_memory_equal(got.p, want, got.n);
    }
}

static void finds_rows_by_their_key(void **state)
{
    static const char csv[] = "\xEF\xBB\xBF"
                              "code,name,note\r\n"
                              "de,Germany,\"a, \"\"b\"\"\r\nc\"\r\n"
                              "\r\n"
                              "fr,\"France\",\r\n"
                              "\"i,t\",Italy,x";
    struct csv_table *l =
        csv_table_new(STR(csv), (struct str){NULL, 0}, ',', fails, NULL);

    (void)state;
    assert_non_null(l);
    assert_int_equal(csv_table_n_rows(l), 3);
    assert_int_equal(csv_table_n_columns(l), 3);
    expect(l, "de", 1, "Germany");
    expect(l, "de", 2, "a, \"b\"\r\nc");
    expect(l, "fr", 1, "France");
    expect(l, "fr", 2, "");
    expect(l, "i,t", 1, "Italy");
    expect(l, "it", 1, NULL);
    expect(l, "", 1, NULL);
    expect(l, "de", 3, NULL);
    expect(l, "de", -1, NULL);
    csv_table_unref(l);
}

static void takes_a_last_line_that_was_cut_in_its_end(void **state)
{
    static const char *const files[] = {"a,b\r\nx,y\r", "a,b\r\nx,\"y\"\r",
                                        "b,a\r\ny,x\r"};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(files); i++) {
        struct csv_table *l =
            csv_table_new(str_of(files[i]), STR("a"), ',', fails, NULL);

        assert_non_null(l);
        expect(l, "x", i < 2 ? 1 : 0, "y");
        csv_table_unref(l);
    }
}

static void takes_another_key_and_delimiter(void **state)
{
    static const char csv[] = "a;b\n1;x\n2;y\n";
    struct csv_table *l = csv_table_new(STR(csv), STR("b"), ';', fails, NULL);

    (void)state;
    assert_non_null(l);
    expect(l, "y", 0, "2");
    expect(l, "2", 0, NULL);
    csv_table_unref(l);
}

static void names_each_mistake_with_its_line(void **state)
{
    static const struct {
        const char *csv, *want;
    } rows[] = {
        {"", "1: the file is empty: its first line names the columns\n"},
        {"a\n1\n", "1: one column only: a key and a value at least\n"},
        {"a,b,a\n", "1: two columns have one name\n"},
        {"a,b\n1,2,3\n\n4\n", "2: 3 fields, the first line has 2\n"
                              "4: 1 field, the first line has 2\n"},
        {"a,b\n1,x\n2,y\n1,z\n", "4: the key \"1\" is given twice, first in "
                                 "line 2\n"},
        {"a,b\n,x\n", "2: the key is empty\n"},
        {"a,b\n1,\"x\n2,y\n", "2: a quote is not closed\n"},
        {"a,b\n\"1\n\n\"2,y\n3\n", "4: text behind a closing quote\n"
                                   "5: 1 field, the first line has 2\n"},
        {"a,b\n1,\xC3(\n", "2: not UTF-8\n"},
        {"x,b\n1,2\n", "0: the file has no such column\n"},
    };

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        char text[2000] = "";

        assert_null(csv_table_new(
            str_of(rows[i].csv),
            rows[i].csv[0] == 'x' ? STR("a") : (struct str){NULL, 0}, ',', note, text));
        assert_string_equal(text, rows[i].want);
    }
}

static void says_it_in_twenty_lines_at_most(void **state)
{
    char csv[2000] = "a,b\n", text[2000] = "";
    unsigned n = 0;

    (void)state;
    for (int i = 0; i < 100; i++) {
        (void)strcat(csv, "1,2,3\n");
    }
    assert_null(csv_table_new(str_of(csv), (struct str){NULL, 0}, ',', note, text));
    for (const char *p = text; *p != '\0'; p++) {
        n += *p == '\n';
    }
    assert_int_equal(n, 21);
}

static void holds_many_rows(void **state)
{
    enum { N = 100000 };
    char *csv = malloc(N * 24 + 16), key[16], want[16];
    size_t n = (size_t)sprintf(csv, "k,v\n");
    struct csv_table *l;

    (void)state;
    for (int i = 0; i < N; i++) {
        n += (size_t)sprintf(csv + n, "key%d,%d\n", i, i * 7);
    }
    l = csv_table_new((struct str){csv, n}, (struct str){NULL, 0}, ',', fails, NULL);
    free(csv);
    assert_non_null(l);
    for (int i = 0; i < N; i += 97) {
        (void)sprintf(key, "key%d", i);
        (void)sprintf(want, "%d", i * 7);
        expect(l, key, 1, want);
    }
    csv_table_unref(l);
}

static void count(void *arg, uint32_t line, const char *text)
{
    (void)line;
    (void)text;
    ++*(unsigned *)arg;
}

#ifdef __SANITIZE_ADDRESS__
enum { TEXTS = 20000 }; /* each takes twenty times as long there */
#else
enum { TEXTS = 200000 };
#endif

/* Texts of CSV's own characters: a table, or at least one mistake told. */
static void takes_any_text(void **state)
{
    static const char alphabet[] = ",,,\"\"\n\n\r ab\xC3\xA4\0";

    (void)state;
    srandom(5);
    for (int i = 0; i < TEXTS; i++) {
        char text[40];
        size_t n = (size_t)random() % sizeof text;
        unsigned told = 0;
        struct csv_table *l;

        for (size_t k = 0; k < n; k++) {
            text[k] = alphabet[(size_t)random() % sizeof alphabet];
        }
        l = csv_table_new((struct str){text, n}, (struct str){NULL, 0}, ',', count,
                          &told);
        assert_int_equal(l == NULL, told > 0);
        if (l != NULL) {
            uint32_t n_rows = 0;

            for (int32_t r = csv_table_next(l, TABLE_NO_ROW); r != TABLE_NO_ROW;
                 r = csv_table_next(l, r)) {
                struct str key = csv_table_cell(l, r, 0);

                assert_int_equal(csv_table_row(l, key), r);
                n_rows++;
            }
            assert_int_equal(n_rows, csv_table_n_rows(l));
        }
        csv_table_unref(l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_rows_by_their_key),
        cmocka_unit_test(takes_a_last_line_that_was_cut_in_its_end),
        cmocka_unit_test(takes_another_key_and_delimiter),
        cmocka_unit_test(names_each_mistake_with_its_line),
        cmocka_unit_test(says_it_in_twenty_lines_at_most),
        cmocka_unit_test(holds_many_rows),
        cmocka_unit_test(takes_any_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
