/* Bodies of every size around the buffer's come out whole, whatever packed them. */
#include "http/encoding.h"

#include <brotli/encode.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <zlib.h>
#include <zstd.h>

#include <cmocka.h>

#include "base/attr.h"

enum { ROOM = 256 << 10, MOST = 2 * ROOM + 1000, PACKED_MAX = MOST + 4096 };

static struct encoding *e;
static char *plain, *packed;

static size_t pack(enum http_encoding how, size_t n)
{
    z_stream z = {.next_in = (unsigned char *)plain,
                  .avail_in = (uInt)n,
                  .next_out = (unsigned char *)packed,
                  .avail_out = PACKED_MAX};

    if (how == HTTP_ZSTD) {
        size_t k = ZSTD_compress(packed, PACKED_MAX, plain, n, 1);

        assert_false(ZSTD_isError(k));
        return k;
    }
    if (how == HTTP_BROTLI) {
        size_t k = PACKED_MAX;

        assert_true(BrotliEncoderCompress(5, BROTLI_MAX_WINDOW_BITS, BROTLI_MODE_TEXT,
                                          n, (const uint8_t *)plain, &k,
                                          (uint8_t *)packed));
        return k;
    }
    assert_int_equal(deflateInit2(&z, 1, Z_DEFLATED,
                                  how == HTTP_GZIP ? MAX_WBITS + 16 : MAX_WBITS, 8,
                                  Z_DEFAULT_STRATEGY),
                     Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    (void)deflateEnd(&z);
    return (size_t)z.total_out;
}

static void unpack(enum http_encoding how, size_t n, uint64_t max,
                   enum encoding_result want)
{
    size_t k = pack(how, n);
    struct str out;
    enum encoding_result r;

    /* Each has a buffer as small as the first body's. */
    e = encoding_new();
    r = encoding_inflate(e, how, (struct str){packed, k}, max, &out);
    if (r != want) {
        fail_msg("encoding %d, %zu bytes of at most %zu: %d, not %d", (int)how, n,
                 (size_t)max, (int)r, (int)want);
    }
    if (want == ENCODING_OK) {
        assert_int_equal(out.n, n);
        assert_memory_equal(out.p, plain, n);
    }
    encoding_free(e);
}

static void inflates_bodies_that_fill_the_buffer_exactly(void **state)
{
    static const size_t sizes[] = {1,        ROOM - 1,    ROOM, ROOM + 1, 2 * ROOM - 1,
                                   2 * ROOM, 2 * ROOM + 1};

    (void)state;
    for (int how = HTTP_GZIP; how <= HTTP_BROTLI; how++) {
        for (size_t i = 0; i < N_ELEMS(sizes); i++) {
            unpack((enum http_encoding)how, sizes[i], 4 * ROOM, ENCODING_OK);
            unpack((enum http_encoding)how, sizes[i], sizes[i], ENCODING_OK);
            unpack((enum http_encoding)how, sizes[i], sizes[i] - 1, ENCODING_LARGE);
        }
    }
}

/* At each byte, and with one too many. */
static void a_body_that_was_cut_is_bad(void **state)
{
    enum { N = 300 };

    (void)state;
    for (int how = HTTP_GZIP; how <= HTTP_BROTLI; how++) {
        size_t k = pack((enum http_encoding)how, N);
        struct str out;

        e = encoding_new();
        for (size_t i = 1; i < k; i++) {
            assert_int_equal(ENCODING_BAD,
                             encoding_inflate(e, (enum http_encoding)how,
                                              (struct str){packed, i}, MOST, &out));
        }
        packed[k] = 'x';
        assert_int_equal(ENCODING_BAD,
                         encoding_inflate(e, (enum http_encoding)how,
                                          (struct str){packed, k + 1}, MOST, &out));
        assert_int_equal(ENCODING_OK,
                         encoding_inflate(e, (enum http_encoding)how,
                                          (struct str){packed, k}, MOST, &out));
        encoding_free(e);
    }
}

static void words_are_known_in_any_case_and_others_are_not(void **state)
{
    static const struct {
        const char *word;
        int how; /* -1: unknown */
    } words[] = {{"identity", HTTP_IDENTITY},
                 {"gzip", HTTP_GZIP},
                 {"X-GZip", HTTP_GZIP},
                 {"deflate", HTTP_DEFLATE},
                 {"zlib", HTTP_DEFLATE},
                 {"br", HTTP_BROTLI},
                 {"ZSTD", HTTP_ZSTD},
                 {"snappy", -1},
                 {"lz4", -1},
                 {"gzip,br", -1},
                 {"zlibs", -1},
                 {"", -1}};

    (void)state;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        enum http_encoding how = HTTP_IDENTITY;
        bool known = encoding_of(str_of(words[i].word), &how);

        if (known != (words[i].how >= 0) || (known && (int)how != words[i].how)) {
            fail_msg("%s: %d", words[i].word, known ? (int)how : -1);
        }
    }
}

static void the_first_bytes_tell_all_but_brotli(void **state)
{
    static const struct {
        const char *body;
        size_t n;
    } others[] = {{"{}", 2},
                  {"[]", 2},
                  {"", 0},
                  {"x", 1},
                  {"\x1F", 1},
                  {"\x1F\x8B", 2},
                  {"\x28\xB5\x2F", 3},
                  {"x=1&y=2", 7},
                  {" {}", 3},
                  {"\xEF\xBB\xBF{}", 5}};
    struct str out;

    (void)state;
    e = encoding_new();
    for (int how = HTTP_GZIP; how <= HTTP_ZSTD; how++) {
        size_t k = pack((enum http_encoding)how, 5000);

        assert_int_equal(
            ENCODING_OK,
            encoding_inflate(e, HTTP_DETECT, (struct str){packed, k}, MOST, &out));
        assert_int_equal(out.n, 5000);
        assert_memory_equal(out.p, plain, out.n);
        assert_int_equal(
            ENCODING_LARGE,
            encoding_inflate(e, HTTP_DETECT, (struct str){packed, k}, 4999, &out));
        assert_int_equal(
            ENCODING_BAD,
            encoding_inflate(e, HTTP_DETECT, (struct str){packed, k - 1}, MOST, &out));
    }
    for (size_t i = 0; i < N_ELEMS(others); i++) {
        struct str in = {others[i].body, others[i].n};

        assert_int_equal(ENCODING_OK, encoding_inflate(e, HTTP_DETECT, in, MOST, &out));
        assert_ptr_equal(out.p, in.p);
        assert_int_equal(out.n, in.n);
    }
    encoding_free(e);
    assert_int_equal(encoding_detected(HTTP_BROTLI), HTTP_BROTLI);
    assert_int_equal(encoding_detected(HTTP_GZIP), HTTP_DETECT);
}

/* So many MiB of zeros in a few hundred bytes; returns how many. */
static size_t pack_bomb(uint32_t window_bits, int mib)
{
    BrotliEncoderState *b = BrotliEncoderCreateInstance(NULL, NULL, NULL);
    static const uint8_t zeros[1 << 20];
    uint8_t *next_out = (uint8_t *)packed;
    size_t room = PACKED_MAX;

    assert_true(BrotliEncoderSetParameter(b, BROTLI_PARAM_QUALITY, 5));
    assert_true(BrotliEncoderSetParameter(b, BROTLI_PARAM_LGWIN, window_bits));
    for (int i = 0; i < mib; i++) {
        const uint8_t *next = zeros;
        size_t left = sizeof zeros;

        assert_true(BrotliEncoderCompressStream(
            b, i < mib - 1 ? BROTLI_OPERATION_PROCESS : BROTLI_OPERATION_FINISH, &left,
            &next, &room, &next_out, NULL));
        assert_int_equal(left, 0);
    }
    assert_true(BrotliEncoderIsFinished(b));
    BrotliEncoderDestroyInstance(b);
    return PACKED_MAX - room;
}

static long pages_touched(void)
{
    struct rusage u;

    assert_int_equal(0, getrusage(RUSAGE_SELF, &u));
    return u.ru_minflt;
}

/* Bombs of each window, one of them a gigabyte, and a window of a gigabyte. */
static void a_bomb_of_brotli_is_stopped_at_the_bound(void **state)
{
    /* Window bits 0x11: the large window of another format than "br". */
    static const char large[] = "\x11\x3E\x00\x00\x00";
    struct str out;

    (void)state;
    e = encoding_new();
    for (uint32_t bits = BROTLI_MAX_WINDOW_BITS; bits >= BROTLI_MIN_WINDOW_BITS;
         bits--) {
        size_t n = pack_bomb(bits, bits == BROTLI_MAX_WINDOW_BITS ? 1024 : 64);
        long before = pages_touched();

        assert_int_equal(
            ENCODING_LARGE,
            encoding_inflate(e, HTTP_BROTLI, (struct str){packed, n}, MOST, &out));
        assert_true(out.n <= MOST + 1);
        /* The output, and a window of twice the bound, not one of 16 MiB. */
        assert_true(pages_touched() - before < (8 << 20) / 4096);
    }
    assert_int_equal(ENCODING_BAD,
                     encoding_inflate(e, HTTP_BROTLI,
                                      (struct str){large, sizeof large - 1}, MOST,
                                      &out));
    encoding_free(e);
}

/* Copies from the first byte to the last of bodies around the windows' reach. */
static void a_narrow_window_of_brotli_reaches_the_whole_body(void **state)
{
    enum { TAIL = 14 }; /* fewer than the bytes of a window out of reach */
    static const size_t reach = (1 << 18) - 16;
    uint32_t x = 1;

    (void)state;
    e = encoding_new();
    for (size_t n = reach - 3; n < reach + 20; n++) {
        struct str out;
        size_t k = PACKED_MAX;
        uint8_t *far = malloc(n);

        for (size_t i = 0; i < n; i++) {
            x = x * 1664525 + 1013904223;
            far[i] = i < n - TAIL ? (uint8_t) "0123456789abcdef"[x >> 28]
                                  : far[i - (n - TAIL)];
        }
        assert_true(BrotliEncoderCompress(9, BROTLI_MAX_WINDOW_BITS,
                                          BROTLI_MODE_GENERIC, n, far, &k,
                                          (uint8_t *)packed));
        assert_int_equal(
            ENCODING_OK,
            encoding_inflate(e, HTTP_BROTLI, (struct str){packed, k}, n, &out));
        assert_int_equal(n, out.n);
        assert_memory_equal(far, out.p, n);
        assert_int_equal(
            ENCODING_LARGE,
            encoding_inflate(e, HTTP_BROTLI, (struct str){packed, k}, n - 1, &out));
        free(far);
    }
    encoding_free(e);
}

static int setup(void **state)
{
    (void)state;
    plain = malloc(MOST);
    packed = malloc(PACKED_MAX);
    for (size_t i = 0; i < MOST; i++) {
        plain[i] = "{\"event\":1234567890}"[(i * i / 7) % 20];
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(plain);
    free(packed);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inflates_bodies_that_fill_the_buffer_exactly),
        cmocka_unit_test(a_body_that_was_cut_is_bad),
        cmocka_unit_test(words_are_known_in_any_case_and_others_are_not),
        cmocka_unit_test(the_first_bytes_tell_all_but_brotli),
        cmocka_unit_test(a_narrow_window_of_brotli_reaches_the_whole_body),
        cmocka_unit_test(a_bomb_of_brotli_is_stopped_at_the_bound)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
