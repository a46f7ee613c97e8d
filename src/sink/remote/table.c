#include "sink/remote/table.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"

enum {
    /* From there on a String takes numbers and truths, and DateTime64 is there. */
    READS_NUMBERS = 23000,
    KNOWS_DATETIME64 = 20001,
    NAME_MAX = 128
};

/* What a column's type takes. */
enum takes { TAKES_ANY, TAKES_TEXT, TAKES_SECONDS, TAKES_DAYS, TAKES_INTEGERS,
             TAKES_FRACTIONS, TAKES_WORDS };

struct column {
    struct str name, type, kind; /* kind: "DEFAULT", "MATERIALIZED", "ALIAS" or "" */
};

/* What an event has at a path; field NULL: an object, for the schema names fields
 * inside of it. */
struct value {
    bool known;
    const struct field *field;
};

struct judge {
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

        if (line.n > sizeof head - 1 &&
            memcmp(line.p, head, sizeof head - 1) == 0) {
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

/* ---- types ---- */

static bool begins(struct str s, const char *with)
{
    size_t n = strlen(with);

    return s.n >= n && memcmp(s.p, with, n) == 0;
}

/* The type within Nullable(), LowCardinality(). */
static struct str bare(struct str type)
{
    static const char *const around[] = {"Nullable(", "LowCardinality("};

    for (size_t i = 0; i < N_ELEMS(around);) {
        if (begins(type, around[i])) {
            type.p += strlen(around[i]);
            type.n -= strlen(around[i]) + 1;
            i = 0;
        } else {
            i++;
        }
    }
    return type;
}

static enum takes takes(struct str type)
{
    if (begins(type, "String") || begins(type, "FixedString")) {
        return TAKES_TEXT;
    }
    if (begins(type, "DateTime")) {
        return begins(type, "DateTime64") ? TAKES_ANY : TAKES_SECONDS;
    }
    if (begins(type, "Date")) {
        return TAKES_DAYS;
    }
    if (begins(type, "Enum8") || begins(type, "Enum16")) {
        return TAKES_WORDS;
    }
    if (begins(type, "Float") || begins(type, "Decimal")) {
        return TAKES_FRACTIONS;
    }
    if ((begins(type, "Int") || begins(type, "UInt")) &&
        !begins(type, "Interval")) {
        return TAKES_INTEGERS;
    }
    return TAKES_ANY;
}

static int bits(struct str type)
{
    return atoi(type.p + (type.p[0] == 'U' ? 4 : 3));
}

static const char *type_word(const struct value *v)
{
    static const char *const words[] = {
        [FIELD_STR] = "str",   [FIELD_NUM] = "num",   [FIELD_INT] = "int",
        [FIELD_BOOL] = "bool", [FIELD_ENUM] = "enum", [FIELD_TIME] = "time",
        [FIELD_ANY] = "any"};

    return v->field == NULL ? "an object" : words[v->field->type];
}

/* ---- what does not fit ---- */

/* The first word of an enum that the column does not list. */
static const struct str *strange_word(const struct field *f, struct str type)
{
    char quoted[NAME_MAX + 4];

    for (uint32_t i = 0; i < f->n_values; i++) {
        int n = snprintf(quoted, sizeof quoted, "'%.*s'",
                         (int)(f->values[i].n < NAME_MAX ? f->values[i].n
                                                         : NAME_MAX),
                         f->values[i].p);

        if (memmem(type.p, type.n, quoted, (size_t)n) == NULL) {
            return &f->values[i];
        }
    }
    return NULL;
}

/* What is wrong with a value of the schema's type in a column, and what to do about
 * it; NULL: nothing that is certain. */
static const char *time_trouble(const struct judge *j, enum takes t,
                                struct str type)
{
    if (t == TAKES_SECONDS || t == TAKES_DAYS) {
        return j->version >= KNOWS_DATETIME64
                   ? "its milliseconds would wrap there without an error: make "
                     "the column DateTime64(3) or UInt64"
                   : "its milliseconds would wrap there without an error: make "
                     "the column UInt64";
    }
    if (t == TAKES_INTEGERS && bits(type) < 64) {
        return "its milliseconds would wrap there without an error: make the "
               "column UInt64";
    }
    return NULL;
}

static const char *object_trouble(enum takes t)
{
    if (t == TAKES_TEXT) {
        return "a String takes no object or array: name a field inside it, or "
               "keep the whole event with \"@event\"";
    }
    return t == TAKES_ANY ? NULL : "the column takes no object or array: name a "
                                   "field inside it";
}

static const char *trouble(const struct judge *j, const struct value *v,
                           struct str type)
{
    enum takes t = takes(type);

    if (v->field == NULL) {
        return object_trouble(t);
    }
    switch (v->field->type) {
    case FIELD_TIME:
        return time_trouble(j, t, type);
    case FIELD_ANY:
        return t == TAKES_TEXT ? "it may be an object or array, which a String "
                                 "takes not: say str { }, or name a field "
                                 "inside it"
                               : NULL;
    case FIELD_NUM:
    case FIELD_INT:
    case FIELD_BOOL:
        return t == TAKES_TEXT && j->version < READS_NUMBERS
                   ? "a String of this server takes text in quotes only: make "
                     "the column a number"
                   : NULL;
    case FIELD_ENUM:
        return t == TAKES_INTEGERS || t == TAKES_FRACTIONS ||
                       t == TAKES_SECONDS || t == TAKES_DAYS
                   ? "the column takes no words: make it String"
                   : NULL;
    default:
        return NULL;
    }
}

static bool say(const struct judge *j, const struct column *c, const char *path,
                const struct value *v, const char *what)
{
    (void)snprintf(j->why, j->max,
                   "table %s: column %.*s is %.*s, and the schema's %s is %s: %s "
                   "(check = false to send it all the same)",
                   j->plan->table, (int)c->name.n, c->name.p, (int)c->type.n,
                   c->type.p, path, type_word(v), what);
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

/* Whether column c takes what the schemas have at path. */
static bool fits(const struct judge *j, const struct column *c, const char *path)
{
    struct str type = bare(c->type);

    for (uint32_t i = 0; i < j->plan->n_schemas; i++) {
        struct value v = value_at(j->plan->schemas[i], str_of(path));
        const struct str *strange;
        const char *what = v.known ? trouble(j, &v, type) : NULL;
        char text[200];

        if (what != NULL) {
            return say(j, c, path, &v, what);
        }
        strange = v.field != NULL && v.field->type == FIELD_ENUM &&
                          takes(type) == TAKES_WORDS
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
static bool chosen_fits(const struct judge *j, const struct pair_plan *chosen)
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
        enum takes t = takes(bare(c.type));

        if (t != TAKES_TEXT && t != TAKES_ANY) {
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

bool table_fits(struct str answer, const struct clickhouse_plan *plan,
                uint32_t version, char *why, size_t max)
{
    struct judge j = {plan, answer, version, why, max};
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

/* ---- the question ---- */

/* A name without its backticks as 'text' in SQL; false: it has others in it. */
static bool quote(struct str name, char *out, size_t max)
{
    size_t n = 0;

    if (name.n > 1 && name.p[0] == '`' && name.p[name.n - 1] == '`') {
        name.p++;
        name.n -= 2;
    }
    if (name.n + 3 > max) {
        return false;
    }
    out[n++] = '\'';
    for (size_t i = 0; i < name.n; i++) {
        unsigned char x = (unsigned char)name.p[i];

        if (x == '\'' || x == '\\' || x == '`' || x == '(') {
            return false;
        }
        out[n++] = (char)x;
    }
    out[n++] = '\'';
    out[n] = '\0';
    return true;
}

void table_query(const struct clickhouse_plan *plan, char *sql, size_t max)
{
    const char *dot = strchr(plan->table, '.');
    struct str table = str_of(dot == NULL ? plan->table : dot + 1);
    char base[256] = "currentDatabase()", name[256];

    sql[0] = '\0';
    if ((dot == NULL ||
         quote((struct str){plan->table, (size_t)(dot - plan->table)}, base,
               sizeof base)) &&
        quote(table, name, sizeof name)) {
        (void)snprintf(sql, max,
                       "SELECT concat('version ', version()) UNION ALL SELECT "
                       "concat('column ', name, '\\t', type, '\\t', "
                       "toString(default_kind)) FROM system.columns WHERE "
                       "database = %s AND table = %s FORMAT TSVRaw",
                       base, name);
    }
}
