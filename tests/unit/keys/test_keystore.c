/* A store of runs: what was added is found, over merges, restarts and what a crash
 * leaves; a key whose window is over is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "unit/keys/store.h"

static atomic_int fail_folder_syncs; /* the call of that number; 0: none */

/* Folders and manifests are synced by fsync: this one fails for a folder. */
int fsync(int fd)
{
    struct stat st;

    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode) &&
        atomic_load(&fail_folder_syncs) > 0 &&
        atomic_fetch_sub(&fail_folder_syncs, 1) == 1) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static void keys_are_found_over_merges_and_restarts(void **state)
{
    struct siphash_key key;
    struct keystore *ks = opened();

    (void)state;
    key = *keystore_key(ks);
    assert_int_equal(1, keystore_place(ks, 3, 0));
    for (uint64_t i = 0; i < 20; i++) {
        add(ks, i * 1000, (i + 1) * 1000, 1500);
        if (i % 7 == 6) {
            merge_all(ks, 2000);
        }
    }
    assert_keys(ks, 0, 20000, KEYS_FOUND);
    assert_keys(ks, 20000, 40000, KEYS_ABSENT);
    merge_all(ks, 2000);
    assert_int_equal(1, keystore_figures(ks).n_runs);
    assert_int_equal(20000, keystore_figures(ks).n_keys);
    assert_int_equal(1, n_files(".keys"));
    keystore_close(ks);
    ks = opened();
    assert_memory_equal(&key, keystore_key(ks), sizeof key);
    assert_int_equal(20000, keystore_place(ks, 3, 0));
    assert_int_equal(7, keystore_place(ks, 3, 1));
    assert_int_equal(1, keystore_place(ks, 4, 0));
    assert_keys(ks, 0, 20000, KEYS_FOUND);
    assert_keys(ks, 20000, 40000, KEYS_ABSENT);
    keystore_close(ks);
}

static void places_move_without_keys(void **state)
{
    struct keystore *ks = opened();

    (void)state;
    assert_true(keystore_add(ks, NULL, 0, &(struct keys_place){9, 1, 55}, 1, &e));
    keystore_close(ks);
    ks = opened();
    assert_int_equal(55, keystore_place(ks, 9, 1));
    assert_int_equal(0, keystore_figures(ks).n_runs);
    keystore_close(ks);
}

static void a_key_counts_for_its_window(void **state)
{
    struct keystore *ks = opened();

    (void)state;
    add(ks, 0, 10, 1000);
    add(ks, 5, 15, 1800); /* some again, later */
    assert_int_equal(KEYS_FOUND, find(ks, 1, 2000));
    assert_int_equal(KEYS_ABSENT, find(ks, 1, 2001));
    assert_int_equal(KEYS_FOUND, find(ks, 7, 2800));
    assert_int_equal(KEYS_ABSENT, find(ks, 7, 2801));
    assert_int_equal(KEYS_FOUND, find(ks, 1, 10)); /* a clock that was set back */
    merge_all(ks, 2500);
    assert_int_equal(10, keystore_figures(ks).n_keys);
    assert_int_equal(KEYS_FOUND, find(ks, 7, 2800));
    merge_all(ks, 2801);
    assert_int_equal(0, keystore_figures(ks).n_runs);
    assert_int_equal(0, n_files(".keys"));
    keystore_close(ks);
}

static void a_run_stays_until_the_window_of_its_youngest_key_is_over(void **state)
{
    struct keystore *ks = opened();
    struct key keys[] = {nth(1, 1000), nth(2, 1900)};

    (void)state;
    assert_true(keystore_add(ks, keys, 2, &(struct keys_place){3, 0, 3}, 1, &e));
    merge_all(ks, 2900);
    assert_int_equal(KEYS_FOUND, find(ks, 2, 2900));
    merge_all(ks, 2901);
    assert_int_equal(0, keystore_figures(ks).n_runs);
    keystore_close(ks);
}

static void a_merge_of_small_runs_leaves_a_large_one(void **state)
{
    struct keystore *ks = opened();

    (void)state;
    add(ks, 0, 300000, 1500);
    add(ks, 300000, 301000, 1500);
    add(ks, 301000, 302000, 1500);
    merge_all(ks, 1500);
    assert_int_equal(2, keystore_figures(ks).n_runs);
    for (uint64_t i = 0; i < 302000; i += 97) {
        assert_int_equal(KEYS_FOUND, find(ks, i, 1500));
    }
    keystore_close(ks);
}

/* ---- what a crash leaves ---- */

static void copy_file(const char *from, const char *to)
{
    char command[256];

    (void)snprintf(command, sizeof command, "cp '%s/%s' '%s/%s'", folder, from, folder,
                   to);
    assert_int_equal(0, system(command));
}

static void files_that_are_not_listed_go(void **state)
{
    struct keystore *ks = opened();
    char path[128];

    (void)state;
    add(ks, 0, 100, 1500);
    keystore_close(ks);
    copy_file("1.keys", "5.keys"); /* a merge that was not published */
    (void)snprintf(path, sizeof path, "%s/6.keys", folder);
    (void)close(open(path, O_CREAT | O_WRONLY, 0600)); /* begun only */
    copy_file("MANIFEST", "MANIFEST.new");
    ks = opened();
    assert_int_equal(1, n_files(".keys"));
    assert_keys(ks, 0, 100, KEYS_FOUND);
    add(ks, 100, 200, 1500); /* under a new number */
    assert_keys(ks, 0, 200, KEYS_FOUND);
    keystore_close(ks);
}

/* The events are read again from the first one, under the same key of the hash. */
static void a_lost_manifest_loses_no_key(void **state)
{
    static const char *const ways[] = {
        "rm '%s/MANIFEST'", "truncate -s 30 '%s/MANIFEST'",
        "sed -i s/run/rum/ '%s/MANIFEST'", "truncate -s 0 '%s/MANIFEST'",
        "sed -i 's/^at 3 0 .*/at 3 0 999999/' '%s/MANIFEST'"};

    (void)state;
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct keystore *ks = opened();
        struct siphash_key key = *keystore_key(ks);
        char command[256];

        add(ks, 0, 100, 1500);
        keystore_close(ks);
        (void)snprintf(command, sizeof command, ways[i], folder);
        assert_int_equal(0, system(command));
        ks = opened();
        assert_memory_equal(&key, keystore_key(ks), sizeof key);
        assert_int_equal(1, keystore_place(ks, 3, 0));
        assert_keys(ks, 0, 100, KEYS_FOUND);
        keystore_close(ks);
    }
}

/* A folder that can't be written to: nothing is changed, and it goes on later. */
static void an_add_that_fails_changes_nothing(void **state)
{
    struct keystore *ks = opened();
    struct key k = nth(7, 1500);
    char command[256];

    (void)state;
    add(ks, 0, 5, 1500);
    (void)snprintf(command, sizeof command, "mv '%s' '%s.away'", folder, folder);
    assert_int_equal(0, system(command));
    assert_false(keystore_add(ks, &k, 1, &(struct keys_place){3, 0, 99}, 1, &e));
    assert_non_null(strstr(e.text, "No such file"));
    assert_int_equal(5, keystore_place(ks, 3, 0));
    assert_int_equal(KEYS_FOUND, find(ks, 4, 1500));
    assert_int_equal(KEYS_ABSENT, find(ks, 7, 1500));
    (void)snprintf(command, sizeof command, "mv '%s.away' '%s'", folder, folder);
    assert_int_equal(0, system(command));
    assert_true(keystore_add(ks, &k, 1, &(struct keys_place){3, 0, 99}, 1, &e));
    assert_int_equal(KEYS_FOUND, find(ks, 7, 1500));
    keystore_close(ks);
}

/* As a disk that is full: each try must give its room back. */
static void an_add_or_a_merge_that_is_not_published_leaves_no_file(void **state)
{
    struct keystore *ks = opened();
    struct key k = nth(7, 1500);
    char next[128];

    (void)state;
    add(ks, 0, 5, 1500);
    add(ks, 10, 15, 1500);
    (void)snprintf(next, sizeof next, "%s/MANIFEST.new", folder);
    assert_int_equal(0, mkdir(next, 0700));
    for (int i = 0; i < 5; i++) {
        assert_false(keystore_add(ks, &k, 1, &(struct keys_place){3, 0, 99}, 1, &e));
        assert_int_equal(KEYSTORE_FAILED, keystore_merge(ks, 1500, &stop, &e));
        assert_int_equal(2, n_files(".keys"));
    }
    assert_keys(ks, 0, 5, KEYS_FOUND);
    assert_int_equal(0, rmdir(next));
    merge_all(ks, 1500);
    assert_int_equal(1, n_files(".keys"));
    assert_keys(ks, 10, 15, KEYS_FOUND);
    keystore_close(ks);
}

/* The rename is done, but may not be on the disk: after a crash the one manifest may count
 * or the other, so that what either lists stays until another one is written. */
static void a_manifest_that_is_unsure_keeps_all_runs_until_the_next(void **state)
{
    struct keystore *ks = opened();
    struct key k = nth(7, 1500);

    (void)state;
    add(ks, 0, 5, 1500);
    add(ks, 10, 15, 1500);
    atomic_store(&fail_folder_syncs, 2); /* of the run's name it is the first */
    assert_false(keystore_add(ks, &k, 1, &(struct keys_place){3, 0, 99}, 1, &e));
    atomic_store(&fail_folder_syncs, 0);
    assert_int_equal(3, n_files(".keys"));
    keystore_close(ks);
    ks = opened();
    assert_int_equal(99, keystore_place(ks, 3, 0));
    assert_int_equal(KEYS_FOUND, find(ks, 7, 1500));
    assert_int_equal(0, keystore_figures(ks).n_damaged);
    atomic_store(&fail_folder_syncs, 2);
    assert_int_equal(KEYSTORE_FAILED, keystore_merge(ks, 1500, &stop, &e));
    assert_int_equal(4, n_files(".keys"));
    assert_keys(ks, 0, 5, KEYS_FOUND);
    add(ks, 20, 25, 1500);
    assert_int_equal(4, n_files(".keys")); /* the merged one went */
    merge_all(ks, 1500);
    assert_int_equal(1, n_files(".keys"));
    keystore_close(ks);
}

/* A policy that is tried with a short window costs the others nothing. */
static void the_longest_window_counts_for_merges(void **state)
{
    struct keystore *ks = opened();
    struct keyview *v;

    (void)state;
    add(ks, 0, 10, 1000);
    add(ks, 10, 20, 1000);
    keystore_window(ks, 10);
    merge_all(ks, 1900);
    v = keystore_view(ks);
    assert_int_equal(KEYS_ABSENT, keyview_find(v, nth(1, 0), 1900, 10));
    assert_int_equal(KEYS_FOUND, keyview_find(v, nth(1, 0), 1900, WINDOW_S));
    keyview_release(v);
    keystore_window(ks, 2 * WINDOW_S);
    merge_all(ks, 2900);
    assert_int_equal(20, keystore_figures(ks).n_keys);
    keystore_close(ks);
}

static void a_key_that_is_not_found_in_an_incomplete_store_is_unknown(void **state)
{
    struct keystore *ks = opened();

    (void)state;
    add(ks, 0, 10, 1500);
    keystore_incomplete(ks, true);
    assert_keys(ks, 0, 10, KEYS_FOUND);
    assert_keys(ks, 10, 20, KEYS_UNREAD);
    keystore_incomplete(ks, false);
    assert_keys(ks, 10, 20, KEYS_ABSENT);
    keystore_close(ks);
}

/* ---- beside each other ---- */

enum { ROUNDS = 60, ROUND = 2000 };

static _Atomic uint64_t added;
static atomic_bool over;

static void *look(void *arg)
{
    struct keystore *ks = arg;
    uint64_t x = 1, absent = 0;

    while (!atomic_load(&over)) {
        uint64_t n = atomic_load(&added);

        x = x * 6364136223846793005u + 1442695040888963407u;
        if (n > 0) {
            absent += find(ks, (x >> 33) % n, 1500) != KEYS_FOUND;
        }
        absent += find(ks, 1000000 + (x >> 40), 1500) != KEYS_ABSENT;
    }
    return (void *)absent;
}

static void *merge(void *arg)
{
    struct err mine;

    while (!atomic_load(&over)) {
        if (keystore_merge(arg, 1500, &stop, &mine) == KEYSTORE_ENOUGH) {
            (void)usleep(1000);
        }
    }
    return NULL;
}

static void no_key_is_missed_while_runs_are_added_and_merged(void **state)
{
    struct keystore *ks = opened();
    pthread_t threads[3];
    void *absent;

    (void)state;
    (void)pthread_create(&threads[0], NULL, look, ks);
    (void)pthread_create(&threads[1], NULL, look, ks);
    (void)pthread_create(&threads[2], NULL, merge, ks);
    for (uint64_t i = 0; i < ROUNDS; i++) {
        add(ks, i * ROUND, (i + 1) * ROUND, 1500);
        atomic_store(&added, (i + 1) * ROUND);
    }
    atomic_store(&over, true);
    for (int i = 0; i < 3; i++) {
        (void)pthread_join(threads[i], &absent);
        assert_int_equal(0, (uintptr_t)absent);
    }
    assert_keys(ks, 0, (uint64_t)ROUNDS * ROUND, KEYS_FOUND);
    assert_in_range(n_files(".keys"), keystore_figures(ks).n_runs,
                    keystore_figures(ks).n_runs);
    keystore_close(ks);
}

static void *add_one(void *arg)
{
    add(arg, 5, 6, 1500);
    atomic_store(&over, true);
    return NULL;
}

/* A request that has not found the key on disk still looks into memory, from where it goes
 * once the add is done. */
static void an_add_is_done_once_no_request_looks_into_less(void **state)
{
    struct keystore *ks = opened();
    struct keyview *v = keystore_view(ks);
    pthread_t adder;

    (void)state;
    atomic_store(&over, false);
    (void)pthread_create(&adder, NULL, add_one, ks);
    while (find(ks, 5, 1500) != KEYS_FOUND) {
        (void)usleep(1000);
    }
    (void)usleep(20000); /* an add that does not wait is done by now */
    assert_false(atomic_load(&over));
    assert_int_equal(KEYS_ABSENT, keyview_find(v, nth(5, 0), 1500, WINDOW_S));
    keyview_release(v);
    (void)pthread_join(adder, NULL);
    assert_true(atomic_load(&over));
    keystore_close(ks);
}

static void a_merge_that_is_stopped_leaves_all_as_it_was(void **state)
{
    struct keystore *ks = opened();

    (void)state;
    add(ks, 0, 1000, 1500);
    add(ks, 1000, 2000, 1500);
    atomic_store(&stop, true);
    assert_int_equal(KEYSTORE_FAILED, keystore_merge(ks, 1500, &stop, &e));
    atomic_store(&stop, false);
    assert_int_equal(2, n_files(".keys"));
    assert_keys(ks, 0, 2000, KEYS_FOUND);
    keystore_close(ks);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
    const struct CMUnitTest tests[] = {
        TEST(keys_are_found_over_merges_and_restarts),
        TEST(places_move_without_keys),
        TEST(a_key_counts_for_its_window),
        TEST(a_run_stays_until_the_window_of_its_youngest_key_is_over),
        TEST(a_merge_of_small_runs_leaves_a_large_one),
        TEST(files_that_are_not_listed_go),
        TEST(a_lost_manifest_loses_no_key),
        TEST(an_add_that_fails_changes_nothing),
        TEST(an_add_or_a_merge_that_is_not_published_leaves_no_file),
        TEST(a_manifest_that_is_unsure_keeps_all_runs_until_the_next),
        TEST(the_longest_window_counts_for_merges),
        TEST(a_key_that_is_not_found_in_an_incomplete_store_is_unknown),
        TEST(no_key_is_missed_while_runs_are_added_and_merged),
        TEST(an_add_is_done_once_no_request_looks_into_less),
        TEST(a_merge_that_is_stopped_leaves_all_as_it_was)};

    return cmocka_run_group_tests_name("keystore", tests, NULL, NULL);
}
