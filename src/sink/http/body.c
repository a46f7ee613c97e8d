/* The rows of an upload, compressed: a body that checks itself, because a plain one
 * that is cut at a row's end would insert its prefix. */
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"
#include "sink/http/internal.h"
#include "sink/http/upload.h"

enum {
    GZIP = 15 + 16,
    LEVEL = 1,
    /* ClickHouse's frame: 16 bytes of checksum, which is not looked at, the method,
     * the bytes from it on, the bytes when decompressed. */
    FRAME_CHECKSUM = 16,
    FRAME_HEAD = 9,
    FRAME_ZSTD = 0x90
};

struct body {
    char *rows;
    size_t n_rows, room;
    ZSTD_CCtx *zstd;
    z_stream gzip;
    bool gzip_ready;
};

struct body *body_new(void)
{
    struct body *b = mem_zalloc(sizeof *b);

    b->zstd = ZSTD_createCCtx();
    (void)ZSTD_CCtx_setParameter(b->zstd, ZSTD_c_compressionLevel, LEVEL);
    (void)ZSTD_CCtx_setParameter(b->zstd, ZSTD_c_checksumFlag, 1);
    return b;
}

void body_free(struct body *b)
{
    (void)ZSTD_freeCCtx(b->zstd);
    if (b->gzip_ready) {
        (void)deflateEnd(&b->gzip);
    }
    free(b->rows);
    free(b);
}

static char *room_for(struct body *b, size_t n)
{
    if (b->n_rows + n > b->room) {
        b->room = 2 * (b->n_rows + n);
        b->rows = mem_realloc(b->rows, b->room);
    }
    return b->rows + b->n_rows;
}

/* The plain rows: where they lie in the batch, or put together. */
static struct str plain(struct upload *u, uint32_t first, uint32_t n)
{
    const struct batch *b = u->batch;
    struct body *body = u->sink->bodies;
    struct columns *c = u->destination->columns;

    if (c == NULL) {
        const struct batch_entry *last = &b->entries[first + n - 1];
        uint32_t from = b->entries[first].off;

        return (struct str){b->bytes + from, last->off + last->len + 1 - from};
    }
    body->n_rows = 0;
    for (uint32_t k = first; k < first + n; k++) {
        const struct batch_entry *e = &b->entries[k];
        struct str event = {b->bytes + e->off, e->len};

        struct str row = columns_row(c, event);

        memcpy(room_for(body, row.n), row.p, row.n);
        body->n_rows += row.n;
    }
    return (struct str){body->rows, body->n_rows};
}

/* Lines as the elements of one JSON array, put together in b. */
static struct str as_array(struct body *b, struct str rows)
{
    char *p, *end, *newline;

    if (rows.p != b->rows) {
        b->n_rows = 0;
        memcpy(room_for(b, rows.n + 1) + 1, rows.p, rows.n);
    } else {
        (void)room_for(b, 1);
        memmove(b->rows + 1, b->rows, rows.n);
    }
    b->rows[0] = '[';
    p = b->rows + 1;
    end = p + rows.n;
    while ((newline = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        *newline = ',';
        p = newline + 1;
    }
    end[-1] = ']';
    return (struct str){b->rows, rows.n + 1};
}

static void reserve(struct upload *u, size_t n)
{
    if (n > u->body_room) {
        u->body_room = n;
        u->body = mem_realloc(u->body, n);
    }
}

/* From body[from] on. */
static bool squeeze_zstd(struct upload *u, struct str rows, size_t from)
{
    size_t n;

    reserve(u, from + ZSTD_compressBound(rows.n));
    n = ZSTD_compress2(u->sink->bodies->zstd, u->body + from, u->body_room - from,
                       rows.p, rows.n);
    u->n_body = from + n;
    return !ZSTD_isError(n);
}

static bool squeeze_native(struct upload *u, struct str rows)
{
    uint32_t sizes[2];
    char *head;

    if (!squeeze_zstd(u, rows, FRAME_CHECKSUM + FRAME_HEAD)) {
        return false;
    }
    memset(u->body, 0, FRAME_CHECKSUM);
    head = u->body + FRAME_CHECKSUM;
    sizes[0] = (uint32_t)(u->n_body - FRAME_CHECKSUM);
    sizes[1] = (uint32_t)rows.n;
    head[0] = (char)FRAME_ZSTD;
    memcpy(head + 1, sizes, sizeof sizes);
    return true;
}

static bool squeeze_gzip(struct upload *u, struct str rows)
{
    struct body *b = u->sink->bodies;
    z_stream *z = &b->gzip;

    if (!b->gzip_ready) {
        b->gzip_ready =
            deflateInit2(z, LEVEL, Z_DEFLATED, GZIP, 9, Z_DEFAULT_STRATEGY) == Z_OK;
    } else if (deflateReset(z) != Z_OK) {
        return false;
    }
    if (!b->gzip_ready) {
        return false;
    }
    reserve(u, deflateBound(z, rows.n));
    z->next_in = (Bytef *)(uintptr_t)rows.p;
    z->avail_in = (uInt)rows.n;
    z->next_out = (Bytef *)u->body;
    z->avail_out = (uInt)u->body_room;
    if (deflate(z, Z_FINISH) != Z_STREAM_END) {
        return false;
    }
    u->n_body = u->body_room - z->avail_out;
    return true;
}

bool body_make(struct upload *u, uint32_t first, uint32_t n, enum coding coding)
{
    struct str rows = plain(u, first, n);

    if (u->sink->conf.plan->http.array) {
        rows = as_array(u->sink->bodies, rows);
    }
    switch (coding) {
    case CODING_NONE:
        reserve(u, rows.n);
        memcpy(u->body, rows.p, rows.n);
        u->n_body = rows.n;
        return true;
    case CODING_ZSTD:
        return squeeze_zstd(u, rows, 0);
    case CODING_NATIVE:
        return squeeze_native(u, rows);
    default:
        return squeeze_gzip(u, rows);
    }
}
