/* The bounded patterns against Lua's own, which are the oracle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lauxlib.h>
#include <lualib.h>

#include "policy/library/pattern.h"

/* Ours is the global table `ours`. */
static void run(const char *text)
{
    lua_State *L = luaL_newstate();

    luaL_openlibs(L);
    lua_newtable(L);
    pattern_open(L);
    lua_setglobal(L, "ours");
    if (luaL_dostring(L, text) != 0) {
        fail_msg("%s", lua_tostring(L, -1));
    }
    lua_close(L);
}

static void it_finds_what_lua_finds(void **state)
{
    (void)state;
    run("math.randomseed(7)\n"
        "local items = { 'a', 'b', '.', '%a', '%d', '%s', '%W', '[ab]',"
        "  '[^a]', '[a-c]', '[%d_]', '[]]', '[^]]', '%1', '()', '(', ')',"
        "  '%b()', '%f[%a]', '^', '$', '%%', '-', '[', '%', 'x', ' ', '%g',"
        "  '%x', '%z', '[%a-z]', '[a-]' }\n"
        "local marks = { '', '', '', '*', '+', '-', '?' }\n"
        "local letters = { 'a', 'b', 'c', '1', ' ', '(', ')', ']', '-', 'x' }\n"
        "local function some(list, n, more)\n"
        "  local t = {}\n"
        "  for i = 1, math.random(0, n) do\n"
        "    t[i] = list[math.random(#list)]\n"
        "    if more then t[i] = t[i] .. more[math.random(#more)] end\n"
        "  end\n"
        "  return table.concat(t)\n"
        "end\n"
        "local function all(s, p) local t = {}\n"
        "  return function(gmatch)\n"
        "    t = {} for x, y in gmatch(s, p) do t[#t + 1] = tostring(x) ..\n"
        "      '/' .. tostring(y) end return table.concat(t, ';') end end\n"
        "local function show(...)\n"
        "  local t = { ... }\n"
        "  if not t[1] then return 'error' end\n"
        "  for i = 1, select('#', ...) do t[i] = tostring(t[i]) end\n"
        "  return table.concat(t, ',')\n"
        "end\n"
        "local n, good = 0, 0\n"
        "for i = 1, 200000 do\n"
        "  local s, p = some(letters, 12), some(items, 6, marks)\n"
        "  local at = math.random(-5, 14)\n"
        "  local calls = {\n"
        "    { show(pcall(string.find, s, p, at)),\n"
        "      show(pcall(ours.find, s, p, at)) },\n"
        "    { show(pcall(string.match, s, p, at)),\n"
        "      show(pcall(ours.match, s, p, at)) },\n"
        "    { show(pcall(string.gsub, s, p, '<%0%1>')),\n"
        "      show(pcall(ours.gsub, s, p, '<%0%1>')) },\n"
        "    { show(pcall(string.gsub, s, p, function(x) return x end, 2)),\n"
        "      show(pcall(ours.gsub, s, p, function(x) return x end, 2)) },\n"
        "    { show(pcall(string.gsub, s, p, { a = 'A', b = false })),\n"
        "      show(pcall(ours.gsub, s, p, { a = 'A', b = false })) },\n"
        "    { show(pcall(all(s, p), string.gmatch)),\n"
        "      show(pcall(all(s, p), ours.gmatch)) } }\n"
        "  for k, c in ipairs(calls) do\n"
        "    n = n + 1\n"
        "    if c[1] ~= 'error' then good = good + 1 end\n"
        "    if c[1] ~= c[2] then\n"
        "      error(('%d: %q with %q at %d: %s, ours %s'):format(k, s, p, at,\n"
        "        c[1], c[2]))\n"
        "    end\n"
        "  end\n"
        "end\n"
        "assert(good > n / 3)\n");
}

static void it_gives_up_what_would_take_ages(void **state)
{
    (void)state;
    run("local s = ('a'):rep(60)\n"
        "local hard = ('a-'):rep(30) .. 'b'\n"
        "for name, f in pairs(ours) do\n"
        "  local began = os.clock()\n"
        "  local ok, why\n"
        "  if name == 'gmatch' then\n"
        "    ok, why = pcall(f(s, hard))\n"
        "  else\n"
        "    ok, why = pcall(f, s, hard, 'x')\n"
        "    if name ~= 'gsub' then ok, why = pcall(f, s, hard) end\n"
        "  end\n"
        "  assert(not ok and why:find('takes too long'), name)\n"
        "  assert(os.clock() - began < 1)\n"
        "end\n"
        /* A long text is no reason, nor is a plain look through it. */
        "local long = ('x y '):rep(500000)\n"
        "assert(select(2, ours.gsub(long, '%s', '_')) == 1000000)\n"
        "assert(ours.match(long .. 'z', 'z$') == 'z')\n");
}

static void it_makes_no_text_without_end(void **state)
{
    (void)state;
    run("local text, long = ('a'):rep(100000), ('x'):rep(1000)\n"
        "local forms = { long, function() return long end, { a = long }, '%0%1' }\n"
        "for i, with in ipairs(forms) do\n"
        "  local s = i == 4 and ('a'):rep(9000000) or text\n"
        "  local ok, why = pcall(ours.gsub, s, i == 4 and '.+' or 'a', with)\n"
        "  assert(not ok and why:find('more than 16 MiB', 1, true), i)\n"
        "end\n"
        "assert(#ours.gsub(text, 'a', ('x'):rep(100)) == 10000000)\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_finds_what_lua_finds),
        cmocka_unit_test(it_gives_up_what_would_take_ages),
        cmocka_unit_test(it_makes_no_text_without_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
