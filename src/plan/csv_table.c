#include "plan/csv_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/siphash.h"
#include "base/utf8.h"

enum { PROBLEMS_MAX = 20 };

struct cell {
    uint32_t off, len; /* in text */
};

struct csv_table {
    char *text;         /* all cells, unquoted */
    struct cell *cells; /* n_columns each, the header first */
    uint32_t *lines;    /* where each row begins; for messages */
    uint32_t n_columns, n_rows, key_column;
    uint32_t mask;
    struct siphash_key hash_key; /* clients choose the keys */
    uint32_t *slots;             /* 1 + row; 0: free */
};

/* One pass over the file. */
struct reader {
    struct csv_table *l;
    const char *p, *end;
    char delimiter;
    uint32_t line, n_text, n_cells, room;
    uint32_t rows_room;
    csv_table_problem_fn *problem;
    void *arg;
    unsigned n_problems;
};

static void told(struct reader *r, uint32_t line, const char *text)
{
    if (r->n_problems < PROBLEMS_MAX) {
        r->problem(r->arg, line, text);
    } else if (r->n_problems == PROBLEMS_MAX) {
        r->problem(r->arg, line, "and there are more mistakes from here on");
    }
    r->n_problems++;
}

static void put(struct reader *r, char c)
{
    r->l->text[r->n_text++] = c;
}

static bool line_ends(const struct reader *r)
{
    return r->p == r->end || *r->p == '\n' ||
           (*r->p == '\r' && r->p + 1 < r->end && r->p[1] == '\n');
}

/* p is behind the opening quote. False: it is never closed. */
static bool read_quoted(struct reader *r)
{
    for (; r->p < r->end; r->p++) {
        if (*r->p == '"') {
            r->p++;
            if (r->p == r->end || *r->p != '"') {
                return true;
            }
        }
        r->line += *r->p == '\n';
        put(r, *r->p);
    }
    return false;
}

static void read_cell(struct reader *r)
{
    struct csv_table *l = r->l;
    uint32_t from = r->n_text, line = r->line;

    if (r->p < r->end && *r->p == '"') {
        r->p++;
        if (!read_quoted(r)) {
            told(r, line, "a quote is not closed");
        } else if (!line_ends(r) && *r->p != r->delimiter) {
            told(r, r->line, "text behind a closing quote");
        }
    }
    while (!line_ends(r) && *r->p != r->delimiter) {
        put(r, *r->p++);
    }
    if (r->n_cells == r->room) {
        r->room = r->room == 0 ? 1024 : 2 * r->room;
        l->cells = mem_realloc(l->cells, r->room * sizeof *l->cells);
    }
    l->cells[r->n_cells++] = (struct cell){from, r->n_text - from};
}

/* The cells of a line; their number. p is behind it afterwards. */
static uint32_t read_line(struct reader *r)
{
    uint32_t n = 0;

    for (;;) {
        read_cell(r);
        n++;
        if (line_ends(r)) {
            break;
        }
        r->p++; /* the delimiter */
    }
    if (r->p < r->end) {
        r->p += *r->p == '\r' ? 2 : 1;
    }
    r->line++;
    return n;
}

static struct str cell_at(const struct csv_table *l, uint32_t row, uint32_t column)
{
    /* The header is row 0 of the cells. */
    const struct cell *c = &l->cells[row * l->n_columns + column];

    return (struct str){l->text + c->off, c->len};
}

static bool read_header(struct reader *r, struct str key)
{
    struct csv_table *l = r->l;

    if (r->p == r->end) {
        told(r, 1, "the file is empty: its first line names the columns");
        return false;
    }
    l->n_columns = read_line(r);
    if (l->n_columns < 2 || l->n_columns > LOOKUP_COLUMNS_MAX) {
        told(r, 1,
             l->n_columns < 2 ? "one column only: a key and a value at least"
                              : "more than 64 columns");
        return false;
    }
    for (uint32_t i = 0; i < l->n_columns; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (str_eq(cell_at(l, 0, i), cell_at(l, 0, k))) {
                told(r, 1, "two columns have one name");
                return false;
            }
        }
        if (key.p != NULL && str_eq(cell_at(l, 0, i), key)) {
            l->key_column = i;
        }
    }
    if (key.p != NULL && !str_eq(cell_at(l, 0, l->key_column), key)) {
        told(r, 0, "the file has no such column");
        return false;
    }
    return true;
}

static void check_utf8(struct reader *r, const char *from, uint32_t line)
{
    for (const char *p = from; p < r->p;) {
        unsigned n = (unsigned char)*p < 0x80 ? 1 : utf8_char(p, r->p);

        if (n == 0) {
            told(r, line, "not UTF-8");
            return;
        }
        p += n;
    }
}

static void read_rows(struct reader *r)
{
    struct csv_table *l = r->l;
    char text[120];

    while (r->p < r->end && l->n_rows < LOOKUP_ROWS_MAX) {
        uint32_t line = r->line, cells = r->n_cells, n;
        unsigned before = r->n_problems;
        const char *from = r->p;

        n = read_line(r);
        if (n == 1 && l->cells[cells].len == 0) {
            r->n_cells = cells; /* an empty line */
            continue;
        }
        check_utf8(r, from, line);
        if (n != l->n_columns && r->n_problems > before) {
            r->n_cells = cells; /* the number says nothing more */
            continue;
        }
        if (n != l->n_columns) {
            (void)snprintf(text, sizeof text, "%u field%s, the first line has %u", n,
                           n == 1 ? "" : "s", l->n_columns);
            told(r, line, text);
            r->n_cells = cells;
            continue;
        }
        if (l->n_rows == r->rows_room) {
            r->rows_room = r->rows_room == 0 ? 1024 : 2 * r->rows_room;
            l->lines = mem_realloc(l->lines, r->rows_room * sizeof *l->lines);
        }
        l->lines[l->n_rows++] = line;
    }
    if (r->p < r->end) {
        told(r, r->line, "more than 5000000 rows");
    }
}

/* The slot of key, or the free one where it would be. */
static uint32_t slot_of(const struct csv_table *l, struct str key)
{
    uint32_t i = (uint32_t)siphash13(&l->hash_key, key.p, key.n) & l->mask;

    while (l->slots[i] != 0 && !str_eq(cell_at(l, l->slots[i], l->key_column), key)) {
        i = (i + 1) & l->mask;
    }
    return i;
}

static void index_rows(struct reader *r)
{
    struct csv_table *l = r->l;

    siphash_key_random(&l->hash_key);
    l->mask = 1;
    while (l->mask < 2 * l->n_rows) {
        l->mask *= 2;
    }
    l->slots = mem_zalloc(l->mask * sizeof *l->slots);
    l->mask--;
    for (uint32_t i = 0; i < l->n_rows; i++) {
        struct str key = cell_at(l, i + 1, l->key_column);
        uint32_t at = slot_of(l, key);
        char text[160];

        if (key.n == 0) {
            told(r, l->lines[i], "the key is empty");
        } else if (l->slots[at] != 0) {
            (void)snprintf(
                text, sizeof text, "the key \"%.*s\" is given twice, first in line %u",
                (int)(key.n > 60 ? 60 : key.n), key.p, l->lines[l->slots[at] - 1]);
            told(r, l->lines[i], text);
        } else {
            l->slots[at] = i + 1;
        }
    }
}

struct csv_table *csv_table_new(struct str csv, struct str key, char delimiter,
                                csv_table_problem_fn *problem, void *arg)
{
    struct csv_table *l = mem_zalloc(sizeof *l);
    struct reader r = {.l = l,
                       .p = csv.p,
                       .end = csv.p + csv.n,
                       .line = 1,
                       .delimiter = delimiter,
                       .problem = problem,
                       .arg = arg};

    if (csv.n >= 3 && memcmp(csv.p, "\xEF\xBB\xBF", 3) == 0) {
        r.p += 3;
    }
    l->text = mem_alloc(csv.n + 1);
    if (read_header(&r, key)) {
        read_rows(&r);
        index_rows(&r);
        if (l->n_rows == 0 && r.n_problems == 0) {
            told(&r, 1,
                 memchr(csv.p, '\r', csv.n) != NULL
                     ? "the lines end with CR alone; expected LF or CR LF"
                     : "the file has a header, but no rows");
        }
    }
    if (r.n_problems > 0) {
        csv_table_free(l);
        return NULL;
    }
    return l;
}

void csv_table_free(struct csv_table *l)
{
    if (l != NULL) {
        free(l->text);
        free(l->lines);
        free(l->cells);
        free(l->slots);
        free(l);
    }
}

uint32_t csv_table_n_columns(const struct csv_table *l)
{
    return l->n_columns;
}

struct str csv_table_column(const struct csv_table *l, uint32_t column)
{
    return cell_at(l, 0, column);
}

uint32_t csv_table_key_column(const struct csv_table *l)
{
    return l->key_column;
}

uint32_t csv_table_n_rows(const struct csv_table *l)
{
    return l->n_rows;
}

uint32_t csv_table_line(const struct csv_table *l, int32_t row)
{
    return l->lines[row];
}

int32_t csv_table_row(const struct csv_table *l, struct str key)
{
    return (int32_t)l->slots[slot_of(l, key)] - 1;
}

struct str csv_table_cell(const struct csv_table *l, int32_t row, int32_t column)
{
    if (row < 0 || (uint32_t)row >= l->n_rows || column < 0 ||
        (uint32_t)column >= l->n_columns) {
        return (struct str){NULL, 0};
    }
    return cell_at(l, (uint32_t)row + 1, (uint32_t)column);
}
