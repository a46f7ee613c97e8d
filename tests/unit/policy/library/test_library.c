/* A policy's helpers on the way of events: they compile, and those that make no
 * text allocate nothing in Lua. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tools/hooked.h"

enum { BATCHES = 300, STATES = 3 };

#define LET(before, body)                                                              \
    "(function() " before " return function(ev, req) " body " end end)()"

/* A hook with a mistake raises at each event. On a busy machine one may also run too long
 * and be stopped, which does not matter here. */
static void run(struct hooked *h)
{
    uint32_t raised = 0;

    for (unsigned i = 0; i < BATCHES; i++) {
        (void)hooked_run(h, i);
        raised += h->raised;
    }
    assert_true(raised < BATCHES * HOOKED_EVENTS / 100);
}

static bool compiles(const char *body, struct policy_traces *traces)
{
    char hook[300];
    struct hooked h;

    (void)snprintf(hook, sizeof hook, "function(ev, req) %s end", body);
    hooked_open(&h, hook, true);
    assert_true(policy_traces_watch(h.state));
    run(&h);
    policy_traces_get(h.state, traces);
    hooked_close(&h);
    return traces->loops > 0;
}

/* The count hook, which fires more often on a busy machine, disturbs the recording of a
 * loop: after some such tries the compiler gives the loop up, whatever the helper is. Then
 * another state shows it. A helper that can't be compiled aborts it in each of them. */
static void each_helper_compiles(void **state)
{
    static const char *const bodies[] = {
        "ev.x = get(ev, \"page\")",
        "ev.x = has(ev, \"none\")",
        "ev.x = trim(ev.page)",
        "ev.x = lower(ev.page)",
        "ev.x = upper(ev.page)",
        "if starts_with(ev.page, \"/x\") then return drop() end",
        "if ends_with(ev.page, \"/x\") then return drop() end",
        "if contains(ev.page, \"zz\") then return drop() end",
        "ev.x = part(ev.page, \"/\", 2)",
        "ev.x = url_decode(ev.page)",
        "ev.x = param(\"a=1&b=2\", \"b\")",
        "ev.x = base64_encode(ev.page)",
        "ev.x = base64_decode(\"Zm9v\")",
        "ev.x = mask(ev.user_id, 3)",
        "ev.x = mask_ip(req.peer)",
        "ev.x = sha256(ev.user_id)",
        "ev.x = hmac(\"k\", ev.user_id)",
        "if equal(ev.user_id, \"a\") then return drop() end",
        "ev.x = hash(ev.user_id)",
        "ev.x = uuid7()",
        "if sample(0.5, ev.user_id) then return drop() end",
        "if sample(0.5) then return drop() end",
        "ev.x = iso8601(ev.timestamp)",
        "ev.x = parse_time(\"2025-11-23T12:13:20Z\")"};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(bodies); i++) {
        struct policy_traces traces = {.loops = 0};
        int n = 1;

        while (!compiles(bodies[i], &traces) && n < STATES) {
            n++;
        }
        if (traces.loops == 0) {
            fail_msg("%s: no trace of the loop, %u aborted: %s", bodies[i],
                     traces.loops_aborted, traces.why);
        }
    }
}

static void what_makes_no_text_allocates_nothing(void **state)
{
    static const char *const hooks[] = {
        LET("", ""),
        LET("local c = counter \"a_total\"", "c:inc()"),
        LET("local c = counter \"a_total\" { labels = { \"t\", \"u\" } }",
            "c:inc(2, ev.event_type, \"x\")"),
        LET("local g = gauge \"a\"", "g:set(ev.value) g:add(1)"),
        LET("local l = limit { rate = \"1/s\", burst = 10 }", "l:take(ev.event_type)"),
        LET("local l = limit { rate = \"1/s\", burst = 10 }",
            "return l:check(ev.event_type)"),
        LET("", "if sample(0.1, ev.event_type) then return drop() end"),
        LET("", "if hash(ev.event_type) == 1 then return drop() end"),
        LET("", "if starts_with(ev.event_type, \"x\") then return drop() end")};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(hooks); i++) {
        struct hooked h;
        uint64_t before;

        hooked_open(&h, hooks[i], true);
        run(&h);
        before = policy_state_allocations(h.state);
        run(&h);
        if (policy_state_allocations(h.state) != before) {
            fail_msg("%s: %lu allocations", hooks[i],
                     (unsigned long)(policy_state_allocations(h.state) - before));
        }
        hooked_close(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_helper_compiles),
        cmocka_unit_test(what_makes_no_text_allocates_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
