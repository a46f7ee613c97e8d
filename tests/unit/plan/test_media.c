/* Which content types are taken, and as which shape. */
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
    {"application/cloudevents+json; charset=utf-8", BODY_CLOUDEVENTS, true, SCAN_EVENT},
    {"application/cloudevents-batch+json", BODY_CLOUDEVENTS, true, SCAN_ARRAY},
    {"application/cloudevents+avro", BODY_CLOUDEVENTS, false, SCAN_EVENT},
    {"application/json", BODY_CLOUDEVENTS, true, SCAN_DATA},
    {"image/png", BODY_CLOUDEVENTS, true, SCAN_DATA},
    {NULL, BODY_CLOUDEVENTS, true, SCAN_DATA},
    {"application/x-www-form-urlencoded", BODY_QUERY, true, SCAN_QUERY},
    {"application/x-www-form-urlencoded", BODY_FORM, true, SCAN_FORM},
    {"Application/X-WWW-Form-Urlencoded ; charset=utf-8", BODY_FORM, true, SCAN_FORM},
    {"multipart/form-data; boundary=x", BODY_FORM, true, SCAN_MULTIPART},
    {NULL, BODY_FORM, true, SCAN_FORM},
    {"application/json", BODY_FORM, false, SCAN_EVENT},
    {"text/plain", BODY_FORM, false, SCAN_EVENT},
    {"multipart/mixed; boundary=x", BODY_FORM, false, SCAN_EVENT},
    {"application/x-www-form-urlencoded", BODY_ANY, true, SCAN_FORM},
    {"multipart/form-data", BODY_ANY, true, SCAN_MULTIPART},
    {"application/json", BODY_ANY, true, SCAN_EVENT},
    {NULL, BODY_ANY, true, SCAN_EVENT},
    {"application/x-ndjson", BODY_ANY, false, SCAN_EVENT},
    {"text/plain", BODY_ANY, false, SCAN_EVENT},
};

static void each_type_is_taken_or_refused_as_the_table_says(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_ELEMS(rows); i++) {
        struct route r = {.method = "POST", .body = rows[i].body};
        enum scan_shape shape = SCAN_EVENT;

        assert_int_equal(rows[i].taken, media_shape(&r, str_of(rows[i].type), &shape));
        if (rows[i].taken) {
            assert_int_equal(rows[i].shape, shape);
        }
    }
}

/* Whatever type a client names that sends no body. */
static void a_get_is_a_query(void **state)
{
    static const char *const types[] = {NULL, "application/json", "text/plain",
                                        "application/x-www-form-urlencoded"};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(types); i++) {
        struct route query = {.method = "GET", .body = BODY_QUERY};
        struct route any = {.method = "GET", .body = BODY_ANY};
        enum scan_shape shape = SCAN_EVENT;

        assert_true(media_shape(&query, str_of(types[i]), &shape));
        assert_int_equal(SCAN_QUERY, shape);
        assert_true(media_shape(&any, str_of(types[i]), &shape));
        assert_int_equal(SCAN_QUERY, shape);
    }
}

static void a_route_may_say_its_own_types(void **state)
{
    static const struct type_plan types[] = {{STR("text/plain"), false},
                                             {STR("application/x-lines"), false},
                                             {STR("application/x-ndjson"), true}};
    static const struct type_plan any[] = {{{"", 0}, false}};
    struct route r = {.body = BODY_BATCH, .types = types, .n_types = 3};
    enum scan_shape shape = SCAN_EVENT;

    (void)state;
    assert_true(media_shape(&r, STR("Text/Plain; charset=UTF-8"), &shape));
    assert_int_equal(shape, SCAN_BATCH);
    assert_true(media_shape(&r, STR("application/x-ndjson"), &shape));
    assert_int_equal(shape, SCAN_NDJSON);
    assert_true(media_shape(&r, (struct str){NULL, 0}, &shape));
    assert_int_equal(shape, SCAN_BATCH);
    assert_false(media_shape(&r, STR("application/json"), &shape));
    r.types = any;
    r.n_types = 1;
    assert_true(media_shape(&r, STR("x/y"), &shape));
    assert_int_equal(shape, SCAN_BATCH);
}

static void a_field_of_a_form_may_hold_the_body(void **state)
{
    static const struct type_plan types[] = {{STR("text/plain"), false}};
    struct route r = {.body = BODY_EVENTS, .form_body = STR("data")};
    enum scan_shape shape = SCAN_EVENT;

    (void)state;
    for (r.n_types = 0; r.n_types < 2; r.n_types++) {
        r.types = types;
        assert_true(media_shape(&r, STR("application/x-www-form-urlencoded"), &shape));
        assert_int_equal(shape, SCAN_FORM);
        assert_true(media_shape(&r, STR("multipart/form-data; boundary=x"), &shape));
        assert_int_equal(shape, SCAN_MULTIPART);
        assert_true(media_shape(&r, (struct str){NULL, 0}, &shape));
        assert_int_equal(shape, SCAN_VALUES);
        assert_false(media_shape(&r, STR("image/png"), &shape));
    }
    assert_int_equal(SCAN_VALUES, media_json_shape(&r));
    r.body = BODY_BATCH;
    assert_int_equal(SCAN_BATCH, media_json_shape(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_type_is_taken_or_refused_as_the_table_says),
        cmocka_unit_test(a_get_is_a_query),
        cmocka_unit_test(a_route_may_say_its_own_types),
        cmocka_unit_test(a_field_of_a_form_may_hold_the_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
