#include "tables/csv_table.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/err.h"
#include "base/mem.h"
#include "tables/guard.h"
#include "tables/internal.h"
#include "tables/open.h"

uint32_t table_head_crc(const struct table_head *head)
{
    return crc32c(0, head, offsetof(struct table_head, head_crc));
}

bool table_head_fits(const struct table_head *head, uint64_t bytes)
{
    uint64_t places = ((uint64_t)head->n_buckets + 1) * sizeof(uint32_t);
    uint64_t rest = places + TABLE_TAIL_BYTES;

    return memcmp(head->magic, "sluicetb", sizeof head->magic) == 0 &&
           head->version == TABLE_VERSION && head->order == TABLE_ORDER &&
           head->head_crc == table_head_crc(head) && head->bytes == bytes &&
           head->n_columns >= 2 && head->n_columns <= CSV_COLUMNS_MAX &&
           head->key_column < head->n_columns && head->n_buckets > 0 &&
           head->data_at >= TABLE_HEAD_BYTES && head->data_at <= bytes &&
           head->data_bytes <= bytes - head->data_at &&
           head->data_bytes <= TABLE_DATA_BYTES_MAX &&
           head->places_at == head->data_at + head->data_bytes &&
           bytes - head->places_at == rest && head->data_at % 4 == 0 &&
           head->data_bytes % 4 == 0;
}

void table_drop(struct csv_table *l)
{
    free(l->names_text);
    free(l->lines);
    free(l);
}

static bool take_names(struct csv_table *l)
{
    size_t n_bytes = l->head.data_at - TABLE_HEAD_BYTES;
    const char *p = l->names_text = mem_alloc(n_bytes + 1), *end = p + n_bytes;

    memcpy(l->names_text, l->base + TABLE_HEAD_BYTES, n_bytes);
    for (uint32_t i = 0; i < l->head.n_columns; i++) {
        uint16_t n;

        if (end - p < 2) {
            return false;
        }
        memcpy(&n, p, 2);
        p += 2;
        if (end - p < n) {
            return false;
        }
        l->names[i] = (struct str){p, n};
        p += n;
    }
    return true;
}

struct csv_table *table_of(const char *base, size_t bytes)
{
    struct table_head own; /* the image's may change, once it is damaged */
    const struct table_head *head = &own;
    struct csv_table *l;

    if (bytes < TABLE_HEAD_BYTES) {
        return NULL;
    }
    memcpy(&own, base, sizeof own);
    if (!table_head_fits(head, bytes)) {
        return NULL;
    }
    l = mem_zalloc(sizeof *l);
    atomic_init(&l->refs, 1);
    l->base = base;
    l->head = own;
    l->data = base + head->data_at;
    l->data_units = head->data_bytes / 4;
    l->places = (const uint32_t *)(base + head->places_at);
    l->tail = base + bytes - TABLE_TAIL_BYTES;
    l->guard = l->fd = -1;
    for (uint32_t i = 0; i < head->n_columns; i++) {
        l->order[i] = i == head->key_column ? 0 : i < head->key_column ? i + 1 : i;
    }
    if (!take_names(l)) {
        table_drop(l);
        return NULL;
    }
    return l;
}

/* ---- a table in memory ---- */

static ssize_t more_text(void *arg, char *p, size_t n)
{
    struct str *left = arg;
    size_t take = left->n < n ? left->n : n;

    memcpy(p, left->p, take);
    left->p += take;
    left->n -= take;
    return (ssize_t)take;
}

static int by_line(const void *a, const void *b)
{
    uint32_t x = ((const struct row_line *)a)->line;
    uint32_t y = ((const struct row_line *)b)->line;

    return x < y ? -1 : x > y;
}

struct csv_table *csv_table_new(struct str csv, struct str key, char delimiter,
                                csv_problem_fn *problem, void *arg)
{
    return csv_table_new_ruled(csv, key, delimiter, NULL, problem, arg);
}

struct csv_table *csv_table_new_ruled(struct str csv, struct str key, char delimiter,
                                      const struct csv_rules *rules,
                                      csv_problem_fn *problem, void *arg)
{
    struct build b = {.key = key,
                      .delimiter = delimiter,
                      .rules = rules,
                      .more = more_text,
                      .more_arg = &csv,
                      .problem = problem,
                      .problem_arg = arg,
                      .with_lines = true,
                      .rows = {.fd = -1},
                      .out = {.fd = -1}};
    struct csv_table *l = NULL;
    struct err e = {""};

    if (table_build(&b, &e)) {
        b.head.head_crc = table_head_crc(&b.head);
        memcpy(b.out.p, &b.head, sizeof b.head);
        l = table_of(b.out.p, b.out.n);
    }
    if (l != NULL) {
        qsort(b.lines, b.n_lines, sizeof *b.lines, by_line);
        l->lines = b.lines;
        b.lines = NULL;
        b.out.p = NULL;
    } else if (e.text[0] != '\0') {
        problem(arg, 1, e.text);
    }
    table_build_fini(&b);
    return l;
}

struct csv_table *csv_table_ref(struct csv_table *l)
{
    (void)atomic_fetch_add(&l->refs, 1);
    return l;
}

void csv_table_unref(struct csv_table *l)
{
    if (l == NULL || !table_leave(l)) {
        return;
    }
    if (l->guard < 0) {
        free((void *)l->base);
    }
    table_drop(l);
}

/* ---- what it has ---- */

uint32_t csv_table_n_columns(const struct csv_table *l)
{
    return l->head.n_columns;
}

struct str csv_table_column(const struct csv_table *l, uint32_t column)
{
    return l->names[column];
}

uint32_t csv_table_key_column(const struct csv_table *l)
{
    return l->head.key_column;
}

uint32_t csv_table_n_rows(const struct csv_table *l)
{
    return l->head.n_rows;
}

const struct table_head *csv_table_head(const struct csv_table *l)
{
    return &l->head;
}

int32_t csv_table_nth(const struct csv_table *l, uint32_t nth)
{
    return l->lines[nth].row;
}

uint32_t csv_table_line(const struct csv_table *l, uint32_t nth)
{
    return l->lines[nth].line;
}

/* Whatever was cut of the file, its end is not there any more. */
static bool is_damaged(const struct csv_table *l)
{
    const volatile uint32_t *last = (const volatile uint32_t *)(l->tail + 4);

    return *last != TABLE_TAIL >> 32 || guard_damaged(l->guard);
}

bool csv_table_damaged(const struct csv_table *l)
{
    if (l->guard < 0) {
        return false;
    }
    guard_thread();
    return is_damaged(l);
}

/* ---- rows ---- */

static uint16_t length_at(const struct csv_table *l, uint64_t unit, uint32_t i)
{
    uint16_t n;

    memcpy(&n, l->data + unit * 4 + 2 * (uint64_t)i, 2);
    return n;
}

/* A cell by its place in the row. Nothing is read beyond the data, whatever they
 * are: a damaged file reads as zeros. */
static struct str cell_at(const struct csv_table *l, uint64_t unit, uint32_t place)
{
    uint64_t from = unit * 4 + 2 * (uint64_t)l->head.n_columns, n;

    if (unit >= l->data_units || from > l->data_units * 4) {
        return (struct str){NULL, 0};
    }
    for (uint32_t i = 0; i < place; i++) {
        from += length_at(l, unit, i);
    }
    n = length_at(l, unit, place);
    if (from + n > l->data_units * 4) {
        return (struct str){NULL, 0};
    }
    return (struct str){l->data + from, n};
}

/* The rows of a bucket: its first unit, and how many; 0: none. */
static uint32_t bucket_rows(const struct csv_table *l, uint32_t bucket, uint32_t *from)
{
    uint32_t end = l->places[bucket + 1], n;

    *from = l->places[bucket];
    if (*from >= end || end > l->data_units) {
        return 0;
    }
    memcpy(&n, l->data + (uint64_t)*from * 4, 4);
    n &= 0xFFFFFF;
    return n < end - *from ? n : 0;
}

static uint32_t entry_at(const struct csv_table *l, uint32_t from, uint32_t i)
{
    uint32_t entry;

    memcpy(&entry, l->data + ((uint64_t)from + i) * 4, 4);
    return entry;
}

static uint32_t bucket_of(const struct csv_table *l, uint64_t hash)
{
    return (uint32_t)((hash >> 32) * l->head.n_buckets >> 32);
}

static bool is_same(struct str own, struct str key, bool secret)
{
    return own.n == key.n && own.p != NULL &&
           (secret ? CRYPTO_memcmp(own.p, key.p, key.n)
                   : memcmp(own.p, key.p, key.n)) == 0;
}

static int32_t find_row(const struct csv_table *l, struct str key, bool secret)
{
    uint64_t hash = siphash13(&l->head.hash_key, key.p, key.n);
    uint32_t from, n = bucket_rows(l, bucket_of(l, hash), &from);

    for (uint32_t i = 0; i < n; i++) {
        uint32_t entry = entry_at(l, from, i);

        if (entry >> 24 == (hash & 0xFF)) {
            uint64_t unit = (uint64_t)from + (entry & 0xFFFFFF);

            if (is_same(cell_at(l, unit, 0), key, secret)) {
                return (int32_t)unit;
            }
        }
    }
    return TABLE_NO_ROW;
}

static inline int32_t row_of(const struct csv_table *l, struct str key, bool secret)
{
    int32_t row;

    if (l->guard < 0) {
        return find_row(l, key, secret);
    }
    guard_thread();
    row = find_row(l, key, secret);
    return UNLIKELY(is_damaged(l)) ? TABLE_DAMAGED : row;
}

int32_t csv_table_row(const struct csv_table *l, struct str key)
{
    return row_of(l, key, false);
}

int32_t csv_table_secret_row(const struct csv_table *l, struct str key)
{
    return row_of(l, key, true);
}

struct str csv_table_cell(const struct csv_table *l, int32_t row, int32_t column)
{
    if (row < 0 || column < 0 || (uint32_t)column >= l->head.n_columns) {
        return (struct str){NULL, 0};
    }
    return cell_at(l, (uint64_t)row, l->order[column]);
}

int32_t csv_table_next(const struct csv_table *l, int32_t row)
{
    uint32_t bucket = 0, from, n;

    if (row >= 0) {
        struct str key = cell_at(l, (uint64_t)row, 0);

        bucket = bucket_of(l, siphash13(&l->head.hash_key, key.p, key.n));
    }
    for (; bucket < l->head.n_buckets; bucket++) {
        n = bucket_rows(l, bucket, &from);
        for (uint32_t i = 0; i < n; i++) {
            int32_t unit = (int32_t)(from + (entry_at(l, from, i) & 0xFFFFFF));

            if (unit > row) {
                return unit;
            }
        }
    }
    return TABLE_NO_ROW;
}
