#include "server/admin/scrape.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <zlib.h>

#include "base/mem.h"
#include "http/http.h"
#include "server/admin/prefers.h"
#include "stats/stats.h"

/* 16,000 lines are 1.06 MB of text. Level 1 makes 59 kB of it in 3 ms, level 6 makes 54 kB
 * in 8 ms; writing the text takes 7 ms. */
enum { CHUNK_BYTES = 32 << 10, LEVEL = 1, GZIP_BITS = 15 + 16, MEMORY = 9 };

/* The text on its way into the answer: packed by chunks, so that it is nowhere whole. */
struct page {
    char *out;
    size_t n, room;
    bool packed;
    z_stream z;
    size_t n_chunk;
    char chunk[CHUNK_BYTES];
};

static void reserve(struct page *p, size_t n)
{
    if (n > p->room - p->n) {
        p->room = 2 * p->room + n;
        p->out = mem_realloc(p->out, p->room);
    }
}

/* What the chunk has, and the end of the gzip member. */
static void pack(struct page *p, int flush)
{
    int r;

    p->z.next_in = (Bytef *)p->chunk;
    p->z.avail_in = (uInt)p->n_chunk;
    do {
        reserve(p, CHUNK_BYTES);
        p->z.next_out = (Bytef *)p->out + p->n;
        p->z.avail_out = (uInt)(p->room - p->n);
        r = deflate(&p->z, flush);
        p->n = (size_t)((char *)p->z.next_out - p->out);
    } while (r == Z_OK && p->z.avail_out == 0);
    p->n_chunk = 0;
}

static void put(void *arg, const char *text, size_t n)
{
    struct page *p = arg;

    if (!p->packed) {
        reserve(p, n);
        memcpy(p->out + p->n, text, n);
        p->n += n;
        return;
    }
    while (n > 0) {
        size_t part = CHUNK_BYTES - p->n_chunk < n ? CHUNK_BYTES - p->n_chunk : n;

        memcpy(p->chunk + p->n_chunk, text, part);
        p->n_chunk += part;
        text += part;
        n -= part;
        if (p->n_chunk == CHUNK_BYTES) {
            pack(p, Z_NO_FLUSH);
        }
    }
}

static void refuse(struct http_request *r)
{
    http_answer(
        r, 406, "Content-Type: text/plain; charset=utf-8\r\nVary: Accept-Encoding\r\n",
        STR("Accept-Encoding excludes gzip and identity: expected one of them\n"));
}

void scrape_answer(struct http_request *r, const struct http_view *v)
{
    enum stats_format format = prefers_protobuf(v)      ? STATS_PROTOBUF
                               : prefers_openmetrics(v) ? STATS_OPENMETRICS
                                                        : STATS_TEXT;
    enum prefers_coding coding = prefers_coding(v);
    static const char *const types[] = {
        [STATS_TEXT] = "text/plain; version=0.0.4; charset=utf-8",
        [STATS_OPENMETRICS] =
            "application/openmetrics-text; version=1.0.0; charset=utf-8",
        [STATS_PROTOBUF] =
            "application/vnd.google.protobuf; "
            "proto=io.prometheus.client.MetricFamily; encoding=delimited"};
    struct page *p;
    char lines[256];

    if (coding == PREFERS_NONE) {
        refuse(r);
        return;
    }
    p = mem_alloc(sizeof *p);
    memset(p, 0, offsetof(struct page, chunk));
    reserve(p, 2 * CHUNK_BYTES);
    p->packed =
        coding == PREFERS_GZIP && deflateInit2(&p->z, LEVEL, Z_DEFLATED, GZIP_BITS,
                                               MEMORY, Z_DEFAULT_STRATEGY) == Z_OK;
    stats_write(format, put, p);
    if (p->packed) {
        pack(p, Z_FINISH);
        (void)deflateEnd(&p->z);
    }
    (void)snprintf(lines, sizeof lines,
                   "Content-Type: %s\r\n%sVary: Accept, Accept-Encoding\r\n",
                   types[format], p->packed ? "Content-Encoding: gzip\r\n" : "");
    http_answer(r, 200, lines, (struct str){p->out, p->n});
    free(p->out);
    free(p);
}
