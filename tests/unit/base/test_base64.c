#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"

static void writes_the_vectors_of_the_rfc(void **state)
{
    static const char *const rows[][2] = {{"", ""},
                                          {"f", "Zg=="},
                                          {"fo", "Zm8="},
                                          {"foo", "Zm9v"},
                                          {"foob", "Zm9vYg=="},
                                          {"fooba", "Zm9vYmE="},
                                          {"foobar", "Zm9vYmFy"}};
    char out[16], back[16];
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        n = base64_write(str_of(rows[i][0]), out);
        assert_int_equal(base64_length(strlen(rows[i][0])), n);
        assert_int_equal(strlen(rows[i][1]), n);
        assert_memory_equal(rows[i][1], out, n);
        assert_true(base64_read((struct str){out, n}, back, &n));
        assert_int_equal(strlen(rows[i][0]), n);
        assert_memory_equal(rows[i][0], back, n);
    }
}

static void reads_back_every_byte(void **state)
{
    char bytes[256], out[400], back[400];
    size_t n;

    (void)state;
    for (int i = 0; i < 256; i++) {
        bytes[i] = (char)i;
    }
    for (size_t from = 0; from < 3; from++) {
        struct str s = {bytes + from, 256 - from};

        assert_true(base64_read((struct str){out, base64_write(s, out)}, back, &n));
        assert_int_equal(s.n, n);
        assert_memory_equal(s.p, back, n);
    }
}

static void refuses_what_is_no_base64(void **state)
{
    static const char *const rows[] = {
        "Z", "Zg", "Zg=", "=g==", "Zg==Zg==", "Z===", "Zm9*", "Zm9-", "====", "Z g="};
    char out[16];
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_false(base64_read(str_of(rows[i]), out, &n));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(writes_the_vectors_of_the_rfc),
        cmocka_unit_test(reads_back_every_byte),
        cmocka_unit_test(refuses_what_is_no_base64),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
