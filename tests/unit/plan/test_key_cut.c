/* A mapped file of keys that is cut after a key's row was found: the rest of the row
 * reads as zeros, which say neither "disabled" nor "expired". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/attr.h"
#include "base/err.h"
#include "plan/key_table.h"
#include "tables/open.h"

enum { NOW = 1000 * 1000, ROWS = 20000 };

/* SHA-256 of "key". */
#define SHA "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"

static char folder[64], csv[128], built[128];
static bool cuts; /* the file, at the next look-up */

static int make_folder(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/key-cut-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    (void)snprintf(csv, sizeof csv, "%s/keys.csv", folder);
    (void)snprintf(built, sizeof built, "%s/tables", folder);
    return 0;
}

static int remove_folder(void **state)
{
    char command[100];

    (void)state;
    (void)snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command);
}

static void note(void *arg, uint32_t line, const char *text)
{
    (void)arg;
    fail_msg("line %u: %s", line, text);
}

/* The rest is what stands in "key"'s row. */
static struct csv_table *open_with(const char *rest)
{
    struct key_rules keys = {
        .key = STR("sha256"), .expires = STR("until"), .disabled = STR("off")};
    const struct csv_rules rules = key_rules(&keys);
    const struct table_source source = {.path = csv,
                                        .key = STR("sha256"),
                                        .delimiter = ',',
                                        .rules = &rules,
                                        .rules_id = STR("keys"),
                                        .dir = built};
    FILE *f = fopen(csv, "we");
    struct csv_table *t;
    struct stat st;
    struct err e;

    assert_non_null(f);
    (void)fprintf(f, "sha256,until,off\n" SHA ",%s\n", rest);
    for (int i = 1; i < ROWS; i++) {
        (void)fprintf(f, "%064x,,\n", (unsigned)i);
    }
    assert_int_equal(fclose(f), 0);
    t = table_open(&source, note, NULL, &st, &e);
    assert_non_null(t);
    return t;
}

static void cut_tables(void)
{
    char pattern[160];
    glob_t found;

    (void)snprintf(pattern, sizeof pattern, "%s/*.table", built);
    assert_int_equal(glob(pattern, 0, NULL, &found), 0);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        assert_int_equal(chmod(found.gl_pathv[i], 0600), 0);
        assert_int_equal(truncate(found.gl_pathv[i], 4096), 0);
    }
    globfree(&found);
}

/* The linker puts it in the place of csv_table_secret_row: see CMakeLists.txt. */
int32_t __real_csv_table_secret_row(const struct csv_table *l, struct str key);
int32_t __wrap_csv_table_secret_row(const struct csv_table *l, struct str key);

int32_t __wrap_csv_table_secret_row(const struct csv_table *l, struct str key)
{
    int32_t row = __real_csv_table_secret_row(l, key);

    if (cuts) {
        cut_tables();
    }
    return row;
}

static void a_row_that_is_cut_before_it_is_judged_is_unreadable(void **state)
{
    static const struct {
        const char *rest;
        enum key_state whole;
    } cases[] = {{",yes", KEY_DISABLED}, {"1970-01-01,", KEY_EXPIRED}, {",", KEY_GOOD}};
    const struct key_plan k = {.expires = 1, .disabled = 2, .label = -1};

    (void)state;
    for (size_t i = 0; i < N_ELEMS(cases); i++) {
        struct csv_table *t = open_with(cases[i].rest);
        int32_t row;

        cuts = false;
        assert_int_equal(key_table_find(&k, t, STR("key"), NOW, &row), cases[i].whole);
        cuts = true;
        assert_int_equal(key_table_find(&k, t, STR("key"), NOW, &row), KEY_UNREADABLE);
        assert_int_equal(key_table_find_hex(&k, t, STR(SHA), NOW, &row),
                         KEY_UNREADABLE);
        csv_table_unref(t);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_that_is_cut_before_it_is_judged_is_unreadable),
    };

    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
