/* Running hooks: the loop over a batch's events compiles, and a hook that does not end
 * is stopped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tools/hooked.h"

enum { BATCHES = 300 };

#define DESIGNS                                                                        \
    "function(ev, req)\n"                                                              \
    "  if ev.event_type == \"purchase\" and not ev.value then\n"                       \
    "    return reject(\"missing_value\", \"a purchase needs a value\")\n"             \
    "  end\n"                                                                          \
    "  ev.received_at = req.time_ms\n"                                                 \
    "end"

static struct policy_traces run_batches(struct hooked *h)
{
    struct policy_traces traces;

    assert_true(policy_traces_watch(h->state));
    for (unsigned i = 0; i < BATCHES; i++) {
        (void)hooked_run(h, i);
        assert_int_equal(HOOKED_EVENTS, h->batch.n);
        assert_int_equal(0, h->raised);
    }
    policy_traces_get(h->state, &traces);
    return traces;
}

/* Which of its counters LuaJIT shares between two loops follows from where they lie in
 * memory: one state in twenty traces a loop while it is still warming up, gives it up and
 * traces it again. A hook that can't be compiled does so in every state. */
enum { STATES = 4 };

static void assert_compiles(const char *hook)
{
    struct policy_traces traces = {.loops_aborted = 1};
    struct hooked h;

    for (int i = 0; i < STATES && (traces.loops_aborted > 0 || traces.loops == 0);
         i++) {
        hooked_open(&h, hook, true);
        traces = run_batches(&h);
        hooked_close(&h);
    }
    assert_true(traces.loops > 0);
    if (traces.loops_aborted > 0) {
        print_error("%s\n%u traces of the loop, %u aborted: %s\n", hook, traces.loops,
                    traces.loops_aborted, traces.why);
    }
    assert_int_equal(0, traces.loops_aborted);
}

static void the_loop_over_events_compiles_without_an_abort(void **state)
{
    (void)state;
    assert_compiles("function(ev, req) end");
    assert_compiles(DESIGNS);
    assert_compiles("function(ev)\n  if ev.user_id == ev.session or\n"
                    "      ev.campaign == ev.page then return drop() end\nend");
    assert_compiles("function(ev)\n  ev.value = (ev.value or 0) * 2\n"
                    "  ev.late = ev.timestamp < 1763900000100\nend");
    assert_compiles("function(ev)\n  if ev.event_type == \"click\" then\n"
                    "    return reject(\"no_clicks\", \"not here\")\n  end\nend");
    assert_compiles("function(ev)\n  if ev.value > 50 then return to(\"s\") end\n"
                    "  if ev.value < 10 then return drop(\"small\") end\nend");
}

static void it_compiles_also_behind_many_requests_of_one_event(void **state)
{
    struct policy_traces traces;
    struct hooked h;

    (void)state;
    hooked_open(&h, DESIGNS, true);
    for (int i = 0; i < 100000; i++) {
        (void)hooked_one(&h);
    }
    traces = run_batches(&h);
    assert_true(traces.loops > 0);
    assert_int_equal(0, traces.loops_aborted);
    hooked_close(&h);
}

static void a_hook_with_a_loop_runs_interpreted(void **state)
{
    struct policy_traces traces;
    struct hooked h;

    (void)state;
    hooked_open(&h, "function(ev) for i = 1, 3 do ev[\"k\" .. i] = i end end", true);
    traces = run_batches(&h);
    assert_int_equal(0, traces.loops);
    assert_int_equal(3, h.batch.events[HOOKED_EVENTS - 1].n_edits);
    hooked_close(&h);
}

static void a_hook_without_an_end_is_stopped_with_its_whole_batch(void **state)
{
    static const char *const hooks[] = {
        "function(ev) while true do end end",
        "function(ev) repeat local ok = pcall(function() ev.a = 1 end) until false "
        "end",
        "function(ev) local function f() return f() end return f() end"};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(hooks); i++) {
        struct hooked h;
        uint64_t own;

        hooked_open(&h, hooks[i], true);
        own = clock_thread_ns();
        (void)hooked_run(&h, 0);
        own = clock_thread_ns() - own;
        assert_int_equal(HOOKED_EVENTS, h.raised);
        assert_int_equal(EVENT_DEAD, h.batch.events[0].fate);
        assert_non_null(strstr(h.batch.events[0].message, "ran too long"));
        /* 50 ms, and the time that a sanitizer adds. */
        assert_in_range(own / 1000000, 30, 80);
        hooked_close(&h);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_loop_over_events_compiles_without_an_abort),
        cmocka_unit_test(it_compiles_also_behind_many_requests_of_one_event),
        cmocka_unit_test(a_hook_with_a_loop_runs_interpreted),
        cmocka_unit_test(a_hook_without_an_end_is_stopped_with_its_whole_batch),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
