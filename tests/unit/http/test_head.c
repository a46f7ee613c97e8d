/* A head is read in words and whole lines where it is there as a whole; that must tell
 * no other bytes apart than reading it byte by byte does. */
#include "http/head.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char sound[] = "POST /v1/events?a=b HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
                            "X-Long-Name-Of-A-Header: a value, a tab\tand \xC3\xA9\r\n"
                            "Empty:\r\nContent-Length: 12\r\n\r\n";

struct verdict {
    enum head_result result;
    size_t used;
    const char *why;
};

/* parts: bytes fed at a time. */
static struct verdict read_in(const char *p, size_t n, size_t parts)
{
    struct verdict v = {HEAD_MORE, 0, NULL};
    struct head h;

    head_reset(&h);
    while (v.result == HEAD_MORE && v.used < n) {
        size_t left = n - v.used;

        v.used += head_feed(&h, p + v.used, left < parts ? left : parts, &v.result);
    }
    v.why = v.result == HEAD_BAD ? head_why(&h) : NULL;
    return v;
}

static void a_sound_head_ends_behind_its_empty_line(void **state)
{
    (void)state;
    for (size_t parts = 1; parts <= sizeof sound; parts++) {
        struct verdict v = read_in(sound, sizeof sound - 1, parts);

        assert_int_equal(v.result, HEAD_DONE);
        assert_int_equal(v.used, sizeof sound - 1);
    }
}

static void any_byte_at_any_place_is_judged_alike_in_parts_and_whole(void **state)
{
    char text[sizeof sound];

    (void)state;
    memcpy(text, sound, sizeof sound);
    for (size_t at = 0; at < sizeof sound - 1; at++) {
        for (int byte = 0; byte < 256; byte++) {
            struct verdict whole, parts;

            text[at] = (char)byte;
            whole = read_in(text, sizeof sound - 1, sizeof sound);
            parts = read_in(text, sizeof sound - 1, 1);
            if (whole.result != parts.result || whole.used != parts.used ||
                whole.why != parts.why) {
                fail_msg("byte %d at %zu: %d, %zu bytes, and %d, %zu bytes", byte, at,
                         (int)whole.result, whole.used, (int)parts.result, parts.used);
            }
        }
        text[at] = sound[at];
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_head_ends_behind_its_empty_line),
        cmocka_unit_test(any_byte_at_any_place_is_judged_alike_in_parts_and_whole)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
