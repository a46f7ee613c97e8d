/* A hook's arguments show an event and nothing else: no key, no sum and no comparison
 * reaches memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tools/hooked.h"

/* Runs a hook that returns reject("held") for every event unless something is not
 * as it says. */
static void assert_held(const char *hook)
{
    struct hooked h;

    hooked_open(&h, hook, true);
    for (unsigned i = 0; i < 3; i++) { /* interpreted first, then compiled */
        (void)hooked_run(&h, i);
        for (uint32_t k = 0; k < HOOKED_EVENTS; k++) {
            const struct event *ev = &h.batch.events[k];

            if (ev->fate != EVENT_REJECT || strcmp(ev->code, "held") != 0) {
                print_error("%s\nevent %u: fate %u, %s: %s\n", hook, k, ev->fate,
                            ev->code == NULL ? "" : ev->code,
                            ev->message == NULL ? "" : ev->message);
            }
            assert_int_equal(EVENT_REJECT, ev->fate);
            assert_string_equal("held", ev->code);
        }
    }
    hooked_close(&h);
}

static void assert_each(const char *const *list, size_t n, const char *frame)
{
    for (size_t i = 0; i < n; i++) {
        char hook[1024];

        (void)snprintf(hook, sizeof hook, frame, list[i]);
        assert_held(hook);
    }
}

static void a_key_that_is_no_text_reads_nothing(void **state)
{
    static const char *const keys[] = {
        "5",           "0",         "1",         "-1",       "1e8",          "1.5",
        "0/0",         "1LL",       "1ULL",      "-1LL",     "1i",           "true",
        "ev",          "req",       "{}",        "ev.value", "ev.timestamp", "\"\"",
        "\"sluice_\"", "\"epoch\"", "\"slots\"", "\"off\"",  "\"to\"",       "reject"};

    (void)state;
    assert_each(keys, N_ELEMS(keys),
                "function(ev, req)\n  if ev[%s] == nil then return "
                "reject(\"held\") end\nend");
}

static void what_is_no_reading_of_a_text_raises(void **state)
{
    static const char *const tries[] = {"ev + 1",
                                        "ev - 1",
                                        "1 + ev",
                                        "ev - ev",
                                        "ev * 2",
                                        "ev % 2",
                                        "ev ^ 2",
                                        "ev / 2",
                                        "-ev",
                                        "1LL + ev",
                                        "ev + 1e8",
                                        "ev .. \"x\"",
                                        "\"x\" .. ev",
                                        "#ev",
                                        "ev()",
                                        "ev < ev",
                                        "ev <= 5",
                                        "ev.value.x.y",
                                        "next(ev)",
                                        "unpack(ev)",
                                        "pairs(ev)",
                                        "ipairs(ev)",
                                        "table.concat(ev)",
                                        "math.floor(ev)",
                                        "bit.bor(ev, 1)",
                                        "(\"%d\"):format(ev)",
                                        "(\"x\"):rep(ev)",
                                        "select(ev, 1)",
                                        "string.byte(ev)",
                                        "string.len(ev)",
                                        "get(5, \"x\")",
                                        "get(\"text\", \"x\")",
                                        "get({}, \"x\")",
                                        "get(nil, \"x\")",
                                        "get(1LL, \"x\")",
                                        "get(req, \"x\")",
                                        "get(ev)",
                                        "get(ev, 5)",
                                        "get(ev, ev)",
                                        "has(1e15, \"x\")",
                                        "items(123456, \"x\")",
                                        "req.sluice_",
                                        "req.request",
                                        "req[1]",
                                        "req[1LL]",
                                        "req + 1",
                                        "#req",
                                        "req()",
                                        "req .. \"\"",
                                        "pairs(req)",
                                        "next(req)",
                                        "req.params.x.y"};

    (void)state;
    assert_each(tries, N_ELEMS(tries),
                "function(ev, req)\n  local get, has, items = get, has, items\n  local "
                "ok = pcall(function() return %s end)\n"
                "  if not ok then return reject(\"held\") end\nend");
}

static void no_writing_goes_past_an_events_keys(void **state)
{
    static const char *const tries[] = {"ev[5] = 1",
                                        "ev[1LL] = 1",
                                        "ev[ev] = 1",
                                        "ev[true] = 1",
                                        "ev[0] = ev",
                                        "ev[{}] = 1",
                                        "ev[nil] = 1",
                                        "ev[0/0] = 1",
                                        "ev.x = ev",
                                        "ev.x = req",
                                        "ev.x = reject",
                                        "ev.x = 1LL",
                                        "req.time_ms = 5",
                                        "req.sluice_ = ev",
                                        "req[1] = 5",
                                        "req.x = nil",
                                        "req.headers.x = 1",
                                        "req.params[1] = 2",
                                        "reject(\"x\").kind = 5",
                                        "reject(\"x\").n = 1e9",
                                        "drop().code = {}",
                                        "to(\"s\")[1] = 5",
                                        "ev.sluice_.len = 100",
                                        "ev.slots.x = 1"};

    (void)state;
    assert_each(tries, N_ELEMS(tries),
                "function(ev, req)\n  local ok = pcall(function() %s end)\n"
                "  if not ok then return reject(\"held\") end\nend");
}

static void a_key_with_the_name_of_a_member_is_the_events_own(void **state)
{
    (void)state;
    assert_held("function(ev)\n  ev.sluice_, ev.epoch, ev.slots = 7, 8, 9\n"
                "  if ev.sluice_ == 7 and ev.epoch == 8 and ev.slots == 9 and\n"
                "      ev.user_id:sub(1, 5) == \"user-\" then\n"
                "    return reject(\"held\")\n  end\nend");
}

static void a_view_tells_what_it_is_without_its_place(void **state)
{
    (void)state;
    assert_held("function(ev, req)\n  if tostring(ev) == \"event\" and\n"
                "      tostring(req) == \"request\" and ev == ev and ev ~= req and\n"
                "      ev ~= nil and not (ev == 5) and tonumber(ev) == nil then\n"
                "    return reject(\"held\")\n  end\nend");
}

#define WITH_HANDLES                                                                   \
    "(function()\n  local c = counter \"c_total\" { labels = { \"x\" } }\n"            \
    "  local g = gauge \"g\"\n"                                                        \
    "  local l = limit { rate = \"1000000/s\", burst = 1000000 }\n"                    \
    "  return function(ev, req)\n"

static void handles_have_nothing_to_be_written(void **state)
{
    static const char *const tries[] = {
        "c.index = 1000000", "c.cache = {}",  "c.cache.x = 1e9",  "c.n = 3",
        "g.index = -1",      "l.index = 99",  "l.key = \"x\"",    "l.message = {}",
        "c.index.x = 1",     "c.inc(g)",      "c.inc(l, 1)",      "g.set(c, 5)",
        "l.take(c, 1)",      "l.check(g, 1)", "c.inc(ev)",        "c.inc(5)",
        "c.inc(nil)",        "c.inc({})",     "c:inc(0/0)",       "c:inc(1/0)",
        "c:inc(-1)",         "c:inc(\"x\")",  "c:inc(ev)",        "g:set(ev)",
        "l:take({})",        "l:take(ev)",    "l:take(\"k\", {})"};

    (void)state;
    assert_each(tries, N_ELEMS(tries),
                WITH_HANDLES
                "    local ok = pcall(function() %s end)\n"
                "    c:inc(1, \"a\") g:set(2)\n"
                "    if not ok and l:take(\"k\") then return reject(\"held\") end\n"
                "  end\nend)()");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_that_is_no_text_reads_nothing),
        cmocka_unit_test(what_is_no_reading_of_a_text_raises),
        cmocka_unit_test(no_writing_goes_past_an_events_keys),
        cmocka_unit_test(a_key_with_the_name_of_a_member_is_the_events_own),
        cmocka_unit_test(a_view_tells_what_it_is_without_its_place),
        cmocka_unit_test(handles_have_nothing_to_be_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
