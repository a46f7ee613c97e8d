/* Hooks that try to see more than their event, or to stay: they get a plain value or an
 * error, and never an address. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tools/hooked.h"

struct escape {
    const char *text;    /* of the hook */
    const char *page;    /* the new ev.page; NULL: it raises */
    const char *message; /* in the error that it raises */
};

static const struct escape escapes[] = {
    {"ev.page = tostring({})", "table", NULL},
    {"ev.page = tostring(tostring)", "function", NULL},
    {"ev.page = tostring(reject)", "function", NULL},
    {"ev.page = tostring(string)", "table", NULL},
    {"ev.page = tostring(req.headers)", "table", NULL},
    {"ev.page = tostring(ev) .. tostring(req)", "eventrequest", NULL},
    {"ev.page = tostring(null)", "null", NULL},
    {"ev.page = tostring(\"0x10\")", "0x10", NULL},
    {"ev.page = (\"%s %5s|%-9s|\"):format({}, ev, type)", "table event|function |",
     NULL},
    {"ev.page = (\"%s 0x%x\"):format(\"0x1\", 255)", "0x1 0xff", NULL},
    {"ev.page = (\"%%p 0x\"):format(5)", "%p 0x", NULL},
    {"ev.page = (\"%p\"):format({})", NULL, "an address is not to be had"},
    {"ev.page = (\"%p\"):format(\"x\")", NULL, "an address is not to be had"},
    {"ev.page = (\"%20p\"):format(ev)", NULL, "an address is not to be had"},
    {"error({})", NULL, "table"},
    {"error(ev)", NULL, "event"},
    {"return reject(\"a\", {})", NULL, NULL},
    {"ev.page = tostring(select(2, pcall(error, {})))", "table", NULL},
    {"ev.page = (\"%99999d\"):format(1)", NULL, "invalid"},
    {"ev.page = (\"x\"):rep(-1) .. \"y\"", "y", NULL},
    {"ev.page = (\"x\"):rep(1e10)", NULL, "1 MiB"},
    {"local n = 5 ev.page = string.rep(n, 1e9)", NULL, "1 MiB"},
    {"ev.page = tostring(#(\"\"):rep(2e9))", "0", NULL},
    {"ev.page = (\"x\"):rep(0 / 0) .. \"y\"", "y", NULL},
    {"for k in next, ev do end", NULL, "no table"},
    {"for k in pairs(ev) do end", NULL, "no table"},
    {"for k in pairs(req) do end", NULL, "no table"},
    {"(\"\").x = 1", NULL, "attempt to index"},
    {"string.x = 1", NULL, "read-only"},
    {"table.insert(string, 1)", NULL, "can't be changed"},
    {"ev.page = ev + 1", NULL, "arithmetic"},
    {"ev.page = ev < 1LL", NULL, "compare"},
    {"ev.page = tostring(ev == 1LL)", "false", NULL},
    {"string.dump(type)", NULL, "nil value"},
    {"_G.debug.x()", NULL, "unknown global"},
    {"ev.page = #ev", NULL, "length"},
    {"ev.page = ev()", NULL, "call"},
    {"ev.page = tostring(get(1LL, \"page\"))", NULL, "expected an event"},
    {"local r = req ev.page = tostring(get(r, \"page\"))", NULL, "expected an event"},
    {"ev[1LL] = 5", NULL, "a text"},
    {"ev.page = tostring(ev[1LL])", "nil", NULL},
    {"ev.page = tostring(ev[ev])", "nil", NULL},
    {"ev.page = 1LL", NULL, "cdata"},
    {"ev.page = type", NULL, "function"},
    {"local t = {} t.t = t ev.page = t", NULL, "deep"},
    {"table.sort({ 3, 1, 2, 5, 4 }, function() return true end) ev.page = \"y\"", NULL,
     "invalid order"},
    {"table.sort({ 1, {} })", NULL, "compare"},
    {"table.sort({ 2, 1 }, error)", NULL, ""},
    {"ev.page = table.concat({ 1, 2 }, \"\", -1e9, 2)", NULL, NULL},
    {"ev.page = table.concat({ 1, 2 }, \"-\", 1, 2)", "1-2", NULL},
    {"table.concat({ 1 }, \"\", 1, 2 ^ 53)", NULL, NULL},
    {"unpack({}, 1, 1e8)", NULL, "unpack"},
    {"ev.page = tostring(select(\"#\", unpack({}, 1e9, 1)))", "0", NULL},
    {"select(-5, 1)", NULL, "out of range"},
    {"ev.page = (\"x\"):gsub(\"x\", \"%9\")", NULL, "capture"},
    {"ev.page = (\"x\"):find((\"(\"):rep(40))", NULL, NULL},
    {"ev.page = (\"x\"):find(\"%\")", NULL, "malformed"},
    {"local f f = function(s) return (s:gsub(\".\", f)) end f(\"x\")", NULL,
     "overflow"},
};

static void open_one(struct hooked *h, const char *text)
{
    char hook[1024];

    (void)snprintf(hook, sizeof hook, "function(ev, req)\n%s\nend", text);
    hooked_open(h, hook, true);
}

static bool has_page(const struct hooked *h, const char *page)
{
    const struct event_batch *b = &h->batch;
    const struct event *ev = &b->events[0];

    for (uint32_t i = ev->edit_first; i != 0; i = b->edits[i - 1].next) {
        const struct edit *e = &b->edits[i - 1];

        if (e->value_len == strlen(page) + 2 &&
            memcmp(e->value + 1, page, strlen(page)) == 0) {
            return true;
        }
    }
    return false;
}

static bool fits(const struct escape *x)
{
    const struct event *ev;
    struct hooked h;
    bool good;

    open_one(&h, x->text);
    (void)hooked_one(&h);
    ev = &h.batch.events[0];
    if (x->page != NULL) {
        good = ev->fate == EVENT_ACCEPT && has_page(&h, x->page);
    } else {
        good = ev->fate != EVENT_ACCEPT && strstr(ev->message, "0x") == NULL &&
               (x->message == NULL || strstr(ev->message, x->message) != NULL);
    }
    if (!good) {
        (void)fprintf(stderr, "%s\n  fate %u: %s\n", x->text, ev->fate,
                      ev->message == NULL ? "" : ev->message);
    }
    hooked_close(&h);
    return good;
}

static void nothing_is_an_address_or_a_way_out(void **state)
{
    bool all = true;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(escapes); i++) {
        all = fits(&escapes[i]) && all;
    }
    assert_true(all);
}

static void what_reaches_further_is_refused_at_the_load(void **state)
{
    static const char *const words[] = {"require(\"ffi\")",
                                        "ffi.cast",
                                        "debug.getinfo(1)",
                                        "getfenv(1)",
                                        "setfenv(1, {})",
                                        "getmetatable(\"\")",
                                        "setmetatable({}, {})",
                                        "rawset({}, 1, 1)",
                                        "rawget({}, 1)",
                                        "collectgarbage()",
                                        "loadstring(\"x\")",
                                        "load(\"x\")",
                                        "dofile(\"x\")",
                                        "io.open(\"x\")",
                                        "os.exit()",
                                        "package.loaded",
                                        "jit.off()",
                                        "coroutine.wrap(type)",
                                        "newproxy()",
                                        "xpcall(type, type)",
                                        "module(\"x\")",
                                        "print(1)"};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(words); i++) {
        struct policy_report report;
        struct policy *p;
        char text[512];

        (void)snprintf(text, sizeof text,
                       "null \"n\" {}\nstream \"s\" { sinks = { \"n\" } }\n"
                       "route \"POST /e\" { body = \"batch\", stream = \"s\",\n"
                       "  on_event = function(ev) local x = %s end }\n",
                       words[i]);
        p = policy_load_text("p.lua", str_of(text), &report);
        if (p != NULL) {
            (void)fprintf(stderr, "%s: taken\n", words[i]);
        }
        assert_null(p);
        assert_true(report.n_problems > 0);
        policy_report_fini(&report);
    }
}

/* The last of many events was kept: a request of one has no such event. */
static void an_event_that_is_kept_is_gone_when_a_request_has_fewer(void **state)
{
    struct hooked h;

    (void)state;
    hooked_open(&h,
                "(function()\nlocal kept\nreturn function(ev, req)\n"
                "  if kept and kept.user_id then kept.page = \"x\" end\n  kept = ev\n"
                "end end)()",
                true);
    (void)hooked_run(&h, 0);
    assert_int_equal(0, h.raised);
    for (unsigned i = 1; i < 4; i++) {
        (void)hooked_one(&h);
        assert_int_equal(1, h.raised);
        assert_non_null(strstr(h.batch.events[0].message, "after its request"));
    }
    hooked_close(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_an_address_or_a_way_out),
        cmocka_unit_test(what_reaches_further_is_refused_at_the_load),
        cmocka_unit_test(an_event_that_is_kept_is_gone_when_a_request_has_fewer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
