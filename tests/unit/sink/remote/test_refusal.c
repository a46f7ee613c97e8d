/* What ClickHouse's words mean, in those of 18.16 and of new servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "sink/remote/refusal.h"

static const struct {
    int status, sent, header;
    const char *body;
    enum sink_verdict_kind kind;
    int code, row;
} rows[] = {
    {200, 1, 0, "", SINK_OK, 0, -1},
    {200, 1, 0, "Code: 241. DB::Exception: Memory limit", SINK_RETRY, 241, -1},
    {0, 0, 0, "", SINK_RETRY, 0, -1},
    {0, 1, 0, "", SINK_MAYBE, 0, -1},
    {502, 1, 0, "<html>Bad gateway", SINK_MAYBE, 0, -1},
    {500, 1, 0, "Code: 27, e.displayText() = DB::Exception: Cannot parse input: "
                "expected \" before: x (at row 101)\n", SINK_DATA, 27, 100},
    {400, 1, 0, "Code: 26, e.displayText() = DB::Exception: Cannot parse quoted "
                "string", SINK_DATA, 26, -1},
    {500, 1, 0, "Code: 252, e.displayText() = DB::Exception: Too many parts (300)",
     SINK_RETRY, 252, -1},
    {500, 1, 0, "Code: 49, e.displayText() = DB::Exception: Unknown element 'z' for "
                "type Enum8('x' = 1)", SINK_DATA, 49, -1},
    {500, 1, 0, "Code: 49, e.displayText() = DB::Exception: Logical error",
     SINK_RETRY, 49, -1},
    {500, 1, 252, "Code: 252. DB::Exception: Too many partitions for single INSERT "
                  "block", SINK_SPLIT, 252, -1},
    {404, 1, 60, "Code: 60. DB::Exception: Table x doesn't exist", SINK_SETUP, 60,
     -1},
    {401, 1, 0, "Code: 193, e.displayText() = DB::Exception: Wrong password",
     SINK_SETUP, 193, -1},
    {408, 1, 159, "", SINK_MAYBE, 159, -1},
    {500, 1, 0, "Code: 49, e.displayText() = DB::Exception: Unknown element 'odd' for "
                "type Enum8('ios' = 1): (while read the value of key device)",
     SINK_DATA, 49, -1},
    {500, 1, 0, "Code: 49, e.displayText() = DB::Exception: Bad cast", SINK_RETRY, 49,
     -1},
    {500, 1, 691, "Code: 691. DB::Exception: Unknown element 'odd' for enum: (at row "
                  "7)", SINK_DATA, 691, 6},
    {500, 1, 0, "Code: 354, e.displayText() = inflate failed", SINK_RETRY, 354, -1},
    {500, 1, 0, "Code: 99999. something new", SINK_RETRY, 99999, -1},
};

static void each_answer_is_classed_by_its_code(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        struct refusal r = refusal_of(rows[i].status, rows[i].sent,
                                      rows[i].header, str_of(rows[i].body));

        if (r.kind != rows[i].kind || r.code != rows[i].code ||
            r.row != rows[i].row) {
            fail_msg("%s: kind %d code %d row %d", rows[i].body, (int)r.kind,
                     r.code, (int)r.row);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_is_classed_by_its_code),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
