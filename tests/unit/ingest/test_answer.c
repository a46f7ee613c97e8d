/* The JSON that clients get. */
#include <cjson/cJSON.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ingest/answer.h"

enum { MANY = 150 };

static char *events(struct event *list, uint32_t n, const struct outcome *o)
{
    struct event_batch b = {.n = n, .events = list};
    char *text = malloc(answer_bound(&b, o) + 1);
    size_t len;

    assert_non_null(text);
    len = answer_events(&b, o, text);
    assert_true(len <= answer_bound(&b, o));
    text[len] = '\0';
    return text;
}

static void accepted_alone_is_short(void **state)
{
    struct event e = {0};
    struct outcome o = {.status = 202, .accepted = 1, .store = true};
    char *text = events(&e, 1, &o);

    (void)state;
    assert_string_equal("{\"status\":\"accepted\",\"accepted\":1}", text);
    free(text);
}

static void rejected_events_are_listed_with_their_index(void **state)
{
    struct event list[3] = {{.index = 0},
                            {.index = 1,
                             .fate = EVENT_REJECT,
                             .code = "missing_field",
                             .field = "user_id",
                             .message = "user_id is required"},
                            {.index = 2}};
    struct outcome o = {.status = 202, .accepted = 2, .rejected = 1, .store = true};
    char *text = events(list, 3, &o);

    (void)state;
    assert_string_equal(
        "{\"status\":\"accepted\",\"accepted\":2,\"rejected\":1,\"errors\":["
        "{\"index\":1,\"code\":\"missing_field\",\"field\":\"user_id\","
        "\"message\":\"user_id is required\",\"retry\":false}]}",
        text);
    free(text);
}

static void more_than_a_hundred_errors_are_cut(void **state)
{
    static struct event list[MANY];
    struct outcome o = {.status = 422, .rejected = MANY};
    cJSON *root;
    char *text;

    (void)state;
    for (uint32_t i = 0; i < MANY; i++) {
        list[i] = (struct event){
            .index = i, .fate = EVENT_REJECT, .code = "bad", .message = "no"};
    }
    text = events(list, MANY, &o);
    root = cJSON_Parse(text);
    assert_non_null(root);
    assert_int_equal(100, cJSON_GetArraySize(cJSON_GetObjectItem(root, "errors")));
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(root, "errors_truncated")));
    cJSON_Delete(root);
    free(text);
}

static void hostile_messages_stay_valid_json(void **state)
{
    char message[4096];
    struct event e = {.fate = EVENT_REJECT, .code = "a\"b\\", .field = "\n\x01"};
    struct outcome o = {.status = 422, .rejected = 1};
    cJSON *root;
    char *text;

    (void)state;
    memset(message, '\x02', sizeof message - 1);
    message[sizeof message - 1] = '\0';
    e.message = message;
    text = events(&e, 1, &o);
    root = cJSON_Parse(text);
    assert_non_null(root);
    cJSON_Delete(root);
    free(text);
}

/* error_at is one more than the offset, because 0 means that there is no offset. */
static void an_event_that_is_no_json_names_the_byte(void **state)
{
    struct event list[2] = {
        {.index = 0, .fate = EVENT_REJECT, .code = "invalid_json", .error_at = 1},
        {.index = 1, .fate = EVENT_REJECT, .code = "invalid_json", .error_at = 38}};
    struct outcome o = {.status = 422, .rejected = 2};
    char *text = events(list, 2, &o);

    (void)state;
    assert_string_equal(
        "{\"status\":\"rejected\",\"accepted\":0,\"rejected\":2,\"errors\":["
        "{\"index\":0,\"code\":\"invalid_json\",\"offset\":0,\"retry\":false},"
        "{\"index\":1,\"code\":\"invalid_json\",\"offset\":37,\"retry\":false}]}",
        text);
    free(text);
}

static void an_error_names_offset_limit_and_detail(void **state)
{
    char text[512];
    size_t n = answer_error(&(struct answer_error){.error = "Invalid JSON",
                                                   .code = "invalid_json",
                                                   .detail = "expected ','",
                                                   .offset = 37,
                                                   .limit = -1},
                            text, sizeof text);

    (void)state;
    text[n] = '\0';
    assert_string_equal("{\"error\":\"Invalid JSON\",\"code\":\"invalid_json\","
                        "\"offset\":37,\"detail\":\"expected ','\"}",
                        text);
}

static void a_long_detail_is_cut_and_still_json(void **state)
{
    char detail[3000], text[256];
    struct answer_error e = {.error = "x", .code = "y", .offset = -1, .limit = 5};
    cJSON *root;
    size_t n;

    (void)state;
    memset(detail, '\x03', sizeof detail - 1);
    detail[sizeof detail - 1] = '\0';
    e.detail = detail;
    n = answer_error(&e, text, sizeof text - 1);
    text[n] = '\0';
    root = cJSON_Parse(text);
    assert_non_null(root);
    cJSON_Delete(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted_alone_is_short),
        cmocka_unit_test(rejected_events_are_listed_with_their_index),
        cmocka_unit_test(more_than_a_hundred_errors_are_cut),
        cmocka_unit_test(hostile_messages_stay_valid_json),
        cmocka_unit_test(an_event_that_is_no_json_names_the_byte),
        cmocka_unit_test(an_error_names_offset_limit_and_detail),
        cmocka_unit_test(a_long_detail_is_cut_and_still_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
