/* Values of an event in a route's own answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/attr.h"
#include "decode/edit.h"
#include "plan/reply.h"

static struct arena arena;
static struct event_batch batch;

static struct event *scan(const char *text)
{
    static char body[1024];
    const struct scan_limits limits = {1, 8};
    struct scan_error se;

    memset(body, 0, sizeof body);
    memcpy(body, text, strlen(text));
    assert_int_equal(
        SCAN_OK, scan_body(&batch, NULL, SCAN_EVENT, &limits, body, strlen(text), &se));
    return &batch.events[0];
}

static const struct str hosts[] = {STR("shop.example")};
static const struct location_plan by_field = {.field = STR("u.to"),
                                              .hosts = {hosts, 1}};
static const struct location_plan or_home = {.field = STR("u.to"),
                                             .hosts = {hosts, 1},
                                             .fallback =
                                                 STR("https://shop.example/home")};
static const struct fill_part url[] = {
    {STR("https://shop.example/"), STR("a"), FILL_FIELD},
    {STR("?b="), STR("u.b"), FILL_FIELD},
    {STR("#c"), {NULL, 0}, FILL_FIELD}};
static const struct location_plan by_url = {.fill = {url, N_ELEMS(url)}};
static const struct location_plan by_function = {.has_function = true,
                                                 .hosts = {hosts, 1}};

static const char *location(const struct location_plan *l, const char *text,
                            const char *given)
{
    const struct answer_plan a = {.status = 302, .location = l, .lines = ""};
    const struct route r = {.answer = &a};

    if (text != NULL) {
        (void)scan(text);
    }
    reply_prepare(&r, &batch, str_of(given));
    return batch.location;
}

static void a_field_leads_to_a_listed_host_or_the_event_is_refused(void **state)
{
    (void)state;
    assert_string_equal(
        "https://shop.example/a?b",
        location(&by_field, "{\"u\":{\"to\":\"https:\\/\\/shop.example\\u002fa?b\"}}",
                 NULL));
    assert_int_equal(EVENT_ACCEPT, batch.events[0].fate);
    assert_null(
        location(&by_field, "{\"u\":{\"to\":\"https://evil.example/\"}}", NULL));
    assert_int_equal(EVENT_REJECT, batch.events[0].fate);
    assert_string_equal("bad_location", batch.events[0].code);
    assert_string_equal("u.to", batch.events[0].field);
    assert_string_equal("u.to: its host is not one of hosts", batch.events[0].message);
    for (size_t i = 0; i < 5; i++) {
        static const char *const none[] = {
            "{}", "{\"u\":1}", "{\"u\":{\"to\":null}}",
            "{\"u\":{\"to\":[\"https://shop.example\"]}}", "{\"u\":{\"to\":\"\"}}"};

        assert_null(location(&by_field, none[i], NULL));
        assert_string_equal("u.to: there is no url", batch.events[0].message);
        assert_string_equal("https://shop.example/home",
                            location(&or_home, none[i], NULL));
        assert_int_equal(EVENT_ACCEPT, batch.events[0].fate);
    }
}

static void fields_of_a_url_are_escaped(void **state)
{
    (void)state;
    assert_string_equal(
        "https://shop.example/%2F..%2F%3F%26%0D%0A%C3%A9?b=1.50#c",
        location(&by_url, "{\"a\":\"/../?&\\r\\n\\u00e9\",\"u\":{\"b\":1.50}}", NULL));
    assert_string_equal("https://shop.example/true?b=#c",
                        location(&by_url, "{\"a\":true,\"u\":{\"b\":{}}}", NULL));
    assert_string_equal("https://shop.example/?b=#c", location(&by_url, "{}", NULL));
}

/* As after on_event. */
static void values_are_those_of_the_edited_event(void **state)
{
    struct event *ev = scan("{\"a\":\"old\",\"u\":{\"b\":1}}");

    (void)state;
    assert_true(edit_set(&batch, ev, STR("a"), STR("\"new\""), EDIT_SET));
    assert_true(edit_set(&batch, ev, STR("u"), STR(""), EDIT_REMOVE));
    assert_string_equal("https://shop.example/new?b=#c", location(&by_url, NULL, NULL));
}

static void a_refused_event_keeps_its_code(void **state)
{
    struct event *ev = scan("{\"a\":1}");

    (void)state;
    ev->fate = EVENT_REJECT;
    ev->code = "missing_field";
    assert_string_equal("https://shop.example/1?b=#c", location(&by_url, NULL, NULL));
    assert_null(location(&by_field, NULL, NULL));
    assert_string_equal("missing_field", ev->code);
}

static void the_url_of_a_function_is_checked_as_well(void **state)
{
    (void)state;
    assert_string_equal("https://shop.example/x",
                        location(&by_function, "{}", "https://shop.example/x"));
    assert_null(location(&by_function, "{}", "https://evil.example/x"));
    assert_string_equal("the redirect: its host is not one of hosts",
                        batch.events[0].message);
    assert_null(location(&by_function, "{}", NULL));
    assert_string_equal("bad_location", batch.events[0].code);
}

static void a_body_has_its_values_as_json_wrote_them(void **state)
{
    static const struct fill_part parts[] = {
        {STR("{\"id\":\""), STR("a"), FILL_FIELD},
        {STR("\",\"n\":\""), STR("u.b"), FILL_FIELD},
        {STR("\"}"), {NULL, 0}, FILL_FIELD}};
    const struct answer_plan a = {
        .status = 200, .body = STR("{}"), .fill = {parts, 3}, .lines = ""};
    const struct route r = {.answer = &a};

    (void)state;
    (void)scan("{\"a\":\"x\\\"\\n\\u00e9\",\"u\":{\"b\":-0.50}}");
    reply_prepare(&r, &batch, (struct str){NULL, 0});
    assert_int_equal(32, batch.filled_len);
    assert_memory_equal("{\"id\":\"x\\\"\\n\\u00e9\",\"n\":\"-0.50\"}", batch.filled,
                        32);
}

static int start(void **state)
{
    (void)state;
    arena_init(&arena, 1 << 20);
    event_batch_init(&batch, &arena);
    return 0;
}

static int end(void **state)
{
    (void)state;
    event_batch_fini(&batch);
    arena_fini(&arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_field_leads_to_a_listed_host_or_the_event_is_refused),
        cmocka_unit_test(fields_of_a_url_are_escaped),
        cmocka_unit_test(values_are_those_of_the_edited_event),
        cmocka_unit_test(a_refused_event_keeps_its_code),
        cmocka_unit_test(the_url_of_a_function_is_checked_as_well),
        cmocka_unit_test(a_body_has_its_values_as_json_wrote_them),
    };

    return cmocka_run_group_tests(tests, start, end);
}
