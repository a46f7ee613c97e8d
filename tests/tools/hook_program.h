/*
 * hook_program - a random policy: functions that call each other by all ways that Lua
 * has, and the hook that calls them; and bodies of odd events for it. The program
 * depends on the seed alone.
 */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/attr.h"

enum { PROGRAM_TEXT = 16384, PROGRAM_BODY = 4 << 20 };

struct text {
    char p[PROGRAM_TEXT];
    size_t n;
};

/* The parts that one program may have; the rest is chosen as it is written. */
static struct {
    uint64_t random;
    bool loops;    /* that end: it is interpreted */
    bool endless;  /* that may not */
    bool closures; /* functions made for each event */
    bool guarded;  /* functions stop calling each other after some calls */
    bool rest;     /* inside a function with ... */
} program;

static inline unsigned below(unsigned n)
{
    program.random ^= program.random << 13;
    program.random ^= program.random >> 7;
    program.random ^= program.random << 17;
    return (unsigned)((program.random * 0x2545F4914F6CDD1Du >> 33) % n);
}

static inline void put(struct text *t, const char *s)
{
    size_t k = strlen(s);

    if (t->n + k < sizeof t->p) {
        memcpy(t->p + t->n, s, k + 1);
        t->n += k;
    }
}

#define PICK(t, list) put(t, list[below(N_ELEMS(list))])

static const char *const names[] = {"ev.a",
                                    "ev.b",
                                    "ev.user_id",
                                    "ev.value",
                                    "ev[\"o.p\"]",
                                    "ev.list",
                                    "ev.missing",
                                    "ev.event_type",
                                    "x",
                                    "y",
                                    "a",
                                    "b",
                                    "req.path",
                                    "ev[1]",
                                    "ev[ev.value]",
                                    "ev.sluice_",
                                    "ev[x]",
                                    "ev[\"\"]",
                                    "ev.deep",
                                    "ev.long",
                                    "T.n",
                                    "T.list",
                                    "T[1]",
                                    "O.n",
                                    "kept",
                                    "kept.a",
                                    "G",
                                    "T[x]",
                                    "req.headers.host",
                                    "ev[\"a.b\"]"};
static const char *const constants[] = {"nil",
                                        "true",
                                        "false",
                                        "0",
                                        "1",
                                        "-1",
                                        "1e8",
                                        "2^31",
                                        "2^53",
                                        "-2^63",
                                        "0/0",
                                        "1/0",
                                        "1LL",
                                        "\"\"",
                                        "\"a\"",
                                        "\"${a}\"",
                                        "\"%s*\"",
                                        "{}",
                                        "{ 1, 2 }",
                                        "{ a = 1 }",
                                        "\"[1]\"",
                                        "null",
                                        "(\"x\"):rep(3000)",
                                        "ev",
                                        "req",
                                        "reject",
                                        "5.5",
                                        "\"o.p\"",
                                        "\"list[2]\"",
                                        "string",
                                        "req.headers",
                                        "select",
                                        "-0",
                                        "{ 1, nil, 3 }",
                                        "{ [3] = 1, [1] = 2 }",
                                        "\"\\255\\0\"",
                                        "\"(\"",
                                        "\"%\"",
                                        "\"[a\"",
                                        "\"%b\"",
                                        "\"(.-)%1\"",
                                        "\"^(.*)$\"",
                                        "\"%99999d\"",
                                        "\"%5.3s\"",
                                        "\"%p\"",
                                        "\"%c\"",
                                        "\"%q\"",
                                        "\"%x\"",
                                        "\"1e400\"",
                                        "\"0x1p4\"",
                                        "f1",
                                        "f2",
                                        "T",
                                        "O",
                                        "h1",
                                        "mk(1)",
                                        "1e-320",
                                        "-2^31",
                                        "99",
                                        "\"deep.b.b\"",
                                        "\"a]\"",
                                        "\"\\n\""};
static const char *const operators[] = {" + ",   " - ",  " * ",  " / ", " % ",
                                        " .. ",  " == ", " ~= ", " < ", " <= ",
                                        " and ", " or ", " ^ ",  " > "};
static const char *const calls[] = {"lower(",
                                    "upper(",
                                    "trim(",
                                    "contains(",
                                    "starts_with(",
                                    "ends_with(",
                                    "split(",
                                    "part(",
                                    "get(ev, ",
                                    "has(ev, ",
                                    "hash(",
                                    "mask(",
                                    "sha256(",
                                    "url_decode(",
                                    "tonumber(",
                                    "tostring(",
                                    "type(",
                                    "string.rep(",
                                    "string.sub(",
                                    "string.find(",
                                    "string.match(",
                                    "string.gsub(",
                                    "string.format(",
                                    "string.byte(",
                                    "string.char(",
                                    "string.gmatch(",
                                    "table.concat(",
                                    "table.insert(",
                                    "table.remove(",
                                    "table.move(",
                                    "table.sort(",
                                    "math.floor(",
                                    "bit.bor(",
                                    "bit.lshift(",
                                    "bit.tohex(",
                                    "select(",
                                    "unpack(",
                                    "next(",
                                    "pcall(",
                                    "iso8601(",
                                    "parse_time(",
                                    "mask_ip(",
                                    "base64_encode(",
                                    "base64_decode(",
                                    "param(",
                                    "equal(",
                                    "hmac(",
                                    "array(",
                                    "items(ev, ",
                                    "assert(",
                                    "pairs(",
                                    "ipairs(",
                                    "math.max(",
                                    "string.reverse(",
                                    "math.fmod(",
                                    "math.random(",
                                    "math.ldexp(",
                                    "string.len(",
                                    "error(",
                                    "get(kept, ",
                                    "(\"abc\"):rep(",
                                    "(\"abc\"):find(",
                                    "(\"a%d\"):format(",
                                    "(\"x,y\"):gsub(",
                                    "pcall(error, ",
                                    "table.insert(T.list, ",
                                    "table.remove(T.list, ",
                                    "table.concat(T.list, ",
                                    "string.gsub(\"ab\", \".\", ",
                                    "table.sort({ 3, 1, 2 }, ",
                                    "string.gsub(ev.user_id, ",
                                    "math.floor(-",
                                    "bit.arshift(",
                                    "math.pow("};
/* Functions of the policy, as they may be named. */
static const char *const own[] = {"f1(",
                                  "f2(",
                                  "f3(",
                                  "f4(",
                                  "h1(",
                                  "h2(",
                                  "T.go(",
                                  "T.sub.run(",
                                  "T[1](",
                                  "O:turn(",
                                  "O.turn(O, ",
                                  "O.step(O, ",
                                  "O:step(",
                                  "G(",
                                  "gf(",
                                  "mk(f1)(",
                                  "mk(2)(",
                                  "T.made(",
                                  "pcall(f1, ",
                                  "pcall(T.go, ",
                                  "select(2, f1, f2)(",
                                  "unpack(T)(",
                                  "T[\"go\"](",
                                  "a(",
                                  "b(",
                                  "x(",
                                  "(f1 or f2)(",
                                  "(x and f3 or h1)(",
                                  "T.set(",
                                  "a.go(",
                                  "b:turn(",
                                  "P.both(h1, h2)(",
                                  "W:find(",
                                  "W.sub.turn(W, ",
                                  "pcall(pcall, f2, ",
                                  "(next(F))(",
                                  "ev.event_type:upper(",
                                  "P.run(f1, ",
                                  "P.run(P.run, ",
                                  "T.sub.back.go("};

static void expression(struct text *t, int depth);

static inline void arguments(struct text *t, unsigned n, int depth)
{
    for (unsigned i = 0; i < n; i++) {
        put(t, i > 0 ? ", " : "");
        expression(t, depth);
    }
    put(t, ")");
}

/* f( of a function or method, or pcall(f, of it: an error ends the event. */
static inline void name_call(struct text *t, const char *call)
{
    size_t n = strlen(call);
    char f[64];

    if (call[n - 1] == '(' && strchr(call, ':') == NULL && below(4) > 0) {
        (void)snprintf(f, sizeof f, "try(%.*s, ", (int)n - 1, call);
        put(t, f);
    } else if (call[n - 1] == ' ' && strncmp(call, "pcall", 5) != 0 && below(4) > 0) {
        const char *at = strchr(call, '(');

        (void)snprintf(f, sizeof f, "try(%.*s, %s", (int)(at - call), call, at + 1);
        put(t, f);
    } else {
        put(t, call);
    }
}

/* Mostly of values that have that operation: the rest raises. */
static inline void operation(struct text *t, int depth)
{
    static const char *const kinds[][3] = {{"((tonumber(", ") or 7)", "(tonumber("},
                                           {"(tostring(", ")", "tostring("},
                                           {"(", "", ""}};
    static const char *const sums[] = {" + ", " - ",  " * ",  " / ",  " % ", " ^ ",
                                       " < ", " <= ", " == ", " ~= ", " > "};
    static const char *const joins[] = {" .. ", " < ", " == ", " .. ", " <= ", " ~= "};
    unsigned kind = below(8) == 0 ? 2 : below(2);

    put(t, kinds[kind][0]);
    expression(t, depth - 1);
    put(t, kinds[kind][1]);
    if (kind == 0) {
        PICK(t, sums);
    } else if (kind == 1) {
        PICK(t, joins);
    } else {
        PICK(t, operators);
    }
    put(t, kinds[kind][2]);
    expression(t, depth - 1);
    put(t, kind == 0 ? ") or 3))" : kind == 1 ? "))" : ")");
}

static void expression(struct text *t, int depth)
{
    switch (depth <= 0 ? below(2) : below(10)) {
    case 0:
        PICK(t, names);
        break;
    case 1:
        PICK(t, constants);
        break;
    case 2:
        operation(t, depth);
        break;
    case 3:
        put(t, below(4) ? below(2) ? "#tostring(" : "not (" : "#(");
        expression(t, depth - 1);
        put(t, ")");
        break;
    case 4:
        if (program.rest) {
            put(t, below(2) ? "select(\"#\", ...)" : "(select(2, ...))");
        } else {
            PICK(t, names);
        }
        break;
    case 5:
        if (program.closures) {
            static const char *const made[] = {"(function(a) return a end)(",
                                               "(function(...) return ... end)(",
                                               "pcall(function() ev.a = x end, "};

            PICK(t, made);
            arguments(t, 1, depth - 1);
            break;
        }
        put(t, "x");
        break;
    case 6:
    case 7:
        name_call(t, own[below(N_ELEMS(own))]);
        arguments(t, 1 + below(2), depth - 1);
        break;
    default:
        name_call(t, calls[below(N_ELEMS(calls))]);
        arguments(t, 1 + below(3), depth - 1);
    }
}

static void statement(struct text *t, int depth);

static inline void loop(struct text *t, int depth)
{
    static const char *const heads[] = {
        "for i = 1, 3 do ",
        "for i = 3, 1, -1 do ",
        "for _, x in ipairs({ 1, 2 }) do ",
        "for _, x in items(ev, \"list\") do ",
        "for x in (\"a b\"):gmatch(\"%w\") do ",
        "for i = 1, tonumber(ev.value) or 1 do if i > 4 then break end ",
        "for x = 0.5, 1 do "};
    static const char *const endless[] = {
        "while true do ", "for i = 1, 1e300 do ",       "for i = 1, ev.value or 9 do ",
        "while ev.a do ", "while not pcall(error) do ", "for i = 1, 0/0 do "};

    if (program.endless && below(2)) {
        PICK(t, endless);
    } else if (below(4) == 0) {
        put(t, "do local i = 0 ::top:: i = i + 1 ");
        statement(t, depth - 1);
        put(t, " if i < 3 then goto top end end");
        return;
    } else {
        PICK(t, heads);
    }
    statement(t, depth - 1);
    put(t, below(4) ? " end" : " if x then break end end");
}

static void statement(struct text *t, int depth)
{
    static const char *const places[] = {"ev.a",
                                         "ev.b",
                                         "ev[\"o.p\"]",
                                         "ev.value",
                                         "x",
                                         "y",
                                         "ev.list",
                                         "ev[x]",
                                         "ev[\"list[1]\"]",
                                         "req.path",
                                         "ev[5]",
                                         "ev[\"\"]",
                                         "T.n",
                                         "T.list",
                                         "O.n",
                                         "a",
                                         "T.sub.back",
                                         "ev.deep",
                                         "kept.b",
                                         "f1",
                                         "T.go",
                                         "F[1]",
                                         "ev[\"a\\\\.b\"]",
                                         "x, y",
                                         "T[x]",
                                         "O.turn"};

    switch (depth <= 0 ? below(2) : below(11)) {
    case 0:
    case 1:
        /* A function that is set anew makes all that call it a round: seldom. */
        put(t, places[below(below(3) ? 19 : N_ELEMS(places))]);
        put(t, " = ");
        expression(t, 2);
        break;
    case 2:
        put(t, "if ");
        expression(t, 2);
        put(t, " then ");
        statement(t, depth - 1);
        put(t, " end");
        break;
    case 3:
        put(t, "do local ok, v = pcall(");
        put(t, below(2) ? "h1, " : "T.go, ");
        expression(t, 2);
        put(t, ") if ok then x = v else y = v end end");
        break;
    case 4:
        put(t, "if ");
        expression(t, 1);
        put(t, " then return reject(\"code_1\", tostring(x)) end");
        break;
    case 5:
        put(t, "if ");
        expression(t, 1);
        put(t, below(2) ? " then return drop() end" : " then return to(\"s\") end");
        break;
    case 6:
        put(t, "do if ");
        expression(t, 1);
        put(t, " then goto out end ");
        statement(t, depth - 1);
        put(t, " ::out:: end");
        break;
    case 7:
        if (program.loops || program.endless) {
            loop(t, depth);
            break;
        }
        /* fallthrough */
    case 8:
        put(t, "x = ");
        name_call(t, own[below(N_ELEMS(own))]);
        arguments(t, 1 + below(2), 2);
        break;
    case 9:
        put(t, "kept = kept or ev");
        break;
    default:
        put(t, "y = ");
        expression(t, 3);
    }
    put(t, "\n");
}

/* A function's parameters and body. */
static inline void body_of(struct text *t, const char *parameters)
{
    char guard[80];

    program.rest = strstr(parameters, "...") != NULL;
    put(t, parameters);
    put(t, " local ev, req, x, y = now, its\n");
    if (program.rest) {
        put(t, "local a, b = ...\n");
    }
    if (program.guarded || below(4)) {
        (void)snprintf(guard, sizeof guard,
                       "count = count + 1 if count > %u then return a end\n",
                       1 + below(12));
        put(t, guard);
    }
    for (unsigned k = 0, m = below(3); k < m; k++) {
        statement(t, 1);
    }
    put(t, "do return ");
    expression(t, 2);
    put(t, " end end\n");
    program.rest = false;
}

/* The functions beside the hook. */
static inline void program_functions(struct text *t)
{
    static const char *const heads[] = {
        "f1 = function",   "f2 = function",      "f3 = function",
        "function T.go",   "function T.sub.run", "function O:turn",
        "function O.step", "G = function",       "function gf",
        "f4 = function",   "function T.set",     "T[1] = function",
        "function W:find", "function W.sub:turn"};
    static const char *const parameters[] = {"(a, b)", "(a, b)", "(a, b)", "(...)"};

    put(t, "local now, its, f1, f2, f3, f4, kept\nlocal count = 0\n"
           "local function h1(v) return v end\n"
           "local function h2(v, w) return w or v end\n"
           "local function second(ok, v) if ok then return v end return nil end\n"
           "local function try(f, ...) return second(pcall(f, ...)) end\n"
           "f1, f2, f3, f4 = h1, h2, try, tostring\n"
           "local T = { n = 0, list = { 1, \"two\", 3 }, sub = {}, lower }\n"
           "T.sub.back = T\nlocal O, W, F = { n = 0 }, { sub = {} }, { [h1] = true }\n"
           "local P = {}\n"
           "function P.both(f, g) return function(...) return g(f(...)) end end\n"
           "function P.run(f, ...) return f(...) end\n"
           "local function mk(v) return function(w) return w and v or w end end\n"
           "T.made, T.go, T.sub.run, T.set = mk(1), h1, h2, mk(2)\n"
           "O.step, O.turn, W.find, W.sub.turn = h2, h1, h1, h2\nG, gf = h2, mk(3)\n");
    for (unsigned i = 0; i < N_ELEMS(heads); i++) {
        if (below(3) == 0) {
            put(t, ";");
            put(t, heads[i]);
            body_of(t, parameters[below(N_ELEMS(parameters))]);
        }
    }
    if (below(2)) {
        put(t, "f4 = P.both(h1, P.both(h2, h1))\n");
    }
}

/* seed begins it; the hook's statements, functions before it. */
static inline void program_make(uint64_t seed, struct text *functions,
                                struct text *hook)
{
    program.random = seed;
    program.loops = below(4) == 0;
    program.endless = below(24) == 0;
    program.closures = below(5) == 0;
    program.guarded = below(8) != 0;
    functions->n = hook->n = 0;
    program_functions(functions);
    for (unsigned k = 0, m = 1 + below(7); k < m; k++) {
        statement(hook, 2);
    }
}

static inline size_t program_value(char *p, int depth)
{
    static const char *const values[] = {
        "1",
        "-5",
        "1e300",
        "1234567890123456789",
        "1234567890123456788",
        "\"a\"",
        "\"\\u0000\"",
        "null",
        "true",
        "[]",
        "{}",
        "[1,[2,null],{\"a\":3}]",
        "{\"p\":\"${a}\"}",
        "1000000000",
        "\"     x     \"",
        "5.5",
        "\"192.168.1.77\"",
        "2147483648",
        "\"%5B\"",
        "\"\\ud83d\\ude00\"",
        "\"\\u00ff\\u0080\\n\"",
        "\"\xc3\xa9\xe2\x82\xac\"",
        "1e-320",
        "0.1",
        "-0",
        "-0.0",
        "9007199254740993",
        "9007199254740993.0",
        "1.0",
        "1e2",
        "\"\"",
        "{\"\":{\"\":1}}",
        "false",
        "12345678901234567890123456789012345678901234567890",
        "\"2025-11-23T12:13:20Z\""};
    size_t n;
    int deep;

    switch (below(24)) {
    case 0: /* nested */
        deep = (int)below(depth > 0 ? 3 : 40);
        n = 0;
        for (int i = 0; i < deep; i++) {
            n += (size_t)sprintf(p + n, i % 2 ? "[" : "{\"b\":");
        }
        n += (size_t)sprintf(p + n, "1");
        for (int i = deep - 1; i >= 0; i--) {
            p[n++] = i % 2 ? ']' : '}';
        }
        return n;
    case 1: /* long */
        n = 1000 + below(3000);
        p[0] = '"';
        memset(p + 1, 'a', n);
        p[n + 1] = '"';
        return n + 2;
    default:
        return (size_t)sprintf(p, "%s", values[below(N_ELEMS(values))]);
    }
}

/* An array of n events in PROGRAM_BODY bytes. */
static inline size_t program_events(char *p, unsigned events)
{
    static const char *const keys[] = {"a",    "b",   "o",       "list", "value",
                                       "5",    "x.y", "sluice_", "",     "deep",
                                       "long", "a.b", "\\u0061", "c\\n", "\xc3\xa9"};
    size_t n = 0;

    p[n++] = '[';
    for (unsigned i = 0; i < events; i++) {
        n += (size_t)sprintf(p + n, "%s{\"user_id\":\"u%u\",\"event_type\":\"%s\"",
                             i > 0 ? "," : "", i, below(2) ? "click" : "view");
        for (unsigned k = 0; k < N_ELEMS(keys); k++) {
            /* The same key by another text, or once more, is a duplicate. */
            if (k == 12 ? below(40) == 0 : below(3) > 0) {
                n += (size_t)sprintf(p + n, ",\"%s\":", keys[k]);
                n += program_value(p + n, 0);
            }
        }
        if (below(40) == 0) {
            n += (size_t)sprintf(p + n, ",\"b\":1,\"b\":2");
        }
        p[n++] = '}';
    }
    p[n++] = ']';
    return n;
}
