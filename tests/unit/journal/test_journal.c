/* A sink's memory: replayed whole, cut at a torn tail, refused when damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "journal/journal.h"

static char path[64];
static char seen[4096];

static void on_record(void *arg, const struct record *r)
{
    size_t n = strlen(seen);

    (void)arg;
    (void)snprintf(seen + n, sizeof seen - n, "%d %.*s %lu %u;", (int)r->type,
                   (int)r->name.n, r->name.p, (unsigned long)r->value, r->n_ranges);
}

static struct journal *open_journal(struct err *e)
{
    seen[0] = '\0';
    return journal_open(path, on_record, NULL, e);
}

static void append(struct journal *j, const char *name, uint64_t value)
{
    static const struct batch_range ranges[2] = {{1, 2, 3, 4}, {5, 6, 7, 8}};
    struct record r = {.type = RECORD_FILE,
                       .value = value,
                       .stream = STR("events"),
                       .name = str_of(name),
                       .ranges = ranges,
                       .n_ranges = 2};
    struct err e;

    assert_true(journal_append(j, &r, &e));
}

static int set_up(void **state)
{
    int fd;

    (void)state;
    (void)snprintf(path, sizeof path, "/tmp/sluice-test-XXXXXX");
    fd = mkstemp(path);
    (void)close(fd);
    (void)unlink(path);
    return fd < 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)unlink(path);
    return 0;
}

static void records_come_back_in_order(void **state)
{
    struct err e = {""};
    struct journal *j = open_journal(&e);

    (void)state;
    assert_non_null(j);
    append(j, "a", 1);
    append(j, "b", 2);
    assert_true(journal_sync(j, &e));
    journal_close(j);
    j = open_journal(&e);
    assert_string_equal("7 a 1 2;7 b 2 2;", seen);
    assert_int_equal(0, journal_cut(j));
    journal_close(j);
}

/* At each byte of the last record. */
static void a_torn_tail_is_cut_wherever_it_tore(void **state)
{
    struct err e = {""};
    struct journal *j = open_journal(&e);
    off_t first, whole;

    (void)state;
    append(j, "a", 1);
    first = (off_t)journal_bytes(j);
    append(j, "b", 2);
    whole = (off_t)journal_bytes(j);
    journal_close(j);
    for (off_t at = whole - 1; at > first; at--) {
        assert_int_equal(0, truncate(path, at));
        j = open_journal(&e);
        assert_non_null(j);
        assert_string_equal("7 a 1 2;", seen);
        assert_int_equal(at - first, journal_cut(j));
        assert_int_equal(first, journal_bytes(j));
        append(j, "b", 2); /* and it goes on */
        journal_close(j);
    }
}

static void damage_before_the_tail_is_named_and_cuts_nothing(void **state)
{
    struct err e = {""};
    struct journal *j = open_journal(&e);
    struct stat before, after;
    int fd;

    (void)state;
    append(j, "a", 1);
    append(j, "b", 2);
    journal_close(j);
    fd = open(path, O_RDWR);
    assert_int_equal(1, pwrite(fd, "\xff", 1, 30));
    (void)fstat(fd, &before);
    assert_null(open_journal(&e));
    assert_non_null(strstr(e.text, path));
    (void)fstat(fd, &after);
    assert_int_equal(before.st_size, after.st_size);
    (void)close(fd);
}

static void emit(void *arg, struct journal_draft *draft)
{
    struct record r = {.type = RECORD_SEAL, .name = STR("all"), .value = 9};

    (void)arg;
    journal_emit(draft, &r);
}

static void a_rewrite_replaces_it_all(void **state)
{
    struct err e = {""};
    struct journal *j = open_journal(&e);

    (void)state;
    append(j, "a", 1);
    assert_true(journal_rewrite(j, emit, NULL, &e));
    append(j, "b", 2);
    journal_close(j);
    j = open_journal(&e);
    assert_string_equal("8 all 9 0;7 b 2 2;", seen);
    journal_close(j);
}

/* The spool was moved, and another one stands in its place. */
static void a_journal_of_others_is_not_replaced(void **state)
{
    struct err e = {""};
    struct journal *j = open_journal(&e);
    char moved[sizeof path + 8];
    struct stat st;
    int fd;

    (void)state;
    append(j, "a", 1);
    (void)snprintf(moved, sizeof moved, "%s.moved", path);
    assert_int_equal(0, rename(path, moved));
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(5, write(fd, "other", 5));
    (void)close(fd);
    assert_false(journal_rewrite(j, emit, NULL, &e));
    assert_non_null(strstr(e.text, "is not the file that was opened"));
    assert_int_equal(0, stat(path, &st));
    assert_int_equal(5, st.st_size);
    assert_int_equal(0, rename(moved, path));
    assert_true(journal_rewrite(j, emit, NULL, &e));
    journal_close(j);
}

static void a_journal_that_is_open_is_not_opened_again(void **state)
{
    struct err e = {""};
    struct journal *j = open_journal(&e);

    (void)state;
    assert_non_null(j);
    assert_null(open_journal(&e));
    assert_non_null(strstr(e.text, "a running sink has the journal open"));
    /* The rewritten one is another file. */
    assert_true(journal_rewrite(j, emit, NULL, &e));
    assert_null(open_journal(&e));
    journal_close(j);
    j = open_journal(&e);
    assert_non_null(j);
    journal_close(j);
}

static void a_journal_of_the_next_format_is_refused_and_left_as_it_is(void **state)
{
    struct record r = {.type = RECORD_HEAD, .value = JOURNAL_FORMAT};
    struct err e = {""};
    struct journal *j = open_journal(&e);
    struct stat before, after;

    (void)state;
    assert_true(journal_append(j, &r, &e));
    journal_close(j);
    j = open_journal(&e);
    assert_non_null(j);
    r.value = JOURNAL_FORMAT + 1;
    assert_true(journal_append(j, &r, &e));
    append(j, "a", 1);
    journal_close(j);
    assert_int_equal(0, stat(path, &before));
    assert_null(open_journal(&e));
    assert_non_null(strstr(e.text, "later version"));
    assert_int_equal(0, stat(path, &after));
    assert_int_equal(before.st_size, after.st_size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(records_come_back_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_torn_tail_is_cut_wherever_it_tore, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            damage_before_the_tail_is_named_and_cuts_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_rewrite_replaces_it_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_journal_of_others_is_not_replaced, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_journal_that_is_open_is_not_opened_again,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            a_journal_of_the_next_format_is_refused_and_left_as_it_is, set_up,
            tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
