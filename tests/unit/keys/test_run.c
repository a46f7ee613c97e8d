/* A file of keys: what was written is found, and nothing else; damage costs its page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <unistd.h>

#include "keys/format.h"
#include "keys/run.h"
#include "unit/keys/fixture.h"

static const struct siphash_key KEY = {1, 2};
static char path[128];
static struct err e;

static struct run *opened(void)
{
    struct run *r;

    assert_int_equal(RUN_OPENED, run_open(path, 1, &r, &e));
    return r;
}

/* Keys 0..n - 1, of the second 1000 + i % 100. */
static void write_keys(uint64_t n)
{
    struct key *keys = malloc(n * sizeof *keys);
    struct run_writer *w;

    (void)snprintf(path, sizeof path, "%s/1.keys", folder);
    for (uint64_t i = 0; i < n; i++) {
        keys[i] = nth(i, 1000 + (uint32_t)(i % 100));
    }
    qsort(keys, n, sizeof *keys, key_order);
    w = run_writer_open(path, &KEY, n, &e);
    assert_non_null(w);
    for (uint64_t i = 0; i < n; i++) {
        assert_true(run_writer_add(w, &keys[i], &e));
    }
    assert_true(run_writer_close(w, true, &e));
    free(keys);
}

static void a_run_has_what_was_written(void **state)
{
    static const uint64_t sizes[] = {1, 2, 254, 255, 256, 510, 511, 100000};

    (void)state;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct run *r;

        write_keys(sizes[s]);
        r = opened();
        assert_int_equal(sizes[s], r->n_keys);
        for (uint64_t i = 0; i < sizes[s] + 100000; i++) {
            struct key k = nth(i, 0);

            assert_int_equal(i < sizes[s] ? RUN_FOUND : RUN_ABSENT, run_find(r, &k));
            assert_int_equal(i < sizes[s] ? 1000 + i % 100 : 0, k.time_s);
        }
        run_unref(r);
    }
}

/* As when somebody chose the hashes: the guess of the page is far off. */
static void keys_that_crowd_are_found(void **state)
{
    const uint32_t n = 5000;
    struct run_writer *w;
    struct run *r;

    (void)state;
    (void)snprintf(path, sizeof path, "%s/1.keys", folder);
    w = run_writer_open(path, &KEY, 3 * (uint64_t)n, &e);
    for (uint32_t top = 0; top < 3; top++) {
        for (uint32_t i = 0; i < n; i++) { /* of one page's fence, and of many's */
            struct key k = {(uint64_t)(top * 0x7fffffffu) << 32 | i, i, 7};

            assert_true(run_writer_add(w, &k, &e));
        }
    }
    assert_true(run_writer_close(w, true, &e));
    r = opened();
    for (uint32_t top = 0; top < 3; top++) {
        for (uint32_t i = 0; i < n + 10; i++) {
            struct key k = {(uint64_t)(top * 0x7fffffffu) << 32 | i, i, 0};

            assert_int_equal(i < n ? RUN_FOUND : RUN_ABSENT, run_find(r, &k));
        }
    }
    run_unref(r);
}

static void of_one_hash_the_newest_counts(void **state)
{
    struct key k = nth(1, 50), older = nth(1, 40);
    struct run_writer *w;
    struct run *r;

    (void)state;
    assert_true(key_before(&k, &older));
    (void)snprintf(path, sizeof path, "%s/1.keys", folder);
    w = run_writer_open(path, &KEY, 2, &e);
    assert_true(run_writer_add(w, &k, &e) && run_writer_add(w, &older, &e));
    assert_true(run_writer_close(w, true, &e));
    r = opened();
    assert_int_equal(1, r->n_keys);
    k.time_s = 0;
    assert_int_equal(RUN_FOUND, run_find(r, &k));
    assert_int_equal(50, k.time_s);
    run_unref(r);
}

static void few_keys_pass_the_filter_in_vain(void **state)
{
    struct filter f;
    unsigned n = 0;

    (void)state;
    filter_init(&f, 1000000);
    for (uint64_t i = 0; i < 1000000; i++) {
        struct key k = nth(i, 0);

        filter_add(&f, &k);
        assert_true(filter_has(&f, &k));
    }
    for (uint64_t i = 1000000; i < 2000000; i++) {
        struct key k = nth(i, 0);

        n += filter_has(&f, &k);
    }
    print_message("filter: %u of 1,000,000, %lu bytes for 1,000,000 keys\n", n,
                  (unsigned long)filter_bytes(&f));
    assert_in_range(n, 50, 600);
    filter_fini(&f);
}

/* ---- damage ---- */

static void flip(off_t at)
{
    int fd = open(path, O_RDWR);
    unsigned char c;

    assert_int_equal(1, pread(fd, &c, 1, at));
    c ^= 16;
    assert_int_equal(1, pwrite(fd, &c, 1, at));
    (void)close(fd);
}

static void a_damaged_page_costs_its_keys(void **state)
{
    unsigned found = 0, damaged = 0, again = 0, read = 0, lost = 0;
    struct run_reader x;
    enum run_read got;
    struct key k;
    struct run *r;

    (void)state;
    write_keys(10000);
    flip((off_t)run_page_at(3) + 100);
    r = opened();
    for (uint64_t i = 0; i < 10000; i++) {
        k = nth(i, 0);
        switch (run_find(r, &k)) {
        case RUN_FOUND:
            found++;
            break;
        case RUN_DAMAGED:
            damaged++;
            break;
        case RUN_LOST:
            again++;
            break;
        default:
            fail();
        }
    }
    assert_int_equal(10000 - RUN_PAGE_KEYS, found);
    assert_int_equal(1, damaged);
    assert_int_equal(RUN_PAGE_KEYS, damaged + again);
    run_reader_init(&x, r);
    while ((got = run_reader_next(&x, &k, &e)) != RUN_READ_END) {
        read += got == RUN_READ_KEY;
        lost += got == RUN_READ_LOST;
    }
    run_reader_fini(&x);
    assert_int_equal(10000 - RUN_PAGE_KEYS, read);
    assert_int_equal(1, lost);
    run_unref(r);
}

static void damaged_tables_are_made_again(void **state)
{
    const uint64_t tables = run_page_at(10000 / RUN_PAGE_KEYS + 1);

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct run *r;

        write_keys(10000);
        if (i < 2) {
            flip((off_t)tables + (i == 0 ? 5 : 1000)); /* a fence, the filter */
        } else {
            assert_int_equal(0, truncate(path, (off_t)tables + 50));
        }
        r = opened();
        for (uint64_t k = 0; k < 10000; k++) {
            struct key x = nth(k, 0);

            assert_int_equal(RUN_FOUND, run_find(r, &x));
        }
        run_unref(r);
    }
}

static void what_is_no_run_is_said(void **state)
{
    struct run *r;

    (void)state;
    write_keys(100);
    flip(20);
    assert_int_equal(RUN_NOT_ONE, run_open(path, 1, &r, &e));
    assert_null(r);
    assert_non_null(strstr(e.text, "its first page is damaged"));
    assert_int_equal(0, truncate(path, 100));
    assert_int_equal(RUN_NOT_ONE, run_open(path, 1, &r, &e));
    assert_int_equal(0, unlink(path));
    assert_int_equal(RUN_UNREADABLE, run_open(path, 1, &r, &e));
}

static void a_disk_that_gives_nothing_is_unknown(void **state)
{
    struct key k = nth(5, 0);
    struct run_reader x;
    struct run *r;
    int fd;

    (void)state;
    write_keys(1000);
    r = opened();
    fd = r->fd;
    r->fd = -1;
    assert_int_equal(RUN_UNREAD, run_find(r, &k));
    run_reader_init(&x, r);
    assert_int_equal(RUN_READ_FAILED, run_reader_next(&x, &k, &e));
    run_reader_fini(&x);
    r->fd = fd;
    run_unref(r);
}

static void a_write_that_fails_leaves_no_file(void **state)
{
    struct run_writer *w;
    struct key k;

    (void)state;
    (void)snprintf(path, sizeof path, "%s/2.keys", folder);
    assert_null(run_writer_open("/nowhere/1.keys", &KEY, 1, &e));
    w = run_writer_open(path, &KEY, 1, &e);
    k = nth(1, 1);
    assert_true(run_writer_add(w, &k, &e));
    assert_false(run_writer_close(w, false, &e));
    assert_int_equal(-1, access(path, F_OK));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_has_what_was_written),
        cmocka_unit_test(keys_that_crowd_are_found),
        cmocka_unit_test(of_one_hash_the_newest_counts),
        cmocka_unit_test(few_keys_pass_the_filter_in_vain),
        cmocka_unit_test(a_damaged_page_costs_its_keys),
        cmocka_unit_test(damaged_tables_are_made_again),
        cmocka_unit_test(what_is_no_run_is_said),
        cmocka_unit_test(a_disk_that_gives_nothing_is_unknown),
        cmocka_unit_test(a_write_that_fails_leaves_no_file)};

    return cmocka_run_group_tests_name("run", tests, make_folder, remove_folder);
}
