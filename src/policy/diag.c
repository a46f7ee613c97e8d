/*
 * The only place that formats a policy's errors:
 *
 *   conf/x.lua:13: kafka "bus".batch.linger: "50" is not a duration such as "50ms"
 *      13 |   batch       = { target = 200, min = 50, max = 500, linger = "50" },
 *         |                                                               ^^^^
 *   1 problem
 */
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "policy/state.h"

struct page {
    char *text;
    size_t n, room;
};

static void put(struct page *p, const char *fmt, ...) PRINTF(2, 3);
static void put(struct page *p, const char *fmt, ...)
{
    va_list args, again;
    int n;

    va_start(args, fmt);
    va_copy(again, args);
    n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (p->n + (size_t)n + 1 > p->room) {
        p->room = 2 * p->room + (size_t)n + 256;
        p->text = mem_realloc(p->text, p->room);
    }
    (void)vsnprintf(p->text + p->n, p->room - p->n, fmt, again);
    va_end(again);
    p->n += (size_t)n;
}

/* Line number `line` of text. */
static struct str line_of(struct str text, int line)
{
    const char *p = text.p, *end = text.p + text.n;
    const char *nl;

    for (; line > 1 && p < end; line--) {
        nl = memchr(p, '\n', (size_t)(end - p));
        p = nl == NULL ? end : nl + 1;
    }
    nl = memchr(p, '\n', (size_t)(end - p));
    return (struct str){p, (size_t)((nl == NULL ? end : nl) - p)};
}

/* Characters of the first n bytes. */
static int width(struct str s, size_t n)
{
    int w = 0;

    for (size_t i = 0; i < n && i < s.n; i++) {
        w += ((unsigned char)s.p[i] & 0xC0) != 0x80;
    }
    return w;
}

static void put_source(struct page *p, struct str text, int line, int column,
                       int length)
{
    struct str s = line_of(text, line);
    size_t before = (size_t)(column > 0 ? column - 1 : 0);
    int marks;

    put(p, "%6d | ", line);
    for (size_t i = 0; i < s.n; i++) {
        put(p, "%c", s.p[i] == '\t' ? ' ' : s.p[i]);
    }
    put(p, "\n");
    if (length > 0) {
        marks = width(s, before + (size_t)length) - width(s, before);
        put(p, "%6s | %*s", "", width(s, before), "");
        for (int i = 0; i < (marks > 0 ? marks : 1); i++) {
            put(p, "^");
        }
        put(p, "\n");
    }
}

static int field(lua_State *L, const char *key)
{
    int v;

    lua_getfield(L, -1, key);
    v = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return v;
}

/* A problem is on top, the texts of the files are at index texts. */
static void put_problem(struct page *p, lua_State *L, int texts)
{
    int line = field(L, "line");
    struct str text;

    lua_getfield(L, -1, "file");
    lua_getfield(L, -2, "message");
    put(p, "%s:%d: %s\n", lua_tostring(L, -2), line, lua_tostring(L, -1));
    lua_pop(L, 1);
    lua_rawget(L, texts);
    text.p = lua_tolstring(L, -1, &text.n);
    lua_pop(L, 1);
    if (text.p != NULL && line > 0) {
        put_source(p, text, line, field(L, "column"), field(L, "length"));
    }
}

void diag_report(lua_State *L, struct policy_report *report)
{
    struct page p = {NULL, 0, 0};
    int top = lua_gettop(L), texts;

    lua_getfield(L, -1, "texts");
    texts = lua_gettop(L);
    lua_getfield(L, -2, "problems");
    report->n_problems = (unsigned)lua_objlen(L, -1);
    for (unsigned i = 1; i <= report->n_problems; i++) {
        lua_rawgeti(L, -1, (int)i);
        put_problem(&p, L, texts);
        lua_pop(L, 1);
    }
    lua_settop(L, top);
    if (report->n_problems > 0) {
        put(&p, "%u problem%s\n", report->n_problems,
            report->n_problems == 1 ? "" : "s");
    }
    free(report->text);
    report->text = p.text != NULL ? p.text : mem_strdup("");
}

void diag_plain(struct policy_report *report, const char *text)
{
    struct page p = {NULL, 0, 0};

    put(&p, "%s\n1 problem\n", text);
    report->n_problems = 1;
    free(report->text);
    report->text = p.text;
}

void diag_note(struct policy_report *report, const char *file, int line,
               const char *what, int loop_line)
{
    struct page p = {report->text, 0, 0};

    p.n = report->text == NULL ? 0 : strlen(report->text);
    p.room = p.n;
    put(&p,
        "%s:%d: note: %s has a loop in line %d: it runs interpreted, for at "
        "most %d ms a call\n",
        file, line, what, loop_line, HOOK_MS);
    report->text = p.text;
    report->n_notes++;
}

void policy_report_fini(struct policy_report *r)
{
    free(r->text);
    r->text = NULL;
}
