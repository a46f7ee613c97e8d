/* The meaning of ClickHouse's errors, of 18.16 and of new servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "sink/http/data_error.h"

static const struct {
    int status, sent, header;
    const char *body;
    enum sink_verdict_kind kind;
    int code, row;
} rows[] = {
    {200, 1, 0, "", SINK_OK, 0, -1},
    {200, 1, 0, "Code: 241. DB::Exception: Memory limit", SINK_SPLIT, 241, -1},
    {413, 1, 0, "<html>Request Entity Too Large", SINK_SPLIT, 413, -1},
    {0, 0, 0, "", SINK_RETRY, 0, -1},
    {0, 1, 0, "", SINK_MAYBE, 0, -1},
    {502, 1, 0, "<html>Bad gateway", SINK_MAYBE, 0, -1},
    {500, 1, 0,
     "Code: 27, e.displayText() = DB::Exception: Cannot parse input: "
     "expected \" before: x (at row 101)\n",
     SINK_DATA, 27, 100},
    {400, 1, 0,
     "Code: 26, e.displayText() = DB::Exception: Cannot parse quoted "
     "string",
     SINK_DATA, 26, -1},
    {500, 1, 0, "Code: 252, e.displayText() = DB::Exception: Too many parts (300)",
     SINK_RETRY, 252, -1},
    {500, 1, 0,
     "Code: 49, e.displayText() = DB::Exception: Unknown element 'z' for "
     "type Enum8('x' = 1)",
     SINK_DATA, 49, -1},
    {500, 1, 0, "Code: 49, e.displayText() = DB::Exception: Logical error", SINK_RETRY,
     49, -1},
    {500, 1, 252,
     "Code: 252. DB::Exception: Too many partitions for single INSERT "
     "block",
     SINK_SPLIT, 252, -1},
    {404, 1, 60, "Code: 60. DB::Exception: Table x doesn't exist", SINK_SETUP, 60, -1},
    {401, 1, 0, "Code: 193, e.displayText() = DB::Exception: Wrong password",
     SINK_SETUP, 193, -1},
    {408, 1, 159, "", SINK_MAYBE, 159, -1},
    {500, 1, 0,
     "Code: 49, e.displayText() = DB::Exception: Unknown element 'odd' for "
     "type Enum8('ios' = 1): (while read the value of key device)",
     SINK_DATA, 49, -1},
    {500, 1, 0, "Code: 49, e.displayText() = DB::Exception: Bad cast", SINK_RETRY, 49,
     -1},
    {500, 1, 691,
     "Code: 691. DB::Exception: Unknown element 'odd' for enum: (at row "
     "7)",
     SINK_DATA, 691, 6},
    {500, 1, 0, "Code: 354, e.displayText() = inflate failed", SINK_RETRY, 354, -1},
    /* Text of a client's, quoted, is not the row's number. */
    {400, 1, 27,
     "Code: 27. DB::Exception: Cannot parse input: expected '\"' before: "
     "'(at row 9)': (at row 3)\n",
     SINK_DATA, 27, 2},
    {400, 1, 675, "Code: 675. DB::Exception: Cannot parse IPv4", SINK_DATA, 675, -1},
    {400, 1, 676, "Code: 676. DB::Exception: Cannot parse IPv6", SINK_DATA, 676, -1},
    {400, 1, 467, "Code: 467. DB::Exception: Cannot parse boolean", SINK_DATA, 467, -1},
    {500, 1, 407, "Code: 407. DB::Exception: Decimal overflow", SINK_DATA, 407, -1},
    {400, 1, 36, "Code: 36. DB::Exception: Bad arguments", SINK_DATA, 36, -1},
    {400, 1, 441, "Code: 441. DB::Exception: x", SINK_DATA, 441, -1},
    {500, 1, 153,
     "Code: 153. DB::Exception: Division by zero: while pushing to view "
     "default.v",
     SINK_DATA, 153, -1},
    {500, 1, 395, "Code: 395. DB::Exception: throwIf", SINK_DATA, 395, -1},
    {500, 1, 6, "Code: 6. DB::Exception: Cannot parse string", SINK_DATA, 6, -1},
    {503, 1, 0, "<html><body>Error Code: 503</body></html>", SINK_MAYBE, 0, -1},
    {503, 1, 0, "<h1>ServletException</h1> Error Code: 503", SINK_MAYBE, 0, -1},
    {500, 1, 0, "Poco::Exception. Code: 1000, e.code() = 111", SINK_RETRY, 1000, -1},
    {500, 1, 0, "Code: 99999. something new", SINK_RETRY, 99999, -1},
};

static void each_answer_is_classed_by_its_code(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        struct data_error r = data_error_of(rows[i].status, rows[i].sent,
                                            rows[i].header, str_of(rows[i].body));

        if (r.kind != rows[i].kind || r.code != rows[i].code || r.row != rows[i].row) {
            fail_msg("%s: kind %d code %d row %d", rows[i].body, (int)r.kind, r.code,
                     (int)r.row);
        }
    }
}

static void a_code_that_is_not_known_may_be_the_rows_fault(void **state)
{
    (void)state;
    assert_true(data_error_of(500, true, 0, STR("Code: 99999. something new")).unknown);
    assert_false(
        data_error_of(500, true, 0, STR("Code: 202. Too many queries")).unknown);
    assert_false(data_error_of(503, true, 0, STR("no code")).unknown);
}

/* The largest part that the server takes is looked for; a row that is refused alone is
 * too large for a proxy for ever, for the server's memory only now. */
static void a_row_alone_waits_for_memory_but_not_for_a_proxy(void **state)
{
    struct data_error memory =
        data_error_of(500, true, 0, STR("Code: 241. DB::Exception: Memory limit"));
    struct data_error proxy = data_error_of(413, true, 0, STR("<html>Too large"));

    (void)state;
    assert_true(memory.too_large);
    assert_int_equal(SINK_RETRY, memory.alone);
    assert_true(proxy.too_large);
    assert_int_equal(SINK_DATA, proxy.alone);
}

static void a_view_that_fails_is_told_of(void **state)
{
    (void)state;
    assert_true(data_error_of(500, true, 0,
                              STR("Code: 6. DB::Exception: x: while pushing "
                                  "to view default.v (at row 2)"))
                    .view);
    assert_false(data_error_of(500, true, 0, STR("Code: 6. DB::Exception: x")).view);
}

static void a_login_that_fails_tells_nothing_of_the_table(void **state)
{
    (void)state;
    assert_true(
        data_error_of(401, true, 516, STR("Code: 516. DB::Exception: x")).login);
    assert_true(
        data_error_of(401, true, 193, STR("Code: 193. DB::Exception: x")).login);
    assert_false(data_error_of(404, true, 60, STR("Code: 60. DB::Exception: x")).login);
    assert_false(data_error_of(0, true, 0, STR("")).login);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_code_that_is_not_known_may_be_the_rows_fault),
        cmocka_unit_test(a_login_that_fails_tells_nothing_of_the_table),
        cmocka_unit_test(a_row_alone_waits_for_memory_but_not_for_a_proxy),
        cmocka_unit_test(a_view_that_fails_is_told_of),
        cmocka_unit_test(each_answer_is_classed_by_its_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
