/* The access log's way to the disk: the ring, the file, the thread. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "access/access.h"
#include "access/file.h"
#include "base/clock.h"
#include "base/err.h"

static char dir[64], path[80];
static bool busy; /* the log itself is a mount point */

int rename(const char *from, const char *to)
{
    if (busy && strcmp(from, path) == 0) {
        errno = EBUSY;
        return -1;
    }
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof dir, "/tmp/sluice-unit-access-XXXXXX");
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/log", dir);
    return 0;
}

static int tear_down(void **state)
{
    char name[96];

    (void)state;
    for (int i = 0; i < 5; i++) {
        (void)snprintf(name, sizeof name, i == 0 ? "%s" : "%s.%d", path, i);
        (void)unlink(name);
    }
    return rmdir(dir);
}

/* The file's text; "": there is none. */
static const char *text_of(const char *suffix)
{
    static char text[1 << 16];
    char name[96];
    size_t n = 0;
    FILE *f;

    (void)snprintf(name, sizeof name, "%s%s", path, suffix);
    f = fopen(name, "r");
    if (f != NULL) {
        n = fread(text, 1, sizeof text - 1, f);
        (void)fclose(f);
    }
    text[n] = '\0';
    return text;
}

/* ---- the ring ---- */

static void a_full_ring_drops_lines_and_counts_them(void **state)
{
    stats_cell *dropped = stats_counter("test_dropped_total", "Dropped.", "");
    struct ring *r = ring_new(dropped);
    static char line[1000], got[RING_BYTES];
    uint64_t put = 0;
    size_t n;

    (void)state;
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    for (int i = 0; i < 2000; i++) {
        ring_put(r, line, sizeof line);
    }
    put = RING_BYTES / sizeof line;
    assert_int_equal(2000 - put, atomic_load(dropped));
    n = ring_take(r, got, sizeof got);
    assert_int_equal(put * sizeof line, n);
    assert_int_equal(0, ring_take(r, got, sizeof got));
    ring_free(r);
}

static void a_ring_gives_whole_lines_over_its_end(void **state)
{
    struct ring *r = ring_new(stats_counter("test_dropped_total", "Dropped.", ""));
    char line[64], got[150];
    int next = 0;

    (void)state;
    for (int i = 0; i < 100000; i++) {
        int k = snprintf(line, sizeof line, "line %d %.*s\n", i, i % 40,
                         "........................................");
        size_t n;

        ring_put(r, line, (size_t)k);
        while ((n = ring_take(r, got, i % 3 == 0 ? sizeof got : 70)) > 0) {
            int number;

            assert_int_equal('\n', got[n - 1]);
            assert_int_equal(1, sscanf(got, "line %d", &number));
            assert_int_equal(next, number);
            for (size_t at = 0; at < n; at++) {
                next += got[at] == '\n';
            }
        }
    }
    assert_int_equal(100000, next);
    ring_free(r);
}

/* ---- the file ---- */

static void put(struct access_file *f, const char *line)
{
    struct err e;

    assert_true(access_file_write(f, line, strlen(line), &e));
}

static void a_file_that_is_full_gets_another_name(void **state)
{
    struct access_file f;
    struct err e;

    (void)state;
    assert_true(access_file_open(&f, path, 10, 2, &e));
    put(&f, "one-----\n");
    put(&f, "two-----\n");
    put(&f, "three---\n");
    put(&f, "four----\n");
    access_file_close(&f);
    assert_string_equal("four----\n", text_of(""));
    assert_string_equal("three---\n", text_of(".1"));
    assert_string_equal("two-----\n", text_of(".2"));
    assert_string_equal("", text_of(".3"));
    /* What is there counts. */
    assert_true(access_file_open(&f, path, 10, 2, &e));
    put(&f, "five----\n");
    assert_string_equal("four----\n", text_of(".1"));
    access_file_reopen(&f);
    put(&f, "six-----\n");
    access_file_close(&f);
    assert_string_equal("five----\n", text_of(".1"));
}

static void a_file_that_was_moved_or_removed_is_made_again(void **state)
{
    char moved[96];
    struct access_file f;
    struct err e;

    (void)state;
    assert_true(access_file_open(&f, path, 0, 1, &e));
    put(&f, "one\n");
    (void)snprintf(moved, sizeof moved, "%s.1", path);
    assert_int_equal(0, rename(path, moved));
    access_file_look(&f);
    put(&f, "two\n");
    assert_string_equal("one\n", text_of(".1"));
    assert_string_equal("two\n", text_of(""));
    assert_int_equal(0, unlink(path));
    access_file_look(&f);
    put(&f, "three\n");
    access_file_look(&f);
    put(&f, "four\n");
    assert_string_equal("three\nfour\n", text_of(""));
    access_file_close(&f);
}

/* Two processes have it during an upgrade. */
static void a_file_that_another_process_has_renamed_is_not_renamed_again(void **state)
{
    struct access_file old, new;
    struct err e;

    (void)state;
    assert_true(access_file_open(&old, path, 30, 1, &e));
    put(&old, "one-----\n");
    put(&old, "two-----\n");
    put(&old, "three---\n");
    assert_true(access_file_open(&new, path, 30, 1, &e));
    put(&new, "four----\n");
    put(&old, "five----\n");
    access_file_close(&old);
    access_file_close(&new);
    assert_string_equal("four----\nfive----\n", text_of(""));
    assert_string_equal("one-----\ntwo-----\nthree---\n", text_of(".1"));
}

/* As logrotate's copytruncate does. */
static void a_file_that_was_cut_has_its_size_to_itself_again(void **state)
{
    struct access_file f;
    struct err e;

    (void)state;
    assert_true(access_file_open(&f, path, 30, 2, &e));
    for (int i = 0; i < 5; i++) {
        put(&f, "one-----\n");
        put(&f, "two-----\n");
        assert_int_equal(0, truncate(path, 0));
        access_file_look(&f);
    }
    put(&f, "three---\n");
    access_file_close(&f);
    assert_string_equal("three---\n", text_of(""));
    assert_string_equal("", text_of(".1"));
}

/* The link is the operator's: the file behind it moves. */
static void a_link_to_the_file_stays(void **state)
{
    char target[96], name[96];
    struct access_file f;
    struct stat st;
    struct err e;

    (void)state;
    (void)snprintf(target, sizeof target, "%s/there", dir);
    (void)snprintf(name, sizeof name, "%s/there.1", dir);
    assert_int_equal(0, symlink(target, path));
    assert_true(access_file_open(&f, path, 10, 2, &e));
    put(&f, "one-----\n");
    put(&f, "two-----\n");
    access_file_close(&f);
    assert_int_equal(0, lstat(path, &st));
    assert_true(S_ISLNK(st.st_mode));
    assert_string_equal("two-----\n", text_of(""));
    assert_int_equal(0, unlink(target));
    assert_int_equal(0, unlink(name));
}

static void a_file_that_cannot_be_renamed_says_so_and_takes_lines(void **state)
{
    char blocked[96];
    struct access_file f;
    struct err e;

    (void)state;
    (void)snprintf(blocked, sizeof blocked, "%s.1", path);
    assert_int_equal(0, mkdir(blocked, 0700));
    assert_true(access_file_open(&f, path, 10, 1, &e));
    put(&f, "one-----\n");
    assert_int_equal(0, f.unmoved);
    put(&f, "two-----\n");
    assert_int_equal(EISDIR, f.unmoved);
    put(&f, "three---\n");
    assert_string_equal("one-----\ntwo-----\nthree---\n", text_of(""));
    assert_int_equal(0, rmdir(blocked));
    access_file_look(&f);
    put(&f, "four----\n");
    assert_int_equal(0, f.unmoved);
    assert_string_equal("four----\n", text_of(""));
    access_file_close(&f);
}

static void a_file_that_cannot_be_renamed_for_long_pushes_no_older_one_out(void **state)
{
    struct access_file f;
    struct err e;

    (void)state;
    assert_true(access_file_open(&f, path, 10, 3, &e));
    put(&f, "one-----\n");
    put(&f, "two-----\n");
    put(&f, "three---\n");
    put(&f, "four----\n");
    busy = true;
    for (int i = 0; i < 5; i++) {
        put(&f, "five----\n");
        assert_int_equal(EBUSY, f.unmoved);
        access_file_look(&f);
    }
    assert_string_equal("three---\n", text_of(".2"));
    assert_string_equal("two-----\n", text_of(".3"));
    busy = false;
    put(&f, "six-----\n");
    access_file_close(&f);
    assert_string_equal("six-----\n", text_of(""));
    assert_int_equal(6 * 9, strlen(text_of(".1")));
    assert_string_equal("three---\n", text_of(".2"));
}

/* Standard output that leads to a file, also by a link to it, as images have it. */
static void a_file_by_a_name_of_the_system_keeps_it(void **state)
{
    struct access_file f;
    char name[32], by_link[96];
    struct err e;
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);

    (void)state;
    assert_true(fd >= 0);
    (void)snprintf(name, sizeof name, "/dev/fd/%d", fd);
    (void)snprintf(by_link, sizeof by_link, "%s.link", path);
    assert_int_equal(0, symlink(name, by_link));
    for (int i = 0; i < 2; i++) {
        assert_true(access_file_open(&f, i == 0 ? name : by_link, 10, 2, &e));
        put(&f, "one-----\n");
        put(&f, "two-----\n");
        access_file_close(&f);
        assert_int_equal(18 * (i + 1), strlen(text_of("")));
    }
    assert_int_equal(0, unlink(by_link));
    assert_int_equal(0, close(fd));
}

/* ---- a pipe, as /dev/stdout in a container ---- */

static int ends[2];
static char long_lines[4 * 65536 + 1];

static void open_pipe(struct access_file *f)
{
    char name[32];
    struct err e;

    assert_int_equal(0, pipe(ends));
    (void)snprintf(name, sizeof name, "/dev/fd/%d", ends[1]);
    assert_true(access_file_open(f, name, 0, 1, &e));
    memset(long_lines, 'x', sizeof long_lines - 1);
    for (size_t i = 63; i < sizeof long_lines - 1; i += 64) {
        long_lines[i] = '\n';
    }
}

static void *read_late(void *arg)
{
    const struct timespec late = {0, 50000000};
    char bytes[4096];
    size_t left = sizeof long_lines - 1;
    ssize_t n;

    (void)arg;
    (void)nanosleep(&late, NULL);
    while (left > 0 && (n = read(ends[0], bytes, sizeof bytes)) > 0) {
        left -= (size_t)n;
    }
    return left == 0 ? ends : NULL;
}

static void a_pipe_whose_reader_is_slow_gets_all(void **state)
{
    struct access_file f;
    pthread_t reader;
    void *whole;

    (void)state;
    open_pipe(&f);
    assert_int_equal(0, pthread_create(&reader, NULL, read_late, NULL));
    put(&f, long_lines);
    assert_int_equal(0, pthread_join(reader, &whole));
    assert_ptr_equal(ends, whole);
    access_file_close(&f);
    assert_int_equal(0, close(ends[0]) + close(ends[1]));
}

static void a_pipe_whose_reader_hangs_is_waited_for_once(void **state)
{
    struct access_file f;
    struct err e;
    uint64_t from = clock_mono_ns();

    (void)state;
    open_pipe(&f);
    assert_false(access_file_write(&f, long_lines, sizeof long_lines - 1, &e));
    assert_int_equal(65536, f.stayed);
    assert_true(clock_mono_ns() - from >= 1000000000u);
    from = clock_mono_ns();
    for (int i = 0; i < 100; i++) {
        assert_false(access_file_write(&f, "y\n", 2, &e));
        assert_int_equal(0, f.stayed);
    }
    assert_true(clock_mono_ns() - from < 1000000000u);
    access_file_close(&f);
    assert_int_equal(0, close(ends[0]) + close(ends[1]));
}

/* Until the other end is closed. */
static size_t bytes_at_once = 4096, bytes_read;

static void *read_little(void *arg)
{
    const struct timespec between = {0, 100000000};
    static char bytes[65536];
    ssize_t n;

    (void)arg;
    while ((n = read(ends[0], bytes, bytes_at_once)) > 0) {
        bytes_read += (size_t)n;
        (void)nanosleep(&between, NULL);
    }
    return NULL;
}

/* For longer than a second in all, while nothing else is wanted. */
static void a_pipe_whose_reader_takes_little_gets_all(void **state)
{
    struct access_file f;
    pthread_t reader;
    uint64_t from;

    (void)state;
    bytes_at_once = 16384;
    bytes_read = 0;
    open_pipe(&f);
    assert_int_equal(0, pthread_create(&reader, NULL, read_little, NULL));
    from = clock_mono_ns();
    put(&f, long_lines);
    assert_true(clock_mono_ns() - from > 1050000000u);
    access_file_close(&f);
    assert_int_equal(0, close(ends[1]));
    assert_int_equal(0, pthread_join(reader, NULL));
    assert_int_equal(0, close(ends[0]));
    assert_int_equal(sizeof long_lines - 1, bytes_read);
    bytes_at_once = 4096;
}

/* It would take the lines for more than four seconds. */
static void a_pipe_whose_reader_takes_little_is_given_up_in_a_hurry(void **state)
{
    _Atomic uint64_t until = clock_mono_ns() + 1000000000u;
    struct access_file f;
    struct err e;
    pthread_t reader;
    uint64_t from;

    (void)state;
    open_pipe(&f);
    assert_int_equal(0, pthread_create(&reader, NULL, read_little, NULL));
    f.until_ns = &until;
    from = clock_mono_ns();
    assert_false(access_file_write(&f, long_lines, sizeof long_lines - 1, &e));
    assert_true(clock_mono_ns() - from < 2500000000u);
    assert_false(f.stalled);
    assert_in_range(f.stayed, 65536, 2 * 65536);
    access_file_close(&f);
    assert_int_equal(0, close(ends[1]));
    assert_int_equal(0, pthread_join(reader, NULL));
    assert_int_equal(0, close(ends[0]));
}

/* What a pipe holds. */
static const char *drained(void)
{
    static char bytes[2 * 65536];
    ssize_t n = read(ends[0], bytes, sizeof bytes - 1);

    bytes[n > 0 ? n : 0] = '\0';
    return bytes;
}

/* A full pipe whose last bytes are of a line, or end one. */
static void fill_pipe(struct access_file *f, char last)
{
    struct err e;

    open_pipe(f);
    long_lines[65535] = last;
    f->stalled = true; /* or it waits a second */
    assert_false(access_file_write(f, long_lines, sizeof long_lines - 1, &e));
    assert_int_equal(65536, f->stayed);
}

static void half_a_line_in_a_pipe_ends_also_after_a_reload(void **state)
{
    struct access_file f;
    struct err e;
    char name[32];

    (void)state;
    fill_pipe(&f, 'x');
    assert_false(access_file_write(&f, "y\n", 2, &e));
    (void)drained();
    (void)snprintf(name, sizeof name, "/dev/fd/%d", ends[1]);
    assert_true(access_file_replace(&f, name, 0, 1, &e));
    put(&f, "again\n");
    put(&f, "last\n");
    assert_string_equal("\nagain\nlast\n", drained());
    access_file_close(&f);
    assert_int_equal(0, close(ends[0]) + close(ends[1]));
}

static void whole_lines_in_a_full_pipe_have_no_empty_one_behind_them(void **state)
{
    struct access_file f;

    (void)state;
    fill_pipe(&f, '\n');
    (void)drained();
    put(&f, "again\n");
    assert_string_equal("again\n", drained());
    access_file_close(&f);
    assert_int_equal(0, close(ends[0]) + close(ends[1]));
}

static void half_a_line_in_a_pipe_is_no_empty_line_in_another_file(void **state)
{
    struct access_file f;
    struct err e;

    (void)state;
    assert_true(access_file_open(&f, path, 0, 1, &e));
    put(&f, "first\n");
    access_file_close(&f);
    fill_pipe(&f, 'x');
    assert_true(access_file_replace(&f, path, 0, 1, &e));
    put(&f, "second\n");
    assert_string_equal("first\nsecond\n", text_of(""));
    access_file_close(&f);
    assert_int_equal(0, close(ends[0]) + close(ends[1]));
}

/* Half of a line that the disk took is taken back. */
static void a_full_disk_leaves_no_half_line(void **state)
{
    struct rlimit before, few;
    struct access_file f;
    struct err e;

    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(0, getrlimit(RLIMIT_FSIZE, &before));
    assert_true(access_file_open(&f, path, 0, 1, &e));
    put(&f, "whole\n");
    few = (struct rlimit){10, before.rlim_max};
    assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &few));
    assert_false(access_file_write(&f, "too long for it\n", 16, &e));
    assert_non_null(strstr(e.text, "can't write the access log"));
    assert_string_equal("whole\n", text_of(""));
    assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &before));
    put(&f, "again\n");
    assert_string_equal("whole\nagain\n", text_of(""));
    access_file_close(&f);
}

/* Half of a line can't be taken back behind which another process has written. */
static void a_half_line_that_stays_ends_before_the_next_line(void **state)
{
    struct rlimit before, few;
    struct access_file f;
    struct err e;
    FILE *other;

    (void)state;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(0, getrlimit(RLIMIT_FSIZE, &before));
    assert_true(access_file_open(&f, path, 0, 1, &e));
    put(&f, "whole\n");
    other = fopen(path, "a");
    assert_non_null(other);
    assert_true(fputs("other\n", other) >= 0);
    assert_int_equal(0, fclose(other));
    few = (struct rlimit){15, before.rlim_max};
    assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &few));
    assert_false(access_file_write(&f, "too long for it\n", 16, &e));
    assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &before));
    put(&f, "again\n");
    put(&f, "last\n");
    assert_string_equal("whole\nother\ntoo\nagain\nlast\n", text_of(""));
    access_file_close(&f);
}

static void a_pipe_that_nobody_reads_is_no_wait(void **state)
{
    struct access_conf c = {path, 0, 1};
    struct err e;

    (void)state;
    assert_int_equal(0, mkfifo(path, 0600));
    assert_false(access_try(&c, &e));
    assert_non_null(strstr(e.text, path));
}

/* ---- the thread ---- */

/* /dev/stdout, /dev/null: the whole machine needs them where they are. */
static void a_pipe_or_a_device_keeps_its_name(void **state)
{
    struct access_file f;
    struct stat st;
    struct err e;
    int reader;

    (void)state;
    assert_int_equal(0, mkfifo(path, 0600));
    reader = open(path, O_RDONLY | O_NONBLOCK);
    assert_true(reader >= 0);
    assert_true(access_file_open(&f, path, 10, 2, &e));
    put(&f, "first\n");
    put(&f, "second\n");
    access_file_close(&f);
    assert_int_equal(0, stat(path, &st));
    assert_true(S_ISFIFO(st.st_mode));
    (void)close(reader);
}

static void the_last_lines_are_written_at_the_end(void **state)
{
    struct access *a = access_new(2);
    struct access_conf c = {path, 0, 1};
    struct err e;

    (void)state;
    assert_true(access_follow(a, NULL, &e)); /* no log, and no thread */
    assert_true(access_follow(a, &c, &e));
    ring_put(access_ring(a, 0), "first\n", 6);
    ring_put(access_ring(a, 1), "second\n", 7);
    for (int i = 0; i < 1000; i++) {
        access_reopen(a);
    }
    assert_true(access_end(a, clock_mono_ns() + 60000000000u));
    access_free(a);
    assert_non_null(strstr(text_of(""), "first\n"));
    assert_non_null(strstr(text_of(""), "second\n"));
    assert_int_equal(2, stats_value("sluice_access_log_lines_total", ""));
}

/* Also when many lines come together. */
static void no_file_is_larger_than_its_bound(void **state)
{
    struct access *a = access_new(1);
    struct access_conf c = {path, 65536, 4};
    static char line[100];
    struct err e;

    (void)state;
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    for (int i = 0; i < 2000; i++) {
        ring_put(access_ring(a, 0), line, sizeof line);
    }
    assert_true(access_follow(a, &c, &e));
    assert_true(access_end(a, clock_mono_ns() + 60000000000u));
    access_free(a);
    for (int i = 0; i < 5; i++) {
        char name[96];
        struct stat st;

        (void)snprintf(name, sizeof name, i == 0 ? "%s" : "%s.%d", path, i);
        if (stat(name, &st) == 0) {
            assert_true(st.st_size <= 65536);
            assert_true(i < 4);
        }
    }
    assert_true(strlen(text_of(".3")) > 0);
}

static void lines_that_no_file_takes_are_counted(void **state)
{
    struct access *a = access_new(1);
    struct access_conf c = {"/dev/full", 0, 1};
    struct err e;

    (void)state;
    assert_true(access_follow(a, &c, &e));
    ring_put(access_ring(a, 0), "lost\n", 5);
    ring_put(access_ring(a, 0), "lost\n", 5);
    assert_true(access_end(a, clock_mono_ns() + 60000000000u));
    access_free(a);
    assert_int_equal(
        2, stats_value("sluice_access_log_dropped_total", "reason=\"failed\""));
}

/* Written, or counted as lost. */
static uint64_t n_lines(void)
{
    return stats_value("sluice_access_log_lines_total", "") +
           stats_value("sluice_access_log_dropped_total", "reason=\"failed\"");
}

/* It ends, and counts what no reader took; without a bound it would take half a minute. */
static void a_reader_that_takes_little_does_not_hold_the_end(void **state)
{
    static char line[1024];
    struct access *a = access_new(2);
    struct access_conf c = {NULL, 0, 1};
    char name[32];
    struct err e;
    pthread_t reader;
    uint64_t from, before = n_lines();

    (void)state;
    assert_int_equal(0, pipe(ends));
    (void)snprintf(name, sizeof name, "/dev/fd/%d", ends[1]);
    c.path = name;
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\n';
    for (int i = 0; i < 1200; i++) {
        ring_put(access_ring(a, (uint32_t)i % 2), line, sizeof line);
    }
    assert_int_equal(0, pthread_create(&reader, NULL, read_little, NULL));
    assert_true(access_follow(a, &c, &e));
    from = clock_mono_ns();
    assert_true(access_end(a, from + 60000000000u));
    assert_true(clock_mono_ns() - from < 5000000000u);
    access_free(a);
    assert_int_equal(1200, n_lines() - before);
    assert_int_equal(0, close(ends[1]));
    assert_int_equal(0, pthread_join(reader, NULL));
    assert_int_equal(0, close(ends[0]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_ring_drops_lines_and_counts_them),
        cmocka_unit_test(a_ring_gives_whole_lines_over_its_end),
        cmocka_unit_test_setup_teardown(a_file_that_is_full_gets_another_name, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_was_moved_or_removed_is_made_again,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_file_that_another_process_has_renamed_is_not_renamed_again, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            a_file_that_was_cut_has_its_size_to_itself_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_link_to_the_file_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_file_that_cannot_be_renamed_says_so_and_takes_lines, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_file_that_cannot_be_renamed_for_long_pushes_no_older_one_out, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(a_file_by_a_name_of_the_system_keeps_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_pipe_whose_reader_is_slow_gets_all, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_pipe_whose_reader_takes_little_gets_all,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_pipe_whose_reader_takes_little_is_given_up_in_a_hurry, set_up, tear_down),
        cmocka_unit_test_setup_teardown(half_a_line_in_a_pipe_ends_also_after_a_reload,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            whole_lines_in_a_full_pipe_have_no_empty_one_behind_them, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(
            half_a_line_in_a_pipe_is_no_empty_line_in_another_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pipe_whose_reader_hangs_is_waited_for_once,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_disk_leaves_no_half_line, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_half_line_that_stays_ends_before_the_next_line, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pipe_that_nobody_reads_is_no_wait, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_pipe_or_a_device_keeps_its_name, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_last_lines_are_written_at_the_end, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(no_file_is_larger_than_its_bound, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(lines_that_no_file_takes_are_counted, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            a_reader_that_takes_little_does_not_hold_the_end, set_up, tear_down)};

    return cmocka_run_group_tests_name("access", tests, NULL, NULL);
}
