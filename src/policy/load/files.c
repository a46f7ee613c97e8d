/* The files that a policy names: those of the snapshot, which grows only while
 * the policy is loaded for the first time. */
#include <fcntl.h>
#include <fnmatch.h>
#include <glob.h>
#include <lauxlib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "policy/library/library.h"
#include "policy/library/tools.h"
#include "policy/load/agent_sets.h"
#include "policy/load/files.h"
#include "policy/load/internal.h"
#include "policy/load/keys_file.h"
#include "policy/run/state.h"
#include "tables/open.h"

/* Larger lookup tables are built and mapped; smaller ones, and all of cidr, are in the
 * snapshot. */
enum { SMALL_TABLE_BYTES_MAX = 4 << 20 };
enum { TABLE_BYTES_MAX = 64 << 20, CODE_BYTES_MAX = 4 << 20 };

static bool reading(lua_State *L)
{
    return lua_toboolean(L, lua_upvalueindex(1));
}

static const struct snapshot_file *file_of(lua_State *L, const char *path,
                                           size_t max_bytes, struct err *e)
{
    struct policy *p = state_here(L)->policy;
    const struct snapshot_file *f = snapshot_find(p, path);

    (void)err_set(e, "no file %s", path);
    if (f == NULL && reading(L) && snapshot_read(p, path, max_bytes, e)) {
        f = snapshot_find(p, path);
    }
    return f;
}

/* read(path): its text; nothing: there is no such file. */
static int host_read(lua_State *L)
{
    struct err e;
    const struct snapshot_file *f =
        file_of(L, luaL_checkstring(L, 1), CODE_BYTES_MAX, &e);

    if (f == NULL) {
        return 0;
    }
    lua_pushlstring(L, f->text, f->n);
    return 1;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void push_list(lua_State *L, const char **list, size_t n)
{
    qsort(list, n, sizeof *list, by_text);
    lua_createtable(L, (int)n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushstring(L, list[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

/* glob(pattern): the paths that match, in order; of a snapshot that is whole, those
 * that it has. */
static int host_glob(lua_State *L)
{
    const struct policy *p = state_here(L)->policy;
    const char *pattern = luaL_checkstring(L, 1);
    const char **list;
    size_t n = 0;
    glob_t g;

    if (reading(L) && !p->whole) {
        if (glob(pattern, GLOB_NOSORT, NULL, &g) != 0) {
            g.gl_pathc = 0;
        }
        list = mem_alloc((g.gl_pathc + 1) * sizeof *list);
        for (; n < g.gl_pathc; n++) {
            list[n] = g.gl_pathv[n];
        }
        push_list(L, list, n);
        globfree(&g);
    } else {
        list = mem_alloc((p->n_files + 1) * sizeof *list);
        for (uint32_t i = 0; i < p->n_files; i++) {
            if (fnmatch(pattern, p->files[i].path, FNM_PATHNAME | FNM_PERIOD) == 0) {
                list[n++] = p->files[i].path;
            }
        }
        push_list(L, list, n);
    }
    free(list);
    return 1;
}

/* ---- tables ---- */

/* The list of problems is on top. */
static void on_problem(void *arg, uint32_t line, const char *text)
{
    lua_State *L = arg;

    lua_createtable(L, 0, 2);
    lua_pushinteger(L, (lua_Integer)line);
    lua_setfield(L, -2, "line");
    lua_pushstring(L, text);
    lua_setfield(L, -2, "message");
    lua_rawseti(L, -2, (int)lua_objlen(L, -2) + 1);
}

/* The same of a list without the header that it was given. */
static void on_list_problem(void *arg, uint32_t line, const char *text)
{
    on_problem(arg, line > 1 ? line - 1 : line, text);
}

static int push_table(lua_State *L, const struct table *t, uint32_t at)
{
    const struct csv_table *l = t->lookup;

    lua_pushinteger(L, (lua_Integer)at);
    lua_createtable(L, (int)csv_table_n_columns(l), 0);
    for (uint32_t i = 0; i < csv_table_n_columns(l); i++) {
        struct str name = csv_table_column(l, i);

        lua_pushlstring(L, name.p, name.n);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_pushinteger(L, (lua_Integer)csv_table_key_column(l));
    lua_pushboolean(L, t->unended);
    return 4;
}

/* The rules of a file of keys. */
struct ruled {
    struct key_rules keys;
    struct csv_rules rules;
    const struct csv_rules *used; /* NULL: it is another table */
};

/* The column that has t's keys, and its rules. */
static struct str key_of(const struct table *t, struct ruled *r)
{
    r->used = NULL;
    if (keys_file_columns(t->key, &r->keys)) {
        r->rules = key_rules(&r->keys);
        r->used = &r->rules;
        return r->keys.key;
    }
    return t->key[0] == '\0' ? (struct str){NULL, 0} : str_of(t->key);
}

/* The rows of a text and, of "cidr", their networks; false: the list of problems on top
 * has why. */
static bool make_table(lua_State *L, const struct snapshot_file *f, struct table *t)
{
    struct str text = {f->text, f->n}, list = {NULL, 0};
    csv_problem_fn *tell = on_problem;
    struct ruled ruled;
    struct str key = key_of(t, &ruled);

    if (t->cidr) {
        list = cidr_table_list(text);
    }
    if (list.p != NULL) {
        text = list;
        tell = on_list_problem;
    }
    t->lookup = csv_table_new_ruled(text, key, list.p == NULL ? t->delimiter : ',',
                                    ruled.used, tell, L);
    free((char *)list.p);
    if (t->lookup != NULL && t->cidr) {
        t->networks = cidr_table_new(t->lookup, tell, L);
        if (t->networks == NULL) {
            csv_table_unref(t->lookup);
            t->lookup = NULL;
        }
    }
    return t->lookup != NULL;
}

/* The table of a file that is in the snapshot, or is read into it. False: the list on top,
 * or *e, has why. */
static bool read_small(lua_State *L, struct table *t, struct err *e)
{
    const struct snapshot_file *f = file_of(L, t->path, TABLE_BYTES_MAX, e);

    if (f == NULL) {
        return false;
    }
    e->text[0] = '\0';
    t->unended = f->n > 0 && f->text[f->n - 1] != '\n';
    return make_table(L, f, t);
}

/* Whether the last byte of the file that was read is no line end. */
static bool is_unended(const char *path, const struct stat *st)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    char last = '\n';

    if (fd >= 0) {
        if (pread(fd, &last, 1, st->st_size - 1) != 1) {
            last = '\n'; /* not known: another file is there by now */
        }
        (void)close(fd);
    }
    return last != '\n';
}

static bool read_large(lua_State *L, struct table *t, struct err *e)
{
    struct ruled ruled;
    const struct table_source source = {.path = t->path,
                                        .key = key_of(t, &ruled),
                                        .delimiter = t->delimiter,
                                        .rules = ruled.used,
                                        .rules_id = ruled.used == NULL ? STR("")
                                                                       : str_of(t->key),
                                        .dir = state_here(L)->policy->tables_dir};
    struct stat st;

    e->text[0] = '\0';
    t->lookup = table_open(&source, on_problem, L, &st, e);
    t->large = t->on_disk = t->lookup != NULL;
    if (t->large) {
        t->id = snapshot_id_of(&st);
        t->unended = is_unended(t->path, &st);
    }
    return t->large;
}

static bool is_large(lua_State *L, const struct table *t)
{
    const struct policy *p = state_here(L)->policy;
    struct stat st;

    return !t->cidr && reading(L) && !p->whole && snapshot_find(p, t->path) == NULL &&
           stat(t->path, &st) == 0 && S_ISREG(st.st_mode) &&
           st.st_size > SMALL_TABLE_BYTES_MAX;
}

static const struct table *find_table(const struct policy *p, const struct table *like)
{
    for (uint32_t i = 0; i < p->n_tables; i++) {
        const struct table *t = &p->tables[i];

        if (strcmp(t->path, like->path) == 0 && t->delimiter == like->delimiter &&
            t->cidr == like->cidr && strcmp(t->key, like->key) == 0) {
            return t;
        }
    }
    return NULL;
}

void snapshot_add_table(struct policy *p, const struct table *t)
{
    p->tables = mem_realloc(p->tables, (p->n_tables + 1) * sizeof *p->tables);
    p->tables[p->n_tables] = *t;
    p->tables[p->n_tables].path = mem_strdup(t->path);
    p->tables[p->n_tables].key = mem_strdup(t->key);
    p->n_tables++;
}

/* Its place, names of columns, the key's from 0, whether it may be cut; or nil and the
 * problems, or nil and why there is no file. All states of a snapshot share the files that
 * its first load has read. */
static int give_table(lua_State *L, struct table *made)
{
    struct policy *p = state_here(L)->policy;
    const struct table *found = find_table(p, made);
    struct err e;

    if (found == NULL) {
        lua_pushnil(L);
        lua_newtable(L);
        if (!(is_large(L, made) ? read_large(L, made, &e) : read_small(L, made, &e))) {
            if (e.text[0] != '\0') {
                lua_pushstring(L, e.text);
                lua_replace(L, -2);
            }
            return 2;
        }
        snapshot_add_table(p, made);
        found = &p->tables[p->n_tables - 1];
    } else if (reading(L) && csv_table_damaged(found->lookup)) {
        lua_pushnil(L);
        lua_pushfstring(
            L,
            "the built table of %s was cut, or its disk returns an error: a "
            "reload builds it from the file of today",
            found->path);
        return 2;
    }
    return push_table(L, found, (uint32_t)(found - p->tables));
}

/* table(path, key, delimiter, cidr) */
static int host_table(lua_State *L)
{
    struct table made = {.path = (char *)luaL_checkstring(L, 1),
                         .key = (char *)luaL_optstring(L, 2, ""),
                         .delimiter = luaL_checkstring(L, 3)[0],
                         .cidr = lua_toboolean(L, 4)};

    return give_table(L, &made);
}

static struct str text_at(lua_State *L, int i)
{
    struct str s = {"", 0};

    if (lua_isstring(L, i)) {
        s.p = lua_tolstring(L, i, &s.n);
    }
    return s;
}

/* keys(path, key, delimiter, expires, disabled): the same of a file of keys. */
static int host_keys(lua_State *L)
{
    char columns[1024];
    struct table made = {.path = (char *)luaL_checkstring(L, 1),
                         .key = columns,
                         .delimiter = luaL_checkstring(L, 3)[0]};

    if (!keys_file_text(text_at(L, 2), text_at(L, 4), text_at(L, 5), columns,
                        sizeof columns)) {
        lua_pushnil(L);
        lua_pushstring(L,
                       "the names of its columns are together longer than 1000 bytes, "
                       "or have a line end");
        return 2;
    }
    return give_table(L, &made);
}

/* database(path): its place; or nil and why there is none. */
static int host_database(lua_State *L)
{
    struct policy *p = state_here(L)->policy;
    const char *path = luaL_checkstring(L, 1);
    const struct snapshot_file *f;
    struct err e;

    f = file_of(L, path, DATABASE_BYTES_MAX, &e);
    if (f == NULL || !databases_open(&p->files[f - p->files], &e)) {
        lua_pushnil(L);
        lua_pushstring(L, e.text);
        return 2;
    }
    lua_pushinteger(L, (lua_Integer)(f - p->files));
    return 1;
}

/* agents(path): the place of its reader; or nil and the problems, or nil and why there is
 * no file. */
static int host_agents(lua_State *L)
{
    struct policy_state *s = state_here(L);
    struct policy *p = s->policy;
    const struct snapshot_file *f;
    struct err e;

    f = file_of(L, luaL_checkstring(L, 1), AGENT_FILE_BYTES_MAX, &e);
    if (f == NULL) {
        lua_pushnil(L);
        lua_pushstring(L, e.text);
        return 2;
    }
    lua_pushnil(L);
    lua_newtable(L);
    if (!agent_sets_open(&p->files[f - p->files], on_problem, L)) {
        return 2;
    }
    lua_pushinteger(L, agent_sets_read(s, f));
    return 1;
}

void files_free(struct policy *p)
{
    for (uint32_t i = 0; i < p->n_tables; i++) {
        free(p->tables[i].path);
        free(p->tables[i].key);
        csv_table_unref(p->tables[i].lookup);
        cidr_table_free(p->tables[i].networks);
    }
    free(p->tables);
    free(p->tables_dir);
}

void files_push(lua_State *L, bool may_read)
{
    static const luaL_Reg functions[] = {
        {"read", host_read}, {"glob", host_glob},         {"table", host_table},
        {"keys", host_keys}, {"database", host_database}, {"agents", host_agents},
        {NULL, NULL}};

    lua_pushboolean(L, may_read);
    luaL_setfuncs(L, functions, 1);
}

/* ---- functions that hooks call ---- */

static const struct table *table_at(struct sluice_context *c, int32_t table)
{
    const struct policy *p = OUTER(c, struct policy_state, context)->policy;

    return (uint32_t)table < p->n_tables ? &p->tables[table] : NULL;
}

int32_t sluice_row(struct sluice_context *c, int32_t table, const char *key, size_t n)
{
    const struct table *t = table_at(c, table);
    struct str text = {key, n};
    struct address a;

    if (t == NULL) {
        return TABLE_NO_ROW;
    }
    if (t->cidr) {
        return address_read(text, &a) ? cidr_table_find(t->networks, &a) : TABLE_NO_ROW;
    }
    return csv_table_row(t->lookup, text);
}

int sluice_cell(struct sluice_context *c, int32_t table, int32_t row, int32_t column,
                struct sluice_value *out)
{
    const struct table *t = table_at(c, table);
    struct str s =
        t == NULL ? (struct str){NULL, 0} : csv_table_cell(t->lookup, row, column);
    char *to = tools_of(c)->scratch;

    /* Copied, so that it is known afterwards whether all of it was read. */
    _Static_assert((int)SLUICE_TEXT_MAX > (int)CSV_CELL_BYTES_MAX, "a cell fits");
    if (s.n > 0) {
        memcpy(to, s.p, s.n);
    }
    out->text = to;
    out->len = (uint32_t)s.n;
    return t == NULL || !csv_table_damaged(t->lookup);
}
