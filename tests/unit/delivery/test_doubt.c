/* Of which events records may be gone, whatever clocks said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <unistd.h>

#include "delivery/doubt.h"

enum { EPOCH = 5 };

static struct doubt of_two_streams(void)
{
    struct doubt d = {.n = 0};

    doubt_add(&d, STR("st"), EPOCH - 1, 0, 90);
    doubt_add(&d, STR("st"), EPOCH, 0, 7);
    doubt_add(&d, STR("st"), EPOCH, 3, 9);
    doubt_add(&d, STR("st"), EPOCH, 0, 4);
    doubt_add(&d, STR("st"), EPOCH - 2, 0, 1000); /* noted late */
    doubt_add(&d, STR("other"), EPOCH - 1, 0, 90);
    return d;
}

static void is_of_two_streams(const struct doubt *d)
{
    assert_true(doubt_end(d, "st", EPOCH - 1, 0, 0) == UINT64_MAX);
    assert_int_equal(7, doubt_end(d, "st", EPOCH, 0, 0));
    assert_int_equal(0, doubt_end(d, "st", EPOCH, 1, 0));
    assert_int_equal(9, doubt_end(d, "st", EPOCH, 3, 0));
    assert_int_equal(0, doubt_end(d, "st", EPOCH + 1, 0, 0));
    assert_int_equal(90, doubt_end(d, "other", EPOCH - 1, 0, 0));
    assert_int_equal(0, doubt_end(d, "third", EPOCH, 0, 0));
}

static void doubt_is_of_a_place_in_each_stream(void **state)
{
    struct doubt d = of_two_streams();

    (void)state;
    is_of_two_streams(&d);
    doubt_free(&d);
}

static void doubt_is_read_as_it_was_written(void **state)
{
    struct doubt d = of_two_streams(), read = {.n = 0};
    FILE *f = tmpfile();
    const int fd = fileno(f);

    (void)state;
    assert_false(doubt_read(&read, fd));
    d.until_ms = 77;
    assert_true(doubt_write(&d, fd));
    doubt_free(&d);
    assert_true(doubt_read(&read, fd));
    is_of_two_streams(&(struct doubt){.list = read.list, .n = read.n});
    assert_true(doubt_end(&read, "third", EPOCH + 1, 0, 77) == UINT64_MAX);
    assert_int_equal(0, doubt_end(&read, "third", EPOCH + 1, 0, 78));
    /* One that a power cut has torn is not believed. */
    assert_int_equal(0, ftruncate(fd, lseek(fd, 0, SEEK_END) - 3));
    assert_false(doubt_read(&read, fd));
    doubt_free(&read);
    assert_int_equal(0, fclose(f));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubt_is_of_a_place_in_each_stream),
        cmocka_unit_test(doubt_is_read_as_it_was_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
