/*
 * A CSV file to an image (csv_table.h), in three passes:
 *
 *   source ─ parse ─► rows, as they come, and 16 bytes in memory for each
 *                     sort by hash ─► duplicates are neighbours
 *   rows ─ gather ──► image, from its first byte to its last
 *
 * A large table's rows lie in a file without a name meanwhile. Files are written with
 * write(2) only: a full disk is an error of the call, not a signal.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/err.h"
#include "base/mem.h"
#include "tables/internal.h"
#include "tables/sink_bytes.h"
#include "tables/sort.h"

enum {
    ROWS_PER_BUCKET = 8,
    PLACE_MAX = 0xFFFFFF, /* of a row in its bucket */
    TWICE_MAX = CSV_PROBLEMS_MAX + 1
};

/* A row as it waits: lengths of the cells and the cells follow. */
struct waiting_row {
    uint32_t line;
    uint32_t bytes; /* of what follows, a multiple of 4 */
};

/* A key that is given twice. */
struct twice {
    uint32_t line, first;
    uint64_t at; /* of the row */
};

struct building {
    struct build *b;
    struct csv_reader reader;
    struct row_hash *list;
    size_t n, room;
    const char *rows;              /* when they are all there */
    struct twice twice[TWICE_MAX]; /* those of the lowest lines, in order */
    uint32_t n_twice;
    uint32_t *places;
    struct err *e;
};

/* ---- the rows as they come ---- */

static bool find_key(struct building *x)
{
    struct csv_reader *r = &x->reader;
    struct str key = x->b->key;
    uint32_t i = 0;

    while (key.p != NULL && i < r->n_columns && !str_eq(r->cells[i], key)) {
        i++;
    }
    if (i == r->n_columns) {
        csv_reader_tell(r, 0, "the file has no such column");
        return false;
    }
    x->b->head.key_column = i;
    return true;
}

static bool names_obey(struct building *x)
{
    const struct csv_rules *rules = x->b->rules;
    const char *why =
        rules == NULL ? NULL
                      : rules->names(rules->arg, x->reader.cells, x->reader.n_columns);

    if (why != NULL) {
        csv_reader_tell(&x->reader, 1, why);
    }
    return why == NULL;
}

static bool put_names(struct building *x)
{
    static const char zeros[TABLE_HEAD_BYTES];
    struct sink_bytes *out = &x->b->out;

    sink_put(out, zeros, TABLE_HEAD_BYTES);
    out->unsummed = TABLE_HEAD_BYTES; /* the head has its own checksum */
    for (uint32_t i = 0; i < x->reader.n_columns; i++) {
        uint16_t n = (uint16_t)x->reader.cells[i].n;

        sink_put(out, &n, 2);
        sink_put(out, x->reader.cells[i].p, n);
    }
    sink_pad(out);
    return out->error == 0;
}

static void put_row(struct building *x, uint64_t hash)
{
    struct sink_bytes *rows = &x->b->rows;
    uint32_t key = x->b->head.key_column, n = x->reader.n_columns;
    struct waiting_row w = {.line = x->reader.row_line, .bytes = 2 * n};
    uint16_t lengths[CSV_COLUMNS_MAX];
    uint32_t k = 0;

    lengths[k++] = (uint16_t)x->reader.cells[key].n;
    for (uint32_t i = 0; i < n; i++) {
        w.bytes += (uint32_t)x->reader.cells[i].n;
        if (i != key) {
            lengths[k++] = (uint16_t)x->reader.cells[i].n;
        }
    }
    w.bytes = (w.bytes + 3) & ~3u;
    x->list[x->n++] = (struct row_hash){hash, sink_at(rows)};
    sink_put(rows, &w, sizeof w);
    sink_put(rows, lengths, 2 * n);
    sink_put(rows, x->reader.cells[key].p, x->reader.cells[key].n);
    for (uint32_t i = 0; i < n; i++) {
        if (i != key) {
            sink_put(rows, x->reader.cells[i].p, x->reader.cells[i].n);
        }
    }
    sink_pad(rows);
}

/* False: told. */
static bool obeys(struct building *x)
{
    const struct csv_rules *rules = x->b->rules;
    struct csv_reader *r = &x->reader;
    const char *why = NULL;

    if (r->cells[x->b->head.key_column].n == 0) {
        why = "the key is empty";
    } else if (rules != NULL) {
        why = rules->row(rules->arg, r->cells, r->n_columns);
    }
    if (why != NULL) {
        csv_reader_tell(r, r->row_line, why);
    }
    return why == NULL;
}

static bool read_rows(struct building *x)
{
    struct csv_reader *r = &x->reader;

    while (csv_reader_row(r)) {
        struct str key;

        if (!obeys(x)) {
            continue;
        }
        key = r->cells[x->b->head.key_column];
        if (x->n == TABLE_ROWS_MAX) {
            csv_reader_tell(r, r->row_line, "more than 50000000 rows");
            return true;
        }
        if (x->n == x->room) {
            x->room = x->room == 0 ? 1024 : 2 * x->room;
            x->list = mem_realloc(x->list, x->room * sizeof *x->list);
        }
        put_row(x, siphash13(&x->b->head.hash_key, key.p, key.n));
        if (x->b->rows.error != 0) {
            return err_errno(x->e, x->b->rows.error, "its rows can't be written");
        }
    }
    if (r->error != 0) {
        return err_errno(x->e, r->error, "the file can't be read");
    }
    if (x->n == 0 && r->n_problems == 0) {
        csv_reader_tell(r, 1,
                        r->carriage_returns
                            ? "the lines end with CR alone; expected LF or CR LF"
                            : "the file has a header, but no rows");
    }
    return true;
}

/* ---- the rows in their buckets ---- */

static const struct waiting_row *row_at(const struct building *x, uint64_t at)
{
    return (const struct waiting_row *)(x->rows + at);
}

static struct str key_at(const struct building *x, uint64_t at)
{
    const char *p = x->rows + at + sizeof(struct waiting_row);
    uint16_t n;

    memcpy(&n, p, 2);
    return (struct str){p + 2 * (size_t)x->reader.n_columns, n};
}

static void add_twice(struct building *x, struct twice t)
{
    uint32_t i = x->n_twice;

    if (i == TWICE_MAX) {
        if (x->twice[--i].line < t.line) {
            return;
        }
    } else {
        x->n_twice++;
    }
    for (; i > 0 && x->twice[i - 1].line > t.line; i--) {
        x->twice[i] = x->twice[i - 1];
    }
    x->twice[i] = t;
}

/* Rows from .. end have one hash: those with one key are told but for the first. */
static void find_twice(struct building *x, size_t from, size_t end)
{
    uint64_t first = x->list[from].at;

    for (size_t i = from + 1; i < end; i++) {
        first = x->list[i].at < first ? x->list[i].at : first;
    }
    for (size_t i = from; i < end; i++) {
        uint64_t at = x->list[i].at;

        if (at != first && str_eq(key_at(x, at), key_at(x, first))) {
            add_twice(x,
                      (struct twice){row_at(x, at)->line, row_at(x, first)->line, at});
        }
    }
}

static void tell_twice(struct building *x)
{
    char text[160];

    for (uint32_t i = 0; i < x->n_twice; i++) {
        const struct twice *t = &x->twice[i];
        struct str key = key_at(x, t->at);

        if (x->b->rules != NULL && x->b->rules->secret) {
            (void)snprintf(text, sizeof text,
                           "the key is given twice, first in line %u", t->first);
        } else {
            (void)snprintf(text, sizeof text,
                           "the key \"%.*s\" is given twice, first in line %u",
                           (int)(key.n > 60 ? 60 : key.n), key.p, t->first);
        }
        csv_reader_tell(&x->reader, t->line, text);
    }
}

/* The rows from .. end are a bucket. False: they are too long for one. */
static bool put_bucket(struct building *x, size_t from, size_t end)
{
    struct sink_bytes *out = &x->b->out;
    uint64_t place = end - from, begin = (sink_at(out) - x->b->head.data_at) / 4;

    for (size_t i = from; i < end; i++) {
        uint32_t entry = (uint32_t)(x->list[i].hash & 0xFF) << 24 | (uint32_t)place;

        if (place > PLACE_MAX) {
            return err_set(x->e, "its rows are too long");
        }
        sink_put(out, &entry, 4);
        if (x->b->with_lines) {
            x->b->lines[x->b->n_lines++] = (struct row_line){
                row_at(x, x->list[i].at)->line, (int32_t)(begin + place)};
        }
        place += row_at(x, x->list[i].at)->bytes / 4;
    }
    for (size_t i = from; i < end; i++) {
        const struct waiting_row *w = row_at(x, x->list[i].at);

        sink_put(out, w + 1, w->bytes);
    }
    if (sink_at(out) - x->b->head.data_at > TABLE_DATA_BYTES_MAX) {
        return err_set(x->e, "its rows are more than 8 GiB");
    }
    return out->error == 0 ||
           err_errno(x->e, out->error, "the built table can't be written");
}

static bool put_buckets(struct building *x)
{
    struct table_head *head = &x->b->head;
    size_t i = 0;

    head->data_at = sink_at(&x->b->out);
    for (uint32_t k = 0; k < head->n_buckets; k++) {
        size_t from = i;

        x->places[k] = (uint32_t)((sink_at(&x->b->out) - head->data_at) / 4);
        while (i < x->n && (x->list[i].hash >> 32) * head->n_buckets >> 32 == k) {
            size_t same = i++;

            while (i < x->n && x->list[i].hash == x->list[same].hash) {
                i++;
            }
            if (UNLIKELY(i - same > 1)) {
                find_twice(x, same, i);
            }
        }
        /* Of a table with mistakes only the keys that are given twice are looked for. */
        if (x->reader.n_problems == 0 && x->n_twice == 0 && !put_bucket(x, from, i)) {
            return false;
        }
    }
    head->data_bytes = sink_at(&x->b->out) - head->data_at;
    x->places[head->n_buckets] = (uint32_t)(head->data_bytes / 4);
    return true;
}

/* ---- the image ---- */

static bool put_end(struct building *x)
{
    static const uint64_t tail = TABLE_TAIL;
    struct table_head *head = &x->b->head;
    struct sink_bytes *out = &x->b->out;

    head->places_at = sink_at(out);
    sink_put(out, x->places, ((size_t)head->n_buckets + 1) * sizeof *x->places);
    sink_put(out, &tail, sizeof tail);
    sink_flush(out);
    memcpy(head->magic, "sluicetb", sizeof head->magic);
    head->version = TABLE_VERSION;
    head->order = TABLE_ORDER;
    head->n_rows = (uint32_t)x->n;
    head->n_columns = x->reader.n_columns;
    head->bytes = sink_at(out);
    head->body_crc = out->crc;
    return out->error == 0 ||
           err_errno(x->e, out->error, "the built table can't be written");
}

static bool gather(struct building *x)
{
    struct table_head *head = &x->b->head;
    bool ok;

    row_hashes_sort(x->list, x->n);
    head->n_buckets = (uint32_t)(x->n / ROWS_PER_BUCKET) + 1;
    x->places = mem_alloc(((size_t)head->n_buckets + 1) * sizeof *x->places);
    x->rows = sink_read(&x->b->rows);
    if (x->b->with_lines) {
        x->b->lines = mem_alloc(x->n * sizeof *x->b->lines);
    }
    if (x->rows == NULL) {
        return err_errno(x->e, x->b->rows.error, "its rows can't be read again");
    }
    ok = put_buckets(x);
    if (sink_unread(&x->b->rows)) {
        return err_errno(x->e, x->b->rows.error, "its rows can't be read again");
    }
    tell_twice(x);
    return ok && x->reader.n_problems == 0 && put_end(x);
}

bool table_build(struct build *b, struct err *e)
{
    struct building x = {.b = b, .e = e};
    bool ok;

    siphash_key_random(&b->head.hash_key);
    csv_reader_init(&x.reader, b->delimiter, b->more, b->more_arg, b->problem,
                    b->problem_arg);
    ok = csv_reader_header(&x.reader);
    if (!ok && x.reader.error != 0) {
        (void)err_errno(e, x.reader.error, "the file can't be read");
    }
    if (ok && !put_names(&x)) {
        ok = err_errno(e, b->out.error, "the built table can't be written");
    }
    ok = ok && find_key(&x) && names_obey(&x) && read_rows(&x) && gather(&x);
    csv_reader_fini(&x.reader);
    free(x.list);
    free(x.places);
    return ok;
}

void table_build_fini(struct build *b)
{
    sink_fini(&b->rows);
    sink_fini(&b->out);
    free(b->lines);
}
