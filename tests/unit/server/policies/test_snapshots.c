/* Policies that went live, and the tables that they name, on a disk that does not say all
 * that it has: nothing is forgotten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "plan/plan.h"
#include "policy/load/load.h"
#include "server/policies/snapshots.h"

static char folder[64], tables[96];
static const char TABLE[] =
    "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.table";

static void in_folder(char path[PATH_MAX], const char *name)
{
    (void)snprintf(path, PATH_MAX, "%s/%s", folder, name);
}

static void write_text(const char *name, const char *text)
{
    char path[PATH_MAX];
    FILE *f;

    in_folder(path, name);
    f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(0, fclose(f));
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/sluice-test-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    (void)snprintf(tables, sizeof tables, "%s/tables", folder);
    return mkdir(tables, 0700);
}

static int tear_down(void **state)
{
    char command[128];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* Another one for each n. */
static struct policy *policy_of(int n)
{
    struct policy_report report = {0};
    char path[PATH_MAX], text[512];
    struct policy *p;

    (void)snprintf(text, sizeof text,
                   "-- %d\nfile \"archive\" { dir = \"archive\" }\n"
                   "stream \"events\" { sinks = { \"archive\" } }\n"
                   "route \"POST /e\" { body = \"event\", stream = \"events\" }\n",
                   n);
    write_text("policy.lua", text);
    in_folder(path, "policy.lua");
    p = policy_load(path, &report);
    assert_non_null(p);
    policy_report_fini(&report);
    return p;
}

static void live(int n, bool goes)
{
    struct policy *p = policy_of(n);
    struct err e;

    assert_true(snapshots_save(folder, p, &e));
    assert_int_equal(goes, snapshots_live(folder, p, &e));
    policy_unref(p);
}

/* The file, or folder, can't be opened, as on a disk with errors. */
static void hide(const char *name)
{
    char path[PATH_MAX], away[PATH_MAX + 8];

    in_folder(path, name);
    (void)snprintf(away, sizeof away, "%s.away", path);
    assert_int_equal(0, rename(path, away));
    assert_int_equal(0, symlink(path, path));
}

static void show(const char *name)
{
    char path[PATH_MAX], away[PATH_MAX + 8];

    in_folder(path, name);
    (void)snprintf(away, sizeof away, "%s.away", path);
    assert_int_equal(0, unlink(path));
    assert_int_equal(0, rename(away, path));
}

static void the_policy_before_stays_while_the_list_cant_be_read(void **state)
{
    struct policy *second, *other;
    struct err e;

    (void)state;
    live(1, true);
    live(2, true);
    hide("policies/LIVE");
    live(3, false);
    second = policy_of(2);
    assert_null(snapshots_other(folder, tables, policy_plan(second)->hash, &e));
    show("policies/LIVE");
    other = snapshots_other(folder, tables, policy_plan(second)->hash, &e);
    assert_non_null(other);
    policy_unref(other);
    policy_unref(second);
}

static void the_policy_before_stays_when_the_list_says_nothing(void **state)
{
    char command[256];

    (void)state;
    live(1, true);
    live(2, true);
    write_text("policies/LIVE", "");
    live(3, true);
    (void)snprintf(command, sizeof command,
                   "test \"$(ls '%s/policies' | grep -c 'policy$')\" = 3", folder);
    assert_int_equal(0, system(command));
}

static bool table_stays(void)
{
    char path[PATH_MAX], name[128];

    (void)snprintf(name, sizeof name, "tables/%s", TABLE);
    write_text(name, "rows");
    snapshots_forget_tables(folder, tables);
    in_folder(path, name);
    return access(path, F_OK) == 0;
}

static void a_table_stays_while_a_policy_cant_be_read(void **state)
{
    struct policy *p = policy_of(1);
    char name[128];
    struct err e;

    (void)state;
    assert_true(snapshots_save(folder, p, &e));
    assert_false(table_stays());
    (void)snprintf(name, sizeof name, "policies/%s.policy", policy_plan(p)->hash);
    hide(name);
    assert_true(table_stays());
    show(name);
    hide("policies");
    assert_true(table_stays());
    show("policies");
    assert_false(table_stays());
    write_text(name, "sluice policy, cut");
    assert_true(table_stays());
    policy_unref(p);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(the_policy_before_stays_while_the_list_cant_be_read),
        TEST(the_policy_before_stays_when_the_list_says_nothing),
        TEST(a_table_stays_while_a_policy_cant_be_read)};

    return cmocka_run_group_tests_name("snapshots", tests, NULL, NULL);
}
