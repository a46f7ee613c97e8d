/* Any bytes as a compressed body: the bound holds, and what brotli gives is what the
 * library's own call for a whole text gives. What was packed comes out as it was. */
#include <brotli/decode.h>
#include <brotli/encode.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/encoding.h"
#include "http/internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

enum { MOST = 64 << 10 };

static struct encoding *e;

/* As a body lies: with a pad behind it. */
static enum encoding_result run(enum http_encoding how, const uint8_t *p, size_t n,
                                uint64_t max, struct str *out)
{
    char *body = malloc(n + HTTP_PAD);
    enum encoding_result r;

    memcpy(body, p, n);
    memset(body + n, 0, HTTP_PAD);
    r = encoding_inflate(e, how, (struct str){body, n}, max, out);
    if (r == ENCODING_OK && out->n > max && out->p != body) {
        abort();
    }
    if (out->p == body) {
        *out = (struct str){NULL, n};
    }
    free(body);
    return r;
}

/* The whole text, and nothing behind it, with the window that it asks for. */
static void compare(const uint8_t *p, size_t n)
{
    static uint8_t whole[MOST];
    BrotliDecoderState *d = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    const uint8_t *next = p;
    uint8_t *to = whole;
    size_t left = n, room = MOST;
    struct str out;
    bool good = BrotliDecoderDecompressStream(d, &left, &next, &room, &to, NULL) ==
                    BROTLI_DECODER_RESULT_SUCCESS &&
                left == 0;

    BrotliDecoderDestroyInstance(d);
    if ((run(HTTP_BROTLI, p, n, MOST, &out) == ENCODING_OK) != good ||
        (good && (out.n != MOST - room || memcmp(out.p, whole, out.n) != 0))) {
        abort();
    }
}

static void round_trip(const uint8_t *p, size_t n, int quality, int window)
{
    size_t k = BrotliEncoderMaxCompressedSize(n) + 64;
    uint8_t *packed = malloc(k);
    struct str out;

    if (!BrotliEncoderCompress(quality, window, BROTLI_MODE_GENERIC, n, p, &k,
                               packed) ||
        run(HTTP_BROTLI, packed, k, MOST, &out) != ENCODING_OK || out.n != n ||
        memcmp(out.p, p, n) != 0 ||
        (n > 0 && run(HTTP_BROTLI, packed, k, n - 1, &out) != ENCODING_LARGE) ||
        run(HTTP_BROTLI, packed, k - 1, MOST, &out) == ENCODING_OK) {
        abort();
    }
    free(packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct str out;

    if (n < 2) {
        return 0;
    }
    if (e == NULL) {
        e = encoding_new();
    }
    compare(data + 1, n - 1);
    switch (data[0] % 4) {
    case 0:
        round_trip(data + 1, n - 1, data[0] / 32, 10 + data[0] / 4 % 15);
        break;
    case 1:
        (void)run(HTTP_DETECT, data + 1, n - 1, MOST, &out);
        break;
    case 2:
        (void)run(HTTP_DEFLATE, data + 1, n - 1, MOST, &out);
        break;
    default:
        (void)run(HTTP_BROTLI, data + 1, n - 1, data[0], &out);
        break;
    }
    return 0;
}
