#include "index/builder.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/crc32c.h"
#include "base/err.h"
#include "base/folder.h"
#include "base/mem.h"
#include "base/write.h"
#include "index/print_ring.h"

enum {
    IDS_FIRST = 4096,
    ROWS_FIRST = 256,
    ROWS_FREE = 64,   /* a file may have so many rows, */
    IDS_PER_ROW = 64, /* and one for so many ids */
    MINUTE_MS = 60000 /* no row passes it: rows are what the ledger adds up */
};

/* The last bytes of a disk are for the spool and the journals. */
#define ROOM_LEFT_BYTES (64ull << 20)

struct index_builder {
    uint64_t first, next;
    uint64_t n_events, n_lost;
    struct index_id *ids;
    uint32_t n_ids, ids_room;
    struct index_row *rows;
    uint32_t n_rows, rows_room;
    uint32_t step_ms;
    int64_t newest_ms; /* a row keeps the time of its first event only */
    bool apart;        /* the next event begins a row */
    bool mixed; /* a row may have events of several policies: its policy8 is 0 then */
};

struct index_builder *index_builder_new(uint64_t first)
{
    struct index_builder *b = mem_zalloc(sizeof *b);

    b->first = b->next = first;
    b->ids_room = IDS_FIRST;
    b->ids = mem_alloc(b->ids_room * sizeof *b->ids);
    b->rows_room = ROWS_FIRST;
    b->rows = mem_alloc(b->rows_room * sizeof *b->rows);
    b->step_ms = 1;
    return b;
}

void index_builder_free(struct index_builder *b)
{
    if (b != NULL) {
        free(b->ids);
        free(b->rows);
        free(b);
    }
}

bool index_has_room(const struct index_builder *b, uint32_t n)
{
    return b->n_ids + n <= INDEX_IDS_MAX && b->next - b->first + n <= INDEX_EVENTS_MAX;
}

uint64_t index_first(const struct index_builder *b)
{
    return b->first;
}

uint64_t index_end(const struct index_builder *b)
{
    return b->next;
}

int64_t index_oldest_ms(const struct index_builder *b)
{
    int64_t oldest = b->n_rows == 0 ? 0 : b->rows[0].wall_ms;

    for (uint32_t i = 0; i < b->n_rows; i++) {
        oldest = b->rows[i].wall_ms < oldest ? b->rows[i].wall_ms : oldest;
    }
    return oldest;
}

int64_t index_newest_ms(const struct index_builder *b)
{
    return b->newest_ms;
}

/* ---- rows ---- */

static int64_t step_of(const struct index_builder *b, int64_t wall_ms)
{
    return wall_ms / b->step_ms;
}

static bool same_row(const struct index_builder *b, const struct index_row *r,
                     const struct index_row *s)
{
    return r->seq + r->n == s->seq && (b->mixed || r->policy8 == s->policy8) &&
           step_of(b, r->wall_ms) == step_of(b, s->wall_ms) &&
           r->wall_ms / MINUTE_MS == s->wall_ms / MINUTE_MS;
}

/* Events that come one by one would each have a row: then times are less exact. */
static void merge_rows(struct index_builder *b)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < b->n_rows; i++) {
        struct index_row *last = n == 0 ? NULL : &b->rows[n - 1];

        if (last != NULL && same_row(b, last, &b->rows[i])) {
            last->n += b->rows[i].n;
            last->n_anonymous += b->rows[i].n_anonymous;
            last->sum += b->rows[i].sum;
            last->policy8 = last->policy8 == b->rows[i].policy8 ? last->policy8 : 0;
        } else {
            b->rows[n++] = b->rows[i];
        }
    }
    b->n_rows = n;
}

static void thin_rows(struct index_builder *b)
{
    while (b->n_rows > ROWS_FREE + b->n_ids / IDS_PER_ROW && b->step_ms < MINUTE_MS) {
        b->step_ms = b->step_ms < 1000 ? b->step_ms * 10 : b->step_ms * 60 / 4;
        b->step_ms = b->step_ms > MINUTE_MS ? MINUTE_MS : b->step_ms;
        merge_rows(b);
    }
    if (b->n_rows > ROWS_FREE + b->n_ids / IDS_PER_ROW && !b->mixed) {
        b->mixed = true; /* such as those of a canary, in turn */
        merge_rows(b);
    }
}

/* Whether the events of next can be counted in the last row. */
static bool joins(struct index_builder *b, const struct index_row *next)
{
    struct index_row *last = b->n_rows == 0 ? NULL : &b->rows[b->n_rows - 1];

    if (b->apart || last == NULL || !same_row(b, last, next)) {
        return false;
    }
    last->policy8 = last->policy8 == next->policy8 ? last->policy8 : 0;
    return true;
}

void index_block(struct index_builder *b, int64_t wall_ms, uint64_t policy8)
{
    struct index_row row = {
        .seq = b->next, .wall_ms = wall_ms < 0 ? 0 : wall_ms, .policy8 = policy8};

    b->newest_ms = row.wall_ms > b->newest_ms ? row.wall_ms : b->newest_ms;
    if (joins(b, &row)) {
        return;
    }
    if (b->n_rows == b->rows_room) {
        thin_rows(b);
        if (joins(b, &row)) {
            return;
        }
    }
    if (b->n_rows == b->rows_room) {
        b->rows_room *= 2;
        b->rows = mem_realloc(b->rows, b->rows_room * sizeof *b->rows);
    }
    b->rows[b->n_rows++] = row;
    b->apart = false;
}

static void make_room(struct index_builder *b, uint32_t n)
{
    if (b->n_ids + n > b->ids_room) {
        while (b->n_ids + n > b->ids_room) {
            b->ids_room *= 2;
        }
        b->ids = mem_realloc(b->ids, b->ids_room * sizeof *b->ids);
    }
}

void index_add_prints(struct index_builder *b, const uint64_t *prints, uint32_t n)
{
    struct index_row *row = &b->rows[b->n_rows - 1];
    const uint32_t ordinal = (uint32_t)(b->next - b->first);
    struct index_id *ids, *id;
    uint64_t sum = 0;

    make_room(b, n);
    ids = id = b->ids + b->n_ids;
    for (uint32_t i = 0; i < n; i++) {
        *id = (struct index_id){.print = prints[i], .ordinal = ordinal + i};
        id += prints[i] != PRINT_NONE;
        sum += prints[i];
    }
    b->n_ids += (uint32_t)(id - ids);
    row->n_anonymous += n - (uint32_t)(id - ids);
    row->sum += sum;
    row->n += n;
    b->n_events += n;
    b->next += n;
}

void index_add(struct index_builder *b, const char *id, size_t n)
{
    struct index_row *row = &b->rows[b->n_rows - 1];

    if (id == NULL) {
        row->n_anonymous++;
    } else {
        uint64_t print = index_print(id, n);

        make_room(b, 1);
        b->ids[b->n_ids++] = (struct index_id){
            .print = print, .ordinal = (uint32_t)(b->next - b->first)};
        row->sum += print;
    }
    row->n++;
    b->n_events++;
    b->next++;
}

void index_lose(struct index_builder *b, uint64_t n, bool promised)
{
    b->next += n;
    b->n_lost += promised ? n : 0;
    b->apart = true;
}

/* ---- the file ---- */

static void fill_head(const struct index_builder *b, const struct index_place *place,
                      struct index_head *h)
{
    memset(h, 0, sizeof *h);
    (void)snprintf(h->uuid, sizeof h->uuid, "%s", place->uuid);
    (void)snprintf(h->stream, sizeof h->stream, "%s", place->stream);
    (void)snprintf(h->field, sizeof h->field, "%s", place->field);
    h->epoch = place->epoch;
    h->worker = place->worker;
    h->first = b->first;
    h->end = b->next;
    h->n_events = b->n_events;
    h->n_lost = b->n_lost;
    h->n_ids = b->n_ids;
    h->n_rows = b->n_rows;
    h->step_ms = b->step_ms;
    h->oldest_ms = index_oldest_ms(b);
    h->newest_ms = b->newest_ms;
}

/* The whole file: it is written at once. */
static unsigned char *encode(const struct index_builder *b, struct index_head *h)
{
    const uint32_t n = index_groups(b->n_ids);
    const size_t n_rows = b->n_rows * sizeof *b->rows;
    unsigned char *file = mem_alloc(index_bytes(h));
    unsigned char *prints = file + INDEX_HEAD_BYTES, *crcs = prints + (size_t)n * 8;
    unsigned char *group = file + index_groups_at(h);

    for (uint32_t g = 0; g < n; g++) {
        const struct index_id *ids = b->ids + (size_t)g * INDEX_GROUP;
        const uint32_t n_ids = index_ids_of(b->n_ids, g);
        const uint64_t first = index_stored_print(ids[0].print);
        const uint32_t crc = index_group_encode(ids, n_ids, g, group);

        memcpy(prints + (size_t)g * 8, &first, 8);
        memcpy(crcs + (size_t)g * 4, &crc, 4);
        group += (size_t)n_ids * INDEX_ENTRY_BYTES;
    }
    memcpy(file + index_rows_at(h), b->rows, n_rows);
    h->fences_crc = crc32c(1, prints, (size_t)n * 8);
    h->fences_crc = crc32c(h->fences_crc, crcs, (size_t)n * 4);
    h->rows_crc = crc32c(2, b->rows, n_rows);
    index_head_encode(h, file);
    return file;
}

static bool leaves_room(const char *path, uint64_t bytes, struct err *e)
{
    char dir[PATH_MAX];
    struct statvfs st;
    char *slash;

    (void)snprintf(dir, sizeof dir, "%s", path);
    slash = strrchr(dir, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    return statvfs(dir, &st) != 0 ||
           (uint64_t)st.f_bavail * st.f_frsize >= bytes + ROOM_LEFT_BYTES ||
           err_errno(e, ENOSPC, "%s", path);
}

static bool write_file(const unsigned char *bytes, size_t n, const char *path,
                       struct err *e)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    bool ok;

    if (fd < 0) {
        return err_errno(e, errno, "%s", path);
    }
    ok = (write_at(fd, bytes, n, 0) || err_errno(e, errno, "%s: write", path)) &&
         (fdatasync(fd) == 0 || err_errno(e, errno, "%s: fdatasync", path));
    (void)close(fd);
    return ok;
}

bool index_write(struct index_builder *b, const struct index_place *place,
                 const char *path, uint64_t *bytes, struct err *e)
{
    struct index_id *spare = mem_alloc((b->n_ids + 1) * sizeof *spare);
    unsigned char *file;
    struct index_head h;
    char passing[PATH_MAX + 8];
    bool ok;

    index_sort(b->ids, spare, b->n_ids);
    free(spare);
    thin_rows(b);
    fill_head(b, place, &h);
    *bytes = index_bytes(&h);
    (void)snprintf(passing, sizeof passing, "%s.new", path);
    file = encode(b, &h);
    ok = leaves_room(path, *bytes, e) && write_file(file, *bytes, passing, e);
    free(file);
    if (ok &&
        (rename(passing, path) == 0 || err_errno(e, errno, "rename %s", passing))) {
        return folder_sync_of(path, e);
    }
    (void)unlink(passing);
    return false;
}
