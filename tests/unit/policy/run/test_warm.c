/* A state that has run the policy's examples: hardly anything is left to compile when
 * the first request comes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/err.h"
#include "policy/load/load.h"
#include "policy/run/decide.h"
#include "policy/run/run.h"

enum { REQUESTS = 300, FIRST = 50 };

static const char policy[] =
    "null \"n\" {}\n"
    "stream \"s\" { sinks = { \"n\" } }\n"
    "local event = schema { kind = enum { \"a\", \"b\", required = true },\n"
    "  user = str { required = true }, value = num {} }\n"
    "local function total(ev) return (ev.value or 0) * 2 + 1 end\n"
    "route \"POST /e\" { body = \"event\", schema = event, stream = \"s\",\n"
    "  on_event = function(ev, req)\n"
    "    if ev.kind == \"b\" and not ev.value then return reject(\"none\") end\n"
    "    ev.total = total(ev)\n"
    "    ev.name = ev.user .. \"!\"\n"
    "    ev.at = req.time_ms\n"
    "  end }\n"
    "example \"a click\" { request = \"POST /e\",\n"
    "  body = [[{\"kind\":\"a\",\"user\":\"u1\",\"value\":3}]],\n"
    "  expect = { status = 202 } }\n";

struct run {
    uint32_t made;     /* traces */
    uint64_t first_ns; /* the first requests' hooks, all together */
};

static void run(struct policy_state *s, struct policy *p, struct run *out)
{
    static char body[256] = "{\"kind\":\"a\",\"user\":\"u1\",\"value\":3}";
    struct policy_request req = {.time_ms = 1763900000000.,
                                 .method = STR("POST"),
                                 .path = STR("/e"),
                                 .query = STR(""),
                                 .peer = STR("127.0.0.1")};
    struct policy_traces traces;
    struct event_batch batch;
    struct arena arena;
    struct refused no;
    uint32_t raised;
    uint64_t began = clock_thread_ns();

    arena_init(&arena, 1 << 20);
    event_batch_init(&batch, &arena);
    assert_true(policy_traces_watch(s));
    for (int i = 0; i < REQUESTS; i++) {
        assert_true(decide_body(s, &policy_plan(p)->routes[0], SCAN_EVENT, &req,
                                str_of(body), &batch, NULL, &raised, &no));
        assert_int_equal(3, batch.events[0].n_edits);
        if (i == FIRST - 1) {
            out->first_ns = clock_thread_ns() - began;
        }
    }
    policy_traces_get(s, &traces);
    out->made = traces.made;
    event_batch_fini(&batch);
    arena_fini(&arena);
}

static void the_first_request_finds_it_compiled(void **state)
{
    struct policy_report report;
    struct policy *p = policy_load_text("p.lua", str_of(policy), &report);
    struct policy_state *s;
    struct run cold, warm;
    struct err e;

    (void)state;
    if (p == NULL) {
        fail_msg("%s", report.text);
    }
    s = policy_state_new(p, &e);
    assert_non_null(s);
    run(s, p, &cold);
    policy_state_free(s);
    s = policy_state_warm(p, &e);
    assert_non_null(s);
    run(s, p, &warm);
    policy_state_free(s);
    policy_unref(p);
    policy_report_fini(&report);
    (void)printf("# warm: the first %d requests take %.1f us each without the "
                 "examples: %.1f with them\n",
                 FIRST, (double)cold.first_ns / FIRST / 1e3,
                 (double)warm.first_ns / FIRST / 1e3);
    assert_true(cold.made > 0);
    /* One or two may be left: the compiler tries again by chance. */
    assert_true(warm.made < cold.made);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_request_finds_it_compiled),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
