/* Bodies of every size around the buffer's come out whole, whatever packed them. */
#include "http/encoding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
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
    for (int how = HTTP_GZIP; how <= HTTP_ZSTD; how++) {
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
    for (int how = HTTP_GZIP; how <= HTTP_ZSTD; how++) {
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
        cmocka_unit_test(a_body_that_was_cut_is_bad)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
