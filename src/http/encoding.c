#include "http/encoding.h"

#include <brotli/decode.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>
#include <zstd.h>

#include "base/mem.h"
#include "http/internal.h"

/* 8 MiB: the window of zstd's own levels up to 19 (RFC 8878, 3.1.1.1.2 asks decoders
 * for that much). */
enum { ZSTD_WINDOW_LOG_MAX = 23, FIRST_BYTES = 256 << 10, KEPT_BYTES = 8 << 20 };

struct encoding {
    z_stream z;
    bool z_ready;
    ZSTD_DCtx *zstd;
    char *out;
    size_t room; /* without the pad */
};

struct encoding *encoding_new(void)
{
    return mem_zalloc(sizeof(struct encoding));
}

void encoding_free(struct encoding *e)
{
    if (e == NULL) {
        return;
    }
    if (e->z_ready) {
        (void)inflateEnd(&e->z);
    }
    (void)ZSTD_freeDCtx(e->zstd);
    free(e->out);
    free(e);
}

bool encoding_of(struct str value, enum http_encoding *out)
{
    static const struct {
        struct str name;
        enum http_encoding how;
    } known[] = {{STR("identity"), HTTP_IDENTITY}, {STR("gzip"), HTTP_GZIP},
                 {STR("x-gzip"), HTTP_GZIP},       {STR("deflate"), HTTP_DEFLATE},
                 {STR("zlib"), HTTP_DEFLATE}, /* OpenTelemetry's collectors say so */
                 {STR("br"), HTTP_BROTLI},         {STR("zstd"), HTTP_ZSTD}};

    for (size_t i = 0; i < N_ELEMS(known); i++) {
        if (value.n == known[i].name.n &&
            strncasecmp(value.p, known[i].name.p, value.n) == 0) {
            *out = known[i].how;
            return true;
        }
    }
    return false;
}

/* False: max is reached. */
static bool grow(struct encoding *e, uint64_t max)
{
    size_t room = e->room == 0 ? FIRST_BYTES : 2 * e->room;

    if (e->room > max) {
        return false;
    }
    if (room > max + 1) {
        room = (size_t)max + 1; /* one more tells too much from just enough */
    }
    e->room = room;
    e->out = mem_realloc(e->out, room + HTTP_PAD);
    return true;
}

/* window_bits as inflateInit2 takes them. */
static enum encoding_result run_zlib(struct encoding *e, int window_bits, struct str in,
                                     uint64_t max, size_t *n)
{
    int rc = e->z_ready ? inflateReset2(&e->z, window_bits)
                        : inflateInit2(&e->z, window_bits);

    if (rc != Z_OK) {
        return ENCODING_BAD;
    }
    e->z_ready = true;
    e->z.next_in = (unsigned char *)(uintptr_t)in.p;
    e->z.avail_in = (uInt)in.n;
    *n = 0;
    for (;;) {
        if (*n == e->room && !grow(e, max)) {
            return ENCODING_LARGE;
        }
        e->z.next_out = (unsigned char *)e->out + *n;
        e->z.avail_out = (uInt)(e->room - *n);
        rc = inflate(&e->z, Z_NO_FLUSH);
        *n = e->room - e->z.avail_out;
        if (rc == Z_STREAM_END && e->z.avail_in == 0) {
            return *n > max ? ENCODING_LARGE : ENCODING_OK;
        }
        if (rc == Z_STREAM_END && window_bits > MAX_WBITS) {
            /* The next gzip member (RFC 1952, 2.2). */
            if (inflateReset(&e->z) != Z_OK) {
                return ENCODING_BAD;
            }
        } else if (rc == Z_STREAM_END) {
            return ENCODING_BAD;
        } else if (rc == Z_BUF_ERROR && e->z.avail_out > 0) {
            return ENCODING_BAD; /* cut off */
        } else if (rc != Z_OK && rc != Z_BUF_ERROR) {
            return ENCODING_BAD;
        } else if (e->z.avail_in == 0 && e->z.avail_out > 0) {
            return ENCODING_BAD; /* cut off */
        }
    }
}

/* "deflate" is zlib's format (RFC 9110, 8.4.1.2); some send it bare. */
static enum encoding_result run_deflate(struct encoding *e, struct str in, uint64_t max,
                                        size_t *n)
{
    enum encoding_result r = run_zlib(e, MAX_WBITS, in, max, n);

    return r == ENCODING_BAD ? run_zlib(e, -MAX_WBITS, in, max, n) : r;
}

static enum encoding_result run_zstd(struct encoding *e, struct str in, uint64_t max,
                                     size_t *n)
{
    ZSTD_inBuffer src = {in.p, in.n, 0};
    size_t rc = 1;

    if (e->zstd == NULL) {
        e->zstd = ZSTD_createDCtx();
        if (e->zstd == NULL ||
            ZSTD_isError(ZSTD_DCtx_setParameter(e->zstd, ZSTD_d_windowLogMax,
                                                ZSTD_WINDOW_LOG_MAX))) {
            return ENCODING_BAD;
        }
    }
    (void)ZSTD_DCtx_reset(e->zstd, ZSTD_reset_session_only);
    *n = 0;
    for (;;) {
        ZSTD_outBuffer dst;

        if (*n == e->room && !grow(e, max)) {
            return ENCODING_LARGE;
        }
        dst = (ZSTD_outBuffer){e->out, e->room, *n};
        rc = ZSTD_decompressStream(e->zstd, &dst, &src);
        *n = dst.pos;
        if (ZSTD_isError(rc)) {
            return ENCODING_BAD;
        }
        /* All is read, all is flushed: the frame has ended, or there is room left.
         * A frame may end with the last byte of the room. */
        if (src.pos == src.size && (rc == 0 || dst.pos < dst.size)) {
            break;
        }
    }
    if (rc != 0) {
        return ENCODING_BAD; /* cut off */
    }
    return *n > max ? ENCODING_LARGE : ENCODING_OK;
}

/* The first byte of brotli, with a window no larger than a body of max bytes needs (RFC
 * 7932, 9.1: four bits for 256 KiB to 16 MiB). Distances mean the same in each, as long
 * as they reach the first byte. The decoder fills its window before it hands over: a
 * bomb of a KiB would take 16 MiB and 60 ms. */
static uint8_t narrow(uint8_t first, uint64_t max)
{
    unsigned bits = first % 2 == 1 ? 17 + (first >> 1) % 8 : 0, wanted = 18;

    while (wanted < bits && (1ull << wanted) - 16 <= max) {
        wanted++;
    }
    return wanted < bits ? (uint8_t)((first & 0xF1) | (wanted - 17) << 1) : first;
}

/* A window is 16 MiB at most, since a large one must be asked for; it is there during
 * this call. Unlike zlib's and zstd's, this decoder can't be used again. */
static enum encoding_result run_brotli(struct encoding *e, struct str in, uint64_t max,
                                       size_t *n)
{
    BrotliDecoderState *d = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    uint8_t first = in.n > 0 ? narrow((uint8_t)in.p[0], max) : 0;
    const uint8_t *next_in = &first;
    enum encoding_result r = ENCODING_BAD;
    BrotliDecoderResult rc = BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT;
    size_t left = in.n > 0, rest = in.n - left;

    *n = 0;
    while (d != NULL && (rc == BROTLI_DECODER_RESULT_NEEDS_MORE_OUTPUT ||
                         (rc == BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT && rest > 0))) {
        uint8_t *next_out;
        size_t room;

        if (rc == BROTLI_DECODER_RESULT_NEEDS_MORE_INPUT) {
            next_in = (const uint8_t *)in.p + 1;
            left = rest;
            rest = 0;
        }
        if (*n == e->room && !grow(e, max)) {
            r = ENCODING_LARGE;
            break;
        }
        next_out = (uint8_t *)e->out + *n;
        room = e->room - *n;
        rc = BrotliDecoderDecompressStream(d, &left, &next_in, &room, &next_out, NULL);
        *n = e->room - room;
    }
    if (rc == BROTLI_DECODER_RESULT_SUCCESS && left + rest == 0) {
        r = *n > max ? ENCODING_LARGE : ENCODING_OK;
    }
    if (d != NULL) {
        BrotliDecoderDestroyInstance(d);
    }
    return r;
}

/* By the first bytes (RFC 1952, 8878, 1950); zlib's with the header that libraries
 * write. No JSON begins so. */
static enum http_encoding detect(struct str in)
{
    const unsigned char *p = (const unsigned char *)in.p;

    if (in.n > 2 && p[0] == 0x1F && p[1] == 0x8B) {
        return HTTP_GZIP;
    }
    if (in.n > 4 && memcmp(p, "\x28\xB5\x2F\xFD", 4) == 0) {
        return HTTP_ZSTD;
    }
    if (in.n > 2 && p[0] == 0x78 &&
        (p[1] == 0x01 || p[1] == 0x5E || p[1] == 0x9C || p[1] == 0xDA)) {
        return HTTP_DEFLATE;
    }
    return HTTP_IDENTITY;
}

enum http_encoding encoding_detected(enum http_encoding sent)
{
    return sent == HTTP_BROTLI ? sent : HTTP_DETECT;
}

enum encoding_result encoding_inflate(struct encoding *e, enum http_encoding how,
                                      struct str in, uint64_t max, struct str *out)
{
    enum encoding_result r;
    size_t n = 0;

    if (e->room > KEPT_BYTES) {
        free(e->out);
        e->out = NULL;
        e->room = 0;
    }
    how = how == HTTP_DETECT ? detect(in) : how;
    if (how == HTTP_IDENTITY) {
        *out = in;
        return ENCODING_OK;
    }
    r = how == HTTP_GZIP      ? run_zlib(e, MAX_WBITS + 16, in, max, &n)
        : how == HTTP_DEFLATE ? run_deflate(e, in, max, &n)
        : how == HTTP_BROTLI  ? run_brotli(e, in, max, &n)
                              : run_zstd(e, in, max, &n);
    *out = (struct str){e->out, n};
    return r;
}
