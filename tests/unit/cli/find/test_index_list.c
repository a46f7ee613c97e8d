/* Which events the files of an index cover. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/err.h"
#include "cli/find/index_list.h"
#include "index/builder.h"
#include "index/names.h"
#include "index/reader.h"
#include "unit/tools/folder.h"

/* As sorted; two overlap, as after a start that made one again. */
static struct index_run runs[] = {
    {1, 0, 10, 20}, {1, 0, 20, 30}, {1, 0, 40, 50}, {1, 0, 45, 60}, {1, 1, 30, 40}};
static const struct index_list list = {.runs = runs, .n = 5};

static void covers_up_to_the_first_event_that_no_file_has(void **state)
{
    (void)state;
    assert_int_equal(9, index_list_covered(&list, 1, 0, 9));
    assert_int_equal(30, index_list_covered(&list, 1, 0, 10));
    assert_int_equal(30, index_list_covered(&list, 1, 0, 30));
    assert_int_equal(60, index_list_covered(&list, 1, 0, 44));
    assert_int_equal(44, index_list_covered(&list, 1, 1, 44));
    assert_int_equal(44, index_list_covered(&list, 2, 0, 44));
}

static void the_next_covered_event_is_after_the_one_asked_for(void **state)
{
    (void)state;
    assert_int_equal(10, index_list_next(&list, 1, 0, 1));
    assert_int_equal(11, index_list_next(&list, 1, 0, 10));
    assert_int_equal(40, index_list_next(&list, 1, 0, 29));
    assert_int_equal(40, index_list_next(&list, 1, 0, 30));
    assert_int_equal(46, index_list_next(&list, 1, 0, 45));
    assert_int_equal(UINT64_MAX, index_list_next(&list, 1, 0, 59));
    assert_int_equal(30, index_list_next(&list, 1, 1, 1));
    assert_int_equal(UINT64_MAX, index_list_next(&list, 2, 0, 1));
}

/* ---- files ---- */

enum { FILES = 150, EACH = 3 }; /* more than are open at once, twice */

static const char ID[] = "same";

/* Each of an epoch of its own, with an id that all of them have. */
static void write_files(void)
{
    char index[128], path[160];
    struct err e = {""};

    (void)snprintf(path, sizeof path, "%s/events", dir);
    (void)snprintf(index, sizeof index, "%s/" INDEX_FOLDER, path);
    assert_int_equal(0, mkdir(path, 0700));
    assert_int_equal(0, mkdir(index, 0700));
    for (uint32_t i = 1; i <= FILES; i++) {
        const struct index_place place = {"uuid", "events", "id", i, 0};
        struct index_builder *b = index_builder_new(1);
        uint64_t bytes;

        index_block(b, 1000 * i, 7);
        for (int k = 0; k < EACH; k++) {
            index_add(b, k == 1 ? ID : NULL, k == 1 ? sizeof ID - 1 : 0);
        }
        (void)index_path(path, sizeof path, index, i, 0, 1);
        if (!index_write(b, &place, path, &bytes, &e)) {
            fail_msg("%s", e.text);
        }
        index_builder_free(b);
    }
}

struct met {
    uint64_t print;
    uint32_t files, last_epoch, hits;
    bool finds; /* else reads the rows */
};

static bool on_hit(void *arg, uint64_t seq)
{
    struct met *m = arg;

    m->hits += seq == 2;
    return true;
}

static bool on_file(void *arg, struct index_file *f)
{
    struct met *m = arg;
    struct err e;

    m->files++;
    assert_int_equal(m->last_epoch + 1, f->head.epoch); /* in their order */
    m->last_epoch++;
    return m->finds ? index_find(f, m->print, on_hit, m, &e) : index_rows(f, &e);
}

static void read_all(bool finds)
{
    struct met m = {.print = index_print(ID, sizeof ID - 1), .finds = finds};
    struct index_lists all = {.n = 0};
    struct index_list *l = index_lists_add(&all);
    struct err e = {""};

    if (!index_list_read(l, dir, "events", finds ? &m.print : NULL, on_file, &m, &e)) {
        fail_msg("%s", e.text);
    }
    assert_int_equal(FILES, m.files);
    assert_int_equal(finds ? FILES : 0, m.hits);
    assert_int_equal(FILES, l->n);
    assert_int_equal(0, l->n_damaged);
    assert_int_equal(FILES * EACH, l->n_events);
    index_lists_free(&all);
}

static void every_file_is_read_in_its_order(void **state)
{
    (void)state;
    write_files();
    read_all(true);
    read_all(false);
}

/* Also where a process may not open as many as are read ahead. */
static void few_descriptors_make_no_file_a_damaged_one(void **state)
{
    struct rlimit before, few;

    (void)state;
    write_files();
    assert_int_equal(0, getrlimit(RLIMIT_NOFILE, &before));
    few = before;
    few.rlim_cur = 32;
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &few));
    read_all(true);
    assert_int_equal(0, setrlimit(RLIMIT_NOFILE, &before));
}

static void a_damaged_file_and_one_that_is_cut_hide_no_other(void **state)
{
    struct met m = {.print = index_print(ID, sizeof ID - 1), .finds = true};
    struct index_lists all = {.n = 0};
    struct index_list *l = index_lists_add(&all);
    char command[256];
    struct err e = {""};

    (void)state;
    write_files();
    /* The first one, which keeps its place, loses its fences; of the last one half is gone. */
    (void)snprintf(
        command, sizeof command,
        "cd '%s/events/" INDEX_FOLDER "' && printf xxxx | dd of=1.0-1.idx "
        "bs=1 seek=4096 conv=notrunc 2>/dev/null && truncate -s 4100 %d.0-1.idx",
        dir, FILES);
    assert_int_equal(0, system(command));
    assert_true(index_list_read(l, dir, "events", &m.print, on_file, &m, &e));
    assert_int_equal(FILES - 1, m.files);
    assert_int_equal(FILES - 2, m.hits);
    assert_int_equal(FILES - 2, l->n);
    assert_int_equal(2, l->n_damaged);
    index_lists_free(&all);
}

#define IN_FOLDER(name)                                                                \
    cmocka_unit_test_setup_teardown(name, folder_set_up, folder_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(covers_up_to_the_first_event_that_no_file_has),
        cmocka_unit_test(the_next_covered_event_is_after_the_one_asked_for),
        IN_FOLDER(every_file_is_read_in_its_order),
        IN_FOLDER(few_descriptors_make_no_file_a_damaged_one),
        IN_FOLDER(a_damaged_file_and_one_that_is_cut_hide_no_other)};

    return cmocka_run_group_tests_name("index_list", tests, NULL, NULL);
}
