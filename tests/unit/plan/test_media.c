/* Which content types are taken, and as what. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/attr.h"
#include "plan/media.h"

struct row {
    const char *type;
    enum body_kind body;
    bool taken;
    enum scan_shape shape;
};

static const struct row rows[] = {
    {NULL, BODY_EVENT, true, SCAN_EVENT},
    {"application/json", BODY_EVENT, true, SCAN_EVENT},
    {"application/json; charset=utf-8", BODY_BATCH, true, SCAN_BATCH},
    {"Application/JSON ;charset=UTF-8", BODY_EVENT, true, SCAN_EVENT},
    {" text/json", BODY_EVENT, true, SCAN_EVENT},
    {"application/vnd.api+json", BODY_BATCH, true, SCAN_BATCH},
    {"application/x-ndjson", BODY_BATCH, true, SCAN_NDJSON},
    {"application/jsonl; x=y", BODY_BATCH, true, SCAN_NDJSON},
    {"application/x-ndjson", BODY_EVENT, false, SCAN_EVENT},
    {"text/plain", BODY_EVENT, false, SCAN_EVENT},
    {"application/xml", BODY_BATCH, false, SCAN_EVENT},
    {"application/+json", BODY_BATCH, false, SCAN_EVENT},
    {"application/jsonx", BODY_BATCH, false, SCAN_EVENT},
};

static void each_type_is_taken_or_refused_as_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        struct route r = {.body = rows[i].body};
        enum scan_shape shape = SCAN_EVENT;

        assert_int_equal(rows[i].taken,
                         media_shape(&r, str_of(rows[i].type), &shape));
        if (rows[i].taken) {
            assert_int_equal(rows[i].shape, shape);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_is_taken_or_refused_as_the_table_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
