/* The events of a block that have an id, however it is spelled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/find/id_scan.h"
#include "index/ids.h"
#include "spool/spool.h"

enum { LINES_MAX = 8 };

static char payload[4096];
static struct spool_entry entries[LINES_MAX];

static struct spool_block block_of(const char *const *lines, uint32_t n)
{
    size_t at = 0;

    memset(payload, 0, sizeof payload);
    for (uint32_t i = 0; i < n; i++) {
        entries[i] = (struct spool_entry){.off = (uint32_t)at,
                                          .len = (uint32_t)strlen(lines[i])};
        at += (size_t)sprintf(payload + at, "%s\n", lines[i]);
    }
    return (struct spool_block){.payload = payload,
                                .payload_bytes = (uint32_t)at,
                                .entries = entries,
                                .n = n,
                                .first = 1};
}

/* The lines as digits. */
static const char *scan(const char *id, const char *path, const char *const *lines,
                        uint32_t n)
{
    static char out[LINES_MAX + 1];
    const struct spool_block b = block_of(lines, n);
    char paths[2][512] = {"other"};
    struct err e;
    struct id_scan *s;
    uint32_t k, m = 0;

    (void)snprintf(paths[1], sizeof paths[1], "%s", path);
    s = id_scan_new(str_of(id), (const char(*)[512])paths, 2, &e);
    assert_non_null(s);
    id_scan_begin(s, &b);
    while (id_scan_next(s, &k)) {
        out[m++] = (char)('0' + k);
    }
    out[m] = '\0';
    id_scan_free(s);
    return out;
}

static void takes_lines_with_the_id(void **state)
{
    static const char *const lines[] = {"{\"id\":\"e1\"}",
                                        "{\"id\":\"e2\"}",
                                        "{\"x\":\"e1\",\"id\":\"e3\"}",
                                        "{}",
                                        "{\"id\":\"e11\",\"p\":\"a\\/\\n\\\\u\"}",
                                        "{\"id\":\"x\",\"other\":\"e1\"}",
                                        "{\"id\":1}",
                                        "{\"id\":\"\"}"};

    (void)state;
    assert_string_equal("05", scan("e1", "id", lines, 8));
    assert_string_equal("4", scan("e11", "id", lines, 8));
    assert_string_equal("2", scan("e3", "id", lines, 8));
    assert_string_equal("", scan("e4", "id", lines, 8));
    assert_string_equal("6", scan("1", "id", lines, 8));
    assert_string_equal("7", scan("", "id", lines, 8));
    assert_string_equal("5", scan("e1", "i/d", lines, 8));
}

static void misses_no_spelling(void **state)
{
    static const char *const spellings[] = {"{\"id\":\"%s\"}",
                                            "{\"id\" : \"%s\" }",
                                            "{\"i\\u0064\":\"%s\"}",
                                            "{\"x\":1,\"id\":\"%s\"}",
                                            "{\"x\":\"\\\\\",\"id\":\"%s\"}",
                                            "{\"x\":\"\\\"\",\"id\":\"%s\"}"};
    static const char *const values[][2] = {{"e1", "e1"},
                                            {"e1", "\\u00651"},
                                            {"a/b", "a\\/b"},
                                            {"a/b", "a/b"},
                                            {"a\"b", "a\\\"b"},
                                            {"a\nb", "a\\nb"},
                                            {"a\\b", "a\\\\b"},
                                            {"\xc3\xa4", "\\u00e4"},
                                            {"\xf0\x9f\x98\x80", "\\ud83d\\ude00"},
                                            {"", ""}};
    struct err e;
    struct ids *ids = ids_new("id", &e);

    (void)state;
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
            char line[200];
            const char *lines[] = {"{\"id\":\"other\"}", line, "{}"};
            struct spool_block b;

            (void)snprintf(line, sizeof line, spellings[i], values[k][1]);
            b = block_of(lines, 3);
            ids_read_stored(ids, (struct str){b.payload, b.payload_bytes}, 3);
            assert_true(str_eq(ids_get(ids, 1), str_of(values[k][0])));
            assert_string_equal("1", scan(values[k][0], "id", lines, 3));
        }
    }
    ids_free(ids);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_lines_with_the_id),
        cmocka_unit_test(misses_no_spelling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
