/* Frames are whole files by themselves, and damage in them is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/attr.h"
#include "base/err.h"
#include "sink/file/frame.h"

static const enum compress hows[] = {COMPRESS_NONE, COMPRESS_ZSTD, COMPRESS_GZIP};

static void what_was_made_is_whole(void **state)
{
    struct frame *f = frame_new();
    struct err e;

    (void)state;
    for (size_t i = 0; i < N_ELEMS(hows); i++) {
        struct str s = frame_make(f, hows[i], STR("{\"a\":1}\n{\"a\":2}\n"), &e);

        assert_non_null(s.p);
        assert_true(frame_check(hows[i], s));
        assert_false(frame_check(hows[i], (struct str){s.p, s.n - 1}));
    }
    frame_free(f);
}

static void a_changed_byte_in_a_compressed_frame_is_seen(void **state)
{
    struct frame *f = frame_new();
    struct err e;

    (void)state;
    for (size_t i = 1; i < N_ELEMS(hows); i++) {
        struct str s = frame_make(f, hows[i], STR("{\"a\":1}\n{\"a\":2}\n"), &e);
        char copy[512];

        assert_true(s.n < sizeof copy);
        memcpy(copy, s.p, s.n);
        copy[s.n / 2] ^= 0x10;
        assert_false(frame_check(hows[i], (struct str){copy, s.n}));
        memset(copy, 0, s.n); /* a page that never reached the disk */
        assert_false(frame_check(hows[i], (struct str){copy, s.n}));
    }
    frame_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_made_is_whole),
        cmocka_unit_test(a_changed_byte_in_a_compressed_frame_is_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
