/*
 * The only place that formats a policy's errors:
 *
 *   conf/x.lua:13: kafka "bus".batch.linger: 50 needs a unit, such as "50ms"
 *      13 |   batch       = { target = 200, min = 50, max = 500, linger = 50 },
 *         |                                                               ^^
 *   1 problem
 */
#include <lauxlib.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "policy/load/internal.h"

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

/* Whatever bytes it has, it makes no second line, and no terminal obeys it. */
static void put_line(struct page *p, struct str text)
{
    char *line = text_new(TEXT_LINE, text);

    put(p, "%s", line);
    free(line);
}

/* A name or a message. */
static void put_text(struct page *p, const char *text)
{
    put_line(p, str_of(text));
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
    put_line(p, s);
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

/* ---- the list ---- */

static void forget(struct policy_report *r)
{
    for (unsigned i = 0; i < r->n_problems + r->n_notes; i++) {
        free(r->list[i].file);
        free(r->list[i].path);
        free(r->list[i].message);
        free(r->list[i].suggestion);
    }
    free(r->list);
    free(r->text);
    r->list = NULL;
    r->text = NULL;
    r->n_problems = r->n_notes = 0;
}

/* Its texts are taken. */
static void add(struct policy_report *r, const struct policy_problem *x)
{
    unsigned n = r->n_problems + r->n_notes;

    r->list = mem_realloc(r->list, (n + 1) * sizeof *r->list);
    r->list[n] = *x;
    r->n_problems += !x->note;
    r->n_notes += x->note;
}

static char *copy(const char *text)
{
    return text == NULL ? NULL : mem_strdup(text);
}

/* ---- from the loader's tables; one is on top ---- */

static int number(lua_State *L, const char *key)
{
    int v;

    lua_getfield(L, -1, key);
    v = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return v;
}

static char *text_of(lua_State *L, const char *key)
{
    char *v;

    lua_getfield(L, -1, key);
    v = copy(lua_tostring(L, -1));
    lua_pop(L, 1);
    return v;
}

static struct policy_problem problem_of(lua_State *L)
{
    struct policy_problem x = {.file = text_of(L, "file"),
                               .line = number(L, "line"),
                               .column = number(L, "column"),
                               .path = text_of(L, "path"),
                               .message = text_of(L, "message"),
                               .suggestion = text_of(L, "suggestion")};

    x.end_column = x.column + number(L, "length");
    return x;
}

/* The texts of the files are at index texts. */
static void put_problem(struct page *p, lua_State *L, int texts,
                        const struct policy_problem *x)
{
    struct str text;

    put_text(p, x->file);
    put(p, ":");
    if (x->line > 0) {
        put(p, "%d:", x->line);
    }
    put(p, " ");
    if (x->path != NULL) {
        put_text(p, x->path);
        put(p, ": ");
    }
    put_text(p, x->message);
    put(p, "\n");
    lua_getfield(L, texts, x->file);
    text.p = lua_tolstring(L, -1, &text.n);
    lua_pop(L, 1);
    if (text.p != NULL && x->line > 0) {
        put_source(p, text, x->line, x->column, x->end_column - x->column);
    }
}

void diag_report(lua_State *L, struct policy_report *report)
{
    struct page p = {NULL, 0, 0};
    int top = lua_gettop(L), texts;
    unsigned n;

    forget(report);
    lua_getfield(L, -1, "texts");
    texts = lua_gettop(L);
    lua_getfield(L, -2, "problems");
    n = (unsigned)lua_objlen(L, -1);
    for (unsigned i = 1; i <= n; i++) {
        struct policy_problem x;

        lua_rawgeti(L, -1, (int)i);
        x = problem_of(L);
        put_problem(&p, L, texts, &x);
        add(report, &x);
        lua_pop(L, 1);
    }
    lua_settop(L, top);
    if (n > 0) {
        put(&p, "%u problem%s\n", n, n == 1 ? "" : "s");
    }
    report->text = p.text != NULL ? p.text : mem_strdup("");
}

void diag_plain(struct policy_report *report, const char *file, const char *text)
{
    struct page p = {NULL, 0, 0};
    size_t n = strlen(file);
    bool named = strncmp(text, file, n) == 0 && strncmp(text + n, ": ", 2) == 0;

    put_text(&p, text);
    put(&p, "\n1 problem\n");
    forget(report);
    report->text = p.text;
    add(report, &(struct policy_problem){.file = copy(file),
                                         .message = copy(named ? text + n + 2 : text)});
}

void policy_report_problem(struct policy_report *r, const char *file, const char *text)
{
    struct page p = {NULL, 0, 0};

    put(&p, "%s: %s", file, text);
    policy_report_fini(r);
    diag_plain(r, file, p.text);
    free(p.text);
}

void diag_note(struct policy_report *report, const char *file, int line,
               const char *message)
{
    struct page p = {report->text, 0, 0};

    p.n = report->text == NULL ? 0 : strlen(report->text);
    p.room = p.n;
    put_text(&p, file);
    put(&p, ":%d: note: ", line);
    put_text(&p, message);
    put(&p, "\n");
    report->text = p.text;
    add(report, &(struct policy_problem){.file = copy(file),
                                         .line = line,
                                         .column = 1,
                                         .end_column = 1,
                                         .note = true,
                                         .message = copy(message)});
}

void policy_report_note(struct policy_report *r, const char *file, const char *text)
{
    diag_note(r, file, 1, text);
}

void diag_remarks(lua_State *L, struct policy_report *report)
{
    unsigned n;

    lua_getfield(L, -1, "remarks");
    n = (unsigned)lua_objlen(L, -1);
    for (unsigned i = 1; i <= n; i++) {
        char *file, *message;

        lua_rawgeti(L, -1, (int)i);
        file = text_of(L, "file");
        message = text_of(L, "message");
        diag_note(report, file, number(L, "line"), message);
        free(file);
        free(message);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

void policy_report_fini(struct policy_report *r)
{
    forget(r);
}
