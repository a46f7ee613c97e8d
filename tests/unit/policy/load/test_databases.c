/* The databases of policies: one copy for all whose files have the same bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <limits.h>
#include <pthread.h>
#include <unistd.h>

#include "base/err.h"
#include "policy/load/load.h"
#include "tools/mmdb_maker.h"

enum { THREADS = 4, LOADS = 30, PAGE = 4096 };

static char folder[64];

static void path_of(const char *name, char path[PATH_MAX])
{
    (void)snprintf(path, PATH_MAX, "%s/%s", folder, name);
}

static void write_bytes(const char *name, struct str bytes)
{
    char path[PATH_MAX];
    FILE *f;

    path_of(name, path);
    f = fopen(path, "we");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.p, 1, bytes.n, f), bytes.n);
    assert_int_equal(fclose(f), 0);
}

static const char POLICY[] =
    "file \"archive\" { dir = \"archive\" }\n"
    "stream \"events\" { sinks = { \"archive\" } }\n"
    "local geo = mmdb \"%s\"\n"
    "route \"POST /e\" { body = \"event\", stream = \"events\",\n"
    "  on_event = function(ev)\n"
    "    ev.net = geo:get(\"192.0.2.1\", \"net\")\n"
    "    ev.other = geo:get(\"192.0.3.1\", \"net\") end }\n"
    "example \"a net\" { request = \"POST /e\", body = \"{}\",\n"
    "  expect = { status = 202, stored = [[{\"net\":\"%s\"}]] } }\n";

/* A database whose text is filled up so that the file ends with a page: behind that is no
 * memory. */
static void write_database(const char *name, const char *text)
{
    size_t fill = 0;
    struct str file;

    for (;;) {
        struct maker m;
        char *more = calloc(1, fill + 1);

        memset(more, 'x', fill);
        maker_init(&m, true, 24);
        (void)maker_text(&m, more);
        maker_network(&m, "192.0.2.0/24", maker_head(&m, 7, 1));
        (void)maker_text(&m, "net");
        (void)maker_text(&m, text);
        file = maker_file(&m);
        maker_fini(&m);
        free(more);
        if (file.n % PAGE == 0) {
            break;
        }
        fill += fill == 0 ? PAGE - file.n % PAGE - 20 : 1;
        free((char *)file.p);
    }
    write_bytes(name, file);
    free((char *)file.p);
}

static void write_policy(const char *name, const char *database, const char *net)
{
    char text[sizeof POLICY + 100];

    (void)snprintf(text, sizeof text, POLICY, database, net);
    write_bytes(name, str_of(text));
}

static struct policy *load(const char *name)
{
    struct policy_report report;
    char path[PATH_MAX];
    struct policy *p;

    path_of(name, path);
    p = policy_load(path, &report);
    if (p == NULL) {
        (void)fprintf(stderr, "%s", report.text);
    }
    policy_report_fini(&report);
    return p;
}

static unsigned n_copies(void)
{
    FILE *f = fopen("/proc/self/maps", "re");
    char line[1000];
    unsigned n = 0;

    while (fgets(line, sizeof line, f) != NULL) {
        n += strstr(line, "memfd:sluice-mmdb") != NULL;
    }
    (void)fclose(f);
    return n;
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/sluice-test-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    write_database("geo.mmdb", "one");
    write_policy("p.lua", "geo.mmdb", "one");
    return 0;
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void test_policies_share_a_copy(void **state)
{
    struct policy_report report;
    struct policy *one, *again, *copy, *other;

    (void)state;
    one = load("p.lua");
    assert_int_equal(n_copies(), 1);
    /* Written again: the same bytes in another file. */
    write_database("geo.mmdb", "one");
    again = load("p.lua");
    copy = policy_again(one, &report);
    policy_report_fini(&report);
    assert_int_equal(n_copies(), 1);
    assert_string_equal(policy_plan(one)->hash, policy_plan(copy)->hash);
    assert_string_equal(policy_plan(one)->hash, policy_plan(again)->hash);
    write_database("geo.mmdb", "two");
    write_policy("p.lua", "geo.mmdb", "two");
    other = load("p.lua");
    assert_int_equal(n_copies(), 2);
    assert_string_not_equal(policy_plan(one)->hash, policy_plan(other)->hash);
    policy_unref(one);
    policy_unref(again);
    assert_int_equal(n_copies(), 2);
    policy_unref(copy);
    assert_int_equal(n_copies(), 1);
    policy_unref(other);
    assert_int_equal(n_copies(), 0);
}

static void test_a_file_that_is_refused_leaves_nothing(void **state)
{
    (void)state;
    write_policy("p.lua", "p.lua", "one");
    assert_null(load("p.lua"));
    write_policy("p.lua", "geo.mmdb", "not this");
    assert_null(load("p.lua"));
    assert_int_equal(n_copies(), 0);
}

static void test_a_saved_policy_has_its_database(void **state)
{
    struct policy_report report;
    char path[PATH_MAX], hash[65];
    struct policy *p = load("p.lua");
    struct err e;

    (void)state;
    (void)snprintf(hash, sizeof hash, "%s", policy_plan(p)->hash);
    path_of("saved", path);
    assert_true(policy_save(p, path, &e));
    policy_unref(p);
    write_database("geo.mmdb", "two");
    p = policy_load_saved(path, NULL, &report);
    policy_report_fini(&report);
    assert_non_null(p);
    assert_string_equal(policy_plan(p)->hash, hash);
    assert_int_equal(n_copies(), 1);
    policy_unref(p);
}

static void *load_often(void *arg)
{
    for (int i = 0; i < LOADS; i++) {
        struct policy *p = load(arg);

        if (p == NULL) {
            return arg;
        }
        policy_unref(p);
    }
    return NULL;
}

static void test_threads_load_and_free_at_once(void **state)
{
    static char names[][8] = {"p.lua", "q.lua", "p.lua", "q.lua"};
    pthread_t threads[THREADS];

    (void)state;
    write_database("geo2.mmdb", "two");
    write_policy("q.lua", "geo2.mmdb", "two");
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, load_often, names[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *failed;

        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    assert_int_equal(n_copies(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_policies_share_a_copy, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_file_that_is_refused_leaves_nothing,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_saved_policy_has_its_database, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_threads_load_and_free_at_once, set_up,
                                        tear_down)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
