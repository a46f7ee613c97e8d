#include "cli/replay/unpack.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "base/err.h"
#include "base/mem.h"

enum { IN_BYTES = 256 << 10, GZIP_BITS = MAX_WBITS + 16 };

struct unpack {
    FILE *file;
    char path[4096];
    enum { PLAIN, GZIP, ZSTD } kind;
    z_stream z;
    ZSTD_DCtx *zstd;
    bool inside; /* of a member or a frame */
    bool end;    /* of the file */
    bool grows;  /* its last frame may be on its way */
    uint64_t position;
    size_t at, n; /* of in: the bytes not yet inflated */
    unsigned char in[IN_BYTES];
};

static bool ends(const char *z, const char *tail)
{
    size_t n = strlen(z), k = strlen(tail);

    return n > k && strcmp(z + n - k, tail) == 0;
}

struct unpack *unpack_open(const char *path, struct err *e)
{
    FILE *file = fopen(path, "re");
    struct unpack *u;

    if (file == NULL) {
        (void)err_errno(e, errno, "%s", path);
        return NULL;
    }
    u = mem_zalloc(sizeof *u);
    u->file = file;
    (void)snprintf(u->path, sizeof u->path, "%s", path);
    u->kind = ends(path, ".gz") || ends(path, ".gz.part")     ? GZIP
              : ends(path, ".zst") || ends(path, ".zst.part") ? ZSTD
                                                              : PLAIN;
    u->grows = ends(path, ".part");
    if (u->kind == GZIP) {
        (void)inflateInit2(&u->z, GZIP_BITS);
    } else if (u->kind == ZSTD) {
        u->zstd = ZSTD_createDCtx();
    }
    return u;
}

void unpack_close(struct unpack *u)
{
    if (u->kind == GZIP) {
        (void)inflateEnd(&u->z);
    }
    (void)ZSTD_freeDCtx(u->zstd);
    (void)fclose(u->file);
    free(u);
}

uint64_t unpack_position(const struct unpack *u)
{
    return u->position;
}

/* More of the file, when all was used. */
static bool refill(struct unpack *u, struct err *e)
{
    if (u->at < u->n || u->end) {
        return true;
    }
    u->at = 0;
    u->n = fread(u->in, 1, sizeof u->in, u->file);
    u->position += u->n;
    u->end = u->n == 0;
    return !ferror(u->file) || err_errno(e, errno, "%s", u->path);
}

/* One step; the bytes made, or -1. */
static ssize_t inflate_gzip(struct unpack *u, char *out, size_t n, struct err *e)
{
    int rc;

    u->z.next_in = u->in + u->at;
    u->z.avail_in = (uInt)(u->n - u->at);
    u->z.next_out = (unsigned char *)out;
    u->z.avail_out = (uInt)(n < INT32_MAX ? n : INT32_MAX);
    n = u->z.avail_out;
    rc = inflate(&u->z, Z_NO_FLUSH);
    u->at = u->n - u->z.avail_in;
    u->inside = rc != Z_STREAM_END;
    if (rc == Z_STREAM_END) {
        (void)inflateReset(&u->z); /* maybe another member follows */
    } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
        (void)err_set(e, "%s: not valid gzip", u->path);
        return -1;
    }
    return (ssize_t)(n - u->z.avail_out);
}

static ssize_t inflate_zstd(struct unpack *u, char *out, size_t n, struct err *e)
{
    ZSTD_inBuffer from = {u->in, u->n, u->at};
    ZSTD_outBuffer to = {out, n, 0};
    size_t rc = ZSTD_decompressStream(u->zstd, &to, &from);

    if (ZSTD_isError(rc)) {
        (void)err_set(e, "%s: %s", u->path, ZSTD_getErrorName(rc));
        return -1;
    }
    u->at = from.pos;
    u->inside = rc != 0;
    return (ssize_t)to.pos;
}

ssize_t unpack_read(struct unpack *u, char *out, size_t n, struct err *e)
{
    for (;;) {
        ssize_t made;

        if (!refill(u, e)) {
            return -1;
        }
        if (u->kind == PLAIN) {
            size_t some = u->n - u->at < n ? u->n - u->at : n;

            memcpy(out, u->in + u->at, some);
            u->at += some;
            return (ssize_t)some;
        }
        if (u->end && !u->inside) {
            return 0;
        }
        made =
            u->kind == GZIP ? inflate_gzip(u, out, n, e) : inflate_zstd(u, out, n, e);
        if (made != 0) {
            return made;
        }
        if (u->end && u->grows) {
            return 0;
        }
        if (u->end && u->inside) {
            (void)err_set(e, "%s: cut off before its end", u->path);
            return -1;
        }
    }
}
