/* Reading a segment block by block: an unreadable block is not the end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "spool/blocks.h"
#include "spool/format.h"
#include "spool/spool.h"

static void a_read_that_fails_is_not_the_end(void **state)
{
    struct spool_block b;
    struct blocks w;

    (void)state;
    blocks_init(&w, -1, 1, 1 << 20, 1);
    assert_int_equal(BLOCKS_UNREAD, blocks_next(&w, &b));
    assert_int_equal(EBADF, w.error);
    assert_int_equal(BLOCKS_UNREAD, blocks_next(&w, &b));
    assert_int_equal(PAGE_BYTES, w.off);
    blocks_fini(&w);
}

static void zeros_are_the_end(void **state)
{
    char path[] = "/tmp/sluice-test-XXXXXX";
    int fd = mkstemp(path);
    struct spool_block b;
    struct blocks w;

    (void)state;
    assert_int_equal(0, ftruncate(fd, 1 << 20));
    blocks_init(&w, fd, 1, 1 << 20, 1);
    assert_int_equal(BLOCKS_STOP, blocks_next(&w, &b));
    blocks_fini(&w);
    (void)close(fd);
    (void)unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_that_fails_is_not_the_end),
        cmocka_unit_test(zeros_are_the_end)};

    return cmocka_run_group_tests_name("blocks", tests, NULL, NULL);
}
