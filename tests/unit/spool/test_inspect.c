/* Reading a spool without its lock: a segment that is used again meanwhile is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"
#include "spool/format.h"
#include "spool/inspect.h"
#include "spool/spool.h"

#include "fixture.h"

enum { LARGE = 700 << 10 }; /* a segment has room for one */

struct look {
    bool reuse; /* while the first block is read */
    uint64_t n_blocks, n_events, n_damaged;
    uint32_t n_segments, n_prepared, n_bad;
    bool reused;
};

/* As the housekeeper does it; the blocks of before are then written over. */
static void reuse_segment(void)
{
    static const char zeros[4 * PAGE_BYTES];
    unsigned char bytes[PAGE_BYTES];
    char path[128];
    struct page p;
    int fd;

    (void)snprintf(path, sizeof path, "%s/events/1.0/0000000001.seg", dir);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(sizeof bytes, pread(fd, bytes, sizeof bytes, 0));
    assert_true(page_decode(bytes, &p));
    p.salt++;
    p.number = 9;
    p.first = 0;
    page_encode(&p, bytes);
    assert_int_equal(sizeof bytes, pwrite(fd, bytes, sizeof bytes, 0));
    assert_int_equal(sizeof zeros, pwrite(fd, zeros, sizeof zeros, PAGE_BYTES));
    (void)close(fd);
}

static bool on_block(void *arg, const struct spool_segment_info *i,
                     const struct spool_block *b)
{
    struct look *l = arg;

    (void)i;
    (void)b;
    if (l->n_blocks++ == 0 && l->reuse) {
        reuse_segment();
    }
    return true;
}

static void on_segment(void *arg, const struct spool_segment_info *i)
{
    struct look *l = arg;

    l->n_prepared += strcmp(i->status, "prepared") == 0;
    l->n_bad += spool_segment_is_bad(i);
    if (i->first != 0) {
        l->n_segments++;
        l->n_events += i->events;
        l->n_damaged += i->n_damaged;
        l->reused |= i->reused;
    }
}

static struct look look(bool reuse)
{
    struct look l = {.reuse = reuse};
    const struct spool_visitor v = {
        .segment = on_segment, .block = on_block, .arg = &l};
    struct err e;

    assert_true(spool_visit(dir, &v, &e));
    return l;
}

static void tells_a_segment_that_is_used_again(void **state)
{
    struct spool *s = open_spool();
    const int stream = open_stream(s, 64 * SEGMENT, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    struct look l;
    uint64_t last;

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(SPOOL_OK, commit(w, "{\"a\":1}", &last));
    }
    spool_writer_close(w);
    spool_close(s);
    l = look(false);
    assert_int_equal(1, l.n_segments);
    assert_int_equal(3, l.n_events);
    assert_false(l.reused);
    l = look(true);
    assert_int_equal(1, l.n_segments);
    assert_int_equal(0, l.n_damaged);
    assert_true(l.reused);
}

/* A server deletes the first two segments, the oldest first, once the first is open. */
static bool delete_two(void *arg, const struct spool_segment_info *i)
{
    char path[128];

    (void)arg;
    for (int k = 1; k <= 2 && i->number == 1; k++) {
        (void)snprintf(path, sizeof path, "%s/events/1.0/%010d.seg", dir, k);
        assert_int_equal(0, unlink(path));
    }
    return true;
}

static void on_refused(void *arg, const struct spool_segment_info *i, uint64_t first,
                       uint64_t end)
{
    (void)arg;
    (void)i;
    (void)first;
    (void)end;
}

/* Nothing tells any more whether its last events were refused. */
static void tells_nothing_of_a_segment_that_goes_with_the_next_one(void **state)
{
    struct spool *s = open_spool();
    const int stream = open_stream(s, 64 * SEGMENT, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    char *large = malloc(LARGE + 1);
    struct look l = {.reuse = false};
    const struct spool_visitor v = {.segment = on_segment,
                                    .block = on_block,
                                    .wants = delete_two,
                                    .refused = on_refused,
                                    .arg = &l};
    uint64_t last;
    struct err e;

    (void)state;
    memset(large, '1', LARGE);
    large[LARGE] = '\0';
    for (int i = 0; i < 3; i++) {
        assert_int_equal(SPOOL_OK, commit(w, large, &last));
    }
    free(large);
    spool_writer_close(w);
    spool_close(s);
    assert_int_equal(3, look(false).n_events);
    assert_true(spool_visit(dir, &v, &e));
    assert_int_equal(1, l.n_events);
    assert_int_equal(1, l.n_segments);
    assert_int_equal(0, l.n_bad);
}

/* A server has made the file, and not yet given it its bytes. */
static void a_file_without_a_byte_is_prepared(void **state)
{
    struct spool *s = open_spool();
    const int stream = open_stream(s, 64 * SEGMENT, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    char path[128];
    struct look l;
    uint64_t last;
    int fd;

    (void)state;
    assert_int_equal(SPOOL_OK, commit(w, "{\"a\":1}", &last));
    spool_writer_close(w);
    spool_close(s);
    (void)snprintf(path, sizeof path, "%s/events/1.0/0000000002.seg", dir);
    fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    l = look(false);
    assert_int_equal(1, l.n_segments);
    assert_int_equal(1, l.n_prepared);
    assert_int_equal(0, l.n_bad);
}

static void a_stream_may_have_any_name(void **state)
{
    static const struct spool_stream_conf confs[] = {
        {"sinks", 64 * SEGMENT, false, false}, {"damaged", 64 * SEGMENT, false, false}};
    struct spool *s = open_spool();
    uint64_t last;
    struct err e;

    (void)state;
    for (size_t i = 0; i < sizeof confs / sizeof *confs; i++) {
        struct spool_writer *w =
            spool_writer_open(s, spool_stream(s, &confs[i], &e), 0, on_wake, NULL);

        assert_int_equal(SPOOL_OK, commit(w, "{\"a\":1}", &last));
        spool_writer_close(w);
    }
    spool_close(s);
    assert_int_equal(2, look(false).n_events);
}

/* As an operator makes it who moves a stream to another disk. */
static void reads_a_stream_behind_a_link(void **state)
{
    struct spool *s = open_spool();
    const int stream = open_stream(s, 64 * SEGMENT, false);
    struct spool_writer *w = spool_writer_open(s, stream, 0, on_wake, NULL);
    char from[128], to[128];
    uint64_t last;

    (void)state;
    assert_int_equal(SPOOL_OK, commit(w, "{\"a\":1}", &last));
    spool_writer_close(w);
    spool_close(s);
    (void)snprintf(from, sizeof from, "%s/events", dir);
    (void)snprintf(to, sizeof to, "%s/.moved", dir);
    assert_int_equal(0, rename(from, to));
    assert_int_equal(0, symlink(".moved", from));
    assert_int_equal(1, look(false).n_events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tells_a_segment_that_is_used_again, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            tells_nothing_of_a_segment_that_goes_with_the_next_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_without_a_byte_is_prepared, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(reads_a_stream_behind_a_link, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_stream_may_have_any_name, set_up, tear_down)};

    return cmocka_run_group_tests_name("inspect", tests, NULL, NULL);
}
