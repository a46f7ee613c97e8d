/* The events that a ledger counts in the spool of a running server, which uses its segments
 * again meanwhile. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/err.h"
#include "cli/ledger/tallies.h"
#include "index/builder.h"
#include "index/names.h"
#include "spool/format.h"

#include "spool/fixture.h"

enum { EVENTS = 3 };

static bool armed; /* the next block that is read goes away */

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
    assert_int_equal(sizeof bytes, syscall(SYS_pread64, fd, bytes, sizeof bytes, 0));
    assert_true(page_decode(bytes, &p));
    p.salt++;
    p.number = 9;
    p.first = 0;
    page_encode(&p, bytes);
    assert_int_equal(sizeof bytes, pwrite(fd, bytes, sizeof bytes, 0));
    assert_int_equal(sizeof zeros, pwrite(fd, zeros, sizeof zeros, PAGE_BYTES));
    (void)close(fd);
}

ssize_t pread(int fd, void *out, size_t n, off_t at)
{
    ssize_t got = (ssize_t)syscall(SYS_pread64, fd, out, n, at);
    char link[64], path[PATH_MAX];
    ssize_t k;

    /* Not while the segments are only listed, by their pages and heads. */
    if (armed && at >= PAGE_BYTES && n >= PAGE_BYTES) {
        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        k = readlink(link, path, sizeof path - 1);
        if (k > 4 && memcmp(path + k - 4, ".seg", 4) == 0) {
            armed = false;
            reuse_segment();
        }
    }
    return got;
}

/* Without any the stream has no index. */
static void write_index(void)
{
    const struct index_place place = {"00000000-0000-0000-0000-000000000000", "events",
                                      "id", 1, 7};
    struct index_builder *b = index_builder_new(1);
    char path[192], folder[96];
    uint64_t bytes;
    struct err e;

    (void)snprintf(folder, sizeof folder, "%s/events/index", dir);
    assert_int_equal(0, mkdir(folder, 0700));
    (void)index_path(path, sizeof path, folder, 1, 7, 1);
    index_block(b, 5, 0);
    index_add(b, "other", 5);
    assert_true(index_write(b, &place, path, &bytes, &e));
    index_builder_free(b);
}

static void write_events(void)
{
    struct spool *s = open_spool();
    struct spool_writer *w =
        spool_writer_open(s, open_stream(s, 64 * SEGMENT, false), 0, on_wake, NULL);
    uint64_t last;

    for (int i = 0; i < EVENTS; i++) {
        assert_int_equal(SPOOL_OK, commit(w, "{\"id\":\"e\"}", &last));
    }
    spool_writer_close(w);
    spool_close(s);
    write_index();
}

static uint64_t n_of_segments(void)
{
    struct tallies t;
    struct err e = {""};
    uint64_t n = 0;

    if (!tallies_read(dir, "events", 0, INT64_MAX, &t, &e)) {
        fail_msg("%s", e.text);
    }
    for (uint32_t i = 0; i < t.n; i++) {
        n += t.rows[i].worker == 0 ? t.rows[i].n : 0;
    }
    tallies_free(&t);
    return n;
}

static void events_that_no_file_of_the_index_has_are_counted(void **state)
{
    (void)state;
    armed = false;
    write_events();
    assert_int_equal(EVENTS, n_of_segments());
}

/* What was read of it may be a part of its events. */
static void a_segment_that_is_used_again_meanwhile_is_not_believed(void **state)
{
    (void)state;
    write_events();
    armed = true;
    assert_int_equal(0, n_of_segments());
    assert_false(armed);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(events_that_no_file_of_the_index_has_are_counted),
        TEST(a_segment_that_is_used_again_meanwhile_is_not_believed)};

    return cmocka_run_group_tests_name("tallies", tests, NULL, NULL);
}
