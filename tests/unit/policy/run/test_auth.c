/* Requests with and without a key, decided by a policy: as loaded, and as kept. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "plan/plan.h"
#include "policy/load/load.h"
#include "policy/run/auth.h"
#include "policy/run/decide.h"
#include "policy/run/run.h"

/* SHA-256 of "key". */
#define SHA "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"

static char folder[64];

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

static const char *in_folder(const char *name)
{
    static char path[PATH_MAX];

    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static const char POLICY[] =
    "file \"a\" { dir = \"a\" }\n"
    "stream \"s\" { sinks = { \"a\" } }\n"
    "keys \"apps\" { file = \"apps.csv\", expires = \"until\" }\n"
    "keys \"users\" { file = \"users.csv\" }\n"
    "route \"POST /one\" { body = \"event\", stream = \"s\", auth = bearer \"apps\",\n"
    "  on_request = function(req) return reject(req.key.app, \"x\", 418) end }\n"
    "route \"POST /two\" { body = \"event\", stream = \"s\",\n"
    "  auth = any_of { bearer \"apps\", bearer \"users\", query \"k\" \"users\" } }\n"
    "route \"POST /open\" { body = \"event\", stream = \"s\",\n"
    "  on_request = function(req)\n"
    "    return reject(req.key == nil and \"none\" or \"some\", \"x\", 418) end }\n";

/* rows: beside that of "key". */
static void write_files(unsigned rows)
{
    FILE *f = fopen(in_folder("p.lua"), "we");

    assert_non_null(f);
    (void)fputs(POLICY, f);
    assert_int_equal(fclose(f), 0);
    f = fopen(in_folder("apps.csv"), "we");
    assert_non_null(f);
    (void)fputs("sha256,app,until\n" SHA ",shop,2030-01-01\n", f);
    for (unsigned i = 0; i < rows; i++) {
        (void)fprintf(f, "%064x,app_%u,\n", i + 1, i);
    }
    assert_int_equal(fclose(f), 0);
    f = fopen(in_folder("users.csv"), "we");
    assert_non_null(f);
    /* SHA-256 of "user". */
    (void)fputs(
        "sha256,name\n"
        "04f8996da763b7a969b1028ee3007569eaf3a635486ddab211d512c85b9df8fb,ann\n",
        f);
    assert_int_equal(fclose(f), 0);
}

/* "200", "401 unknown_key": what the head gets. 2025, or after the key is over. */
static const char *head(struct policy_state *s, const char *path, const char *bearer,
                        const char *query, bool late)
{
    static char out[100], value[100];
    struct str_pair header = {STR("authorization"), {value, 0}};
    struct policy_request req = {.time_ms = late ? 1.9e12 : 1.75e12,
                                 .method = STR("POST"),
                                 .path = str_of(path),
                                 .query = str_of(query),
                                 .peer = STR("127.0.0.1"),
                                 .headers = &header,
                                 .n_headers = bearer != NULL};
    const struct route *route;
    enum scan_shape shape;
    struct refused no;

    header.value.n = (size_t)snprintf(value, sizeof value, "Bearer %s",
                                      bearer == NULL ? "" : bearer);
    if (decide_head(s, &req, STR("application/json"), &route, &shape, &no)) {
        (void)snprintf(out, sizeof out, "200 %u", req.key_table);
    } else {
        (void)snprintf(out, sizeof out, "%d %s", no.status, no.error.code);
        assert_int_equal(no.challenge != NULL, no.status == 401);
    }
    return out;
}

static void decides(struct policy *p)
{
    struct err e;
    struct policy_state *s = policy_state_new(p, &e);

    assert_non_null(s);
    assert_string_equal(head(s, "/one", "key", "", false), "418 shop");
    assert_string_equal(head(s, "/one", "kex", "", false), "401 unknown_key");
    assert_string_equal(head(s, "/one", "user", "", false), "401 unknown_key");
    assert_string_equal(head(s, "/one", "key", "", true), "401 expired_key");
    assert_string_equal(head(s, "/one", NULL, "k=user", false), "401 missing_key");
    assert_string_equal(head(s, "/one", "", "", false), "401 malformed_key");
    assert_string_equal(head(s, "/two", "key", "", false), "200 1");
    assert_string_equal(head(s, "/two", "user", "", false), "200 2");
    /* A key that is not good hides none that is. */
    assert_string_equal(head(s, "/two", "kex", "k=user", false), "200 2");
    assert_string_equal(head(s, "/two", "kex", "k=usex", false), "401 unknown_key");
    assert_string_equal(head(s, "/two", "key", "k=usex", true), "401 expired_key");
    assert_string_equal(head(s, "/two", "kex", "k=user&k=user", false),
                        "401 unknown_key");
    assert_string_equal(head(s, "/two", NULL, "", false), "401 missing_key");
    assert_string_equal(head(s, "/open", "key", "", false), "418 none");
    policy_state_free(s);
}

/* With a file of keys in memory, or in a mapped one: as loaded, loaded again from memory,
 * and from its kept file when all others are gone. */
static void decides_as_loaded_and_as_kept(unsigned rows)
{
    char tables[PATH_MAX], saved[PATH_MAX];
    struct policy_report report;
    struct policy *p, *again;
    struct err e;

    write_files(rows);
    (void)snprintf(tables, sizeof tables, "%s/tables", folder);
    (void)snprintf(saved, sizeof saved, "%s/saved", folder);
    p = policy_load_in(in_folder("p.lua"), tables, &report);
    if (p == NULL) {
        fail_msg("%s", report.text);
    }
    policy_report_fini(&report);
    decides(p);
    again = policy_again(p, &report);
    assert_non_null(again);
    policy_report_fini(&report);
    decides(again);
    policy_unref(again);
    assert_true(policy_save(p, saved, &e));
    policy_unref(p);
    assert_int_equal(unlink(in_folder("p.lua")), 0);
    assert_int_equal(unlink(in_folder("apps.csv")), 0);
    assert_int_equal(unlink(in_folder("users.csv")), 0);
    p = policy_load_saved(saved, tables, &report);
    assert_non_null(p);
    policy_report_fini(&report);
    decides(p);
    policy_unref(p);
}

static void decides_by_small_files(void **state)
{
    (void)state;
    decides_as_loaded_and_as_kept(10);
}

static void decides_by_a_mapped_file(void **state)
{
    struct stat st;

    (void)state;
    decides_as_loaded_and_as_kept(70000);
    assert_int_equal(stat(in_folder("tables"), &st), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(decides_by_small_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(decides_by_a_mapped_file, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
