/* How far a replay is: a written mark is read, and a damaged one is not believed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "delivery/progress.h"

static char path[64];

static void put(const char *text, size_t n)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static void reads_what_was_written(void **state)
{
    struct progress p = {.id = UINT64_MAX,
                         .done = 5,
                         .end = UINT64_MAX,
                         .n = 100,
                         .replayed = 7,
                         .again = 8,
                         .unreadable = 9},
                    q;
    struct err e;

    (void)state;
    progress_add(&p, 0);
    progress_add(&p, 63);
    progress_add(&p, 99);
    assert_true(progress_write(path, &p, &e));
    assert_true(progress_read(path, &q, &e));
    assert_int_equal(p.id, q.id);
    assert_int_equal(p.done, q.done);
    assert_int_equal(p.end, q.end);
    assert_int_equal(p.n, q.n);
    assert_memory_equal(p.settled, q.settled, sizeof p.settled);
    assert_int_equal(p.replayed, q.replayed);
    assert_int_equal(p.again, q.again);
    assert_int_equal(p.unreadable, q.unreadable);
    assert_true(progress_has(&q, 99) && !progress_has(&q, 64));
}

static void does_not_believe_a_part_of_it(void **state)
{
    struct progress p = {.id = 3, .done = 5, .end = 12, .n = 2}, q;
    char text[400];
    struct err e;
    size_t n;
    FILE *f;

    (void)state;
    assert_true(progress_write(path, &p, &e));
    f = fopen(path, "re");
    assert_non_null(f);
    n = fread(text, 1, sizeof text, f);
    (void)fclose(f);
    for (size_t i = 0; i + 1 < n; i++) { /* the last byte is the newline */
        put(text, i);
        assert_false(progress_read(path, &q, &e));
    }
    assert_int_equal(unlink(path), 0);
    assert_false(progress_read(path, &q, &e));
}

static void believes_no_more_than_there_is(void **state)
{
    struct progress p = {.id = 3, .done = 12, .end = 12, .n = PROGRESS_LETTERS}, q;
    struct err e;

    (void)state;
    assert_true(progress_write(path, &p, &e));
    assert_true(progress_read(path, &q, &e));
    p.done = 13; /* behind the end */
    assert_true(progress_write(path, &p, &e));
    assert_false(progress_read(path, &q, &e));
    p.done = 12;
    p.n = PROGRESS_LETTERS + 1;
    assert_true(progress_write(path, &p, &e));
    assert_false(progress_read(path, &q, &e));
    p.n = 0;
    p.id = 0;
    assert_true(progress_write(path, &p, &e));
    assert_false(progress_read(path, &q, &e));
}

static int set_up(void **state)
{
    int fd;

    (void)state;
    (void)snprintf(path, sizeof path, "/tmp/sluice-test-XXXXXX");
    fd = mkstemp(path);
    return fd < 0 || close(fd) != 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(reads_what_was_written, set_up, tear_down),
        cmocka_unit_test_setup_teardown(does_not_believe_a_part_of_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(believes_no_more_than_there_is, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
