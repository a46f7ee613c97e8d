#include "plan/cidr_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

enum { TOP_BITS = 16, TOPS = 1 << TOP_BITS, PROBLEMS_MAX = 20, SHOWN_BYTES = 60 };

struct network {
    uint64_t hi, lo;
    uint32_t prefix;
    uint32_t nth; /* row of the file */
    int32_t row;
};

/* Where an address space changes its row: from starts[i] on it is rows[i]. */
struct ranges {
    uint32_t n;
    uint32_t *four;    /* starts of IPv4 */
    uint64_t *hi, *lo; /* of IPv6 */
    int32_t *rows;
    uint32_t *tops; /* the last range that begins at or before each top TOP_BITS */
};

struct cidr_table {
    struct ranges four, six;
};

struct reader {
    const struct csv_table *rows;
    struct network *list;
    uint32_t n;
    csv_problem_fn *problem;
    void *arg;
    unsigned n_problems;
};

static void told(struct reader *r, uint32_t nth, struct str key, const char *what)
{
    char text[300];

    r->n_problems++;
    if (r->n_problems <= PROBLEMS_MAX) {
        (void)snprintf(text, sizeof text, "\"%.*s\" %s",
                       (int)text_cut(key, SHOWN_BYTES), key.p, what);
        r->problem(r->arg, csv_table_line(r->rows, nth), text);
    } else if (r->n_problems == PROBLEMS_MAX + 1) {
        r->problem(r->arg, csv_table_line(r->rows, nth),
                   "and there are more mistakes from here on");
    }
}

static struct str key_of(const struct reader *r, int32_t row)
{
    return csv_table_cell(r->rows, row, (int32_t)csv_table_key_column(r->rows));
}

/* The networks of one family. */
static void read_networks(struct reader *r, bool four)
{
    r->n = 0;
    for (uint32_t i = 0; i < csv_table_n_rows(r->rows); i++) {
        int32_t row = csv_table_nth(r->rows, i);
        struct str key = key_of(r, row);
        struct address a;
        uint32_t prefix;
        const char *why = address_read_network(key, &a, &prefix);

        if (why != NULL) {
            if (four) {
                told(r, i, key, why);
            }
        } else if (a.four == four) {
            r->list[r->n++] = (struct network){a.hi, a.lo, prefix, i, row};
        }
    }
}

static int by_place(const void *x, const void *y)
{
    const struct network *a = x, *b = y;

    if (a->hi != b->hi) {
        return a->hi < b->hi ? -1 : 1;
    }
    if (a->lo != b->lo) {
        return a->lo < b->lo ? -1 : 1;
    }
    if (a->prefix != b->prefix) {
        return a->prefix < b->prefix ? -1 : 1;
    }
    return a->nth < b->nth ? -1 : a->nth > b->nth;
}

static void refuse_twice(struct reader *r)
{
    for (uint32_t i = 1; i < r->n; i++) {
        const struct network *a = &r->list[i - 1], *b = &r->list[i];
        char text[80];

        if (a->hi == b->hi && a->lo == b->lo && a->prefix == b->prefix) {
            (void)snprintf(text, sizeof text, "is the same network as that of line %u",
                           csv_table_line(r->rows, a->nth));
            told(r, b->nth, key_of(r, b->row), text);
        }
    }
}

/* The address after the network's last; false: there is none. */
static bool behind(const struct network *x, bool four, uint64_t *hi, uint64_t *lo)
{
    uint64_t step;

    *hi = x->hi;
    if (four) {
        *lo = x->lo + (1ull << (32 - x->prefix));
        return *lo <= UINT32_MAX;
    }
    if (x->prefix <= 64) {
        step = x->prefix == 0 ? 0 : 1ull << (64 - x->prefix);
        *lo = 0;
        *hi += step;
        return *hi != 0;
    }
    *lo = x->lo + (1ull << (128 - x->prefix));
    *hi += *lo == 0;
    return *lo != 0 || *hi != 0;
}

/* From an address on it is row. */
static void put(struct ranges *g, bool four, uint64_t hi, uint64_t lo, int32_t row)
{
    uint32_t last = g->n - 1;
    bool same = g->n > 0 &&
                (four ? g->four[last] == lo : g->hi[last] == hi && g->lo[last] == lo);

    if (!same) {
        last = g->n++;
    }
    if (four) {
        g->four[last] = (uint32_t)lo;
    } else {
        g->hi[last] = hi;
        g->lo[last] = lo;
    }
    g->rows[last] = row;
}

/* Whether network x begins before an address. */
static bool is_before(uint64_t hi, uint64_t lo, const struct network *x)
{
    return hi < x->hi || (hi == x->hi && lo <= x->lo);
}

/* The sorted networks as ranges: each begins its own, and gives way to the one around it
 * where it ends. */
static void flatten(const struct reader *r, bool four, struct ranges *g)
{
    const struct network *open[129 + 1];
    uint32_t depth = 0;
    uint64_t hi, lo;

    put(g, four, 0, 0, -1);
    for (uint32_t i = 0; i <= r->n; i++) {
        const struct network *x = i < r->n ? &r->list[i] : NULL;

        while (depth > 0) {
            bool ends = behind(open[depth - 1], four, &hi, &lo);

            if (x != NULL && (!ends || !is_before(hi, lo, x))) {
                break;
            }
            depth--;
            if (ends) {
                put(g, four, hi, lo, depth > 0 ? open[depth - 1]->row : -1);
            }
        }
        if (x != NULL) {
            put(g, four, x->hi, x->lo, x->row);
            open[depth++] = x;
        }
    }
}

static uint32_t top_of(const struct ranges *g, bool four, uint32_t i)
{
    return four ? g->four[i] >> (32 - TOP_BITS)
                : (uint32_t)(g->hi[i] >> (64 - TOP_BITS));
}

static void index_tops(struct ranges *g, bool four)
{
    uint32_t at = 0;

    g->tops = mem_alloc((TOPS + 1) * sizeof *g->tops);
    for (uint32_t top = 0; top <= TOPS; top++) {
        while (at < g->n && top_of(g, four, at) < top) {
            at++;
        }
        g->tops[top] = at; /* the first range whose top is not less */
    }
}

static void make_ranges(struct reader *r, bool four, struct ranges *g)
{
    uint64_t most;

    read_networks(r, four);
    qsort(r->list, r->n, sizeof *r->list, by_place);
    refuse_twice(r);
    if (r->n == 0 || r->n_problems > 0) {
        return;
    }
    most = 2 * (uint64_t)r->n + 1;
    g->rows = mem_alloc(most * sizeof *g->rows);
    if (four) {
        g->four = mem_alloc(most * sizeof *g->four);
    } else {
        g->hi = mem_alloc(most * sizeof *g->hi);
        g->lo = mem_alloc(most * sizeof *g->lo);
    }
    flatten(r, four, g);
    index_tops(g, four);
}

/* A file without a header loses its first network otherwise. */
static void refuse_header(struct reader *r)
{
    struct str name = csv_table_column(r->rows, csv_table_key_column(r->rows));
    struct address a;
    uint32_t prefix;

    if (address_read_network(name, &a, &prefix) == NULL) {
        r->n_problems++;
        r->problem(r->arg, 1,
                   "the first line has a network; it names the columns, such "
                   "as network,name");
    }
}

struct cidr_table *cidr_table_new(const struct csv_table *rows, csv_problem_fn *problem,
                                  void *arg)
{
    struct cidr_table *t = mem_zalloc(sizeof *t);
    struct reader r = {.rows = rows, .problem = problem, .arg = arg};

    r.list = mem_alloc((csv_table_n_rows(rows) + 1ull) * sizeof *r.list);
    refuse_header(&r);
    make_ranges(&r, true, &t->four);
    make_ranges(&r, false, &t->six);
    free(r.list);
    if (r.n_problems > 0) {
        cidr_table_free(t);
        return NULL;
    }
    return t;
}

static void free_ranges(struct ranges *g)
{
    free(g->four);
    free(g->hi);
    free(g->lo);
    free(g->rows);
    free(g->tops);
}

void cidr_table_free(struct cidr_table *t)
{
    if (t != NULL) {
        free_ranges(&t->four);
        free_ranges(&t->six);
        free(t);
    }
}

static bool begins_behind(const struct ranges *g, uint32_t i, const struct address *a)
{
    if (a->four) {
        return g->four[i] > a->lo;
    }
    return g->hi[i] > a->hi || (g->hi[i] == a->hi && g->lo[i] > a->lo);
}

int32_t cidr_table_find(const struct cidr_table *t, const struct address *a)
{
    const struct ranges *g = a->four ? &t->four : &t->six;
    uint64_t top = a->four ? a->lo >> (32 - TOP_BITS) : a->hi >> (64 - TOP_BITS);
    uint32_t low, high;

    if (g->n == 0) {
        return -1;
    }
    /* The range is the one before the first that begins after the address. */
    low = g->tops[top];
    high = g->tops[top + 1];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (begins_behind(g, middle, a)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return g->rows[low - 1];
}

/* ---- plain lists ---- */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static bool is_between(char c)
{
    return is_blank(c) || c == ',' || c == ';' || c == '#';
}

/* The line's network, and the rest without what is between. */
static struct str part_line(const char *p, const char *end, struct str *rest)
{
    const char *stop;

    while (p < end && is_blank(*p)) {
        p++;
    }
    while (end > p && is_blank(end[-1])) {
        end--;
    }
    stop = p;
    while (stop < end && !is_between(*stop)) {
        stop++;
    }
    rest->p = stop;
    while (rest->p < end && is_between(*rest->p)) {
        rest->p++;
    }
    rest->n = (size_t)(end - rest->p);
    return (struct str){p, (size_t)(stop - p)};
}

static bool is_comment(struct str network, const char *end)
{
    return network.p == end || *network.p == '#' || *network.p == ';';
}

static char *write_quoted(char *to, struct str s)
{
    *to++ = '"';
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '"') {
            *to++ = '"';
        }
        *to++ = s.p[i];
    }
    *to++ = '"';
    return to;
}

static const char *line_end(const char *p, const char *end)
{
    const char *nl = memchr(p, '\n', (size_t)(end - p));

    return nl == NULL ? end : nl;
}

static bool is_list(struct str text)
{
    const char *p = text.p, *end = text.p + text.n;
    struct address a;
    struct str rest;
    uint32_t prefix;

    if (memchr(p, '\n', text.n) == NULL && memchr(p, '\r', text.n) != NULL) {
        return false; /* lines that end with CR alone, as csv_table tells */
    }
    while (p < end) {
        const char *stop = line_end(p, end);
        struct str network = part_line(p, stop, &rest);

        if (!is_comment(network, stop)) {
            const char *slash = memchr(network.p, '/', network.n);

            network.n = slash == NULL ? network.n : (size_t)(slash - network.p);
            return address_read_network(network, &a, &prefix) == NULL;
        }
        p = stop + (stop < end);
    }
    return false;
}

struct str cidr_table_list(struct str text)
{
    static const char head[] = "network,value";
    const char *p = text.p, *end = text.p + text.n;
    char *csv, *to;

    if (text.n >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0) {
        p += 3;
    }
    if (!is_list((struct str){p, (size_t)(end - p)})) {
        return (struct str){NULL, 0};
    }
    /* The lines keep their numbers: the first one's is beside the header's. */
    csv = mem_alloc(sizeof head + 8 * text.n + 16);
    to = csv + sizeof head - 1;
    memcpy(csv, head, sizeof head - 1);
    while (p < end) {
        const char *stop = line_end(p, end);
        struct str rest, network = part_line(p, stop, &rest);

        *to++ = '\n';
        if (!is_comment(network, stop)) {
            to = write_quoted(to, network);
            *to++ = ',';
            to = write_quoted(to, rest.n == 0 ? network : rest);
        }
        p = stop + (stop < end);
    }
    return (struct str){csv, (size_t)(to - csv)};
}
