#include "base/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void knows_the_vectors_of_the_rfc(void **state)
{
    unsigned char bytes[32];

    (void)state;
    memset(bytes, 0, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x8A9136AA);
    memset(bytes, 0xFF, sizeof bytes);
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x62A8AB43);
    for (int i = 0; i < 32; i++) {
        bytes[i] = (unsigned char)i;
    }
    assert_int_equal(crc32c(0, bytes, sizeof bytes), 0x46DD794E);
    assert_int_equal(crc32c(0, "123456789", 9), 0xE3069283);
}

static void gives_what_the_portable_one_gives(void **state)
{
    static unsigned char bytes[20000];
    uint32_t x = 1;

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) {
        x = x * 1664525 + 1013904223;
        bytes[i] = (unsigned char)(x >> 24);
    }
    for (size_t n = 0; n < sizeof bytes; n = n < 64 ? n + 1 : n * 5 / 4) {
        for (size_t at = 0; at < 9; at++) {
            size_t len = at + n < sizeof bytes ? n : sizeof bytes - at;

            assert_int_equal(crc32c(x, bytes + at, len),
                             crc32c_portable(x, bytes + at, len));
        }
    }
}

static void continues_where_it_stopped(void **state)
{
    (void)state;
    assert_int_equal(crc32c(crc32c(0, "1234", 4), "56789", 5), 0xE3069283);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_vectors_of_the_rfc),
        cmocka_unit_test(gives_what_the_portable_one_gives),
        cmocka_unit_test(continues_where_it_stopped)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
