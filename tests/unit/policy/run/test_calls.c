/* Hooks of the usual kinds, with helpers, modules and tables of functions, have no
 * round of calls: they may be compiled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tools/hooked.h"

struct kind {
    const char *name, *top, *hook; /* the text around the hook, and its own text */
};

static const struct kind plain[] = {
    {"a helper", "local function tidy(s) return lower(trim(s)) end",
     "ev.page = tidy(ev.page)"},
    {"helpers of helpers",
     "local function tidy(s) return lower(trim(s)) end\n"
     "local function both(ev) ev.page = tidy(ev.page) ev.user_id = tidy(ev.user_id) "
     "end",
     "both(ev)"},
    {"a module",
     "local M = {}\nfunction M.amount(ev) return (ev.value or 0) * 100 end\n"
     "function M.cents(ev) return math.floor(M.amount(ev) + 0.5) end",
     "ev.cents = M.cents(ev)"},
    {"a module of modules",
     "local M = { text = {} }\nfunction M.text.tidy(s) return s and s:lower() end\n"
     "function M.apply(ev) ev.page = M.text.tidy(ev.page) end",
     "M.apply(ev)"},
    {"a table of functions by type",
     "local by = {}\nfunction by.click(ev) ev.kind = 1 end\n"
     "by.purchase = function(ev) if not ev.value then return reject(\"no_value\") end "
     "end",
     "local f = by[ev.event_type]\nif f then return f(ev) end"},
    {"the same in a module that dispatches",
     "local M, by = {}, {}\nfunction by.click(ev) ev.kind = M.kind(ev) end\n"
     "function M.kind(ev) return ev.event_type:upper() end\n"
     "function M.dispatch(ev) local f = by[ev.event_type] if f then return f(ev) end "
     "end",
     "return M.dispatch(ev)"},
    {"methods of texts",
     "local function domain(s) return s and s:match(\"@(.+)$\") end",
     "ev.domain = domain(ev.user_id)\nev.first = ev.user_id:sub(1, 2):upper()"},
    {"words kept in locals",
     "local floor, sub, find = math.floor, string.sub, string.find\n"
     "local function cut(s) return sub(s, 1, 3) end",
     "ev.n = floor(1.5)\nev.short = cut(ev.user_id)\n"
     "ev.at = find(ev.user_id, \"-\", 1, true)"},
    {"pcall of a helper", "local function risky(ev) ev.n = tonumber(ev.page) end",
     "local ok = pcall(risky, ev)\nif not ok then ev.bad = true end"},
    {"pcall of what has methods",
     "local function risky(ev) ev.n = ev.user_id:lower():gsub(\"a\", \"b\") end",
     "local ok = pcall(risky, ev)"},
    {"a function handed over", "local function apply(f, ev, k) ev[k] = f(ev[k]) end",
     "apply(lower, ev, \"page\")"},
    {"one of two",
     "local function a(s) return s end\nlocal function b(s) return upper(s) end",
     "local f = ev.value and a or b\nev.page = f(ev.page)"},
    {"made by a function",
     "local function need(k) return function(ev) if ev[k] == nil then return "
     "reject(\"missing\") end end end\nlocal value = need(\"value\")\nlocal user = "
     "need(\"user_id\")",
     "local r = user(ev) or value(ev)\nif r then return r end"},
    {"globals", "function tidy(s) return lower(s) end\nlimits = { top = 5 }",
     "ev.page = tidy(ev.page)\nev.over = (ev.value or 0) > limits.top"},
    {"a count in a global",
     "n = 0\nfunction bump() n = n + 1 end\nfunction tidy(s) return s and s:lower() "
     "end",
     "bump()\nev.n = n\nev.page = tidy(ev.page)"},
    {"a count in a local", "local n = 0\nlocal function bump() n = n + 1 return n end",
     "ev.n = bump()"},
    {"a memory of what was seen",
     "local seen = {}\nlocal function first(k) if seen[k] then return false end "
     "seen[k] = true return true end",
     "ev.first = first(ev.event_type)"},
    {"a module that another hook writes to",
     "local M = { n = 0 }\nfunction M.tidy(s) return s and s:lower() end\n"
     "function M.run(ev) M.n = M.n + 1 M.last = ev.page ev.page = M.tidy(ev.page) end",
     "M.run(ev)"},
    {"tables of values",
     "local map = { click = \"c\", purchase = \"p\" }\n"
     "local conf = { limits = { value = 10 } }",
     "ev.short = map[ev.event_type]\nif ev.value and ev.value > conf.limits.value then "
     "return drop() end"},
    {"many answers",
     "local function check(ev) if not ev.user_id then return reject(\"a\", \"b\") end "
     "if ev.value == 3 then return drop() end end\nlocal function route(ev) if "
     "ev.value == 4 "
     "then return to(\"s\") end end",
     "local r = check(ev)\nif r ~= nil then return r end\nreturn route(ev)"},
    {"what returns its answer through a helper",
     "local function refuse(why) return reject(\"refused\", why) end\n"
     "local function check(ev) return ev.value and ev.value < 0 and refuse(\"low\") or "
     "nil end",
     "return check(ev)"},
    {"a method of an own object",
     "local rules = { max = 10 }\nfunction rules:over(ev) return (ev.value or 0) > "
     "self.max "
     "end\nfunction rules:apply(ev) ev.high = rules:over(ev) end",
     "rules:apply(ev)"},
};

/* Loops and functions in other hooks of the same policy must not slow these down. */
static const char beside[] =
    "local function pass(f, x) return f(x) end\n"
    "beside = function(ev) for k, v in pairs({ 1, 2 }) do pass(tostring, v) end\n"
    "  pcall(function() ev.x = 1 end) end\n";

static bool is_bounded(const struct kind *k, const char *more)
{
    char hook[4096];
    struct hooked h;
    bool bounded;

    (void)snprintf(hook, sizeof hook,
                   "(function()\n%s\n%s\nreturn function(ev, req)\n%s\nend end)()",
                   more, k->top, k->hook);
    hooked_open(&h, hook, true);
    bounded = policy_is_bounded(h.state, &policy_plan(h.policy)->routes[0]);
    (void)hooked_run(&h, 0);
    if (h.raised > 0) {
        print_error("%s: %s\n", k->name, h.batch.events[0].message);
    }
    assert_int_equal(0, h.raised);
    hooked_close(&h);
    return bounded;
}

static void hooks_of_the_usual_kinds_are_compiled(void **state)
{
    bool all = true;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(plain); i++) {
        if (is_bounded(&plain[i], "") || is_bounded(&plain[i], beside)) {
            print_error("%s: interpreted\n", plain[i].name);
            all = false;
        }
    }
    assert_true(all);
}

static void hooks_with_a_round_of_calls_are_not(void **state)
{
    static const struct kind rounds[] = {
        {"a parameter",
         "local function run(f, n) if n > 0 then return f(f, n - 1) end end",
         "run(run, 3)"},
        {"a field set by the hook",
         "local t = {}\nlocal function run(n) if n > 0 then return t.go(n - 1) end end",
         "t.go = run\nrun(3)"},
        {"a local set by a helper",
         "local go\nlocal function run(n) if n > 0 then return go(n - 1) end end\n"
         "local function set(f) go = f end",
         "set(run)\nrun(3)"},
        {"a table's walk",
         "local t = {}\nfunction t.run(n) local _, f = next(t) if n > 0 then return "
         "f(n - 1) "
         "end end",
         "t.run(3)"},
        {"a method",
         "local o = {}\nfunction o.turn(self, n) if n > 0 then return self:turn(n - 1) "
         "end end",
         "o:turn(3)"}};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(rounds); i++) {
        if (!is_bounded(&rounds[i], "")) {
            print_error("%s: compiled\n", rounds[i].name);
            fail();
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hooks_of_the_usual_kinds_are_compiled),
        cmocka_unit_test(hooks_with_a_round_of_calls_are_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
