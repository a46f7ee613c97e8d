/* A segment's file, by an fdatasync of our own that fails for this thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "spool/internal.h"
#include "spool/spool.h"

#include "fixture.h"

enum { NUMBER = 9000 }; /* far from those of the housekeeping thread */

static _Thread_local bool broken;

int fdatasync(int fd)
{
    if (broken) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

static struct spool *s;
static struct spool_writer *w;
static struct shard *sh;

static void begin(void)
{
    int stream;

    s = open_spool();
    stream = open_stream(s, 64 * SEGMENT, false);
    w = spool_writer_open(s, stream, 0, on_wake, NULL);
    sh = s->streams[stream]->shards;
    assert_non_null(sh);
}

static void end(void)
{
    spool_writer_close(w);
    spool_close(s);
}

static bool is_there(uint64_t number)
{
    char path[256];

    segment_path(sh, number, path, sizeof path);
    return access(path, F_OK) == 0;
}

static void a_segment_that_could_not_be_synced_is_not_used(void **state)
{
    struct segment *g;
    struct err e = {""};

    (void)state;
    begin();
    broken = true;
    assert_null(segment_create(sh, NUMBER, &e));
    assert_non_null(strstr(e.text, "fdatasync a new segment"));
    assert_false(is_there(NUMBER));
    broken = false;
    g = segment_create(sh, NUMBER, &e);
    assert_non_null(g);
    broken = true;
    assert_false(segment_recycle(g, NUMBER + 1, &e));
    broken = false;
    segment_delete(g);
    assert_false(is_there(NUMBER) || is_there(NUMBER + 1));
    end();
}

/* Else a start would take the old blocks behind the new ones for events. */
static void a_segment_that_is_used_again_has_another_salt(void **state)
{
    struct segment *g;
    struct err e;
    uint32_t salt;

    (void)state;
    begin();
    g = segment_create(sh, NUMBER, &e);
    assert_non_null(g);
    salt = g->salt;
    assert_true(segment_recycle(g, NUMBER + 1, &e));
    assert_int_not_equal(salt, g->salt);
    assert_false(is_there(NUMBER));
    assert_true(is_there(NUMBER + 1));
    segment_delete(g);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_segment_that_could_not_be_synced_is_not_used,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_segment_that_is_used_again_has_another_salt,
                                        set_up, tear_down)};

    return cmocka_run_group_tests_name("segment", tests, NULL, NULL);
}
