/* Policies and clients that would hold a thread or end the process: each attack is
 * over soon, and the event behind it has its turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>

#include "tools/hooked.h"

enum { BIG = 1500000, LIST = 30000, ATTEMPTS = 5 };
#ifdef __SANITIZE_ADDRESS__
/* Its time for the event behind is short for code that is several times slower: then the
 * attack is tried again, as when it takes too long. */
enum { MS_MAX = 250, INSTRUMENTED = 1 };
#else
enum { MS_MAX = 50, INSTRUMENTED = 0 };
#endif

struct attack {
    const char *name, *hook;
};

static char *body;
static size_t body_len;

static void put(const char *text)
{
    size_t n = strlen(text);

    memcpy(body + body_len, text, n);
    body_len += n;
}

/* An event of 4 MB: two long texts that are alike to the last byte, a long list, a
 * large number, a text that names a thing in it; and a small one. */
static void make_body(void)
{
    body = calloc(1, 8 << 20);
    body_len = 0;
    put("[{\"event_id\":\"e\",\"event_type\":\"click\",\"user_id\":\"user\","
        "\"timestamp\":1763900000000,\"count\":1000000000,\"title\":\"${title}\","
        "\"big\":\"");
    memset(body + body_len, 'a', BIG);
    body_len += BIG;
    put("b\",\"other\":\"");
    memset(body + body_len, 'a', BIG);
    body_len += BIG;
    put("c\",\"spaces\":\"x");
    memset(body + body_len, ' ', 200000);
    body_len += 200000;
    put("x\",\"list\":[0");
    for (int i = 0; i < LIST; i++) {
        put(",\"abcdefgh\"");
    }
    put("]},{\"event_id\":\"f\",\"event_type\":\"click\",\"user_id\":\"last\","
        "\"timestamp\":1763900000000}]");
}

/* Milliseconds of the thread for that body. */
static double attack(struct hooked *h)
{
    const struct route *route = &policy_plan(h->policy)->routes[0];
    struct refused no;
    uint64_t ns = clock_thread_ns();

    assert_true(decide_body(h->state, route, SCAN_BATCH, &h->req,
                            (struct str){body, body_len}, &h->batch, NULL, &h->raised,
                            &no));
    return (double)(clock_thread_ns() - ns) / 1e6;
}

/* The longest of three bodies, after which the event behind has had its turn. */
static double longest(const struct attack *a)
{
    struct hooked h;
    char hook[4096];
    double most = 0;

    (void)snprintf(hook, sizeof hook,
                   "(function()\n%s\n  return function(ev, req)\n"
                   "    if ev.user_id == \"last\" then return reject(\"last\") "
                   "end\n    attack(ev, req)\n  end\nend)()",
                   a->hook);
    hooked_open(&h, hook, false);
    for (int k = 0; k < 3; k++) {
        double ms = attack(&h);

        most = ms > most ? ms : most;
        if (h.batch.events[1].fate != EVENT_REJECT) {
            print_error("%s: the last: %s\n", a->name, h.batch.events[1].message);
            if (INSTRUMENTED) {
                most = HUGE_VAL;
                break;
            }
        }
        assert_int_equal(EVENT_REJECT, h.batch.events[1].fate);
        assert_string_equal("last", h.batch.events[1].code);
    }
    hooked_close(&h);
    return most;
}

/* A busy machine now and then makes a thread's time longer; an attack's own time is
 * there each time. */
static void assert_bounded(const struct attack *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double ms = longest(&list[i]);

        for (int k = 1; k < ATTEMPTS && ms > MS_MAX; k++) {
            print_message("%s: %.1f ms\n", list[i].name, ms);
            ms = longest(&list[i]);
        }
        if (ms > MS_MAX) {
            print_error("%s: %.1f ms, at most %d allowed\n", list[i].name, ms, MS_MAX);
        }
        assert_true(ms <= MS_MAX);
    }
}

#define ATTACK(text) "  local function attack(ev, req)\n" text "\n  end"

static void calls_from_c_into_lua_end_before_the_stack_does(void **state)
{
    static const struct attack list[] = {
        {"an expander",
         "  local function expand(s, ev)\n    return (s:gsub(\"%${(%w+)}\", "
         "function(k) return expand(ev[k], ev) end))\n  end\n" ATTACK(
             "ev.x = expand(ev.title, ev)")},
        {"gsub in gsub",
         "  local f\n  f = function(s) return (s:gsub(\".\", f)) end\n" ATTACK(
             "f(\"x\")")},
        {"sort in sort",
         "  local f\n  f = function() table.sort({ 1, 2, 3 }, f) end\n" ATTACK("f()")},
        {"gsub in sort",
         "  local f\n  f = function() return ((\"x\"):gsub(\".\", function() "
         "table.sort({ 1, 2 }, f) end)) end\n" ATTACK("f()")},
        {"pcall in pcall",
         "  local function f() pcall(f) pcall(f) end\n" ATTACK("f()")},
        {"a call of itself",
         "  local function f(n) return 1 + f(n) end\n" ATTACK("f(1)")}};

    (void)state;
    assert_bounded(list, N_ELEMS(list));
}

static void work_in_c_is_linear_or_stopped(void **state)
{
    static const struct attack list[] = {
        {"contains",
         ATTACK("for _ = 1, 1e6 do local _ = contains(ev.big, ev.other) end")},
        {"find", ATTACK("for _ = 1, 1e6 do ev.big:find(ev.other, 1, true) end")},
        {"find many", ATTACK("for _ = 1, 1e6 do ev.big:find((\"a\"):rep(100) .. "
                             "\"x\", 1, true) end")},
        {"find a pattern", ATTACK("ev.big:find((\"a*\"):rep(20) .. \"x\")")},
        {"split",
         ATTACK("for _ = 1, 1e6 do local _ = split(ev.big, (\"a\"):rep(700)) end")},
        {"part", ATTACK("for i = 1, 1e6 do local _ = part(ev.big, \"a\", 1e9) end")},
        {"trim by a pattern",
         ATTACK("for _ = 1, 1e6 do ev.spaces:match(\"^%s*(.-)%s*$\") end")},
        {"move", ATTACK("table.move({}, 1, ev.count, 2)")},
        {"move less", ATTACK("for _ = 1, 1e6 do table.move({}, 1, 900000, 2) end")},
        {"rep", ATTACK("for _ = 1, 1e6 do ev.x = (\"x\"):rep(1000000):len() end")},
        {"rep of digits", ATTACK("local s = (\"x\"):rep(\"1000000000\")")},
        {"reverse", ATTACK("for _ = 1, 1e6 do ev.big:reverse() end")},
        {"lower", ATTACK("for _ = 1, 1e6 do local _ = lower(ev.big) end")},
        {"sub", ATTACK("for i = 1, 1e6 do ev.big:sub(i) end")},
        {"format", ATTACK("for _ = 1, 1e6 do (\"%s%s\"):format(ev.big, ev.big) end")},
        {"concat", ATTACK("local t = {}\nfor i = 1, 40 do t[i] = ev.big end\n"
                          "for _ = 1, 1e6 do pcall(table.concat, t) end")},
        {"concat of nothing", ATTACK("for _ = 1, 1e6 do pcall(table.concat, {}, \"\", "
                                     "1, 2e9) end")},
        {"sort", ATTACK("for _ = 1, 1e6 do table.sort(get(ev, \"list\")) end")},
        {"insert", ATTACK("local t = {}\nfor i = 1, 1e6 do table.insert(t, 1, i) end")},
        {"insert below the first", ATTACK("table.insert({}, -ev.count, 1)")},
        {"insert nowhere", ATTACK("local n = ev.count * 1e308\n"
                                  "table.insert({}, n - n, 1)")},
        {"insert far behind", ATTACK("table.insert({}, ev.count * ev.count, 1)")},
        {"remove", ATTACK("local t = get(ev, \"list\")\nfor i = 1, 1e9 do "
                          "table.remove(t, 1) t[#t + 1] = 1 end")},
        {"no place",
         ATTACK("for _, i in ipairs { -2^31, -5e9, 0, 9, 1e300, 0 / 0 } do\n"
                "pcall(table.insert, {}, i, 1)\n"
                "pcall(table.remove, { 1 }, i) end")},
        {"a longer text", ATTACK("local s = \"x\"\nfor _ = 1, 1e6 do s = s .. s end")},
        {"pieces",
         ATTACK("local s = \"\"\nfor _ = 1, 1e7 do s = s .. \"xxxxxxxx\" end")},
        {"gsub of each", ATTACK("for _ = 1, 1e6 do ev.big:gsub(\".\", \"%0%0\") end")},
        {"gsub of long", ATTACK("ev.big:gsub(\"a\", (\"x\"):rep(1000000))")},
        {"compared", ATTACK("local n = 0\nlocal a, b = ev.big, ev.other\n"
                            "while a < b do n = n + 1 end")},
        {"numbers", ATTACK("for _ = 1, 1e6 do tonumber((\"1\"):rep(1000000)) end")},
        {"added", ATTACK("local s = (\"1\"):rep(1000000)\nlocal n = 0\n"
                         "while true do n = n + s end")},
        {"written back", ATTACK("for i = 1, 1e6 do ev.copy = get(ev, \"list\") end")},
        {"read again",
         ATTACK("for i = 1, 1e6 do local _ = get(ev, \"list[30000]\") end")},
        {"hashed", ATTACK("for i = 1, 1e6 do local _ = sha256(ev.big) end")},
        {"masked", ATTACK("for i = 1, 1e6 do local _ = mask((\"x\"):rep(65000)) end")},
        {"unpacked", ATTACK("local t = get(ev, \"list\")\n"
                            "for i = 1, 1e6 do select(\"#\", unpack(t, 1, 7000)) end")},
        {"bytes", ATTACK("for i = 1, 1e6 do select(\"#\", ev.big:byte(1, 7000)) end")},
        {"set often", ATTACK("for i = 1, 1e6 do ev.x = ev.big end")},
        {"without an end", ATTACK("while true do pcall(function() ev.a = 1 end) end")}};

    (void)state;
    assert_bounded(list, N_ELEMS(list));
}

static void a_function_that_calls_what_it_is_given_is_stopped(void **state)
{
    static const struct attack attacks[] = {
        {"itself, given",
         "  local function y(f, x) return f(f, x) end\n" ATTACK("return y(y, ev)")},
        {"itself, given, twice",
         "  local function y(f, n) f(f, n) return f(f, n) end\n" ATTACK(
             "return y(y, 1)")},
        {"a member of what is given",
         "  local function go(x) return x.run(x) end\n  local o = { run = go "
         "}\n" ATTACK("return go(o)")},
        {"a method of what is given",
         "  local function go(x) return x:find() end\n  local o = { find = go "
         "}\n" ATTACK("return go(o)")},
        {"by another name",
         "  local function y(x)\n    local f = x\n    if x == 1 then f = tostring end\n"
         "    return f(f)\n  end\n" ATTACK("return y(y)")},
        {"what a call gave",
         "  local function same(x) return x end\n"
         "  local function y(x) return same(x)(x) end\n" ATTACK("return y(y)")},
        {"what lies in a table",
         "  local function y(x) local t = { x } return t[1](x) end\n" ATTACK(
             "return y(y)")},
        {"what select gave",
         "  local function y(...) return (select(1, ...))(...) end\n" ATTACK(
             "return y(y)")},
        {"through pcall",
         "  local function y(f) pcall(f, f) pcall(f, f) end\n" ATTACK("return y(y)")},
        {"through gsub", "  local function y(f) return (\"xxx\"):gsub(\"x\", "
                         "function() end, 0), f(f) end\n" ATTACK("return y(y)")},
        {"set later",
         "  local later\n  local function y(x) return later(x) end\n" ATTACK(
             "later = y return y(ev)")}};
    (void)state;
    assert_bounded(attacks, N_ELEMS(attacks));
}

static void calls_that_no_look_at_the_functions_resolves_are_bounded(void **state)
{
    static const struct attack list[] = {
        {"a parameter",
         "  local function run(f, n) return f(f, n + 1) end\n" ATTACK("run(run, 1)")},
        {"one of many",
         "  local function run(...) return (...)(...) end\n" ATTACK("run(run, 1)")},
        {"next", "  local t = {}\n  function t.run(n) local _, f = next(t) return "
                 "f(n + 1) end\n" ATTACK("t.run(1)")},
        {"select", "  local function run(n, f) return (select(2, n, f))(n + 1, f) "
                   "end\n" ATTACK("run(1, run)")},
        {"unpack", "  local t = {}\n  t[1] = function(n) local f = unpack(t) return "
                   "f(n + 1) end\n" ATTACK("t[1](1)")},
        {"a field set later", "  local t = { go = lower }\n  local function run(n) "
                              "return t.go(n + 1) end\n" ATTACK("t.go = run\nrun(1)")},
        {"an entry set later",
         "  local t = {}\n  local function run(n) return "
         "t.go(n + 1) end\n" ATTACK("t[\"g\" .. \"o\"] = run\nrun(1)")},
        {"a field of what holds it",
         "  local t = { sub = {} }\n  local function run(n) "
         "return t.sub.go(n + 1) end\n" ATTACK("local s = t.sub\ns.go = run\nrun(1)")},
        {"a list",
         "  local t = {}\n  local function run(n) return t[1](n + 1) end\n" ATTACK(
             "table.insert(t, run)\nrun(1)")},
        {"a local set later",
         "  local go = lower\n  local function run(n) return go(n + 1) "
         "end\n  local function set(f) go = f end\n" ATTACK("set(run)\nrun(1)")},
        {"a global set later", "  go = lower\n  local function run(n) return go(n + 1) "
                               "end\n" ATTACK("go = run\nrun(1)")},
        {"a global set by _G", "  go = lower\n  local function run(n) return go(n + 1) "
                               "end\n" ATTACK("_G[\"go\"] = run\nrun(1)")},
        {"a method",
         "  local o = {}\n  function o.turn(self, n) return self:turn(n + 1) "
         "end\n" ATTACK("o:turn(1)")},
        {"a method of what was handed over",
         "  local o = {}\n  function o.turn(x, n) "
         "return x.o:turn(n + 1) end\n  o.o = o\n" ATTACK("local x = o\nx:turn(1)")},
        {"a method by a computed name",
         "  local o = {}\n  function o.turn(n, k) return "
         "o[k](n + 1, k) end\n" ATTACK("o.turn(1, \"tu\" .. \"rn\")")},
        {"a table made by the hook",
         "  local function run(t) return t.go(t) end\n" ATTACK("run({ go = run })")},
        {"a result", "  local run\n  local function it() return run end\n"
                     "  run = function(n) return it()(n + 1) end\n" ATTACK("run(1)")},
        {"an error's value",
         "  local function run(n, ok, f) if n then return run(nil, "
         "pcall(error, n)) end return f(f) end\n" ATTACK("run(run)")},
        {"one of two",
         "  local run\n  local function pick(f, n) return (n < 0 and lower or "
         "f)(f, n + 1) end\n  run = pick\n" ATTACK("run(pick, 1)")},
        {"two closures of one text",
         "  local function of(t) return function(n) return "
         "t.f(n + 1) end end\n  local t, u = {}, {}\n  t.f = of(u)\n"
         "  u.f = of(t)\n" ATTACK("t.f(1)")},
        {"a closure like a compiled one",
         "  local function of(t) return function(n) return "
         "t.f(n + 1) end end\n  local good = of({ f = type })\n" ATTACK(
             "for i = 1, 200 do good(i) end\n"
             "local t = {}\nt.f = of(t)\nt.f(1)")},
        {"pcall",
         "  local function run(f, n) pcall(f, f, n + 1) return f(f, n) end\n" ATTACK(
             "run(run, 1)")},
        {"a comparator",
         "  local function run(f, n) table.sort({ 1, 2 }, f) return f(f, n) "
         "end\n" ATTACK("run(run, 1)")},
        {"a replacement",
         "  local function run(f) if type(f) == \"string\" then return f "
         "end (\"xx\"):gsub(\".\", f) return f(f) end\n" ATTACK("run(run)")},
        {"goto", ATTACK("::top:: ev.a = 1 goto top")},
        {"a range", ATTACK("for _ = 1, 1e300 do end")},
        {"calls that double", "  local function f0(n) return n + 1 end\n"
                              "  local t = { [0] = f0 }\n"
                              "  for i = 1, 40 do local g = t[i - 1] t[i] = "
                              "function(n) return g(g(n)) end end\n"
                              "  local last = t[40]\n" ATTACK("last(1)")},
        {"written out, calls that double",
#define TWICE(n, m) "  local function f" #n "(n) return f" #m "(f" #m "(n)) end\n"
         "  local function f0(n) return n + 1 end\n" TWICE(1, 0) TWICE(2, 1) TWICE(3, 2)
             TWICE(4, 3) TWICE(5, 4) TWICE(6, 5) TWICE(7, 6) TWICE(8, 7) TWICE(9, 8)
                 TWICE(10, 9) TWICE(11, 10) TWICE(12, 11) TWICE(13, 12) TWICE(14, 13)
                     TWICE(15, 14) TWICE(16, 15) TWICE(17, 16) TWICE(18, 17)
                         TWICE(19, 18) TWICE(20, 19) TWICE(21, 20) TWICE(22, 21)
                             TWICE(23, 22) TWICE(24, 23) TWICE(25, 24) TWICE(26, 25)
                                 TWICE(27, 26) TWICE(28, 27) TWICE(29, 28) TWICE(30, 29)
                                     TWICE(31, 30) TWICE(32, 31) TWICE(33, 32)
                                         TWICE(34, 33) ATTACK("f34(1)")}};

    (void)state;
    assert_bounded(list, N_ELEMS(list));
}

static void a_load_that_would_end_the_process_is_refused(void **state)
{
    static const char *const texts[] = {
        "local f f = function(s) return (s:gsub(\".\", f)) end\nf(\"x\")",
        "local f f = function() table.sort({ 1, 2, 3 }, f) end\nf()",
        "local function f() return 1 + f() end\nf()",
        "string.rep = function() end",
        "function string.spin() end",
        "table.insert(string, 5)",
        "string.format = nil",
        "math.x = 1",
        "getmetatable(\"\").__index.sub = nil",
        "_G.reject = 5",
        "table.insert(_G, 5)",
        "local s = \"x\" while true do s = s .. s end",
        "local t = {} while true do t[#t + 1] = {} end",
        "local t = {} for i = 1, 1e7 do t[i] = {} pcall(string.rep, \"x\", i) end"};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(texts); i++) {
        struct policy_report report;
        struct policy *p = policy_load_text("p.lua", str_of(texts[i]), &report);

        if (p != NULL) {
            print_error("%s: taken\n", texts[i]);
        }
        assert_null(p);
        assert_true(report.n_problems > 0);
        policy_report_fini(&report);
    }
}

static int set_up(void **state)
{
    (void)state;
    make_body();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(body);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_from_c_into_lua_end_before_the_stack_does),
        cmocka_unit_test(work_in_c_is_linear_or_stopped),
        cmocka_unit_test(a_function_that_calls_what_it_is_given_is_stopped),
        cmocka_unit_test(calls_that_no_look_at_the_functions_resolves_are_bounded),
        cmocka_unit_test(a_load_that_would_end_the_process_is_refused),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
