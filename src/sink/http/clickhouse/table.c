#include "sink/http/clickhouse/table.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "sink/http/clickhouse/fit.h"
#include "sink/http/clickhouse/names.h"

enum { NAME_MAX = 128 };

struct column {
    struct str name, type, kind; /* kind: "DEFAULT", "MATERIALIZED", "ALIAS" or "" */
};

/* An event's value at a path; field NULL: an object, because the schema names fields
 * inside of it. */
struct value {
    bool known;
    const struct field *field;
};

struct table_check {
    const struct clickhouse_plan *plan;
    struct str answer;
    uint32_t version;
    char *why;
    size_t max;
};

/* ---- the answer ---- */

static struct str word(struct str *line, char end)
{
    const char *at = memchr(line->p, end, line->n);
    struct str w = {line->p, at == NULL ? line->n : (size_t)(at - line->p)};
    size_t used = w.n + (at != NULL);

    line->p += used;
    line->n -= used;
    return w;
}

static bool next_column(struct str *rest, struct column *c)
{
    static const char head[] = "column ";

    while (rest->n > 0) {
        struct str line = word(rest, '\n');

        if (line.n > sizeof head - 1 && memcmp(line.p, head, sizeof head - 1) == 0) {
            line.p += sizeof head - 1;
            line.n -= sizeof head - 1;
            c->name = word(&line, '\t');
            c->type = word(&line, '\t');
            c->kind = line;
            return true;
        }
    }
    return false;
}

static bool find_column(struct str answer, struct str name, struct column *c)
{
    while (next_column(&answer, c)) {
        if (str_eq(c->name, name)) {
            return true;
        }
    }
    return false;
}

/* ---- names that are nearly right ---- */

static bool like(struct str a, size_t i, struct str b, size_t j)
{
    return tolower((unsigned char)a.p[i]) == tolower((unsigned char)b.p[j]);
}

/* Edits between a and b: insert, delete, replace, swap of neighbours (optimal string
 * alignment; Damerau, 1964), as lua/sluice/suggest.lua counts them. */
static size_t distance(struct str a, struct str b)
{
    size_t rows[3][NAME_MAX + 1] = {{0}};

    for (size_t j = 0; j <= b.n; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a.n; i++) {
        size_t *row = rows[i % 3];
        const size_t *up = rows[(i + 2) % 3], *upper = rows[(i + 1) % 3];

        row[0] = i;
        for (size_t j = 1; j <= b.n; j++) {
            size_t d = up[j - 1] + !like(a, i - 1, b, j - 1);

            d = up[j] + 1 < d ? up[j] + 1 : d;
            d = row[j - 1] + 1 < d ? row[j - 1] + 1 : d;
            if (i > 1 && j > 1 && like(a, i - 1, b, j - 2) &&
                like(a, i - 2, b, j - 1) && upper[j - 2] + 1 < d) {
                d = upper[j - 2] + 1;
            }
            row[j] = d;
        }
    }
    return rows[a.n % 3][b.n];
}

static struct str nearest(struct str answer, struct str name)
{
    size_t least = (name.n / 3 > 1 ? name.n / 3 : 1) + 1;
    struct str best = {"", 0};
    struct column c;

    while (name.n <= NAME_MAX && next_column(&answer, &c)) {
        size_t d = c.name.n > NAME_MAX ? least : distance(name, c.name);

        if (d < least) {
            least = d;
            best = c.name;
        }
    }
    return best;
}

/* ---- misfits ---- */

/* The first word of an enum that the column does not list. */
static const struct str *strange_word(const struct field *f, struct str type)
{
    char quoted[NAME_MAX + 4];

    for (uint32_t i = 0; i < f->n_values; i++) {
        int n = snprintf(quoted, sizeof quoted, "'%.*s'",
                         (int)(f->values[i].n < NAME_MAX ? f->values[i].n : NAME_MAX),
                         f->values[i].p);

        if (memmem(type.p, type.n, quoted, (size_t)n) == NULL) {
            return &f->values[i];
        }
    }
    return NULL;
}

static const char *type_word(const struct value *v)
{
    static const char *const words[] = {
        [FIELD_STR] = "str",   [FIELD_NUM] = "num",   [FIELD_INT] = "int",
        [FIELD_BOOL] = "bool", [FIELD_ENUM] = "enum", [FIELD_TIME] = "time",
        [FIELD_ANY] = "any",   [FIELD_LIST] = "list"};

    return v->field == NULL ? "an object" : words[v->field->type];
}

static bool say(const struct table_check *j, const struct column *c, const char *path,
                const struct value *v, const char *what)
{
    (void)snprintf(j->why, j->max,
                   "table %s: column %.*s is %.*s, and the schema's %s is %s: %s "
                   "(check = false to send it all the same)",
                   j->plan->table, (int)c->name.n, c->name.p, (int)c->type.n, c->type.p,
                   path, type_word(v), what);
    return false;
}

static struct value value_at(const struct schema *s, struct str path)
{
    for (uint32_t i = 0; i < s->n_fields; i++) {
        const struct field *f = &s->fields[i];

        if (str_eq(f->path, path)) {
            return (struct value){true, f};
        }
        if (f->path.n > path.n && f->path.p[path.n] == '.' &&
            memcmp(f->path.p, path.p, path.n) == 0) {
            return (struct value){true, NULL};
        }
    }
    return (struct value){false, NULL};
}

/* Whether column c takes the schemas' values at path. */
static bool fits(const struct table_check *j, const struct column *c, const char *path)
{
    struct str type = fits_bare(c->type);

    for (uint32_t i = 0; i < j->plan->n_schemas; i++) {
        struct value v = value_at(j->plan->schemas[i], str_of(path));
        const struct str *strange;
        const char *what =
            v.known ? fits_trouble(type, v.field, j->plan->n_columns > 0, j->version)
                    : NULL;
        char text[200];

        if (what != NULL) {
            return say(j, c, path, &v, what);
        }
        strange = v.field != NULL && v.field->type == FIELD_ENUM && fits_words(type)
                      ? strange_word(v.field, type)
                      : NULL;
        if (strange != NULL) {
            (void)snprintf(text, sizeof text,
                           "\"%.*s\" is not among its words: add it to the "
                           "column",
                           (int)(strange->n < 100 ? strange->n : 100), strange->p);
            return say(j, c, path, &v, text);
        }
    }
    return true;
}

/* columns = { name = path }. */
static bool chosen_fits(const struct table_check *j, const struct pair_plan *chosen)
{
    struct column c;

    if (!find_column(j->answer, str_of(chosen->name), &c)) {
        struct str near = nearest(j->answer, str_of(chosen->name));

        (void)snprintf(j->why, j->max,
                       "table %s has no column %s, which columns fills from %s%s"
                       "%.*s%s",
                       j->plan->table, chosen->name, chosen->value,
                       near.n > 0 ? "; did you mean " : "", (int)near.n, near.p,
                       near.n > 0 ? "?" : ": add it, or take it out of columns");
        return false;
    }
    if (str_eq(c.kind, STR("MATERIALIZED")) || str_eq(c.kind, STR("ALIAS"))) {
        (void)snprintf(j->why, j->max,
                       "table %s: column %s is %.*s, and takes no values: take it "
                       "out of columns",
                       j->plan->table, chosen->name, (int)c.kind.n, c.kind.p);
        return false;
    }
    if (strcmp(chosen->value, "@event") == 0) {
        if (!fits_text(fits_bare(c.type))) {
            (void)snprintf(j->why, j->max,
                           "table %s: column %s is %.*s, and \"@event\" is the "
                           "whole event as text: make it String",
                           j->plan->table, chosen->name, (int)c.type.n, c.type.p);
            return false;
        }
        return true;
    }
    return fits(j, &c, chosen->value);
}

bool table_fits(struct str answer, const struct clickhouse_plan *plan, uint32_t version,
                char *why, size_t max)
{
    struct table_check j = {plan, answer, version, why, max};
    struct str rest = answer;
    struct column c;
    bool ok = true;

    why[0] = '\0';
    if (!plan->check || !next_column(&rest, &c)) {
        return true;
    }
    for (uint32_t i = 0; i < plan->n_columns && ok; i++) {
        ok = chosen_fits(&j, &plan->columns[i]);
    }
    /* Events as they are: a column takes the key of its name. */
    for (rest = answer; plan->n_columns == 0 && ok && next_column(&rest, &c);) {
        char name[NAME_MAX + 1];

        (void)snprintf(name, sizeof name, "%.*s", (int)c.name.n, c.name.p);
        ok = memchr(c.name.p, '.', c.name.n) != NULL || fits(&j, &c, name);
    }
    return ok;
}

void table_forms(struct str answer, const struct clickhouse_plan *plan,
                 struct form *forms)
{
    struct column c;

    for (uint32_t i = 0; i < plan->n_columns; i++) {
        bool time = false;

        forms[i] = (struct form){0};
        if (!find_column(answer, str_of(plan->columns[i].name), &c)) {
            continue;
        }
        for (uint32_t k = 0; k < plan->n_schemas; k++) {
            struct value v = value_at(plan->schemas[k], str_of(plan->columns[i].value));

            time |= v.field != NULL && v.field->type == FIELD_TIME;
        }
        forms[i] = form_of(fits_bare(c.type), time);
        forms[i].no_null = !fits_null(c.type);
    }
}

/* ---- the question ---- */

void table_query(const struct clickhouse_plan *plan, char *sql, size_t max)
{
    char base[NAME_BYTES], name[NAME_BYTES], quoted[2 * NAME_BYTES + 4];
    char of[2 * NAME_BYTES + 4] = "currentDatabase()";

    sql[0] = '\0';
    if (!names_split(plan->table, base, name)) {
        return;
    }
    if (base[0] != '\0') {
        (void)names_literal(str_of(base), of);
    }
    (void)names_literal(str_of(name), quoted);
    (void)snprintf(sql, max,
                   "SELECT concat('version ', version()) UNION ALL SELECT "
                   "concat('column ', name, '\\t', type, '\\t', "
                   "toString(default_kind)) FROM system.columns WHERE "
                   "database = %s AND table = %s FORMAT TSVRaw",
                   of, quoted);
}
