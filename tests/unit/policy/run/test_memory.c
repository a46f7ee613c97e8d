/* A state that is full: what its hooks and functions can't do fails, soon, and nothing
 * else does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tools/hooked.h"

enum { EVENTS = 10000, MS_MAX = 200 };

/* Leaves some MiB of the 64. */
#define FILL                                                                  \
    "local kept = {}\n"                                                       \
    "for i = 1, 380000 do kept[i] = { i, i } end\n"

static char *many_events(size_t *n)
{
    char *p = mem_zalloc(256 * EVENTS);

    *n = 0;
    p[(*n)++] = '[';
    for (int i = 0; i < EVENTS; i++) {
        *n += hooked_event(p + *n, (unsigned)i, true);
        p[(*n)++] = i + 1 < EVENTS ? ',' : ']';
    }
    return p;
}

static void many_failing_events_are_answered_quickly(void **state)
{
    struct hooked h;
    size_t n;
    char *body = many_events(&n);

    (void)state;
    hooked_open(&h,
                "(function()\n" FILL
                "return function(ev)\n"
                "  kept[#kept + 1] = (\"x\"):rep(100000) .. ev.user_id\n"
                "end end)()",
                true);
    for (int i = 0; i < 3; i++) {
        uint64_t ns = clock_thread_ns();
        struct refused no;

        assert_true(decide_body(h.state, &policy_plan(h.policy)->routes[0],
                                SCAN_BATCH, &h.req, (struct str){body, n}, &h.batch,
                                NULL, &h.raised, &no));
        ns = clock_thread_ns() - ns;
        assert_true(ns / 1000000 <= MS_MAX);
        assert_true(h.raised > EVENTS / 2);
        assert_int_equal(EVENT_DEAD, h.batch.events[EVENTS - 1].fate);
        assert_string_equal("not enough memory",
                            h.batch.events[EVENTS - 1].message);
    }
    for (int i = 0; i < 100 && !policy_state_worn(h.state); i++) {
        (void)hooked_run(&h, 0);
    }
    assert_true(policy_state_worn(h.state));
    hooked_close(&h);
    free(body);
}

static void what_an_event_has_left_behind_fails_none_behind_it(void **state)
{
    struct hooked h;

    (void)state;
    hooked_open(&h,
                "function(ev)\n  if ev.value == 3.5 then\n"
                "    local s = \"x\"\n    while true do s = s .. s end\n  end\nend",
                true);
    for (unsigned i = 0; i < 5; i++) {
        (void)hooked_run(&h, i);
        /* 200 events: two or three have that value. */
        assert_in_range(h.raised, 1, 100);
        assert_int_equal(EVENT_DEAD, h.batch.events[3].fate);
        assert_int_equal(EVENT_ACCEPT, h.batch.events[4].fate);
        assert_false(policy_state_worn(h.state));
    }
    hooked_close(&h);
}

/* The state of a sink's functions. */
static void open_sink(const char *functions, struct policy **p,
                      struct policy_state **s)
{
    char text[4096];
    struct policy_report report;
    struct err e;

    (void)snprintf(text, sizeof text,
                   "local kept = {}\n"
                   "kafka \"k\" { brokers = \"127.0.0.1:1\", topic = \"t\", %s }\n"
                   "stream \"s\" { sinks = { \"k\" } }\n"
                   "route \"POST /e\" { body = \"batch\", stream = \"s\" }\n",
                   functions);
    *p = policy_load_text("sinks.lua", str_of(text), &report);
    if (*p == NULL) {
        print_error("%s\n", report.text);
    }
    assert_non_null(*p);
    policy_report_fini(&report);
    *s = policy_state_new(*p, &e);
    assert_non_null(*s);
}

static void a_full_state_of_a_sink_gives_the_default(void **state)
{
    static const struct policy_number numbers[] = {{"requests", 5}, {"failures", 5}};
    struct policy *p;
    struct policy_state *s;
    uint64_t raised;
    double result;

    (void)state;
    open_sink("topic_by = function(ev)\n"
              "  for i = 1, 1e9 do kept[#kept + 1] = { i } end\nend,\n"
              "breaker = { ready_to_trip = function(c)\n"
              "  for i = 1, 1e9 do kept[#kept + 1] = { i } end\nend }",
              &p, &s);
    for (int i = 0; i < 300; i++) {
        char event[64];

        (void)snprintf(event, sizeof event, "{\"a\":\"%d\",\"b\":[1,2]}", i);
        assert_null(policy_sink_topic(s, 0, str_of(event)).p);
        assert_false(policy_sink_call(s, 0, POLICY_TRIP, numbers, 2, &result));
    }
    raised = policy_state_raised(s);
    assert_int_equal(600, raised);
    policy_state_free(s);
    policy_unref(p);
}

static void a_function_that_raises_what_is_no_text_gives_the_default(void **state)
{
    static const char *const raises[] = {"error()", "error({})", "error(5)",
                                         "error(ev)", "error(nil)",
                                         "local x = nil + 1", "ev.a.b.c.d = 1"};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(raises); i++) {
        struct policy *p;
        struct policy_state *s;
        char functions[200];

        (void)snprintf(functions, sizeof functions, "topic_by = function(ev) %s end",
                       raises[i]);
        open_sink(functions, &p, &s);
        assert_null(policy_sink_topic(s, 0, STR("{\"a\":1}")).p);
        assert_int_equal(1, policy_state_raised(s));
        policy_state_free(s);
        policy_unref(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_failing_events_are_answered_quickly),
        cmocka_unit_test(what_an_event_has_left_behind_fails_none_behind_it),
        cmocka_unit_test(a_full_state_of_a_sink_gives_the_default),
        cmocka_unit_test(a_function_that_raises_what_is_no_text_gives_the_default),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
