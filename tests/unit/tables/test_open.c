/* Tables of large files: built once, shared, and never trusted when they are not whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/err.h"
#include "tables/built.h"
#include "tables/open.h"
#include "tables/sink_bytes.h"

enum { ROWS = 20000 };

static char folder[64], csv[128], built_dir[128];

static void write_rows(int first, int n)
{
    char next[160];
    FILE *f;

    (void)snprintf(next, sizeof next, "%s.next", csv);
    f = fopen(next, "w");
    (void)fprintf(f, "\xEF\xBB\xBF"
                     "name,key,note\r\n");
    for (int i = first; i < first + n; i++) {
        (void)fprintf(f, "\"n, %d\",key%d,%s\r\n", i, i,
                      i % 3 == 0 ? "" : "\"a \"\"b\"\"\"");
    }
    (void)fclose(f);
    assert_int_equal(rename(next, csv), 0);
}

static void put(const char *text)
{
    FILE *f = fopen(csv, "w");

    (void)fputs(text, f);
    (void)fclose(f);
}

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/tables-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    (void)snprintf(csv, sizeof csv, "%s/t.csv", folder);
    (void)snprintf(built_dir, sizeof built_dir, "%s/data/tables", folder);
    return 0;
}

static int remove_folder(void **state)
{
    char cmd[100];

    (void)state;
    (void)snprintf(cmd, sizeof cmd, "rm -rf %s", folder);
    return system(cmd);
}

static void note(void *arg, uint32_t line, const char *text)
{
    char *out = arg;

    (void)snprintf(out + strlen(out), 4000 - strlen(out), "%u: %s\n", line, text);
}

static struct csv_table *open_in(const char *dir, char *told, struct err *e)
{
    const struct table_source source = {
        .path = csv, .key = STR("key"), .delimiter = ',', .dir = dir};
    struct stat st;

    told[0] = e->text[0] = '\0';
    return table_open(&source, note, told, &st, e);
}

static struct csv_table *open_it(void)
{
    char told[4000];
    struct err e;
    struct csv_table *l = open_in(built_dir, told, &e);

    if (l == NULL) {
        fail_msg("%s%s", told, e.text);
    }
    return l;
}

static void expect_rows(const struct csv_table *l, int first, int n)
{
    char key[32], want[32];

    assert_int_equal(csv_table_n_rows(l), n);
    for (int i = first; i < first + n; i++) {
        int32_t row;

        (void)snprintf(key, sizeof key, "key%d", i);
        (void)snprintf(want, sizeof want, "n, %d", i);
        row = csv_table_row(l, str_of(key));
        assert_true(str_eq(csv_table_cell(l, row, 0), str_of(want)));
        assert_true(str_eq(csv_table_cell(l, row, 1), str_of(key)));
        assert_true(
            str_eq(csv_table_cell(l, row, 2), i % 3 == 0 ? STR("") : STR("a \"b\"")));
    }
    assert_int_equal(csv_table_row(l, STR("none")), TABLE_NO_ROW);
    assert_int_equal(csv_table_row(l, STR("")), TABLE_NO_ROW);
}

/* The files of built_dir; the last one's path in *path. */
static int files(char path[400])
{
    DIR *d = opendir(built_dir);
    struct dirent *e;
    int n = 0;

    while (d != NULL && (e = readdir(d)) != NULL) {
        if (e->d_name[0] != '.') {
            (void)snprintf(path, 400, "%s/%s", built_dir, e->d_name);
            n++;
        }
    }
    if (d != NULL) {
        (void)closedir(d);
    }
    return n;
}

static ino_t inode(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_ino;
}

static bool keep_none(void *arg, const char *id)
{
    (void)arg;
    (void)id;
    return false;
}

static int tidy(void **state)
{
    (void)state;
    tables_forget(built_dir, keep_none, NULL);
    return 0;
}

static void builds_once_and_shares_one_mapping(void **state)
{
    struct csv_table *a, *b, *private;
    char path[400], told[4000];
    struct err e;
    ino_t first;

    (void)state;
    write_rows(0, ROWS);
    a = open_it();
    b = open_it();
    assert_ptr_equal(a, b);
    expect_rows(a, 0, ROWS);
    assert_int_equal(files(path), 1);
    first = inode(path);
    csv_table_unref(a);
    csv_table_unref(b);
    a = open_it();
    assert_int_equal(inode(path), first);
    expect_rows(a, 0, ROWS);
    csv_table_unref(a);
    private = open_in(NULL, told, &e);
    assert_non_null(private);
    expect_rows(private, 0, ROWS);
    csv_table_unref(private);
    assert_int_equal(files(path), 1);
}

static void builds_again_what_is_not_whole(void **state)
{
    char path[400];

    (void)state;
    write_rows(0, ROWS);
    csv_table_unref(open_it());
    assert_int_equal(files(path), 1);
    for (int damage = 0; damage < 6; damage++) {
        off_t at[] = {3, 8, 100, 5000, 200000};
        struct csv_table *l;
        ino_t before = inode(path);
        struct stat st;
        char c;
        int fd;

        assert_int_equal(chmod(path, 0600), 0);
        fd = open(path, O_RDWR);
        assert_int_equal(fstat(fd, &st), 0);
        if (damage < 5) {
            assert_int_equal(pread(fd, &c, 1, at[damage]), 1);
            c ^= 1;
            assert_int_equal(pwrite(fd, &c, 1, at[damage]), 1);
        } else {
            assert_int_equal(ftruncate(fd, st.st_size - 1), 0);
        }
        l = open_it();
        assert_int_not_equal(inode(path), before);
        expect_rows(l, 0, ROWS);
        csv_table_unref(l);
        (void)close(fd);
    }
}

static void does_not_take_the_table_of_another_file(void **state)
{
    char path[400], other[400];
    struct csv_table *l;

    (void)state;
    write_rows(7, ROWS);
    csv_table_unref(open_it());
    assert_int_equal(files(path), 1);
    (void)snprintf(other, sizeof other, "%s/other", folder);
    assert_int_equal(rename(path, other), 0);
    write_rows(0, ROWS);
    csv_table_unref(open_it());
    assert_int_equal(files(path), 1);
    assert_int_equal(rename(other, path), 0);
    l = open_it();
    expect_rows(l, 0, ROWS);
    csv_table_unref(l);
}

static void keeps_the_old_version_while_it_is_used(void **state)
{
    struct csv_table *old, *next;
    char path[400];

    (void)state;
    write_rows(0, ROWS);
    old = open_it();
    write_rows(5, ROWS + 1);
    next = open_it();
    assert_ptr_not_equal(old, next);
    expect_rows(old, 0, ROWS);
    expect_rows(next, 5, ROWS + 1);
    assert_int_equal(files(path), 2);
    csv_table_unref(old);
    csv_table_unref(next);
}

static bool keep_all(void *arg, const char *id)
{
    (void)arg;
    assert_int_equal(strlen(id), TABLE_ID_HEX);
    return true;
}

static void forgets_what_nobody_uses(void **state)
{
    struct csv_table *used;
    char path[400], left[400], held[400];
    int fd;

    (void)state;
    write_rows(0, ROWS);
    csv_table_unref(open_it());
    write_rows(1, ROWS);
    used = open_it();
    (void)snprintf(left, sizeof left, "%s/build-abcdef", built_dir);
    (void)snprintf(held, sizeof held, "%s/build-ghijkl", built_dir);
    (void)close(open(left, O_CREAT | O_WRONLY, 0600));
    fd = open(held, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    assert_int_equal(files(path), 4);
    tables_forget(built_dir, keep_all, NULL);
    assert_int_not_equal(access(left, F_OK), 0);
    assert_int_equal(files(path), 3);
    tables_forget(built_dir, keep_none, NULL);
    assert_int_equal(files(path), 2);
    (void)close(fd);
    tables_forget(built_dir, keep_none, NULL);
    assert_int_equal(files(path), 1);
    expect_rows(used, 1, ROWS);
    csv_table_unref(used);
    tables_forget(built_dir, keep_none, NULL);
    assert_int_equal(files(path), 0);
}

static void *count_damaged(void *arg)
{
    int *damaged = malloc(sizeof *damaged);

    *damaged = 0;
    /* Before anything else is asked of the table. */
    for (uint32_t i = 0; i < csv_table_n_columns(arg); i++) {
        struct str name = csv_table_column(arg, i);

        assert_true(name.n > 0 && name.p[0] != '\0');
    }
    for (int i = 0; i < ROWS; i++) {
        char key[32];

        (void)snprintf(key, sizeof key, "key%d", i);
        *damaged += csv_table_row(arg, str_of(key)) == TABLE_DAMAGED;
    }
    return damaged;
}

/* In a thread that blocks all signals, as most of ours do. */
static int damaged_for_a_thread(struct csv_table *l)
{
    sigset_t all, before;
    pthread_t thread;
    void *damaged;
    int n;

    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    assert_int_equal(pthread_create(&thread, NULL, count_damaged, l), 0);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_int_equal(pthread_join(thread, &damaged), 0);
    n = *(int *)damaged;
    free(damaged);
    return n;
}

static void survives_that_its_file_is_cut(void **state)
{
    static const off_t by[] = {1, 9, 5000, 600000, -1}; /* -1: all but the head */

    for (size_t i = 0; i < N_ELEMS(by); i++) {
        char path[400];
        struct csv_table *l, *again;
        struct stat st;

        write_rows(0, ROWS);
        (void)tidy(state);
        l = open_it();
        assert_int_equal(damaged_for_a_thread(l), 0);
        assert_int_equal(files(path), 1);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(chmod(path, 0600), 0);
        assert_int_equal(truncate(path, by[i] < 0 ? 4096 : st.st_size - by[i]), 0);
        assert_int_equal(damaged_for_a_thread(l), ROWS);
        assert_true(csv_table_damaged(l));
        again = open_it();
        expect_rows(again, 0, ROWS);
        assert_int_equal(csv_table_row(l, STR("key1")), TABLE_DAMAGED);
        csv_table_unref(l);
        csv_table_unref(again);
    }
}

static void survives_that_its_rows_can_not_be_read_again(void **state)
{
    char path[] = "/tmp/sluice-sink-XXXXXX";
    struct sink_bytes s = {.fd = mkstemp(path)};
    char page[4096];
    const char *p;

    (void)state;
    assert_true(s.fd >= 0);
    memset(page, 'x', sizeof page);
    for (int i = 0; i < 8; i++) {
        sink_put(&s, page, sizeof page);
    }
    p = sink_read(&s);
    assert_non_null(p);
    assert_int_equal(p[7 * 4096], 'x');
    assert_false(sink_unread(&s));
    assert_int_equal(ftruncate(s.fd, 4096), 0);
    assert_int_equal(p[0], 'x');
    assert_int_equal(p[7 * 4096], 0);
    assert_true(sink_unread(&s));
    assert_int_equal(s.error, EIO);
    sink_fini(&s);
    (void)close(s.fd);
    (void)unlink(path);
}

static void leaves_nothing_on_a_full_disk(void **state)
{
    struct rlimit was, few;
    char told[4000], path[400];
    struct csv_table *l;
    struct err e;

    (void)state;
    write_rows(0, ROWS);
    (void)signal(SIGXFSZ, SIG_IGN);
    (void)getrlimit(RLIMIT_FSIZE, &was);
    for (rlim_t max = 1000; max < 600000; max += 399000) {
        few = was;
        few.rlim_cur = max;
        (void)setrlimit(RLIMIT_FSIZE, &few);
        l = open_in(built_dir, told, &e);
        (void)setrlimit(RLIMIT_FSIZE, &was);
        assert_null(l);
        assert_string_equal(told, "");
        assert_non_null(strstr(e.text, "t.csv: "));
        assert_non_null(strstr(e.text, "File too large"));
        assert_int_equal(files(path), 0);
    }
}

static void refuses_a_file_that_changes_while_it_is_read(void **state)
{
    const struct table_source source = {
        .path = csv, .key = STR("key"), .delimiter = ',', .dir = built_dir};
    static const uint8_t id[TABLE_ID_BYTES];
    char told[4000] = "", path[400];
    struct stat st;
    struct err e;
    int fd, before;

    (void)state;
    write_rows(0, ROWS);
    before = files(path);
    fd = open(csv, O_RDONLY);
    assert_int_equal(fstat(fd, &st), 0);
    st.st_mtim.tv_nsec ^= 1;
    assert_int_equal(built_make(&source, fd, &st, id, note, told, &e), -1);
    assert_non_null(strstr(e.text, "it was changed while it was read"));
    assert_int_equal(files(path), before);
    (void)close(fd);
}

static void lets_many_build_at_the_same_time(void **state)
{
    char path[400];
    int status;

    (void)state;
    write_rows(0, ROWS);
    for (int i = 0; i < 4; i++) {
        if (fork() == 0) {
            for (int k = 0; k < 3; k++) {
                struct csv_table *l = open_it();

                expect_rows(l, 0, ROWS);
                csv_table_unref(l);
                tables_forget(built_dir, keep_none, NULL);
            }
            _exit(0);
        }
    }
    for (int i = 0; i < 4; i++) {
        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    tables_forget(built_dir, keep_none, NULL);
    assert_int_equal(files(path), 0);
}

static void names_mistakes_of_large_files_with_their_lines(void **state)
{
    char told[4000], path[400];
    struct err e;
    int before;

    (void)state;
    before = files(path);
    put("key,v\r\na,1\r\nb,\"x\r\ny\"\r\n,2\r\na,3\r\nc\r\nb,4\r\n");
    assert_null(open_in(built_dir, told, &e));
    assert_string_equal(told, "5: the key is empty\n"
                              "7: 1 field, the first line has 2\n"
                              "6: the key \"a\" is given twice, first in line 2\n"
                              "8: the key \"b\" is given twice, first in line 3\n");
    put("k,v\na,1\n");
    assert_null(open_in(built_dir, told, &e));
    assert_string_equal(told, "0: the file has no such column\n");
    assert_int_equal(files(path), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(builds_once_and_shares_one_mapping, tidy),
        cmocka_unit_test_setup(builds_again_what_is_not_whole, tidy),
        cmocka_unit_test_setup(does_not_take_the_table_of_another_file, tidy),
        cmocka_unit_test_setup(keeps_the_old_version_while_it_is_used, tidy),
        cmocka_unit_test_setup(forgets_what_nobody_uses, tidy),
        cmocka_unit_test_setup(survives_that_its_file_is_cut, tidy),
        cmocka_unit_test(survives_that_its_rows_can_not_be_read_again),
        cmocka_unit_test_setup(leaves_nothing_on_a_full_disk, tidy),
        cmocka_unit_test_setup(refuses_a_file_that_changes_while_it_is_read, tidy),
        cmocka_unit_test_setup(lets_many_build_at_the_same_time, tidy),
        cmocka_unit_test_setup(names_mistakes_of_large_files_with_their_lines, tidy),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
