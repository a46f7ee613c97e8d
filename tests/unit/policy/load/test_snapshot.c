/* A policy's files as they are read: never two versions, never for others' eyes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "policy/load/load.h"

enum { LOADS = 200, IN_PLACE_LOADS = 8 };

static char folder[64];

static void write_text(const char *name, const char *text)
{
    char path[PATH_MAX];
    FILE *f;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/sluice-test-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static const char POLICY[] =
    "local n = require \"lib\"\n"
    "assert(n == %d, \"two versions are mixed\")\n"
    "file \"archive\" { dir = \"archive\" }\n"
    "stream \"events\" { sinks = { \"archive\" } }\n"
    "route \"POST /e\" { body = \"event\", schema = schema { }, "
    "stream = \"events\" }\n";

static void write_version(int n)
{
    char path[PATH_MAX], text[1024];

    (void)snprintf(path, sizeof path, "%s/v%d", folder, n);
    assert_int_equal(mkdir(path, 0700), 0);
    (void)snprintf(path, sizeof path, "v%d/policy.lua", n);
    (void)snprintf(text, sizeof text, POLICY, n);
    write_text(path, text);
    (void)snprintf(path, sizeof path, "v%d/lib.lua", n);
    (void)snprintf(text, sizeof text, "return %d\n", n);
    write_text(path, text);
}

/* As a mounted ConfigMap is replaced. */
static void point_to(int n)
{
    char to[PATH_MAX], next[PATH_MAX], data[PATH_MAX];

    (void)snprintf(to, sizeof to, "v%d", n);
    (void)snprintf(next, sizeof next, "%s/next", folder);
    (void)snprintf(data, sizeof data, "%s/data", folder);
    assert_int_equal(symlink(to, next), 0);
    assert_int_equal(rename(next, data), 0);
}

/* One swap, some time into a load. */
static void *swap(void *arg)
{
    const int *i = arg;

    (void)usleep((useconds_t)(*i * 37 % 1500));
    point_to(1 + *i % 2);
    return NULL;
}

static void test_versions_are_not_mixed(void **state)
{
    char path[PATH_MAX];
    int loaded = 0;

    (void)state;
    write_version(1);
    write_version(2);
    point_to(1);
    (void)snprintf(path, sizeof path, "%s/data/policy.lua", folder);
    for (int i = 0; i < LOADS; i++) {
        struct policy_report report;
        struct policy *p;
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, swap, &i), 0);
        p = policy_load(path, &report);
        assert_int_equal(pthread_join(thread, NULL), 0);
        if (p == NULL) {
            fail_msg("%s", report.text);
        }
        loaded += p != NULL;
        policy_report_fini(&report);
        policy_unref(p);
    }
    assert_int_equal(loaded, LOADS);
}

/* ---- in place: the same file and size, and the time that the deployment gives it ---- */

static const char IN_PLACE[] =
    "for i = 1, 1000000 do local x = i end\n" /* time for the writer */
    "local n = require \"lib\"\n"
    "assert(n == %d, \"two versions are mixed\")\n"
    "file \"archive\" { dir = \"archive\" }\n"
    "stream \"events\" { sinks = { \"archive\" } }\n"
    "route \"POST /e\" { body = \"event\", schema = schema { }, "
    "stream = \"events\" }\n";

static void write_in_place(const char *name, const char *form, int n)
{
    static const struct timespec times[2] = {{1, 0}, {1, 0}};
    char path[PATH_MAX], text[1024];
    size_t len = (size_t)snprintf(text, sizeof text, form, n);
    int fd;

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(len, write(fd, text, len));
    assert_int_equal(0, futimens(fd, times));
    assert_int_equal(0, close(fd));
}

struct rewrite {
    int inotify, n;
};

/* Once the loader has closed policy.lua. */
static void *rewrite(void *arg)
{
    const struct rewrite *w = arg;
    char event[512];

    if (read(w->inotify, event, sizeof event) > 0) {
        write_in_place("policy.lua", IN_PLACE, w->n);
        write_in_place("lib.lua", "return %d\n", w->n);
    }
    return NULL;
}

static void test_versions_in_place_are_not_mixed(void **state)
{
    char path[PATH_MAX];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/policy.lua", folder);
    for (int i = 0; i < IN_PLACE_LOADS; i++) {
        struct rewrite w = {inotify_init1(IN_CLOEXEC), 1 + (i + 1) % 2};
        struct policy_report report;
        struct policy *p;
        pthread_t thread;

        write_in_place("policy.lua", IN_PLACE, 1 + i % 2);
        write_in_place("lib.lua", "return %d\n", 1 + i % 2);
        assert_true(inotify_add_watch(w.inotify, path, IN_CLOSE_NOWRITE) >= 0);
        assert_int_equal(pthread_create(&thread, NULL, rewrite, &w), 0);
        p = policy_load(path, &report);
        assert_int_equal(pthread_join(thread, NULL), 0);
        if (p == NULL) {
            fail_msg("%s", report.text);
        }
        policy_report_fini(&report);
        policy_unref(p);
        (void)close(w.inotify);
    }
}

static void test_a_fifo_keeps_nobody(void **state)
{
    struct policy_report report;
    char path[PATH_MAX];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/policy.lua", folder);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_null(policy_load(path, &report));
    assert_non_null(strstr(report.text, "a pipe can't be read twice"));
    policy_report_fini(&report);
}

static void test_a_saved_policy_is_its_owners(void **state)
{
    struct policy_report report;
    char path[PATH_MAX];
    struct policy *p;
    struct stat st;
    struct err e;

    (void)state;
    write_version(1);
    point_to(1);
    (void)snprintf(path, sizeof path, "%s/data/policy.lua", folder);
    p = policy_load(path, &report);
    assert_non_null(p);
    policy_report_fini(&report);
    (void)umask(0);
    write_text("saved.new", "left over, for all to read");
    (void)snprintf(path, sizeof path, "%s/saved", folder);
    assert_true(policy_save(p, path, &e));
    policy_unref(p);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    p = policy_load_saved(path, NULL, &report);
    assert_non_null(p);
    policy_report_fini(&report);
    policy_unref(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_versions_are_not_mixed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_versions_in_place_are_not_mixed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_a_fifo_keeps_nobody, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_saved_policy_is_its_owners, set_up,
                                        tear_down)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
