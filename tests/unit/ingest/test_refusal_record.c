/* Records of refusals: written, and read back by the command that tries them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "cli/replay/refused_lines.h"
#include "decode/scan.h"
#include "ingest/refusal_record.h"

enum { ROOM = 64 << 20 };

static struct refused_lines *lines;
static char *out;

static int set_up(void **state)
{
    struct err e;

    (void)state;
    out = malloc(ROOM);
    lines = refused_lines_new(&e);
    return lines == NULL;
}

static int tear_down(void **state)
{
    (void)state;
    refused_lines_free(lines);
    free(out);
    return 0;
}

static struct refusal_record record_of(struct str raw)
{
    return (struct refusal_record){.code = "wrong_type",
                                   .field = "id",
                                   .message = "expected a \"text\"",
                                   .method = "POST",
                                   .route = "/v1/:kind",
                                   .path = STR("/v1/x"),
                                   .query = STR(""),
                                   .type = STR("application/json"),
                                   .peer = STR("10.0.0.7"),
                                   .time_ms = 1763900000000,
                                   .index = -1,
                                   .raw = raw,
                                   .max = 65536};
}

/* Writes it within its bound, and reads it back. */
static struct refused_line written(const struct refusal_record *r, size_t *n)
{
    size_t bound = refusal_record_bound(r);
    struct refused_line got;

    assert_true(bound + SCAN_PAD < ROOM);
    memset(out + bound, 'x', SCAN_PAD);
    *n = refusal_record_write(r, out);
    assert_true(*n <= bound);
    assert_int_equal('x', out[bound]);
    assert_null(memchr(out, '\n', *n));
    memset(out + *n, 0, SCAN_PAD);
    assert_true(refused_lines_is((struct str){out, *n}));
    assert_true(refused_lines_read(lines, (struct str){out, *n}, &got));
    return got;
}

static void is_one_line_that_anyone_can_read(void **state)
{
    struct refusal_record r = record_of(STR("{\"id\":7}"));
    const char *expected =
        "{\"refused\":{\"code\":\"wrong_type\",\"field\":\"id\",\"message\":\"expected "
        "a "
        "\\\"text\\\"\"},\"route\":\"POST /v1/:kind\",\"peer\":\"10.0.0.7\",\"time\":"
        "1763900000000,\"path\":\"/v1/x\",\"type\":\"application/json\",\"raw\":"
        "\"{\\\"id\\\":7}\",\"bytes\":8}";
    struct refused_line got;
    size_t n;

    (void)state;
    got = written(&r, &n);
    assert_int_equal(strlen(expected), n);
    assert_memory_equal(expected, out, n);
    assert_string_equal("wrong_type", got.code);
    assert_true(str_eq(STR("POST /v1/:kind"), got.route));
    assert_true(str_eq(STR("/v1/x"), got.path));
    assert_int_equal(1763900000000, got.time_ms);
    assert_false(got.one || got.cut);
    r.index = 0;
    r.query = STR("k=v");
    got = written(&r, &n);
    assert_true(got.one && str_eq(STR("k=v"), got.query));
}

static void gives_back_all_bytes(void **state)
{
    char bytes[256 * 2];
    size_t n;

    (void)state;
    for (int i = 0; i < 256; i++) {
        /* Alone, and among letters. */
        char alone[] = {(char)i}, among[] = {'a', (char)i, 'b'};
        struct str raws[] = {{alone, 1}, {among, 3}};

        for (int k = 0; k < 2; k++) {
            struct refusal_record r = record_of(raws[k]);
            struct refused_line got = written(&r, &n);

            assert_true(str_eq(raws[k], got.raw));
            assert_true((memmem(out, n, "\"raw_base64\"", 12) != NULL) == (i >= 0x80));
        }
        bytes[i] = bytes[511 - i] = (char)i;
    }
    for (size_t from = 0; from < 3; from++) {
        struct refusal_record r = record_of((struct str){bytes + from, 512 - from});

        assert_true(str_eq(r.raw, written(&r, &n).raw));
    }
}

static void cuts_between_two_characters(void **state)
{
    /* One, two, three and four bytes of each character, at each place of the cut. */
    const char *text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"
                       "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";
    static const size_t ends[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
    size_t n;

    (void)state;
    for (size_t max = 1; max < 13; max++) {
        struct refusal_record r = record_of(str_of(text));
        struct refused_line got;

        r.max = max;
        got = written(&r, &n);
        assert_true(got.cut);
        assert_int_equal(ends[max], got.raw.n);
        assert_memory_equal(text, got.raw.p, got.raw.n);
        assert_non_null(memmem(out, n, "\"bytes\":20,\"cut\":true", 21));
    }
}

static void cuts_a_body_of_8_mib(void **state)
{
    enum { BODY = 8 << 20 };
    static const char fills[] = {'a', '\0', '"', '\xFF'};
    char *body = malloc(BODY);
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof fills; i++) {
        struct refusal_record r = record_of((struct str){body, BODY});
        struct refused_line got;

        memset(body, fills[i], BODY);
        got = written(&r, &n);
        assert_true(got.cut && n < 6 * 65536 + 1024);
        assert_int_equal(65536, got.raw.n);
        assert_memory_equal(body, got.raw.p, 65536);
        assert_non_null(memmem(out, n, "\"bytes\":8388608,\"cut\":true", 26));
    }
    free(body);
}

static void cuts_each_other_part(void **state)
{
    static char huge[20001];
    struct refusal_record r = record_of(STR(""));
    size_t n;

    (void)state;
    memset(huge, '\1', sizeof huge - 1); /* six bytes each */
    r.code = r.field = r.message = r.route = huge;
    r.path = r.query = r.type = r.peer = str_of(huge);
    assert_int_equal(0, written(&r, &n).raw.n);
    r.field = r.message = NULL;
    (void)written(&r, &n);
    assert_null(memmem(out, n, "\"field\"", 7));
}

static void refuses_damaged_records(void **state)
{
    static const char *const rows[] = {
        "{\"refused\":{\"code\":\"x\"}}",
        "{\"refused\":{\"code\":\"x\"},\"route\":\"POST\",\"raw\":\"x\"}",
        "{\"refused\":{\"code\":\"x\"},\"route\":\"POST /\",\"raw_base64\":\"x\"}",
        "{\"refused\":{\"code\":\"x\"},\"route\":\"POST "
        "/\",\"raw\":\"\",\"raw_base64\":\"\"}",
        "{\"refused\":{\"code\":\"x\"},\"route\":\"POST /\",\"raw\":\"x\""};
    struct refused_line got;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        memset(out, 0, 1024);
        memcpy(out, rows[i], strlen(rows[i]));
        assert_false(
            refused_lines_read(lines, (struct str){out, strlen(rows[i])}, &got));
    }
    assert_false(refused_lines_is(STR("{\"refused\":1}")));
    assert_false(refused_lines_is(STR("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_one_line_that_anyone_can_read),
        cmocka_unit_test(gives_back_all_bytes),
        cmocka_unit_test(cuts_between_two_characters),
        cmocka_unit_test(cuts_a_body_of_8_mib),
        cmocka_unit_test(cuts_each_other_part),
        cmocka_unit_test(refuses_damaged_records),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
